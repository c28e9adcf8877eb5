package fault_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// TestNarrowing holds that narrowing a rule for everyone lets go of a share of
// the calls it holds, also of those that belong to no request.
func TestNarrowing(t *testing.T) {
	for _, unit := range []scope.Unit{scope.PerRequest, scope.PerCall} {
		t.Run(fmt.Sprint(unit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inj := fault.New("shop")
				p := inj.Point("test", "ratings")
				rule := fault.Rule{
					ID: "hold", Target: fault.Target{Points: []string{"ratings"}},
					Scope: scope.Percent(100, unit), Fault: fault.Fault{BlackHole: true}, TTL: time.Hour,
				}
				require.NoError(t, inj.Put(rule))
				var released atomic.Int64
				for range 1_000 {
					go func() {
						_ = p.Inject(context.Background(), fault.Operation{Name: "GET"})
						released.Add(1)
					}()
				}
				synctest.Wait()
				require.Zero(t, released.Load())
				rule.Scope = scope.Percent(50, unit)
				require.NoError(t, inj.Put(rule))
				synctest.Wait()
				require.InDelta(t, 500, released.Load(), 150)
				inj.Halt()
				synctest.Wait()
				require.EqualValues(t, 1_000, released.Load())
			})
		})
	}
}
