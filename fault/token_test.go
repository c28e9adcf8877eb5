package fault_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// notary is a verifier that accepts the texts it was told of. The real one is in
// package token, which imports this one.
type notary struct {
	mu        sync.Mutex
	tokens    map[string]fault.Token
	asked     int
	onRevoked []func()
}

func (n *notary) VerifyToken(text string) (fault.Token, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	t, ok := n.tokens[text]
	switch {
	case text == "panic":
		panic("no such notary")
	case !ok:
		return fault.Token{}, fmt.Errorf("who signed %q? %w", text, fault.ErrNotGenuine)
	case !time.Now().Before(t.Expires):
		return fault.Token{}, errors.New("it is over")
	}
	return t, nil
}

func (n *notary) OnRevocation(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.onRevoked = append(n.onRevoked, f)
}

// issue returns the text of a token with these rules.
func (n *notary) issue(rules ...fault.Rule) string { return n.issueToken(token("", rules...)) }

func (n *notary) issueToken(t fault.Token) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t.ID == "" {
		t.ID = fmt.Sprintf("t%d", len(n.tokens)+1)
	}
	if n.tokens == nil {
		n.tokens = make(map[string]fault.Token)
	}
	n.tokens["text-of-"+t.ID] = t
	return "text-of-" + t.ID
}

func (n *notary) revoke(text string) {
	n.mu.Lock()
	delete(n.tokens, text)
	told := n.onRevoked
	n.mu.Unlock()
	for _, f := range told {
		f()
	}
}

func token(id string, rules ...fault.Rule) fault.Token {
	now := time.Now()
	return fault.Token{ID: id, Subject: "alice", NotBefore: now, Expires: now.Add(10 * time.Minute), Rules: rules}
}

// atDB is a rule of a token at the dependency "db".
func atDB(what fault.Fault, edits ...func(*fault.Rule)) fault.Rule {
	r := rule("", what, for_(scope.Scope{}), ttl(0))
	for _, edit := range edits {
		edit(&r)
	}
	return r
}

func withToken(inj *fault.Injector, ctx context.Context, texts ...string) context.Context {
	return inj.Receive(ctx, fault.Sent{Tokens: texts})
}

func TestATokenIsForItsRequestOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, seen := new(notary), new(recorder)
		inj := fault.New("svc", fault.WithTokens(n), fault.WithObserver(seen))
		db, cache := inj.Point("custom", "db"), inj.Point("custom", "cache")
		put(t, inj, rule("for-all", blackHole))
		text := n.issue(atDB(unavailable))
		ctx := withToken(inj, customer("42"), text)
		require.Equal(t, "token-t1", hitBy(db, ctx, ""), "it comes before all others")
		require.Equal(t, "for-all", hitBy(db, customer("42"), ""), "the same customer without it")
		require.Empty(t, hitBy(cache, ctx, ""))
		require.Equal(t, text, scope.TokenMember.Of(ctx), "it is carried on")
		require.Equal(t, `applied;rule="token-t1";point="custom:db";service="svc"`, fault.Answer(ctx))

		status, ok := inj.Rule("token-t1")
		require.True(t, ok)
		require.Equal(t, fault.SourceToken, status.Source)
		require.Equal(t, "alice", status.By)
		require.Equal(t, 10*time.Minute, status.Left)
		require.Equal(t, fault.Event{
			Kind: fault.Taken, Time: time.Now(), Service: "svc", Rule: "token-t1", Source: fault.SourceToken, By: "alice",
		}, seen.events[0])
		require.Equal(t, "alice", seen.events[1].By)

		for range 10 {
			require.Equal(t, "token-t1", hitBy(db, withToken(inj, context.Background(), text), ""))
			behind, err := scope.TokenMember.With(customer("7"), text)
			require.NoError(t, err)
			require.Equal(t, "token-t1", hitBy(db, withToken(inj, behind), ""), "out of baggage")
		}
		require.Equal(t, 1, n.asked, "it is verified once")

		inj.Delete("for-all")
		time.Sleep(10 * time.Minute)
		require.Empty(t, hitBy(db, ctx, ""))
		synctest.Wait()
		require.True(t, inj.Idle())
		require.False(t, db.Armed())
		late := withToken(inj, customer("42"), text)
		require.Equal(t, `refused;service="svc";reason="it is over"`, fault.Answer(late))
		require.Empty(t, scope.TokenMember.Of(late))
	})
}

