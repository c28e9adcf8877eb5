package fault_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

func page(name string) fault.Operation { return fault.Operation{Verb: "GET", Name: name} }

// judged returns an injector that follows requests, with a point and a rule.
func judged(t *testing.T, s fault.VerdictSettings, rules ...fault.Rule) (*fault.Injector, *fault.Point) {
	t.Helper()
	inj := fault.New("shop", fault.WithVerdicts(s))
	p := inj.Point("custom", "db")
	put(t, inj, rules...)
	return inj, p
}

// request makes a request that makes calls.
func request(t *testing.T, inj *fault.Injector, endpoint string, p *fault.Point, calls ...string) {
	t.Helper()
	ctx, trial := inj.BeginTrial(t.Context())
	require.NotNil(t, trial)
	for _, op := range calls {
		_ = p.Inject(ctx, fault.Operation{Name: op})
	}
	trial.End(fault.Outcome{Endpoint: page(endpoint)})
}

// TestLateAndUnfollowedHits belong to no verdict, and are told apart from none.
func TestLateAndUnfollowedHits(t *testing.T) {
	inj, p := judged(t, fault.VerdictSettings{}, rule("r", unavailable))
	ctx, trial := inj.BeginTrial(t.Context())
	trial.End(fault.Outcome{Endpoint: page("/a")})
	trial.End(fault.Outcome{Endpoint: page("/b"), Failed: true})
	for range 3 {
		require.Error(t, p.Inject(ctx, fault.Operation{Name: "GET"}))
	}
	fault.Degraded(ctx, "too late")
	for range 2 {
		require.Error(t, p.Inject(context.Background(), fault.Operation{Name: "GET"}))
	}
	report := inj.Verdicts()
	require.Len(t, report.Rows, 2)
	unfollowed, late := report.Rows[0], report.Rows[1]
	require.EqualValues(t, 2, unfollowed.Unfollowed)
	require.Empty(t, unfollowed.Endpoint)
	require.EqualValues(t, 3, late.Late)
	require.Equal(t, "GET /a", late.Endpoint)
	for _, r := range report.Rows {
		require.Zero(t, r.Masked+r.Degraded+r.Surfaced)
	}
	require.Len(t, report.Endpoints, 1)
	require.EqualValues(t, 1, report.Endpoints[0].Requests)
	require.Zero(t, report.Endpoints[0].Degraded+report.Endpoints[0].Failed)

	again, second := inj.BeginTrial(ctx)
	require.NotNil(t, second, "the one before is over")
	require.Error(t, p.Inject(again, fault.Operation{Name: "GET"}))
	second.End(fault.Outcome{Endpoint: page("/a")})
	require.EqualValues(t, 1, inj.Verdicts().Rows[1].Masked)
}

// TestOneRequestOneTrial: what is inside of a request that is followed is part of it.
func TestOneRequestOneTrial(t *testing.T) {
	inj, p := judged(t, fault.VerdictSettings{}, rule("r", unavailable))
	other, q := judged(t, fault.VerdictSettings{}, rule("q", unavailable))
	ctx, trial := inj.BeginTrial(scope.With(t.Context(), scope.Request{ID: "1"}))
	same, none := inj.BeginTrial(ctx)
	require.Nil(t, none)
	require.Equal(t, ctx, same)
	none.End(fault.Outcome{Failed: true})
	inner, second := other.BeginTrial(ctx)
	require.NotNil(t, second, "another injector has its own")
	_, none = inj.BeginTrial(inner)
	require.Nil(t, none)

	_ = p.Inject(inner, fault.Operation{Name: "GET"})
	_ = q.Inject(inner, fault.Operation{Name: "GET"})
	second.End(fault.Outcome{Endpoint: page("/inner")})
	trial.End(fault.Outcome{Endpoint: page("/outer"), Failed: true})
	require.EqualValues(t, 1, inj.Verdicts().Rows[0].Surfaced)
	require.EqualValues(t, 1, other.Verdicts().Rows[0].Masked)
	require.NotNil(t, scope.From(inner), "what was in the context still is")
}

