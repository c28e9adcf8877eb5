package browser_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// request is one that enters the service and makes a call at a point.
func (s *service) request(point, customer, endpoint string, degraded string) {
	ctx, trial := s.inj.BeginTrial(scope.With(s.t.Context(), scope.Request{ID: "r-" + customer, Customer: customer}))
	err := s.inj.Point("custom", point).Inject(ctx, fault.Operation{Verb: "GET", Name: "/ratings/7"})
	if degraded != "" {
		fault.Degraded(ctx, degraded)
	}
	trial.End(fault.Outcome{Endpoint: fault.Operation{Verb: "GET", Name: endpoint}, Failed: err != nil && degraded == ""})
}

// TestVerdictsOnThePage: what became of the requests is a table, the worst first,
// and readable on a phone.
func TestVerdictsOnThePage(t *testing.T) {
	s := serveWith(t, []string{"ratings"}, []fault.Option{fault.WithVerdicts(fault.VerdictSettings{MinBaseline: 5})})
	point := s.inj.Point("custom", "prices")
	require.NotNil(t, point)
	tb := open(t, s.page, desktop)
	tb.sees("#verdicts-none", "No fault has happened in a request yet")
	slow := fault.Fault{Delay: &fault.Delay{Fixed: 1200 * time.Millisecond}}
	require.NoError(t, s.inj.Put(
		fault.Rule{ID: "slow-prices", Target: fault.Target{Points: []string{"custom:prices"}}, Scope: scope.Customers("slow"), Fault: slow, TTL: 10 * time.Minute},
		fault.Rule{ID: "no-prices", Target: fault.Target{Points: []string{"custom:prices"}}, Scope: scope.Customers("broken"), Fault: fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}}, TTL: 10 * time.Minute},
		fault.Rule{ID: "fallback", Target: fault.Target{Points: []string{"custom:prices"}}, Scope: scope.Customers("fallback"), Fault: fault.Fault{Error: &fault.ErrorFault{Class: fault.Reset}}, TTL: 10 * time.Minute},
	))
	for range 5 {
		s.request("prices", "someone", "/products/{id}", "")
	}
	for range 3 {
		s.request("prices", "slow", "/products/{id}", "")
	}
	s.request("prices", "fallback", "/products/{id}", hostile)
	s.request("prices", "broken", "/products/{id}", "")
	require.Error(t, point.Inject(scope.With(t.Context(), scope.Request{Customer: "broken"}), fault.Operation{Verb: "GET", Name: "/ratings/7"}))

	tb.sees("[data-rule=slow-prices] [data-column=degraded]", "3")
	tb.sees("[data-rule=slow-prices] [data-column=added]", "+1") // and what the machine adds
	tb.sees("[data-rule=slow-prices] th", "wait 1.2 s")
	tb.sees("[data-rule=slow-prices] [data-column=at]", "GET /products/{id}")
	tb.sees("[data-rule=fallback] th", hostile)
	tb.sees("[data-rule=no-prices] [data-column=surfaced]", "1")
	require.Equal(t, []string{"no-prices", "fallback", "slow-prices", "no-prices"}, eval[[]string](tb, `[...document.querySelectorAll('#verdicts tr')].map((r) => r.dataset.rule)`))
	for _, as := range []look{desktop, {width: desktop.width, height: desktop.height, dark: true}, phone, {width: phone.width, height: phone.height, dark: true}} {
		tb.see(as)
		require.Empty(t, eval[[]string](tb, contrasts), "contrasts, seen as %+v", as)
		require.LessOrEqual(t, eval[int](tb, `document.documentElement.scrollWidth`), int(as.width), "it can be scrolled sideways, seen as %+v", as)
	}
	tb.sees("[data-rule=slow-prices] [data-column=degraded]", "3 degraded")
}

// TestNoVerdictsOnThePage where the service does not ask for them.
func TestNoVerdictsOnThePage(t *testing.T) {
	s := serve(t, []string{"ratings"}, fault.Guardrails{})
	tb := open(t, s.page, desktop)
	tb.sees("#points", "ratings")
	require.False(t, eval[bool](tb, `document.getElementById('verdicts-section').checkVisibility()`))
}