func TestRefusedTokens(t *testing.T) {
	n, seen := new(notary), new(recorder)
	inj := fault.New("svc", fault.WithTokens(n), fault.WithObserver(seen))
	db := inj.Point("custom", "db")
	good := n.issue(atDB(unavailable))
	stranger := `refused;service="svc";reason="the token is not accepted"`
	for name, test := range map[string]struct {
		sent     []string
		answer   string
		observed string
	}{
		"forged":     {[]string{"forged"}, stranger, `who signed "forged"?`},
		"empty":      {[]string{""}, stranger, `who signed ""?`},
		"too long":   {[]string{strings.Repeat("x", 4097)}, stranger, "token of 4097 bytes, at most 4096"},
		"very long":  {[]string{strings.Repeat("x", 8<<20)}, stranger, "token of 8388608 bytes"},
		"twice":      {[]string{good, good}, `refused;service="svc";reason="fault: the request has the field for a token 2 times: send one"`, "2 times"},
		"split":      {[]string{good[:4], good[4:]}, `reason="fault: the request has the field for a token 2 times: send one"`, "2 times"},
		"panicking":  {[]string{"panic"}, stranger, "the TokenVerifier panicked: no such notary"},
		"no rule":    {[]string{n.issue()}, "rules: has 0 entries; 1 to 16 are allowed", "rules: has 0 entries"},
		"a bad rule": {[]string{n.issue(atDB(unavailable), atDB(fault.Fault{}))}, "rules[1].fault: does nothing", "rules[1]"},
	} {
		t.Run(name, func(t *testing.T) {
			seen.events = nil
			before, err := scope.TokenMember.With(customer("42"), good)
			require.NoError(t, err)
			ctx := withToken(inj, before, test.sent...)
			require.Empty(t, hitBy(db, ctx, ""))
			require.Empty(t, scope.TokenMember.Of(ctx), "nothing is carried on, not even what was in the baggage")
			require.Contains(t, fault.Answer(ctx), test.answer)
			require.Len(t, seen.events, 1)
			require.ErrorContains(t, seen.events[0].Err, test.observed)
			require.True(t, inj.Idle())
			require.Equal(t, "42", scope.From(ctx).Customer)
		})
	}
}

func TestTokensAreIgnoredWithoutAVerifier(t *testing.T) {
	inj := fault.New("svc")
	require.False(t, inj.TakesTokens())
	before, err := scope.TokenMember.With(customer("42"), "anything")
	require.NoError(t, err)
	require.Equal(t, before, withToken(inj, before, "anything"), "and go on, to services that may have one")
}