// TestFaultsOfOneRequest: each counts once, in a row of its own.
func TestFaultsOfOneRequest(t *testing.T) {
	inj, p := judged(t, fault.VerdictSettings{}, rule("r", unavailable))
	request(t, inj, "/a", p, "x", "y", "x", "x")
	report := inj.Verdicts()
	require.Len(t, report.Rows, 2)
	for i, op := range []string{"x", "y"} {
		require.Equal(t, op, report.Rows[i].Operation)
		require.EqualValues(t, 1, report.Rows[i].Masked)
	}

	put(t, inj, rule("r", blackHole, for_(scope.Customers("nobody")))) // another fault under the same ID
	put(t, inj, rule("r", unavailable))                                // and the first one again
	request(t, inj, "/a", p, "x")
	require.EqualValues(t, 2, inj.Verdicts().Rows[0].Masked)
}

// TestOneRowAcrossEdits: a rule that is edited amid a request counts it once.
func TestOneRowAcrossEdits(t *testing.T) {
	inj, p := judged(t, fault.VerdictSettings{}, rule("r", unavailable))
	ctx, trial := inj.BeginTrial(t.Context())
	_ = p.Inject(ctx, fault.Operation{Name: "GET"})
	put(t, inj, rule("r", unavailable, ttl(time.Minute)))
	_ = p.Inject(ctx, fault.Operation{Name: "GET"})
	put(t, inj, rule("r", fault.Fault{Error: &fault.ErrorFault{Class: fault.Reset}}))
	_ = p.Inject(ctx, fault.Operation{Name: "GET"})
	trial.End(fault.Outcome{Endpoint: page("/a")})
	rows := inj.Verdicts().Rows
	require.Len(t, rows, 2, "one of each fault")
	for _, r := range rows {
		require.EqualValues(t, 1, r.Masked)
	}
	require.NotEqual(t, rows[0].Fault, rows[1].Fault)
}

// TestVerdictsAreBounded: what is beyond is counted all the same.
func TestVerdictsAreBounded(t *testing.T) {
	inj, p := judged(t, fault.VerdictSettings{MaxRows: 40, MaxEndpoints: 2}, rule("r", unavailable))
	var many []string
	for i := range 50 {
		many = append(many, fmt.Sprintf("op-%02d", i))
	}
	request(t, inj, "/many", p, many...)
	report := inj.Verdicts()
	require.Len(t, report.Rows, 17, "16 operations of one request, and the others")
	require.Zero(t, report.Uncounted, "it is known of all calls that they were masked")

	for _, op := range many {
		request(t, inj, "/many", p, op)
	}
	report = inj.Verdicts()
	require.Len(t, report.Rows, 33, "32 operations, and the others")
	others := report.Rows[len(report.Rows)-1]
	require.Equal(t, "other", others.Operation)
	require.EqualValues(t, 1+50-32, others.Masked)
	require.Zero(t, report.Uncounted)

	for i := range 10 {
		request(t, inj, fmt.Sprint("/", i), p, "x")
	}
	for range 10 {
		request(t, inj, "/many", p)
	}
	report = inj.Verdicts()
	require.EqualValues(t, 9, report.Crowded)
	var names []string
	for _, r := range report.Rows {
		names = append(names, r.Endpoint)
	}
	require.Contains(t, names, "GET /0")
	require.Contains(t, names, "other")
	require.NotContains(t, names, "GET /1")

	for i := range 10 {
		put(t, inj, rule(fmt.Sprint("s", i), unavailable, priority(1+i)))
		request(t, inj, "/many", p, "x")
	}
	report = inj.Verdicts()
	require.Len(t, report.Rows, 40)
	require.EqualValues(t, 10-5, report.Uncounted)
}

// TestVerdictsOfManyCalls: the rule that the last of many calls met is known to have
// surfaced, too, and as what the rule names.
func TestVerdictsOfManyCalls(t *testing.T) {
	last := rule("last", unavailable, priority(1))
	last.Target.Operations = []string{"last *"}
	inj, p := judged(t, fault.VerdictSettings{}, rule("r", unavailable), last)
	ctx, trial := inj.BeginTrial(t.Context())
	for i := range 20 {
		_ = p.Inject(ctx, fault.Operation{Verb: "GET", Name: fmt.Sprint("/", i)})
	}
	for i := range 20 {
		_ = p.Inject(ctx, fault.Operation{Verb: "last", Name: fmt.Sprint("/", i)})
	}
	trial.End(fault.Outcome{Endpoint: page("/a"), Failed: true})
	report := inj.Verdicts()
	require.Zero(t, report.Uncounted)
	require.Len(t, report.Rows, 18)
	require.Equal(t, "last", report.Rows[0].Rule)
	require.Equal(t, "last *", report.Rows[0].Operation)
	for _, r := range report.Rows {
		require.EqualValues(t, 1, r.Surfaced)
	}
}

