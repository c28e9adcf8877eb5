package fault_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

func percent(p float64) func(*fault.Rule) { return for_(scope.Percent(p, scope.PerRequest)) }

func atMost(total float64) *fault.Injector {
	return fault.New("svc", fault.WithGuardrails(fault.Guardrails{MaxTotalPercent: total}))
}

func TestTotalShare(t *testing.T) {
	inj := atMost(50)
	share := func() float64 { return inj.Status().Share }
	put(t, inj, rule("a", unavailable, percent(30)), rule("b", unavailable, percent(10), at("cache")))
	require.EqualValues(t, 40, share())

	err := inj.Put(rule("c", unavailable, percent(10.5)))
	require.EqualError(t, err, `fault: rule "c": scope.percent: adds 10.5 % to the 40 % of traffic that the other rules may select; the guardrail MaxTotalPercent allows 50 % together, of which 10 % are left`)
	put(t, inj, rule("c", unavailable, percent(10)))
	require.EqualValues(t, 50, share(), "exactly the ceiling is allowed")

	require.Error(t, inj.Put(rule("a", unavailable, percent(30.1))), "an edit counts its new share")
	put(t, inj, rule("a", unavailable, percent(29)))
	require.EqualValues(t, 49, share(), "in place of the old one")
	require.Error(t, inj.Put(rule("a", unavailable, for_(scope.Scope{Attributes: map[string][]string{"plan": {"gold"}}}))), "an attribute bounds nothing")

	put(t, inj,
		rule("listed", unavailable, for_(scope.Customers("42"))),
		rule("paused", unavailable, percent(100), paused),
		rule("elsewhere", unavailable, percent(100), target(func(t *fault.Target) { t.Services = []string{"edge"} })),
	)
	require.EqualValues(t, 49, share())
	require.Error(t, inj.Put(rule("paused", unavailable, percent(100))), "it counts once it is not paused")
	_, err = inj.WithRequestRule(context.Background(), `{"target":{"points":["db"]},"fault":{"panic":true}}`)
	require.NoError(t, err)
	require.EqualValues(t, 49, share(), "rules of requests count nothing")

	put(t, inj, rule("a", unavailable, percent(29), paused))
	put(t, inj, rule("d", unavailable, percent(29)))
	require.Error(t, inj.Put(rule("a", unavailable, percent(29))), "what was given up is not kept for it")
	inj.Delete("d")
	put(t, inj, rule("a", unavailable, percent(29)))
	inj.Halt()
	require.Zero(t, share())
}

func TestTotalShareOfSeveral(t *testing.T) {
	inj := atMost(50)
	put(t, inj, rule("a", unavailable, percent(40)))
	err := inj.Put(rule("b", unavailable, percent(8)), rule("c", unavailable, percent(5)), rule("d", unavailable, percent(2)), rule("e", unavailable, percent(1)))
	require.EqualError(t, err, strings.Join([]string{
		`fault: rules[1].scope.percent: adds 5 % to the 48 % of traffic that the other rules may select; the guardrail MaxTotalPercent allows 50 % together, of which 2 % are left`,
		`rules[3].scope.percent: adds 1 % to the 50 % of traffic that the other rules may select; the guardrail MaxTotalPercent allows 50 % together, of which 0 % are left`,
	}, "\n"))
	require.Len(t, inj.Rules(), 1, "all or nothing")

	require.NoError(t, inj.Put(rule("b", unavailable, percent(30)), rule("a", unavailable, percent(20))), "in whatever order")
	file := inj.Source("file")
	require.Error(t, file.Change([]fault.Rule{rule("c", unavailable, percent(10))}, []string{"a"}), "what another source put does not go")
	require.NoError(t, inj.Source("code").Change([]fault.Rule{rule("c", unavailable, percent(10))}, []string{"a"}), "what goes makes room")
	require.EqualValues(t, 40, inj.Status().Share)
}

