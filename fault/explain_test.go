package fault_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// reasons lists the answers about the rules, "-" for one that applies.
func reasons(e fault.Explanation) map[string]string {
	all := make(map[string]string)
	for _, r := range e.Rules {
		all[r.Rule] = string(r.Reason)
		if r.Applies {
			all[r.Rule] = "-"
		}
	}
	return all
}

func explain(t testing.TB, inj *fault.Injector, q fault.Question) fault.Explanation {
	t.Helper()
	e, err := inj.Explain(q)
	require.NoError(t, err)
	for _, r := range e.Rules {
		require.Equal(t, r.Applies, r.Reason == "", "%+v", r)
		require.Equal(t, r.Applies, r.Detail == "", "%+v", r)
		require.Equal(t, r.Applies, r.Rule == e.Applies, "%+v", r)
	}
	return e
}

func target(edit func(*fault.Target)) func(*fault.Rule) {
	return func(r *fault.Rule) { edit(&r.Target) }
}

func TestExplainNamesTheFirstReason(t *testing.T) {
	inj := fault.New("shop", fault.WithGuardrails(fault.Guardrails{Protected: []string{"login"}}))
	inj.PointOf(fault.Kind{Name: "http.client", Effects: []fault.Effect{fault.EffectOf(fault.Unavailable)}}, "db")
	inj.Point("custom", "login")
	attribute := scope.Scope{Attributes: map[string][]string{"plan": {"gold"}}}
	put(t, inj,
		rule("a-service", blackHole, at("other"), target(func(t *fault.Target) { t.Services = []string{"edge"} })),
		rule("b-point", blackHole, at("other")),
		rule("c-excepted", blackHole, target(func(t *fault.Target) { t.Except = &fault.Except{Points: []string{"db"}} })),
		rule("d-unsupported", blackHole),
		rule("e-operation", unavailable, for_(scope.Requests("x")), target(func(t *fault.Target) { t.Operations = []string{"POST *"} })),
		rule("f-excepted", unavailable, target(func(t *fault.Target) { t.Except = &fault.Except{Operations: []string{"GET /x"}} })),
		rule("g-request", unavailable, for_(scope.Requests("x"))),
		rule("h-customer", unavailable, for_(scope.Customers("x"))),
		rule("i-attribute", unavailable, for_(attribute)),
		rule("j-unit", unavailable, for_(scope.Percent(50, scope.PerAttribute("region")))),
		rule("k-percent", unavailable, for_(scope.Percent(0, scope.PerRequest))),
		rule("l-applies", unavailable),
		rule("m-earlier", unavailable, limits(fault.Limits{Total: 1})),
	)
	q := fault.Question{
		Point:     "db",
		Operation: fault.Operation{Verb: "GET", Name: "/x"},
		Request:   scope.Request{ID: "r-1", Customer: "42"},
	}
	e := explain(t, inj, q)
	require.Equal(t, map[string]string{
		"a-service": "service", "b-point": "point", "c-excepted": "point", "d-unsupported": "unsupported",
		"e-operation": "operation", "f-excepted": "operation", "g-request": "request", "h-customer": "customer",
		"i-attribute": "attribute", "j-unit": "unit", "k-percent": "percent", "l-applies": "-", "m-earlier": "earlier",
	}, reasons(e))
	require.Equal(t, "shop", e.Service)
	require.Equal(t, "http.client:db", e.Point, "in full")
	require.Equal(t, "GET /x", e.Operation)
	require.True(t, e.Registered)
	require.Equal(t, "l-applies", e.Applies)
	var order []string
	for _, r := range e.Rules {
		order = append(order, r.Rule)
		require.Equal(t, fault.SourceCode, r.Source)
	}
	require.True(t, slices.IsSorted(order), "in the order in which they are asked")
	require.Equal(t, "is for other services: edge", e.Rules[0].Detail)
	require.Equal(t, "excepts the point", e.Rules[2].Detail)
	require.Equal(t, "the point cannot produce blackHole", e.Rules[3].Detail)
	require.Equal(t, "excepts the operation", e.Rules[5].Detail)
	require.Equal(t, `rule "l-applies" is asked before it and selects the call`, e.Rules[12].Detail)

	inj.Halt()
	put2 := rule("p", unavailable, at("*"))
	require.ErrorIs(t, inj.Put(put2), fault.ErrHalted)
	require.True(t, explain(t, inj, q).Halted)
	inj.Resume()
	put(t, inj, put2)
	q.Point = "login"
	require.Equal(t, map[string]string{"p": "protected"}, reasons(explain(t, inj, q)))
}