// TestVerdictsOfTooMany counts what it cannot keep of one request.
func TestVerdictsOfTooMany(t *testing.T) {
	inj, _ := judged(t, fault.VerdictSettings{}, rule("r", unavailable, at("*")))
	ctx, trial := inj.BeginTrial(t.Context())
	for i := range 40 {
		_ = inj.Point("custom", fmt.Sprint("db-", i)).Inject(ctx, fault.Operation{Name: "x"})
	}
	trial.End(fault.Outcome{Endpoint: page("/a")})
	require.Len(t, inj.Verdicts().Rows, 32)
	require.EqualValues(t, 40-32, inj.Verdicts().Uncounted)
}

// TestVerdictsAreForgotten an hour after the last of a rule that is over, and not
// before.
func TestVerdictsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj, p := judged(t, fault.VerdictSettings{}, rule("short", unavailable, ttl(time.Minute), at("db")))
		request(t, inj, "/a", p, "x")
		request(t, inj, "/a", p)
		time.Sleep(time.Hour - time.Second) // the rule is over
		require.False(t, inj.Verdicts().Judging)
		require.Len(t, inj.Verdicts().Rows, 1)
		require.Len(t, inj.Verdicts().Endpoints, 1)

		put(t, inj, rule("short", unavailable, ttl(3*time.Hour)))
		request(t, inj, "/a", p, "x")
		require.EqualValues(t, 2, inj.Verdicts().Rows[0].Masked, "it goes on where it was")
		time.Sleep(2 * time.Hour)
		require.EqualValues(t, 2, inj.Verdicts().Rows[0].Masked, "it is live")
		require.Empty(t, inj.Verdicts().Endpoints)
		time.Sleep(2 * time.Hour)
		require.Empty(t, inj.Verdicts().Rows)

		put(t, inj, rule("again", unavailable, ttl(time.Minute)))
		request(t, inj, "/a", p, "x")
		time.Sleep(2 * time.Hour)
		put(t, inj, rule("again", unavailable)) // before anybody has asked
		request(t, inj, "/a", p, "x")
		require.EqualValues(t, 1, inj.Verdicts().Rows[0].Masked, "of this one, not of the one of two hours ago")
	})
}

// TestVerdictsOfCarriedRules have a row for each token, and one for all rules in
// the clear, of which each request may have its own.
func TestVerdictsOfCarriedRules(t *testing.T) {
	inj := fault.New("shop", fault.WithVerdicts(fault.VerdictSettings{}))
	p := inj.Point("custom", "db")
	require.False(t, inj.Judges())
	for i := range 3 {
		ctx, err := inj.WithRequestRule(t.Context(), fmt.Sprintf(`{"id":"mine-%d","target":{"points":["db"]},"fault":{"error":{"class":"reset"}}}`, i))
		require.NoError(t, err)
		ctx, trial := inj.BeginTrial(ctx)
		require.Error(t, p.Inject(ctx, fault.Operation{Name: "GET"}))
		trial.End(fault.Outcome{Endpoint: page("/a")})
	}
	rows := inj.Verdicts().Rows
	require.Len(t, rows, 1)
	require.Equal(t, "request-*", rows[0].Rule)
	require.EqualValues(t, 3, rows[0].Masked)
}

// TestBaselineIsOfWhatWentWell: neither errors, which may be fast, nor streams, which
// last as long as they like, say how long a request takes.
func TestBaselineIsOfWhatWentWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj, p := judged(t, fault.VerdictSettings{MinBaseline: 4}, rule("r", unavailable, ttl(10*time.Hour)))
		end := func(took time.Duration, o fault.Outcome, calls ...string) {
			ctx, trial := inj.BeginTrial(t.Context())
			for _, op := range calls {
				_ = p.Inject(ctx, fault.Operation{Name: op})
			}
			time.Sleep(took)
			o.Endpoint = page("/a")
			trial.End(o)
		}
		for range 3 {
			end(100*time.Millisecond, fault.Outcome{})
		}
		end(time.Millisecond, fault.Outcome{Failed: true})
		end(time.Hour, fault.Outcome{Lasting: true})
		e := inj.Verdicts().Endpoints[0]
		require.Equal(t, fault.VerdictEndpoint{Endpoint: "GET /a", Requests: 5, Failed: 1, P50: 100 * time.Millisecond, P99: 100 * time.Millisecond}, e)
		end(100*time.Millisecond, fault.Outcome{})
		require.True(t, inj.Verdicts().Endpoints[0].Enough)

		for _, took := range []time.Duration{149 * time.Millisecond, 150 * time.Millisecond} { // 50 ms more are too much
			end(took, fault.Outcome{}, "x")
		}
		end(time.Hour, fault.Outcome{Lasting: true}, "x")
		got := inj.Verdicts().Rows[0]
		require.Equal(t, []uint64{2, 1, 0, 1}, []uint64{got.Masked, got.Degraded, got.Surfaced, got.Unmeasured})
	})
}

