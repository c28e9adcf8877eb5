package fault_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
)

const carried = `{"target":{"points":["db"]},"fault":{"error":{"class":"refused"}}}`

func TestACarriedRuleIsForItsRequestOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db, cache := inj.Point("custom", "db"), inj.Point("custom", "cache")
		put(t, inj, rule("for-all", blackHole, for_(rule("", unavailable).Scope)))
		ctx, err := inj.WithRequestRule(customer("42"), carried)
		require.NoError(t, err)
		id := hitBy(db, ctx, "")
		require.Regexp(t, `^request-[0-9a-f]{8}$`, id, "it comes before all others")
		require.Equal(t, "for-all", hitBy(db, customer("42"), ""), "the same customer without it")
		require.Empty(t, hitBy(cache, ctx, ""))

		status, ok := inj.Rule(id)
		require.True(t, ok)
		require.Equal(t, fault.SourceRequest, status.Source)
		require.EqualValues(t, 1, status.Hits)
		require.Equal(t, time.Minute, status.Left)
		require.Len(t, inj.Rules(), 2)
		require.Equal(t, id, inj.Rules()[0].Rule.ID)

		inj.Delete("for-all")
		require.Equal(t, id, hitBy(db, ctx, ""))
		time.Sleep(time.Minute)
		require.Empty(t, hitBy(db, ctx, ""))
		synctest.Wait()
		require.Empty(t, inj.Rules())
		require.True(t, inj.Idle())
		require.False(t, db.Armed())
		require.False(t, cache.Armed())
	})
}

func TestCarriedRulesAreSharedAndRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		text := `{"id":"mine","target":{"points":["db"]},"fault":{"blackHole":true}}`
		first, err := inj.WithRequestRule(customer("1"), text)
		require.NoError(t, err)
		released := make(chan error, 1)
		go func() { released <- db.Inject(first, fault.Operation{}) }()
		for range 10 { // a test client that goes on for longer than the rule's minute
			time.Sleep(20 * time.Second)
			_, err := inj.WithRequestRule(customer("2"), text)
			require.NoError(t, err)
			require.Len(t, inj.Rules(), 1)
		}
		synctest.Wait()
		require.Empty(t, released, "still held: the rule was renewed")
		require.True(t, inj.Delete(inj.Rules()[0].Rule.ID))
		require.NoError(t, <-released)
		require.Empty(t, hitBy(db, first, ""), "a rule that was taken back is gone for its request")
		require.True(t, inj.Idle())
	})
}

func TestCarriedRulesAreChecked(t *testing.T) {
	inj := fault.New("svc")
	for text, want := range map[string]string{
		``:                             "",
		`{`:                            "",
		`[]`:                           "want an object",
		`{"fault":{"panic":true}}`:     "target.points: is required",
		`{"target":{"points":["db"]}}`: "fault: does nothing",
		carried[:len(carried)-1] + `,"scope":{"percent":101}}`:                    "scope.percent: 101",
		carried[:len(carried)-1] + `,"scope":{"attempts":-1}}`:                    "scope.attempts: -1",
		carried[:len(carried)-1] + `,"scope":{"unit":"customer"}}`:                "scope: selects nobody",
		carried[:len(carried)-1] + `,"ttl":"48h"}`:                                "MaxTTL",
		carried[:len(carried)-1] + `,"expires":"2001-01-01T00:00:00Z"}`:           "expires: 2001-01-01T00:00:00Z is over",
		carried[:len(carried)-1] + `,"id":"` + strings.Repeat("x", 48) + `"}`:     "id: has 48 bytes; at most 47",
		carried[:len(carried)-1] + `,"id":"a b"}`:                                 `id: "request-a b-`,
		carried[:len(carried)-1] + `,"note":"` + strings.Repeat("x", 5000) + `"}`: "at most 4096 are allowed",
		carried[:len(carried)-1] + `,"unknown":1}`:                                "unknown",
	} {
		ctx, err := inj.WithRequestRule(context.Background(), text)
		require.ErrorContains(t, err, want, text)
		require.Equal(t, context.Background(), ctx)
	}
	require.Empty(t, inj.Rules())

	ctx, err := inj.WithRequestRule(customer("1"), carried[:len(carried)-1]+`,"scope":{"attempts":2}}`)
	require.NoError(t, err)
	db := inj.Point("custom", "db")
	for i, hit := range []bool{true, true, false} {
		require.Equal(t, hit, db.Inject(ctx, fault.Operation{}) != nil, "attempt %d", i)
	}
}

func TestACarriedErrorMayBeRegisteredElsewhere(t *testing.T) {
	inj := fault.New("svc")
	db := inj.Point("custom", "db")
	ctx := inj.Receive(context.Background(), fault.Sent{Believed: true, Rules: []string{`{"target":{"points":["db"]},"fault":{"error":{"name":"no-such-error"}}}`}})
	require.NoError(t, db.Inject(ctx, fault.Operation{}))
	require.NotEmpty(t, scope.RuleMember.Of(ctx), "it goes on to services that may know it")
	require.Equal(t, []string{"custom:db"}, inj.Rules()[0].Unsupported)
	require.Contains(t, fault.Answer(ctx), `reason="the fault cannot be produced at custom:db"`)
}