func TestValidateToken(t *testing.T) {
	now := time.Now()
	for want, edit := range map[string]func(*fault.Token){
		`id: "" is not 1 to 32 letters`:           func(t *fault.Token) { t.ID = "" },
		`id: "a b" is not 1 to 32 letters`:        func(t *fault.Token) { t.ID = "a b" },
		"subject: has 0 bytes; 1 to 128":          func(t *fault.Token) { t.Subject = "" },
		"subject: has 129 bytes":                  func(t *fault.Token) { t.Subject = strings.Repeat("x", 129) },
		"services[1]: is empty":                   func(t *fault.Token) { t.Services = []string{"a", ""} },
		"notBefore: is required":                  func(t *fault.Token) { t.NotBefore = time.Time{} },
		"expires: is required: every token":       func(t *fault.Token) { t.Expires = time.Time{} },
		"is not after":                            func(t *fault.Token) { t.Expires = t.NotBefore },
		"rules: has 17 entries; 1 to 16":          func(t *fault.Token) { t.Rules = make([]fault.Rule, 17) },
		"rules[0].id: is given by the token":      func(t *fault.Token) { t.Rules[0].ID = "mine" },
		"rules[0].ttl: is that of the token":      func(t *fault.Token) { t.Rules[0].TTL = time.Minute },
		"rules[0].expires: is that of the token":  func(t *fault.Token) { t.Rules[0].Expires = now },
		"rules[0].target.points: is required":     func(t *fault.Token) { t.Rules[0].Target = fault.Target{} },
		"rules[0].scope.percent: NaN is no share": func(t *fault.Token) { t.Rules[0].Scope = scope.Percent(math.NaN(), "") },
	} {
		tok := token("t", atDB(unavailable))
		require.NoError(t, tok.Validate())
		edit(&tok)
		err := tok.Validate()
		if strings.Contains(want, "NaN") {
			require.ErrorContains(t, err, "rules[0].scope.percent: NaN")
			continue
		}
		require.ErrorContains(t, err, want)
	}
}

func TestSeveralRulesInOneToken(t *testing.T) {
	n := new(notary)
	inj := fault.New("svc", fault.WithTokens(n))
	db := inj.Point("custom", "db")
	text := n.issue(
		atDB(unavailable, for_(scope.Customers("42"))),
		atDB(blackHole, for_(scope.Customers("42", "7"))),
		atDB(unavailable, for_(scope.Customers("42")), priority(1), func(r *fault.Rule) { r.Target.Operations = []string{"COMMIT"} }),
	)
	require.Equal(t, "token-t1-1", hitBy(db, withToken(inj, customer("42"), text), "QUERY"))
	require.Equal(t, "token-t1-3", hitBy(db, withToken(inj, customer("42"), text), "COMMIT"))
	require.Equal(t, "token-t1-2", hitBy(db, withToken(inj, customer("7"), text), "COMMIT"))
	require.Len(t, inj.Rules(), 3)
	require.True(t, inj.Delete("token-t1-2"))
	require.Empty(t, inj.Rules(), "they end together")
}

func TestRevokingATokenLetsGoOfItsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(notary)
		inj := fault.New("svc", fault.WithTokens(n))
		db := inj.Point("custom", "db")
		text, other := n.issue(atDB(blackHole)), n.issue(atDB(unavailable))
		ctx := withToken(inj, customer("1"), text)
		require.NotEmpty(t, hitBy(db, withToken(inj, customer("2"), other), ""))
		released := make(chan error, 1)
		go func() { released <- db.Inject(ctx, fault.Operation{}) }()
		synctest.Wait()
		require.Empty(t, released)
		n.revoke(text)
		require.NoError(t, <-released, "the call goes on")
		require.Empty(t, hitBy(db, ctx, ""), "its request is free")
		require.NotEmpty(t, hitBy(db, withToken(inj, customer("2"), other), ""), "other tokens stay")
		replayed := withToken(inj, customer("1"), text)
		require.Equal(t, `refused;service="svc";reason="the token is not accepted"`, fault.Answer(replayed))
		require.Len(t, inj.Rules(), 1)
	})
}

func TestATokenThatIsTakenBackStaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(notary)
		inj := fault.New("svc", fault.WithTokens(n))
		db := inj.Point("custom", "db")
		text := n.issue(atDB(unavailable))
		require.NotEmpty(t, hitBy(db, withToken(inj, customer("1"), text), ""))
		require.True(t, inj.Delete("token-t1"))
		require.False(t, inj.Delete("token-t1"))
		again := withToken(inj, customer("1"), text)
		require.Empty(t, hitBy(db, again, ""))
		require.Contains(t, fault.Answer(again), "token t1 was taken back here: make another one")
		require.NotEmpty(t, hitBy(db, withToken(inj, customer("1"), n.issue(atDB(unavailable))), ""))
	})
}

