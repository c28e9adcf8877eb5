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
)

// A madeCall is a call that is made, first while no rule is live and then under
// one.
type madeCall struct {
	point   *fault.Point
	op      fault.Operation
	request scope.Request // without an ID: it belongs to no request
}

func (c madeCall) make() bool {
	ctx := context.Background()
	if c.request.ID != "" {
		ctx = scope.With(ctx, c.request)
	}
	d := c.point.Decide(ctx, c.op)
	defer d.Done()
	return d.Hit()
}

// makeCalls are 600 calls of 200 requests of 40 customers at three points, and 60
// that belong to no request.
func makeCalls(inj *fault.Injector) []madeCall {
	db, cache := inj.Point("custom", "db"), inj.Point("custom", "cache")
	server := inj.PointOf(fault.Kind{
		Name: "custom.server", Reserved: []string{"/health"},
		Effects: []fault.Effect{fault.EffectOf(fault.Unavailable)},
	}, "svc")
	var calls []madeCall
	for i := range 200 {
		r := scope.Request{ID: fmt.Sprint("r-", i), Attributes: map[string]string{"plan": []string{"gold", "free"}[i%2]}}
		if i%10 > 0 {
			r.Customer = fmt.Sprint("c-", i%40)
		}
		if i%4 == 0 {
			r.Attributes["region"] = fmt.Sprint("region-", i%32)
		}
		calls = append(
			calls,
			madeCall{server, fault.Operation{Verb: "GET", Name: []string{"/orders/7", "/health"}[i%2]}, r},
			madeCall{db, fault.Operation{Verb: "SELECT", Name: "orders"}, r},
			madeCall{db, fault.Operation{Name: "COMMIT"}, r},
		)
		if i%3 == 0 {
			calls = append(calls, madeCall{cache, fault.Operation{Verb: "GET", Name: "key", Raw: fmt.Sprint("key-", i)}, scope.Request{}})
		}
	}
	return calls
}

func scopes() map[string]func(*fault.Rule) {
	attempts := func(s scope.Scope, n int) scope.Scope { s.Attempts = n; return s }
	salted := func(s scope.Scope, salt string) scope.Scope { s.Salt = salt; return s }
	target := func(edit func(*fault.Target)) func(*fault.Rule) {
		return func(r *fault.Rule) { edit(&r.Target) }
	}
	both := func(edits ...func(*fault.Rule)) func(*fault.Rule) {
		return func(r *fault.Rule) {
			for _, edit := range edits {
				edit(r)
			}
		}
	}
	operations := func(ops ...string) func(*fault.Rule) {
		return target(func(t *fault.Target) { t.Operations = ops })
	}
	return map[string]func(*fault.Rule){
		"everyone":                    for_(scope.Everyone()),
		"nobody":                      for_(scope.Percent(0, scope.PerRequest)),
		"a request":                   for_(scope.Requests("r-7")),
		"requests, one unknown":       for_(scope.Requests("r-7", "r-8", "elsewhere")),
		"a customer":                  for_(scope.Customers("c-7")),
		"customers":                   for_(scope.Customers("c-7", "c-8", "c-9")),
		"an attribute":                for_(scope.Scope{Attributes: map[string][]string{"plan": {"gold", "silver"}}}),
		"two attributes":              for_(scope.Scope{Attributes: map[string][]string{"plan": {"gold"}, "region": {"region-0", "region-8"}}}),
		"percent of requests":         for_(scope.Percent(20, scope.PerRequest)),
		"another salt":                for_(salted(scope.Percent(20, scope.PerRequest), "another")),
		"another ID":                  func(r *fault.Rule) { r.ID, r.Scope = "another", scope.Percent(20, scope.PerRequest) },
		"percent of customers":        for_(scope.Percent(20, scope.PerCustomer)),
		"percent of an attribute":     for_(scope.Percent(50, scope.PerAttribute("region"))),
		"percent of calls":            for_(scope.Percent(20, scope.PerCall)),
		"percent of a customer":       for_(scope.Scope{Customers: []string{"c-7", "c-8"}, Percent: new(50.0)}),
		"the first attempt":           for_(attempts(scope.Everyone(), 1)),
		"two attempts of customers":   for_(attempts(scope.Percent(50, scope.PerCustomer), 2)),
		"the first attempt, anywhere": both(at("custom:*", "custom.server:*"), for_(attempts(scope.Everyone(), 1))),
		"all points but servers":      at("*"),
		"all points":                  at("custom:*", "custom.server:*"),
		"no such point":               at("elsewhere"),
		"another service":             target(func(t *fault.Target) { t.Services = []string{"elsewhere"} }),
		"an operation":                operations("SELECT orders"),
		"operations":                  operations("SELECT *", "COMMIT"),
		"an operation's raw name":     both(at("cache"), operations("GET key-9*")),
		"a server":                    at("custom.server:svc"),
		"a reserved operation":        both(at("custom.server:svc"), operations("GET /health")),
		"but for an operation":        target(func(t *fault.Target) { t.Except = &fault.Except{Operations: []string{"COMMIT"}} }),
		"but for a point":             both(at("*"), target(func(t *fault.Target) { t.Except = &fault.Except{Points: []string{"db"}} })),
		"cannot be produced there":    both(at("*", "custom.server:*"), func(r *fault.Rule) { r.Fault = blackHole }),
		"protected":                   at("custom:gua*"),
	}
}