// TestDegraded says what the handler said, whatever else there is to say.
func TestDegraded(t *testing.T) {
	inj, p := judged(t, fault.VerdictSettings{}, rule("r", unavailable))
	var none context.Context
	fault.Degraded(none, "no context")
	fault.Degraded(t.Context(), "no trial")
	ctx, trial := inj.BeginTrial(t.Context())
	_ = p.Inject(ctx, fault.Operation{Name: "x"})
	fault.Degraded(ctx, "first")
	fault.Degraded(ctx, "-"+strings.Repeat("ä", 200))
	trial.End(fault.Outcome{Endpoint: page("/a")})
	ctx, trial = inj.BeginTrial(t.Context())
	_ = p.Inject(ctx, fault.Operation{Name: "x"})
	fault.Degraded(ctx, "and an error, which is worse")
	trial.End(fault.Outcome{Endpoint: page("/a"), Failed: true})
	ctx, trial = inj.BeginTrial(t.Context())
	fault.Degraded(ctx, "for no reason of ours")
	trial.End(fault.Outcome{Endpoint: page("/a")})
	report := inj.Verdicts()
	require.EqualValues(t, 1, report.Rows[0].Degraded)
	require.EqualValues(t, 1, report.Rows[0].Surfaced)
	require.Equal(t, "-"+strings.Repeat("ä", 63), report.Rows[0].Reason)
	require.EqualValues(t, 1, report.Endpoints[0].Degraded)
}

func TestVerdictsWhereNothingIsInjected(t *testing.T) {
	t.Setenv("MISFIT_DISABLED", "1")
	for _, inj := range []*fault.Injector{nil, fault.New("shop", fault.WithVerdicts(fault.VerdictSettings{}))} {
		require.False(t, inj.Judges())
		ctx, trial := inj.BeginTrial(t.Context())
		require.Equal(t, t.Context(), ctx)
		require.Nil(t, trial)
		require.Equal(t, fault.VerdictReport{}, inj.Verdicts())
	}
}

// TestVerdictsInTheLog have all that the event says.
func TestVerdictsInTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj, p := judged(t, fault.VerdictSettings{MinBaseline: 1}, rule("r", unavailable))
		var log bytes.Buffer
		_, before := inj.BeginTrial(t.Context())
		time.Sleep(time.Second)
		before.End(fault.Outcome{Endpoint: page("/a")})
		ctx, trial := inj.BeginTrial(t.Context())
		_ = p.Inject(ctx, fault.Operation{Name: "x"})
		fault.Degraded(ctx, "no stars")
		defer inj.Observe(fault.SlogObserver(slog.New(slog.NewTextHandler(&log, nil))))()
		time.Sleep(time.Second)
		trial.End(fault.Outcome{Endpoint: page("/a")})
		require.Contains(t, log.String(), `level=INFO msg="fault verdict" service=shop point=custom:db operation=x rule=r source=code verdict=degraded endpoint="GET /a" latency=1s baseline=1s because="no stars"`)
	})
}

// TestSlowAsOthersAre is not degraded: where one request in ten takes long, one that
// takes as long may have met a fault or not.
func TestSlowAsOthersAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj, p := judged(t, fault.VerdictSettings{MinBaseline: 10}, rule("r", unavailable))
		request := func(took time.Duration, calls ...string) {
			ctx, trial := inj.BeginTrial(t.Context())
			for _, op := range calls {
				_ = p.Inject(ctx, fault.Operation{Name: op})
			}
			time.Sleep(took)
			trial.End(fault.Outcome{Endpoint: page("/a")})
		}
		for range 9 {
			request(10 * time.Millisecond)
		}
		request(time.Second)
		request(900*time.Millisecond, "x")
		request(time.Second+1, "x")
		got := inj.Verdicts().Rows[0]
		require.Equal(t, []uint64{1, 1, 0, 0}, []uint64{got.Masked, got.Degraded, got.Surfaced, got.Unmeasured})
	})
}

