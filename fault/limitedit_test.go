package fault_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// TestLimitsByEdit holds that limits which come with an edit count the firings
// from before, that went on without any.
func TestLimitsByEdit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("shop")
		p := inj.Point("test", "ratings")
		rule := fault.Rule{
			ID: "hold", Target: fault.Target{Points: []string{"ratings"}},
			Scope: scope.Everyone(), Fault: fault.Fault{BlackHole: true}, TTL: time.Hour,
		}
		put := func(limits fault.Limits) {
			rule.Limits = limits
			require.NoError(t, inj.Put(rule))
		}
		held := func() int64 { synctest.Wait(); return inj.Status().Held }
		call := func(ctx context.Context) { go func() { _ = p.Inject(ctx, fault.Operation{Name: "GET"}) }() }

		put(fault.Limits{})
		first, giveUp := context.WithCancel(t.Context())
		call(first)
		for range 19 {
			call(t.Context())
		}
		require.EqualValues(t, 20, held())

		put(fault.Limits{Concurrent: 20})
		call(t.Context())
		require.EqualValues(t, 20, held(), "one too many at once")
		giveUp()
		require.EqualValues(t, 19, held())
		call(t.Context())
		require.EqualValues(t, 20, held())
		call(t.Context())
		require.EqualValues(t, 20, held(), "one too many at once")

		put(fault.Limits{Total: 22})
		call(t.Context())
		require.EqualValues(t, 21, held())
		call(t.Context())
		require.EqualValues(t, 21, held(), "the 23rd in all")

		status, _ := inj.Rule("hold")
		require.EqualValues(t, 22, status.Hits)
		inj.Halt()
		require.Zero(t, held())
	})
}