// What changes from call to call: limits, attempts, time, draws.
func TestExplainFollowsTheCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("shop", fault.WithGuardrails(fault.Guardrails{MaxHeld: 1}))
		db := inj.Point("custom", "db")
		q := fault.Question{Point: "custom:db", Request: scope.Request{ID: "request-of-42", Customer: "42"}}
		answer := func() string { return reasons(explain(t, inj, q))["r"] }

		put(t, inj, rule("r", unavailable, limits(fault.Limits{Total: 3, Concurrent: 1, PerSecond: 2})))
		require.Equal(t, "-", answer())
		held := db.Decide(customer("42"), fault.Operation{})
		require.Equal(t, "concurrent", answer())
		held.Done()
		require.Equal(t, "-", answer())
		require.Equal(t, "r", hitBy(db, customer("42"), ""))
		require.Equal(t, "perSecond", answer())
		time.Sleep(time.Second)
		require.Equal(t, "-", answer())
		require.Equal(t, "r", hitBy(db, customer("42"), ""))
		require.Equal(t, "total", answer())
		inj.Delete("r")

		put(t, inj, rule("hole", blackHole), rule("r", blackHole, priority(1)))
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = db.Inject(customer("42"), fault.Operation{})
		}()
		synctest.Wait()
		require.Equal(t, map[string]string{"r": "held", "hole": "earlier"}, reasons(explain(t, inj, q)), "a limit does not make room for the next rule")
		inj.Halt()
		<-done
		inj.Resume()

		first := scope.Everyone()
		first.Attempts = 1
		put(t, inj, rule("r", unavailable, for_(first)))
		require.Equal(t, "-", answer())
		require.Equal(t, "-", answer(), "asking is no attempt")
		require.Equal(t, "r", hitBy(db, customer("42"), ""))
		require.Equal(t, "attempts", answer())
		time.Sleep(90 * time.Second)
		require.Equal(t, "attempts", answer(), "remembered for a lifetime at least")
		time.Sleep(30 * time.Second)
		require.Equal(t, "-", answer())
		inj.Delete("r")

		put(t, inj, rule("r", unavailable, for_(scope.Percent(50, scope.PerCall))))
		drawn := map[string]int{}
		for range 100 {
			e := explain(t, inj, q)
			require.True(t, e.Rules[0].PerCall)
			drawn[reasons(e)["r"]]++
			require.Equal(t, e.Applies, hitBy(db, customer("42"), ""))
		}
		require.Greater(t, drawn["-"], 20)
		require.Greater(t, drawn["percent"], 20)
	})
}

func TestExplainRequests(t *testing.T) {
	inj := fault.New("shop")
	inj.Point("custom", "db")
	put(t, inj, rule("r", unavailable, for_(scope.Percent(50, scope.PerRequest))))
	e := explain(t, inj, fault.Question{Point: "db", Request: scope.Request{Customer: "42"}})
	require.Equal(t, map[string]string{"r": "id"}, reasons(e), "a request has an ID, and it is not known")
	e = explain(t, inj, fault.Question{Point: "db"})
	require.True(t, e.Rules[0].PerCall, "a call outside any request is one of its own")
	e = explain(t, inj, fault.Question{Point: "db", Request: scope.Request{ID: "1"}})
	require.False(t, e.Rules[0].PerCall)
	put(t, inj, rule("r", unavailable))
	e = explain(t, inj, fault.Question{Point: "db", Request: scope.Request{Customer: "42"}})
	require.Equal(t, "r", e.Applies, "everyone needs no ID")
	require.False(t, e.Rules[0].PerCall)

	_, err := inj.WithRequestRule(context.Background(), `{"id":"mine","target":{"points":["*"]},"fault":{"panic":true}}`)
	require.NoError(t, err)
	e = explain(t, inj, fault.Question{Point: "db"})
	require.Equal(t, fault.ReasonCarried, e.Rules[0].Reason)
	require.Equal(t, fault.SourceRequest, e.Rules[0].Source)
	require.Equal(t, "r", e.Applies)
}