// TestEstimatesComeTrue makes calls, asks whom a rule would have hit, then makes
// the same calls under that rule.
func TestEstimatesComeTrue(t *testing.T) {
	for name, edit := range scopes() {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inj := fault.New("svc", fault.WithGuardrails(fault.Guardrails{Protected: []string{"custom:guarded"}}))
				guarded := inj.Point("custom", "guarded")
				calls := append(makeCalls(inj), madeCall{guarded, fault.Operation{}, scope.Request{ID: "r", Customer: "c"}})
				r := rule("r", unavailable, edit)
				r.Limits = fault.Limits{Total: 1, PerSecond: 1} // are not asked
				began := time.Now()
				inj.WatchTraffic(10 * time.Minute)
				for _, c := range calls {
					require.False(t, c.make())
					time.Sleep(10 * time.Millisecond)
				}
				estimate, err := inj.Estimate(r)
				require.NoError(t, err)
				again, err := inj.Estimate(r)
				require.NoError(t, err)
				require.Equal(t, estimate, again, "it changes nothing")
				r.Paused = true
				again, err = inj.Estimate(r)
				require.NoError(t, err)
				require.Equal(t, estimate, again, "whether it is paused or not")
				r.Paused, r.Limits = false, fault.Limits{}

				put(t, inj, r)
				status, _ := inj.Rule(r.ID)
				require.Zero(t, status.Hits)
				want := fault.Estimate{Points: append([]string{}, status.Points...)}
				type seen struct{ requests, customers map[string]bool }
				all, hits := seen{map[string]bool{}, map[string]bool{}}, seen{map[string]bool{}, map[string]bool{}}
				note := func(s seen, i int, c madeCall) {
					if c.request.ID == "" {
						c.request.ID = fmt.Sprint("a request of its own ", i)
					}
					s.requests[c.request.ID] = true
					if c.request.Customer != "" {
						s.customers[c.request.Customer] = true
					}
				}
				for i, c := range calls {
					hit := c.make()
					if !strings.Contains(strings.Join(status.Points, " ")+" ", c.point.String()+" ") {
						require.False(t, hit)
						continue
					}
					if want.Calls == 0 {
						want.Since = began.Add(time.Duration(i) * 10 * time.Millisecond).UTC()
					}
					want.Calls++
					note(all, i, c)
					if hit {
						want.Hit++
						note(hits, i, c)
					}
				}
				want.Requests, want.RequestsHit = len(all.requests), len(hits.requests)
				want.Customers, want.CustomersHit = len(all.customers), len(hits.customers)
				require.Equal(t, want, estimate)
				switch name {
				case "nobody", "no such point", "another service", "protected":
					require.Zero(t, estimate.Hit)
				default:
					require.Positive(t, estimate.Hit)
				}
			})
		})
	}
}

// Two rules of the same percentage hit different customers, and the estimates say
// the same.
func TestEstimatesFollowTheSalt(t *testing.T) {
	inj := fault.New("svc")
	calls := makeCalls(inj)
	inj.WatchTraffic(time.Minute)
	for _, c := range calls {
		c.make()
	}
	hit := make(map[int]bool)
	for i := range 20 {
		estimate, err := inj.Estimate(rule(fmt.Sprint("r-", i), unavailable, for_(scope.Percent(20, scope.PerRequest))))
		require.NoError(t, err)
		require.Equal(t, 200, estimate.Requests)
		require.InDelta(t, 40, estimate.RequestsHit, 30)
		hit[estimate.RequestsHit] = true
	}
	require.Greater(t, len(hit), 3)
}

func TestEstimatesAreOfTheLatestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		inj.WatchTraffic(10 * time.Minute)
		for i := range 1500 {
			db.Decide(customer(fmt.Sprint(i)), fault.Operation{})
			time.Sleep(time.Millisecond)
		}
		estimate, err := inj.Estimate(rule("r", unavailable, for_(scope.Customers("499", "500", "1499"))))
		require.NoError(t, err)
		require.Equal(t, fault.Estimate{
			Since: time.Now().Add(-time.Second).UTC(), Calls: 1000, Hit: 2, Requests: 1000, RequestsHit: 2,
			Customers: 1000, CustomersHit: 2, Points: []string{"custom:db"},
		}, estimate)
	})
}

func TestEstimatesOfWrongRules(t *testing.T) {
	inj := fault.New("svc")
	_, err := inj.Estimate(rule("r", unavailable, for_(scope.Percent(101, scope.PerCall))))
	require.EqualError(t, err, `fault: rule "r": scope.percent: 101 is outside 0 to 100`)
	r := rule("r", unavailable)
	r.TTL, r.Expires = 0, time.Now().Add(-time.Hour)
	estimate, err := inj.Estimate(r)
	require.NoError(t, err, "what a rule would have hit does not hang on when it ends")
	require.Empty(t, estimate.Points)
	require.NotNil(t, estimate.Points)
	require.Zero(t, estimate.Since)
}

// BenchmarkEstimate is one of 20 points with a thousand calls each.
func BenchmarkEstimate(b *testing.B) {
	inj := fault.New("svc")
	inj.WatchTraffic(10 * time.Minute)
	ctx, op := benchCall()
	for i := range 20 {
		for range 1000 {
			inj.Point("custom", fmt.Sprint("db-", i)).Decide(ctx, op)
		}
	}
	r := rule("r", unavailable, at("*"), for_(scope.Percent(20, scope.PerCustomer)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := inj.Estimate(r); err != nil {
			b.Fatal(err)
		}
	}
}
