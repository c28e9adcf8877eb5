package fault_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

func TestPutIsAllOrNothing(t *testing.T) {
	inj := fault.New("svc")
	err := inj.Put(rule("good", unavailable), rule("bad", fault.Fault{}, ttl(0)), rule("good", unavailable))
	require.EqualError(t, err, strings.Join([]string{
		`fault: rules[1].fault: does nothing: give a delay, an error, a blackHole, a panic, a stream, a lostReply or a duplicate`,
		`rules[1].ttl: is required: every rule expires; give for instance "10m", or the time in expires`,
		`rules[2].id: "good" is given twice`,
	}, "\n"))
	require.Empty(t, inj.Rules())
	require.NoError(t, inj.Put())
}

func TestEditingLeavesOtherCountersAlone(t *testing.T) {
	inj := fault.New("svc")
	db, cache := inj.Point("custom", "db"), inj.Point("custom", "cache")
	put(t, inj, rule("a", unavailable), rule("b", unavailable, at("cache")))
	for range 3 {
		hitBy(db, context.Background(), "")
		hitBy(cache, context.Background(), "")
	}
	put(t, inj, rule("a", unavailable, for_(scope.Percent(50, scope.PerCall))))
	hits := func(id string) uint64 {
		status, ok := inj.Rule(id)
		require.True(t, ok)
		return status.Hits
	}
	require.EqualValues(t, 3, hits("a"), "an edit keeps its own")
	require.EqualValues(t, 3, hits("b"))
	inj.Delete("a")
	put(t, inj, rule("a", unavailable))
	require.Zero(t, hits("a"), "a new rule starts anew")
	require.EqualValues(t, 3, hits("b"))
}

func TestSourcesOwnTheirRules(t *testing.T) {
	inj := fault.New("svc")
	put(t, inj, rule("mine", unavailable))
	api := inj.Source("api")
	require.NoError(t, api.Put(rule("theirs", unavailable)))
	err := api.Put(rule("new", unavailable), rule("mine", blackHole))
	require.ErrorIs(t, err, fault.ErrOwned)
	require.EqualError(t, err, `fault: the rule belongs to another source: "mine" was put by "code"`)
	require.Len(t, inj.Rules(), 2)
	require.True(t, inj.Delete("theirs"), "anyone may take back")
}

func TestChangeIsOneStep(t *testing.T) {
	inj := fault.New("svc")
	file := inj.Source("file")
	put(t, inj, rule("of-code", unavailable))
	require.NoError(t, file.Put(rule("a", unavailable), rule("b", unavailable), rule("c", unavailable)))
	ids := func() []string {
		var list []string
		for _, status := range inj.Rules() {
			list = append(list, status.Rule.ID)
		}
		return list
	}
	require.Error(t, file.Change([]fault.Rule{rule("d", fault.Fault{})}, []string{"a"}))
	require.Equal(t, []string{"a", "b", "c", "of-code"}, ids(), "a bad rule changes nothing")
	require.NoError(t, file.Change([]fault.Rule{rule("b", blackHole), rule("d", unavailable)}, []string{"a", "b", "of-code", "no-such"}))
	require.Equal(t, []string{"b", "c", "d", "of-code"}, ids())
	status, _ := inj.Rule("b")
	require.True(t, status.Rule.Fault.BlackHole)
	require.NoError(t, file.Change(nil, []string{"b", "c", "d"}))
	require.Equal(t, []string{"of-code"}, ids())
}

func TestRulesAreCopies(t *testing.T) {
	inj := fault.New("svc")
	db := inj.Point("custom", "db")
	r := rule("r", unavailable, for_(scope.Scope{
		Customers: []string{"42"}, Attributes: map[string][]string{"plan": {"gold"}}, Percent: new(100.0),
	}), func(r *fault.Rule) { r.Target.Except = &fault.Except{Points: []string{"cache"}} })
	put(t, inj, r)
	before := inj.Rules()[0].Rule.String()
	spoil := func(r fault.Rule) {
		r.Target.Points[0], r.Target.Except.Points[0] = "x", "x"
		r.Scope.Customers[0], *r.Scope.Percent = "x", 0
		r.Scope.Attributes["plan"][0] = "x"
		r.Fault.Error.Class = "x"
	}
	r.Fault.Error = new(*r.Fault.Error)
	spoil(inj.Rules()[0].Rule)
	require.Equal(t, before, inj.Rules()[0].Rule.String())
	r.Target.Points[0] = "x"
	require.Equal(t, before, inj.Rules()[0].Rule.String())
	ctx := scope.With(context.Background(), scope.Request{Customer: "42", Attributes: map[string]string{"plan": "gold"}})
	require.Equal(t, "r", hitBy(db, ctx, ""))
}