func TestTotalShareIsExact(t *testing.T) {
	inj := atMost(0.3)
	for i := range 3 {
		require.NoError(t, inj.Put(rule(fmt.Sprintf("r%d", i), unavailable, percent(0.1))))
	}
	require.Equal(t, 0.3, inj.Status().Share)
	require.Error(t, inj.Put(rule("more", unavailable, percent(0.0001))))

	inj = fault.New("svc")
	for i := range 20 {
		put(t, inj, rule(fmt.Sprintf("r%d", i), unavailable, percent(99.5)))
	}
	require.EqualValues(t, 1990, inj.Status().Share, "no ceiling by default")
	inj.Halt()
	inj.Resume()
	put(t, inj, rule("r", unavailable, percent(4.1)))
	require.Equal(t, 4.1, inj.Status().Share)
}

func TestCheckSaysWhatPutWould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc", fault.WithNamedError("known", errors.New("x")), fault.WithGuardrails(fault.Guardrails{
			MaxTotalPercent: 100, MaxDelay: time.Second, Blackouts: []fault.Blackout{office},
		}))
		put(t, inj, rule("mine", unavailable, percent(60)))
		api := inj.Source("api")
		agree := func(want string, rules ...fault.Rule) {
			t.Helper()
			checked := api.Check(rules...)
			require.ErrorContains(t, checked, want)
			require.Equal(t, checked, api.Put(rules...))
		}
		agree("is required: every rule expires", rule("a", unavailable, ttl(0)))
		agree("fault: rules[0].fault: does nothing", rule("a", fault.Fault{}), rule("b", unavailable))
		agree("rules[1].id: \"a\" is given twice", rule("a", unavailable), rule("a", unavailable))
		agree("MaxDelay", rule("a", fault.Fault{Delay: &fault.Delay{Fixed: time.Minute}}))
		agree("MaxTotalPercent", rule("a", unavailable))
		agree("is not registered; there are: known", rule("a", fault.Fault{Error: &fault.ErrorFault{Name: "unknown"}}))
		agree("belongs to another source", rule("mine", unavailable, percent(1)))

		require.NoError(t, api.Check(rule("a", unavailable, percent(1))))
		require.Len(t, inj.Rules(), 1, "a check changes nothing")
		inj.Halt()
		agree("halted", rule("a", unavailable, percent(1)))
		inj.Resume()
		sleepUntil(9 * time.Hour)
		agree("blackout", rule("a", unavailable, percent(1)))
		t.Setenv("MISFIT_DISABLED", "1")
		require.ErrorIs(t, fault.New("svc").Source("api").Check(), fault.ErrDisabled)
	})
}

func TestArmed(t *testing.T) {
	inj := fault.New("svc", fault.WithGuardrails(fault.Guardrails{Protected: []string{"login"}}))
	for _, name := range []string{"db", "cache", "login"} {
		inj.Point("custom", name)
	}
	inj.PointOf(fault.Kind{Name: "http.client", Effects: []fault.Effect{fault.EffectOf(fault.Unavailable)}}, "db")
	for name, tt := range map[string]struct {
		rule                           fault.Rule
		points, protected, unsupported []string
	}{
		"everywhere": {rule: rule("r", blackHole, at("*")), points: []string{"custom:cache", "custom:db"}, protected: []string{"custom:login"}, unsupported: []string{"http.client:db"}},
		"one":        {rule: rule("r", unavailable), points: []string{"custom:db", "http.client:db"}},
		"paused":     {rule: rule("r", unavailable, paused), points: []string{"custom:db", "http.client:db"}},
		"nowhere":    {rule: rule("r", unavailable, at("other"))},
		"elsewhere":  {rule: rule("r", unavailable, target(func(t *fault.Target) { t.Services = []string{"edge"} }))},
	} {
		points, protected, unsupported := inj.Armed(tt.rule)
		require.Equal(t, tt.points, points, name)
		require.Equal(t, tt.protected, protected, name)
		require.Equal(t, tt.unsupported, unsupported, name)
		put(t, inj, tt.rule)
		status, _ := inj.Rule("r")
		require.Equal(t, tt.points, status.Points, name)
		require.Equal(t, tt.protected, status.Protected, name)
		require.Equal(t, tt.unsupported, status.Unsupported, name)
	}
	var none *fault.Injector
	points, _, _ := none.Armed(rule("r", blackHole))
	require.Nil(t, points)
}
