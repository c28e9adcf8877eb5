package benchmarks_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/misfit-go/misfit/benchmarks/internal/peers/failpointed"
	"github.com/misfit-go/misfit/benchmarks/internal/peers/gofailed"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/open-feature/go-sdk/openfeature"
	"github.com/open-feature/go-sdk/openfeature/memprovider"
	"github.com/pingcap/failpoint"
	gofail "go.etcd.io/gofail/runtime"
)

// call is what a failure is injected before.
//
//go:noinline
func call() error { return nil }

var (
	barePoint = contender{name: "bare", prepare: func(testing.TB, scenario) func() error {
		return func() error { return call() }
	}}

	misfitPoint = contender{name: "misfit", prepare: func(tb testing.TB, s scenario) func() error {
		inj, ctx := s.injector(tb, fault.Target{Points: []string{"custom:ratings"}})
		point := inj.Point("custom", "ratings")
		return func() error {
			if err := point.Inject(ctx, fault.Operation{Name: "GET"}); err != nil {
				return err
			}
			return call()
		}
	}}

	// switchPoint is a switch by hand, which is for all or for nobody: less than
	// this none can cost.
	switchPoint = contender{name: "switch", prepare: func(testing.TB, scenario) func() error {
		var on atomic.Bool
		return func() error {
			if on.Load() {
				return fault.ErrInjected
			}
			return call()
		}
	}, in: []string{"idle"}}

	// gofailPoint is what gofail makes of a failpoint. It has no notion of whose a
	// call is.
	gofailPoint = contender{name: "gofail", prepare: func(tb testing.TB, s scenario) func() error {
		for _, name := range gofail.List() {
			_ = gofail.Disable(name) // an error says that it is
		}
		enableFailpoints(tb, s, "call", func(name, terms string) error {
			err := gofail.Enable(name, terms)
			if errors.Is(err, gofail.ErrNoExist) {
				gofail.NewFailpoint(name)
				err = gofail.Enable(name, terms)
			}
			return err
		})
		return func() error { return gofailed.Call(call) }
	}, in: []string{"idle", "elsewhere", "percentage-misses", "hit"}}

	// failpointPoint is what failpoint makes of one.
	failpointPoint = contender{name: "failpoint", prepare: func(tb testing.TB, s scenario) func() error {
		disableFailpoints(tb)
		enableFailpoints(tb, s, failpointed.Failpoint, failpoint.Enable)
		return func() error { return failpointed.Call(call) }
	}, in: []string{"idle", "elsewhere", "percentage-misses", "hit"}}

	// hookedPoint is the same where the context has a hook that tells whose the call
	// is.
	hookedPoint = contender{name: "failpoint-hook", prepare: func(tb testing.TB, s scenario) func() error {
		disableFailpoints(tb)
		customers := customersOf(s)
		ctx := scope.With(context.Background(), scope.Request{ID: requestID, Customer: customer})
		ctx = failpoint.WithHook(ctx, func(ctx context.Context, _ string) bool { return customers[scope.From(ctx).Customer] })
		if s.rules > 0 {
			if err := failpoint.Enable(failpointed.Failpoint, returnInjected); err != nil {
				tb.Fatal(err)
			}
		}
		return func() error { return failpointed.CallContext(ctx, call) }
	}, in: []string{"idle", "other-customer"}, serial: true}

	// openfeaturePoint is a feature flag that switches a failure on, of OpenFeature's
	// own provider in memory.
	openfeaturePoint = contender{
		name: "openfeature", prepare: openfeatureCall,
		in: []string{"idle", "elsewhere", "other-customer"}, serial: true,
	}
)

// returnInjected are the terms of a failpoint that makes calls fail.
const returnInjected = `return("injected")`

// enableFailpoints has failpoints enabled as the scenario says, where here is the
// one that is measured. They are the process's: no other is.
func enableFailpoints(tb testing.TB, s scenario, here string, enable func(name, terms string) error) {
	tb.Helper()
	for i := range s.rules {
		name, terms := here, returnInjected
		switch {
		case s.name == "elsewhere":
			name = fmt.Sprint("elsewhere-", i)
		case s.widened:
		case s.name == "percentage-misses":
			terms = "0.0%" + returnInjected
		case s.hit:
			terms = "sleep(0)"
		}
		if err := enable(name, terms); err != nil {
			tb.Fatal(err)
		}
	}
}

func disableFailpoints(tb testing.TB) {
	tb.Helper()
	for _, name := range failpoint.List() {
		if err := failpoint.Disable(name); err != nil {
			tb.Fatal(err)
		}
	}
}

// customersOf are the customers that the scenario's rules are for.
func customersOf(s scenario) map[string]bool {
	customers := make(map[string]bool)
	for i := range s.rules {
		customers[fmt.Sprint("someone-", i)] = true
	}
	if s.widened && s.rules > 0 {
		customers[customer] = true
	}
	return customers
}

func openfeatureCall(tb testing.TB, s scenario) func() error {
	const flag = "fail-ratings"
	variants := map[string]any{"on": true, "off": false}
	flags := map[string]memprovider.InMemoryFlag{
		flag: {Key: flag, State: memprovider.Enabled, DefaultVariant: "off", Variants: variants},
	}
	switch s.name {
	case "elsewhere":
		for i := range s.rules {
			name := fmt.Sprint("elsewhere-", i)
			flags[name] = memprovider.InMemoryFlag{Key: name, State: memprovider.Enabled, DefaultVariant: "on", Variants: variants}
		}
	case "other-customer":
		customers := customersOf(s)
		evaluate := func(_ memprovider.InMemoryFlag, whose openfeature.FlattenedContext) (any, openfeature.ProviderResolutionDetail) {
			name, _ := whose[openfeature.TargetingKey].(string)
			return customers[name], openfeature.ProviderResolutionDetail{Reason: openfeature.TargetingMatchReason}
		}
		flags[flag] = memprovider.InMemoryFlag{Key: flag, State: memprovider.Enabled, Variants: variants, ContextEvaluator: &evaluate}
	}
	if err := openfeature.SetProviderAndWait(memprovider.NewInMemoryProvider(flags)); err != nil {
		tb.Fatal(err)
	}
	client := openfeature.NewClient("")
	ctx := openfeature.WithTransactionContext(context.Background(), openfeature.NewEvaluationContext(customer, nil))
	return func() error {
		if client.Boolean(ctx, flag, false, openfeature.EvaluationContext{}) {
			return fault.ErrInjected
		}
		return call()
	}
}

func BenchmarkPoint(b *testing.B) {
	measure(b, []contender{barePoint, misfitPoint, switchPoint, gofailPoint, failpointPoint, hookedPoint, openfeaturePoint})
}

func TestPointScenarios(t *testing.T) {
	for _, c := range []contender{misfitPoint, gofailPoint, failpointPoint, hookedPoint, openfeaturePoint} {
		requireAimed(t, c)
	}
}

func TestPointAllocations(t *testing.T) {
	requireBudget(t, barePoint, misfitPoint, map[string]int{"hit": 2}) // itself, and the draw of its delay
}

func TestPointIsFlat(t *testing.T) { requireFlat(t, 3, barePoint, misfitPoint) }