func TestExplainPoints(t *testing.T) {
	inj := fault.New("shop", fault.WithMaxPoints(3))
	_, err := inj.Explain(fault.Question{Point: "db"})
	require.ErrorContains(t, err, `fault: point: "db" is no point so far`)
	inj.Point("custom", "db")
	inj.PointOf(fault.Kind{Name: "http.client", Effects: []fault.Effect{fault.EffectDelay}}, "db")
	put(t, inj, rule("r", unavailable, at("*")))
	for point, want := range map[string]string{
		"db":  `"db" is the name of several points; give one of: custom:db, http.client:db`,
		"dv":  `"dv" is no point so far; give kind and name, such as "http.client:ratings"; there are: custom:db, http.client:db`,
		"":    `"" is no point so far`,
		":db": `":db" is no point so far`,
		"x:":  `"x:" is no point so far`,
	} {
		_, err := inj.Explain(fault.Question{Point: point})
		require.ErrorContains(t, err, want)
	}
	for point, want := range map[string]string{
		"custom:other-db":  "-",           // as others of its kind
		"http.client:more": "unsupported", // the same
		"sql:db":           "-",           // nobody knows
		"sql.server:db":    "point",
	} {
		e := explain(t, inj, fault.Question{Point: point})
		require.False(t, e.Registered)
		require.Equal(t, map[string]string{"r": want}, reasons(e), point)
	}
	require.Len(t, inj.Points(), 2, "asking makes no point")

	inj.Point("custom", "third")
	e := explain(t, inj, fault.Question{Point: "custom:fourth"})
	require.Equal(t, "custom:other", e.Point, "the one it would share")
	require.False(t, e.Registered)
	inj.Point("custom", "fourth")
	require.True(t, explain(t, inj, fault.Question{Point: "custom:fifth"}).Registered)
}

func TestExplainWithoutAnInjector(t *testing.T) {
	var none *fault.Injector
	e := explain(t, none, fault.Question{Point: "db", Operation: fault.Operation{Name: "GET"}})
	require.Equal(t, fault.Explanation{Point: "db", Operation: "GET", Disabled: true, Rules: []fault.RuleExplanation{}}, e)
	text, err := json.Marshal(e)
	require.NoError(t, err)
	require.JSONEq(t, `{"service":"","point":"db","operation":"GET","registered":false,"disabled":true,"halted":false,"blackout":false,"rules":[]}`, string(text))

	t.Setenv("MISFIT_DISABLED", "1")
	require.True(t, explain(t, fault.New("shop"), fault.Question{}).Disabled)
}

