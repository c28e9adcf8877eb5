package benchmarks_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/token"
)

// A scenario is a state of the library in which calls are measured. Nobody's
// call is made to fail in any of them.
type scenario struct {
	name  string
	rules int
	rule  func(i int, here fault.Target) fault.Rule

	// widen changes the one thing of a rule that keeps it from making the call
	// fail. Nil if there is no rule, or none at the point that is measured.
	widen func(*fault.Rule)

	// Of the call that is measured:
	token    bool // its request carries a token, which is for another dependency
	hit      bool // a rule applies to it
	parallel bool // it is also made by all processors at once

	widened bool // by widen, and the token is for this dependency
}

// elsewhere is the name of a point that no adapter has: scenarios aim rules at it.
const elsewhere = "elsewhere"

// hardlyAny is a percentage that misses a request, even one with an identity that
// is drawn at random for each call: one in 10^11 would be hit. What a percentage
// costs does not depend on how large it is.
const hardlyAny = 1e-9

// scenarios are measured at every adapter.
func scenarios() []scenario {
	atAnother := func(int, fault.Target) fault.Rule {
		return fault.Rule{Target: fault.Target{Points: []string{elsewhere}}, Scope: scope.Everyone()}
	}
	otherOperation := func(_ int, here fault.Target) fault.Rule {
		return fault.Rule{Target: fault.Target{Points: here.Points, Operations: []string{"DELETE invoices"}}, Scope: scope.Everyone()}
	}
	anyOperation := func(r *fault.Rule) { r.Target.Operations = nil }
	otherCustomer := func(i int, here fault.Target) fault.Rule {
		return fault.Rule{Target: here, Scope: scope.Customers(fmt.Sprint("someone-", i))}
	}
	thisCustomer := func(r *fault.Rule) { r.Scope = scope.Customers(customer) }
	percentage := func(unit scope.Unit) func(int, fault.Target) fault.Rule {
		return func(_ int, here fault.Target) fault.Rule {
			return fault.Rule{Target: here, Scope: scope.Percent(hardlyAny, unit)}
		}
	}
	all := func(r *fault.Rule) { r.Scope.Percent = new(100.0) }
	// A delay of zero is refused, but one of any time below a nanosecond is none,
	// once it has been drawn.
	noDelay := func(_ int, here fault.Target) fault.Rule {
		return fault.Rule{Target: here, Scope: scope.Everyone(), Fault: fault.Fault{Delay: &fault.Delay{Max: 1}}}
	}
	failing := func(r *fault.Rule) { r.Fault.Delay = nil }
	return []scenario{
		{name: "idle", parallel: true},
		{name: "elsewhere", rules: 1, rule: atAnother},
		{name: "elsewhere", rules: 100, rule: atAnother},
		{name: "elsewhere", rules: 10_000, rule: atAnother, parallel: true},
		{name: "other-operation", rules: 1, rule: otherOperation, widen: anyOperation},
		{name: "other-customer", rules: 1, rule: otherCustomer, widen: thisCustomer, parallel: true},
		{name: "other-customer", rules: 10_000, rule: otherCustomer, widen: thisCustomer},
		{name: "percentage-misses", rules: 1, rule: percentage(scope.PerRequest), widen: all},
		{name: "customer-percentage-misses", rules: 1, rule: percentage(scope.PerCustomer), widen: all},
		{name: "token-elsewhere", token: true},
		{name: "hit", rules: 1, rule: noDelay, widen: failing, hit: true, parallel: true},
	}
}

// in returns the scenario with a name and a number of rules.
func in(tb testing.TB, name string, rules int) scenario {
	tb.Helper()
	for _, s := range scenarios() {
		if s.name == name && s.rules == rules {
			return s
		}
	}
	tb.Fatalf("no scenario %q with %d rules", name, rules)
	return scenario{}
}

// The request that every call belongs to.
const (
	requestID = "4bf92f3577b34da6a3ce929d0e0e4736"
	customer  = "42"
)

// injector returns an injector with the scenario's rules, where here is the point
// that is measured, and the context of the call: a request of customer 42 that is
// never cancelled. In a scenario with a token the request carries it, and the
// injector has received it from there.
func (s scenario) injector(tb testing.TB, here fault.Target) (*fault.Injector, context.Context) {
	tb.Helper()
	ctx := scope.With(context.Background(), scope.Request{ID: requestID, Customer: customer})
	if s.token {
		return s.injectorWithToken(tb, here, ctx)
	}
	inj := fault.New("bench")
	tb.Cleanup(func() { inj.Halt() })
	inj.Point("test", elsewhere)
	rules := make([]fault.Rule, s.rules)
	for i := range rules {
		rules[i] = s.rule(i, here)
		if s.widened && s.widen != nil {
			s.widen(&rules[i])
		}
		rules[i].ID = fmt.Sprintf("rule-%d", i)
		rules[i].TTL = time.Hour
		if rules[i].Fault.Delay == nil {
			rules[i].Fault = unavailable
		}
	}
	if err := inj.Put(rules...); err != nil {
		tb.Fatal(err)
	}
	return inj, ctx
}

var unavailable = fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}}

func (s scenario) injectorWithToken(tb testing.TB, here fault.Target, ctx context.Context) (*fault.Injector, context.Context) {
	tb.Helper()
	rule := fault.Rule{Target: fault.Target{Points: []string{elsewhere}}, Fault: unavailable}
	if s.widened {
		rule.Target = here
	}
	key, err := token.GenerateKey("bench")
	if err != nil {
		tb.Fatal(err)
	}
	verifier, err := token.NewVerifier(token.KeySet{Audience: "bench", Keys: []token.Key{key.Public()}})
	if err != nil {
		tb.Fatal(err)
	}
	now := time.Now()
	text, err := token.Sign(key, token.Claims{Issuer: "bench", Audience: "bench", Token: fault.Token{
		ID: "bench", Subject: "bench", NotBefore: now, Expires: now.Add(time.Hour), Rules: []fault.Rule{rule},
	}})
	if err != nil {
		tb.Fatal(err)
	}
	inj := fault.New("bench", fault.WithTokens(verifier))
	tb.Cleanup(func() { inj.Halt() })
	inj.Point("test", elsewhere)
	ctx = inj.Receive(ctx, fault.Sent{Tokens: []string{text}})
	if !fault.Carries(ctx) || scope.TokenMember.Of(ctx) != text {
		tb.Fatalf("the token is not taken: %s", fault.Answer(ctx))
	}
	return inj, ctx
}