func TestTokensOfOneIDAreTakenBackTogether(t *testing.T) {
	n := &notary{tokens: make(map[string]fault.Token)}
	inj := fault.New("svc", fault.WithTokens(n))
	db := inj.Point("custom", "db")
	short, long := token("same", atDB(unavailable)), token("same", atDB(blackHole))
	long.Expires = long.Expires.Add(time.Minute)
	n.tokens["short"], n.tokens["long"] = short, long
	first, second := withToken(inj, customer("1"), "short"), withToken(inj, customer("2"), "long")
	require.NotEmpty(t, hitBy(db, first, ""))
	require.NotEmpty(t, hitBy(db, second, ""))
	require.True(t, inj.Delete("token-same"))
	require.Empty(t, inj.Rules())
	for _, text := range []string{"short", "long"} {
		require.Contains(t, fault.Answer(withToken(inj, customer("1"), text)), "taken back")
	}
}

func TestHaltEndsTokens(t *testing.T) {
	n := new(notary)
	inj := fault.New("svc", fault.WithTokens(n))
	db := inj.Point("custom", "db")
	text := n.issue(atDB(unavailable))
	ctx := withToken(inj, customer("1"), text)
	require.Len(t, inj.Halt(), 1)
	require.Empty(t, hitBy(db, ctx, ""))
	require.Contains(t, fault.Answer(ctx), "it is over")
	halted := withToken(inj, customer("1"), text)
	require.Contains(t, fault.Answer(halted), "halted")
	require.Empty(t, scope.TokenMember.Of(halted), "nothing goes on to the services behind")
	require.True(t, inj.Idle())
	inj.Resume()
	require.NotEmpty(t, hitBy(db, withToken(inj, customer("1"), text), ""), "the token is still good")
}

func TestATokenForOtherServicesIsCarriedOn(t *testing.T) {
	n := new(notary)
	edge, ratings := fault.New("edge", fault.WithTokens(n)), fault.New("ratings", fault.WithTokens(n))
	tok := token("t", atDB(unavailable))
	tok.Services = []string{"ratings"}
	text := n.issueToken(tok)
	ctx := withToken(edge, customer("1"), text)
	require.Equal(t, text, scope.TokenMember.Of(ctx))
	require.Empty(t, hitBy(edge.Point("custom", "db"), ctx, ""))
	require.True(t, edge.Idle(), "it costs the service nothing")
	require.Equal(t, `not-reached;rule="token-t";service="edge";reason="the token is for other services, and none has reported back"`, fault.Answer(ctx))

	behind := withToken(ratings, ctx, text)
	require.NotEmpty(t, hitBy(ratings.Point("custom", "db"), behind, ""))
	fault.Heard(ctx, []string{fault.Answer(behind)})
	require.Equal(t, `applied;rule="token-t";point="custom:db";service="ratings"`, fault.Answer(ctx))
	require.Empty(t, hitBy(edge.Point("custom", "db"), behind, ""), "rules of one injector are not for the points of another")
}