// Of any rules and any calls, Explain says beforehand what Decide then does,
// and an injector that is asked decides as one that is not.
func TestExplainAgreesWithDecide(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) { agree(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func agree(t *testing.T, rng *rand.Rand) {
	g := fault.WithGuardrails(fault.Guardrails{MaxHeld: 3})
	asked, unasked := fault.New("shop", g), fault.New("shop", g)
	var points [][2]*fault.Point
	for _, name := range []string{"db", "cache"} {
		points = append(points, [2]*fault.Point{asked.Point("custom", name), unasked.Point("custom", name)})
	}
	var open []fault.Decision
	seen := make(map[string]int)
	for step := range 2000 {
		if step%50 == 0 {
			rules := someRules(rng)
			put(t, asked, rules...)
			put(t, unasked, rules...)
		}
		p, op := points[rng.IntN(2)], fault.Operation{Verb: "GET", Name: fmt.Sprint("/", rng.IntN(3))}
		q := fault.Question{Point: p[0].String(), Operation: op}
		ctx := context.Background()
		if rng.IntN(5) > 0 {
			q.Request = scope.Request{ID: fmt.Sprint(rng.IntN(40)), Customer: fmt.Sprint(rng.IntN(10))}
			ctx = scope.With(ctx, q.Request)
		}
		e := explain(t, asked, q)
		require.Equal(t, e, explain(t, asked, q), "asking changes nothing")
		before := skipsOf(asked)
		d, twin := p[0].Decide(ctx, op), p[1].Decide(ctx, op)
		require.Equal(t, twin.Rule(), d.Rule(), "step %d", step)
		require.Equal(t, e.Applies, d.Rule(), "step %d: %+v", step, e)
		require.Equal(t, heldBack(e), newSkip(before, skipsOf(asked)), "step %d: %+v", step, e)
		for _, r := range e.Rules {
			seen[string(r.Reason)]++
		}
		open = append(open, d, twin)
		if rng.IntN(3) == 0 {
			for _, d := range open {
				d.Done()
			}
			open = open[:0]
			time.Sleep(time.Duration(rng.IntN(400)) * time.Millisecond)
		}
	}
	asked.Halt()
	unasked.Halt()
	for _, reason := range []string{"", "point", "operation", "request", "customer", "percent", "attempts", "earlier", "concurrent", "perSecond", "total", "held"} {
		require.NotZero(t, seen[reason], "%q: %v", reason, seen)
	}
}

func someRules(rng *rand.Rand) []fault.Rule {
	pick := func(n int) bool { return rng.IntN(n) == 0 }
	var rules []fault.Rule
	for i := range 6 {
		s := []scope.Scope{
			scope.Everyone(),
			scope.Customers(fmt.Sprint(rng.IntN(10)), "x"),
			scope.Requests(fmt.Sprint(rng.IntN(40)), "x"),
			scope.Percent(float64(rng.IntN(100)), scope.PerRequest),
			scope.Percent(float64(rng.IntN(100)), scope.PerCall),
			scope.Percent(float64(rng.IntN(100)), scope.PerCustomer),
		}[rng.IntN(6)]
		if pick(3) {
			s.Attempts = 1 + rng.IntN(2)
		}
		r := rule(fmt.Sprint("r", i), unavailable, for_(s), priority(rng.IntN(3)), at([]string{"*", "db", "nowhere"}[rng.IntN(3)]))
		if pick(2) {
			r.Fault = blackHole
		}
		if pick(3) {
			r.Target.Operations = []string{"GET /1", "POST *"}
		}
		if pick(2) {
			r.Limits = fault.Limits{Total: rng.IntN(100), Concurrent: rng.IntN(3), PerSecond: rng.IntN(3)}
		}
		rules = append(rules, r)
	}
	return rules
}

// heldBack is the limit that an explanation says keeps the selected rule from
// applying, and the rule.
func heldBack(e fault.Explanation) string {
	for _, r := range e.Rules {
		switch fault.SkipReason(r.Reason) {
		case fault.SkipConcurrent, fault.SkipPerSecond, fault.SkipTotal, fault.SkipHeld:
			return r.Rule + " " + string(r.Reason)
		}
	}
	return ""
}

func skipsOf(inj *fault.Injector) map[string]uint64 {
	all := make(map[string]uint64)
	for _, r := range inj.Rules() {
		for reason, n := range r.Skips {
			all[r.Rule.ID+" "+string(reason)] = n
		}
	}
	return all
}

func newSkip(before, after map[string]uint64) string {
	for key, n := range after {
		if n != before[key] {
			return key
		}
	}
	return ""
}