func TestHaltAndResume(t *testing.T) {
	inj := fault.New("svc")
	db := inj.Point("custom", "db")
	put(t, inj, rule("a", unavailable), rule("b", blackHole))
	_, err := inj.WithRequestRule(context.Background(), `{"target":{"points":["db"]},"fault":{"panic":true}}`)
	require.NoError(t, err)
	ended := inj.Halt()
	require.Len(t, ended, 3)
	require.Empty(t, inj.Rules())
	require.True(t, inj.Status().Halted)
	require.False(t, db.Armed())
	require.True(t, inj.Idle())
	require.Empty(t, inj.Halt(), "again is no harm")
	require.ErrorIs(t, inj.Put(rule("a", unavailable)), fault.ErrHalted)
	_, err = inj.WithRequestRule(context.Background(), `{}`)
	require.ErrorIs(t, err, fault.ErrHalted)
	require.NoError(t, inj.Point("custom", "new").Inject(context.Background(), fault.Operation{}))
	inj.Resume()
	require.Empty(t, inj.Rules(), "nothing comes back by itself")
	put(t, inj, rule("a", unavailable))
	require.Equal(t, "a", hitBy(db, context.Background(), ""))
}

func TestGuardrails(t *testing.T) {
	inj := fault.New("svc", fault.WithGuardrails(fault.Guardrails{
		MaxDelay: time.Second, MaxPercent: 10, MaxTTL: time.Hour, Protected: []string{"login", "*.server:*"},
	}))
	login, db, server := inj.Point("http.client", "login"), inj.Point("sql", "db"), inj.Point("http.server", "svc")
	ten := for_(scope.Percent(10, scope.PerCall))
	for _, test := range []struct {
		rule fault.Rule
		want string
	}{
		{rule("r", unavailable), "scope.percent: selects up to 100 % of traffic; the guardrail MaxPercent allows 10 %"},
		{rule("r", unavailable, for_(scope.Scope{Attributes: map[string][]string{"a": {"b"}}})), "scope.percent: selects up to 100 %"},
		{rule("r", fault.Fault{Delay: &fault.Delay{Fixed: 2 * time.Second}}, ten), "fault.delay: may last 2s; the guardrail MaxDelay allows 1s"},
		{rule("r", fault.Fault{Delay: &fault.Delay{Median: time.Millisecond, P99: time.Second}}, ten), "fault.delay: may last 10s"},
		{rule("r", fault.Fault{Delay: &fault.Delay{PadTo: 2 * time.Second}}, ten), "fault.delay: may last 2s"},
		{rule("r", unavailable, ten, ttl(2*time.Hour)), "ttl: is 2h0m0s away; the guardrail MaxTTL allows 1h0m0s"},
		{rule("r", unavailable, ten, ttl(0), func(r *fault.Rule) { r.Expires = time.Now().Add(48 * time.Hour) }), "expires: is 48h0m0s away"},
		{rule("r", unavailable, ten, at("db", "http.client:login")), `target.points[1]: "http.client:login" is protected by the guardrail "login"`},
	} {
		require.ErrorContains(t, inj.Put(test.rule), test.want)
	}
	put(t, inj, rule("r", unavailable, ten, for_(scope.Customers("42")), at("*", "*:*")))
	require.False(t, login.Armed())
	require.False(t, server.Armed())
	require.True(t, db.Armed())
	status, _ := inj.Rule("r")
	require.Equal(t, []string{"http.client:login", "http.server:svc"}, status.Protected)
	_, err := inj.WithRequestRule(context.Background(), `{"target":{"points":["db"]},"fault":{"delay":{"fixed":"2s"}}}`)
	require.ErrorContains(t, err, "MaxDelay")
	_, err = inj.WithRequestRule(context.Background(), `{"target":{"points":["db"]},"fault":{"delay":{"fixed":"1s"}}}`)
	require.NoError(t, err, "the share of one request is not measured")

	defaults := fault.New("svc").Guardrails()
	require.Equal(t, fault.Guardrails{
		MaxDelay: 5 * time.Minute, MaxPercent: 100, MaxTTL: 24 * time.Hour, MaxHeld: 32_768,
		Tokens: fault.TokenGuardrails{MaxTTL: time.Hour, MaxDelay: 5 * time.Minute, MaxHold: time.Hour, MaxConcurrent: 100},
	}, defaults)
	require.Equal(t, defaults.MaxPercent, fault.New("svc", fault.WithGuardrails(fault.Guardrails{MaxPercent: math.NaN()})).Guardrails().MaxPercent)
}