func TestAnswersSayWhatToDo(t *testing.T) {
	n := new(notary)
	inj := fault.New("svc", fault.WithTokens(n), fault.WithGuardrails(fault.Guardrails{Protected: []string{"login"}}))
	for _, name := range []string{"db", "cache", "login"} {
		inj.Point("custom", name)
	}
	onCommit := func(r *fault.Rule) { r.Target.Operations = []string{"COMMIT"} }
	for name, test := range map[string]struct {
		rule fault.Rule
		want string
	}{
		"no call":           {atDB(unavailable, at("cache")), `not-reached;rule="ID";service="svc";reason="no call was made at custom:cache"`},
		"no such point":     {atDB(unavailable, at("ratings")), `not-reached;rule="ID";service="svc";reason="no point of the service is its target, and no service behind has reported back"`},
		"protected":         {atDB(unavailable, at("login*")), `reason="guardrails protect custom:login"`},
		"unsupported":       {atDB(fault.Fault{Duplicate: true}), `reason="the fault cannot be produced at custom:db"`},
		"another service":   {atDB(unavailable, func(r *fault.Rule) { r.Target.Services = []string{"x"} }), `reason="it is for other services, and none has reported back"`},
		"another operation": {atDB(unavailable, onCommit), `missed;rule="ID";point="custom:db";service="svc";reason="it is not for the operation \"QUERY\""`},
		"another customer":  {atDB(unavailable, for_(scope.Customers("7"))), `missed;rule="ID";point="custom:db";service="svc";reason="the request is out of its scope: not one of the customers"`},
		"no percentage":     {atDB(unavailable, for_(scope.Percent(0, scope.PerCall))), `reason="the request is out of its scope: outside the percentage"`},
		"a limit":           {atDB(unavailable, limits(fault.Limits{Total: 1})), `applied;rule="ID";point="custom:db";service="svc", skipped;rule="ID";point="custom:db";service="svc";reason="held back: total"`},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := withToken(inj, customer("42"), n.issue(test.rule))
			for range 3 {
				hitBy(inj.Point("custom", "db"), ctx, "QUERY")
			}
			id := inj.Rules()[0].Rule.ID
			require.Contains(t, fault.Answer(ctx), strings.ReplaceAll(test.want, "ID", id))
			inj.Delete(id)
		})
	}
}

func TestConcurrentTokens(t *testing.T) {
	n := new(notary)
	inj := fault.New("svc", fault.WithTokens(n))
	db := inj.Point("custom", "db")
	texts := make([]string, 8)
	for i := range texts {
		texts[i] = n.issue(atDB(unavailable))
	}
	var group sync.WaitGroup
	for i := range 64 {
		group.Go(func() {
			for range 50 {
				text := texts[i%len(texts)]
				ctx := withToken(inj, customer("1"), text)
				for range 4 {
					hitBy(db, ctx, "")
					fault.Answer(ctx)
				}
				require.Empty(t, hitBy(db, customer("1"), ""))
			}
		})
	}
	for _, text := range texts[:4] {
		group.Go(func() { n.revoke(text) })
	}
	group.Go(func() {
		for range 20 {
			inj.Halt()
			inj.Resume()
		}
	})
	group.Wait()
	for _, status := range inj.Rules() {
		require.NotContains(t, []string{"token-t1", "token-t2", "token-t3", "token-t4"}, status.Rule.ID, "revoked")
		require.Zero(t, status.Held)
	}
	require.NotEmpty(t, hitBy(db, withToken(inj, customer("1"), texts[7]), ""))
}

// BenchmarkToken measures what a request pays for the token it carries; bare is
// the same without one.
func BenchmarkToken(b *testing.B) {
	n := new(notary)
	inj := fault.New("svc", fault.WithTokens(n))
	db, other := inj.Point("custom", "db"), inj.Point("custom", "other")
	n.issue()
	long := "text-of-" + strings.Repeat("x", 440)
	n.tokens[long] = token("t", atDB(unavailable))
	plain := customer("42")
	ctx := withToken(inj, plain, long)
	require.NotEmpty(b, hitBy(db, ctx, ""))
	carried, err := scope.TokenMember.With(plain, long)
	require.NoError(b, err)
	for name, f := range map[string]func(){
		"receive, verified before":        func() { withToken(inj, carried) },
		"decide, without a token":         func() { other.Decide(plain, fault.Operation{}) },
		"decide, token for another point": func() { other.Decide(ctx, fault.Operation{}) },
		"decide, without, at its point":   func() { db.Decide(plain, fault.Operation{}) },
		"decide and done, token for here": func() { db.Decide(ctx, fault.Operation{}).Done() },
		"answer":                          func() { fault.Answer(ctx) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}
