package benchmarks_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// A scenario is a state of the library in which calls are measured. Nobody's
// call is made to fail in any of them.
type scenario struct {
	name  string
	rules int
	rule  func(i int, here fault.Target) fault.Rule

	// Of the call that is measured:
	token bool // its request carries a token, which is for another dependency
	hit   bool // a rule applies to it
}

// elsewhere is the name of a point that no adapter has: scenarios aim rules at it.
const elsewhere = "elsewhere"

// scenarios are measured at every adapter.
func scenarios() []scenario {
	atAnother := func(int, fault.Target) fault.Rule {
		return fault.Rule{Target: fault.Target{Points: []string{elsewhere}}, Scope: scope.Everyone()}
	}
	otherOperation := func(_ int, here fault.Target) fault.Rule {
		return fault.Rule{Target: fault.Target{Points: here.Points, Operations: []string{"DELETE invoices"}}, Scope: scope.Everyone()}
	}
	otherCustomer := func(i int, here fault.Target) fault.Rule {
		return fault.Rule{Target: here, Scope: scope.Customers(fmt.Sprint("someone-", i))}
	}
	percentage := func(unit scope.Unit) func(int, fault.Target) fault.Rule {
		return func(_ int, here fault.Target) fault.Rule { return fault.Rule{Target: here, Scope: scope.Percent(1, unit)} }
	}
	everyone := func(_ int, here fault.Target) fault.Rule {
		return fault.Rule{Target: here, Scope: scope.Everyone(), Fault: fault.Fault{Delay: &fault.Delay{}}}
	}
	return []scenario{
		{name: "idle"},
		{name: "elsewhere", rules: 1, rule: atAnother},
		{name: "elsewhere", rules: 100, rule: atAnother},
		{name: "elsewhere", rules: 10_000, rule: atAnother},
		{name: "other-operation", rules: 1, rule: otherOperation},
		{name: "other-customer", rules: 1, rule: otherCustomer},
		{name: "other-customer", rules: 10_000, rule: otherCustomer},
		{name: "percentage-misses", rules: 1, rule: percentage(scope.PerRequest)},
		{name: "customer-percentage-misses", rules: 1, rule: percentage(scope.PerCustomer)},
		{name: "token-elsewhere", token: true},
		{name: "hit", rules: 1, rule: everyone, hit: true},
	}
}

// injector returns an injector with the scenario's rules, where here is the point
// that is measured, and the context of the call: a request of customer 42 that is
// never cancelled.
func (s scenario) injector(tb testing.TB, here fault.Target) (*fault.Injector, context.Context) {
	tb.Helper()
	inj := fault.New("bench")
	inj.Point("test", elsewhere)
	rules := make([]fault.Rule, s.rules)
	for i := range rules {
		rules[i] = s.rule(i, here)
		rules[i].ID = fmt.Sprintf("rule-%d", i)
		rules[i].TTL = time.Hour
		if rules[i].Fault.Delay == nil {
			rules[i].Fault.Error = &fault.ErrorFault{Class: fault.Unavailable}
		}
	}
	if err := inj.Put(rules...); err != nil {
		tb.Fatal(err)
	}
	ctx := scope.With(context.Background(), scope.Request{ID: "4bf92f3577b34da6a3ce929d0e0e4736", Customer: "42"})
	return inj, ctx
}

// A contender is the library, something that would be used in its place, or
// nothing at all: the floor.
type contender struct {
	name string

	// prepare returns the call that is measured, which several goroutines may make
	// at once.
	prepare func(testing.TB, scenario) func() error

	// in are the names of the scenarios it takes part in; nil is all.
	in []string
}

// measure runs in every scenario the contenders one after the other, so that they
// share the moods of the machine. The rows have names that benchstat takes apart.
func measure(b *testing.B, contenders []contender) {
	b.Helper()
	for _, s := range scenarios() {
		for _, c := range contenders {
			if c.in != nil && !slices.Contains(c.in, s.name) {
				continue
			}
			do := c.prepare(b, s)
			row := fmt.Sprintf("scenario=%s/rules=%d/with=%s", s.name, s.rules, c.name)
			b.Run("mode=serial/"+row, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := do(); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run("mode=parallel/"+row, func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := do(); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}