func TestObservers(t *testing.T) {
	var seen recorder
	inj := fault.New("svc",
		fault.WithObserver(fault.ObserverFunc(func(fault.Event) { panic("a broken observer") })),
		fault.WithObserver(&seen))
	db := inj.Point("custom", "db")
	put(t, inj, rule("r", fault.Fault{Delay: &fault.Delay{Fixed: 1}, Error: &fault.ErrorFault{Class: fault.Refused}}, limits(fault.Limits{Total: 1})))
	require.Error(t, db.Inject(customer("42"), fault.Operation{Verb: "GET", Name: "/x"}))
	require.NoError(t, db.Inject(customer("42"), fault.Operation{Verb: "GET", Name: "/x"}))
	inj.Report(errors.New("something odd"))
	inj.Report(nil)
	events := seen.all()
	require.Len(t, events, 4)
	require.GreaterOrEqual(t, events[1].Waited, time.Nanosecond)
	events[1].Waited = 1
	for i := range events {
		require.WithinDuration(t, time.Now(), events[i].Time, time.Minute)
		events[i].Time = time.Time{}
	}
	call := fault.Event{
		Service: "svc", Point: "custom:db", Operation: fault.Operation{Verb: "GET", Name: "/x"},
		Rule: "r", Source: "code", Request: "request-of-42", Customer: "42",
	}
	hit, release, skip := call, call, call
	release.Kind, release.Waited, release.Released = fault.Release, 1, fault.ReleaseElapsed
	hit.Kind, hit.Effects, hit.Delay = fault.Hit, []fault.Effect{"delay", "error.class.refused"}, 1
	skip.Kind, skip.Reason = fault.Skip, fault.SkipTotal
	require.Equal(t, []fault.Event{hit, release, skip, {Kind: fault.Problem, Service: "svc", Err: errors.New("something odd")}}, events)
	require.EqualValues(t, 4, inj.Status().ObserverPanics)
	require.EqualValues(t, 1, inj.Status().Problems)
}

func TestObserveUntilStopped(t *testing.T) {
	inj := fault.New("svc")
	var first, second recorder
	stopFirst, stopSecond := inj.Observe(&first), inj.Observe(&second)
	defer stopSecond()
	again := inj.Observe(&first)
	inj.Report(errors.New("one"))
	stopFirst()
	stopFirst() // does nothing
	inj.Report(errors.New("two"))
	again()
	inj.Report(errors.New("three"))
	require.Len(t, first.all(), 3, "both times of the first, one of the second")
	require.Len(t, second.all(), 3)
	require.Panics(t, func() { inj.Observe(nil) })
	var none *fault.Injector
	none.Observe(&first)()
}

// Writers, callers and points come and go at once: no call may be hit by a
// rule that was deleted before it began.
func TestConcurrentUse(t *testing.T) {
	inj := fault.New("svc", fault.WithMaxPoints(50))
	var wg sync.WaitGroup
	var calls atomic.Int64
	done := make(chan struct{})
	for w := range 4 {
		id := fmt.Sprint("rule-", w)
		dependency := fmt.Sprint("own-", w)
		own := inj.Point("custom", dependency) // before the names from outside use up the bound
		wg.Go(func() {
			for range 300 {
				if err := inj.Put(rule(id, fault.Fault{Delay: &fault.Delay{Fixed: time.Microsecond}, Error: &fault.ErrorFault{Class: fault.Refused}},
					at(dependency, "shared"), limits(fault.Limits{Total: 1 << 30, PerSecond: 100_000}))); err != nil {
					t.Error(err)
				}
				if own.Inject(customer("42"), fault.Operation{}) == nil {
					t.Error("not in force when Put returned")
				}
				if !inj.Delete(id) {
					t.Error("lost")
				}
				if own.Inject(customer("42"), fault.Operation{}) != nil {
					t.Error("in force after Delete returned")
				}
			}
		})
	}
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
					calls.Add(1)
					_ = inj.Point("custom", "shared").Inject(customer("7"), fault.Operation{})
					inj.Point("custom", fmt.Sprint("host-", i%100))
					inj.Rules()
					inj.Points()
				}
			}
		})
	}
	wg.Wait()
	close(done)
	callers.Wait()
	require.Empty(t, inj.Rules())
	require.Zero(t, inj.Status().Held)
	require.Positive(t, calls.Load())
	require.NotPanics(t, func() { inj.Halt() })
}

func ExampleInjector_Put() {
	inj := fault.New("storefront")
	err := inj.Put(fault.Rule{
		ID:     "slow-ratings",
		Target: fault.Target{Points: []string{"ratings"}},
		Scope:  scope.Customers("42"),
		Fault:  fault.Fault{Delay: &fault.Delay{Fixed: -2 * time.Second}},
	})
	fmt.Println(err)
	// Output:
	// fault: rule "slow-ratings": fault.delay.fixed: -2s is outside 0s to 24h0m0s
	// ttl: is required: every rule expires; give for instance "10m", or the time in expires
}