// TestVerdictsStartAnew forgets one rule, and everything, while requests go on.
func TestVerdictsStartAnew(t *testing.T) {
	inj, p := judged(t, fault.VerdictSettings{MinBaseline: 1, MaxEndpoints: 1, MaxRows: 3}, rule("r", unavailable))
	request := func(endpoint string, calls ...string) {
		ctx, trial := inj.BeginTrial(t.Context())
		for _, op := range calls {
			_ = p.Inject(ctx, fault.Operation{Name: op})
		}
		trial.End(fault.Outcome{Endpoint: page(endpoint)})
	}
	request("/a")
	request("/a", "x")
	request("/b", "x", "y", "z")
	report := inj.Verdicts()
	require.Len(t, report.Rows, 3)
	require.Positive(t, report.Uncounted)
	require.Positive(t, report.Crowded)

	ctx, trial := inj.BeginTrial(t.Context())
	_ = p.Inject(ctx, fault.Operation{Name: "x"})
	require.Zero(t, inj.ResetVerdicts("another"))
	require.Equal(t, 3, inj.ResetVerdicts("another", "r"))
	report = inj.Verdicts()
	require.Empty(t, report.Rows)
	require.Positive(t, report.Uncounted, "nobody knows of which rule")
	require.Len(t, report.Endpoints, 1)
	trial.End(fault.Outcome{Endpoint: page("/a")})
	require.EqualValues(t, 1, inj.Verdicts().Rows[0].Masked, "it ends after that")
	require.True(t, inj.Verdicts().Rows[0].Compared)

	require.Equal(t, 1, inj.ResetVerdicts())
	report = inj.Verdicts()
	require.True(t, report.On)
	require.Empty(t, report.Rows)
	require.Empty(t, report.Endpoints)
	require.Zero(t, report.Uncounted)
	require.Zero(t, report.Crowded)
	request("/c", "x")
	require.Equal(t, "GET /c", inj.Verdicts().Rows[0].Endpoint, "there is room again")
	require.Zero(t, (*fault.Injector)(nil).ResetVerdicts())
	require.Zero(t, fault.New("shop").ResetVerdicts())
}

// TestVerdictsStartAnewAtOnce is for the race detector, and loses no more than what is
// forgotten.
func TestVerdictsStartAnewAtOnce(t *testing.T) {
	inj, p := judged(t, fault.VerdictSettings{}, rule("r", unavailable))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 200 {
				ctx, trial := inj.BeginTrial(t.Context())
				_ = p.Inject(ctx, fault.Operation{Name: "x"})
				trial.End(fault.Outcome{Endpoint: page("/a")})
			}
		})
		all.Go(func() {
			for range 50 {
				inj.ResetVerdicts()
				inj.ResetVerdicts("r")
				_ = inj.Verdicts()
			}
		})
	}
	all.Wait()
	inj.ResetVerdicts()
	require.Empty(t, inj.Verdicts().Rows)
}

// TestTokensLeaveRoomForVerdicts of the rules of operators.
func TestTokensLeaveRoomForVerdicts(t *testing.T) {
	n := new(notary)
	inj := fault.New("shop", fault.WithTokens(n), fault.WithVerdicts(fault.VerdictSettings{MaxRows: 5}))
	p := inj.Point("custom", "db")
	request := func(ctx context.Context) {
		ctx, trial := inj.BeginTrial(ctx)
		require.Error(t, p.Inject(ctx, fault.Operation{Name: "x"}))
		trial.End(fault.Outcome{Endpoint: page("/a")})
	}
	tokens := func() {
		for range 10 {
			request(withToken(inj, t.Context(), n.issue(atDB(unavailable))))
		}
	}
	tokens()
	require.Len(t, inj.Verdicts().Rows, 3)
	require.EqualValues(t, 7, inj.Verdicts().Uncounted)
	for _, id := range []string{"a", "b"} {
		put(t, inj, rule(id, unavailable))
		request(t.Context())
		require.True(t, inj.Delete(id))
	}
	require.Len(t, inj.Verdicts().Rows, 5)
	require.EqualValues(t, 7, inj.Verdicts().Uncounted)

	require.Equal(t, 1, inj.ResetVerdicts("token-t1"))
	put(t, inj, rule("c", unavailable))
	request(t.Context())
	require.True(t, inj.Delete("c"))
	require.Len(t, inj.Verdicts().Rows, 5)
	inj.ResetVerdicts()
	tokens()
	require.Len(t, inj.Verdicts().Rows, 3)
}