func TestCarriedRulesAreBounded(t *testing.T) {
	inj := fault.New("svc")
	refused := 0
	for i := range 2000 {
		if _, err := inj.WithRequestRule(context.Background(), carried[:len(carried)-1]+fmt.Sprintf(`,"id":"%d"}`, i)); err != nil {
			require.ErrorContains(t, err, "1024 different tokens and per-request rules are live already")
			refused++
		}
	}
	require.Equal(t, 2000-1024, refused)
	require.Len(t, inj.Rules(), 1024)
	require.Len(t, inj.Halt(), 1024)
}

func TestReceiveRuleInTheClear(t *testing.T) {
	const (
		onCache = `{"target":{"points":["cache"]},"fault":{"error":{"class":"refused"}}}`
		bad     = `{"target":{"points":["db"]},"fault":{"dely":{}}}`
	)
	for _, test := range []struct {
		name    string
		baggage string // the rule in it
		sent    []string
		hit     string // the point that fails
		on      string // the rule that goes on to the services behind
		wrong   string
	}{
		{name: "none"},
		{name: "sent", sent: []string{carried}, hit: "db", on: carried},
		{name: "in baggage", baggage: carried, hit: "db", on: carried},
		{name: "both", baggage: carried, sent: []string{onCache}, hit: "cache", on: onCache},
		{name: "two", sent: []string{carried, onCache}, wrong: "fault: the request has the field for a rule 2 times: send one"},
		{name: "one twice", sent: []string{carried, carried, carried}, wrong: "3 times: send one"},
		{name: "two, and one in baggage", baggage: carried, sent: []string{carried, onCache}, wrong: "2 times"},
		{name: "refused", sent: []string{bad}, wrong: `unknown field \"dely\"; did you mean \"delay\"?`},
		{name: "refused in baggage", baggage: bad, wrong: `unknown field \"dely\"`},
		{name: "refused, with one in baggage", baggage: carried, sent: []string{bad}, wrong: `unknown field \"dely\"`},
		{name: "empty", sent: []string{""}, wrong: "fault: per-request rule: syntax error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inj := fault.New("svc")
			before := customer("42")
			if test.baggage != "" {
				var err error
				before, err = scope.RuleMember.With(before, test.baggage)
				require.NoError(t, err)
			}
			ctx := inj.Receive(before, fault.Sent{Believed: true, Rules: test.sent})
			for _, point := range []string{"db", "cache"} {
				require.Equal(t, point == test.hit, hitBy(inj.Point("custom", point), ctx, "") != "", point)
				require.Empty(t, hitBy(inj.Point("custom", point), before, ""), "the caller's own context stays")
			}
			require.Equal(t, test.on, scope.RuleMember.Of(ctx), "what is refused is not carried on")
			require.Equal(t, "42", scope.From(ctx).Customer)
			if test.hit == "" {
				require.Empty(t, inj.Rules())
			}
			switch {
			case test.wrong != "":
				require.Regexp(t, `^refused;service="svc";reason="`, fault.Answer(ctx))
				require.Contains(t, fault.Answer(ctx), test.wrong)
				require.EqualValues(t, 1, inj.Status().Problems)
			case test.hit != "":
				require.Regexp(t, `^applied;rule="request-[0-9a-f]{8}";point="custom:`+test.hit+`";service="svc"$`, fault.Answer(ctx))
			default:
				require.Equal(t, before, ctx, "as it was")
				require.Empty(t, fault.Answer(ctx))
			}
		})
	}
}

func TestARuleInTheClearIsReadOnlyWhereItIsBelieved(t *testing.T) {
	inj := fault.New("svc")
	before, err := scope.RuleMember.With(customer("42"), carried)
	require.NoError(t, err)
	ctx := inj.Receive(before, fault.Sent{Rules: []string{carried}})
	require.Equal(t, before, ctx, "and goes on: a service behind may believe it")
	require.Empty(t, inj.Rules())
}

func TestReceiveWhatDoesNotFitInBaggage(t *testing.T) {
	m, err := baggage.NewMemberRaw("theirs", strings.Repeat("x", 8000))
	require.NoError(t, err)
	bag, err := baggage.New(m)
	require.NoError(t, err)
	full := baggage.ContextWithBaggage(context.Background(), bag)
	inj := fault.New("svc")
	ctx := inj.Receive(full, fault.Sent{Believed: true, Rules: []string{carried + strings.Repeat(" ", 200)}})
	require.NotEmpty(t, hitBy(inj.Point("custom", "db"), ctx, ""), "it holds in the service")
	require.Contains(t, fault.Answer(ctx), `not-carried;service="svc";reason="scope: misfit.rule of `)
	require.Contains(t, fault.Answer(ctx), "does not fit")
	require.Empty(t, scope.RuleMember.Of(ctx))
	require.Equal(t, bag.String(), baggage.FromContext(ctx).String(), "what others put there stays")
}

func TestReceiveWhereNothingIsTaken(t *testing.T) {
	halted := fault.New("svc")
	halted.Halt()
	sent := fault.Sent{Believed: true, Rules: []string{carried}}
	require.Contains(t, fault.Answer(halted.Receive(context.Background(), sent)), "refused;")
	var none *fault.Injector
	for _, inj := range []*fault.Injector{halted, none} {
		require.Equal(t, context.Background(), inj.Receive(context.Background(), fault.Sent{Believed: true}))
	}
	require.Equal(t, context.Background(), none.Receive(context.Background(), sent))
	_, err := none.WithRequestRule(context.Background(), carried)
	require.ErrorIs(t, err, fault.ErrDisabled)
}
