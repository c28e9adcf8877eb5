package databases_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// TestTraffic holds what is noted of the calls to a real database against what
// was done there.
func TestTraffic(t *testing.T) {
	needsFaults(t)
	each(t, func(t *testing.T, d database, dsn string) {
		f := newFaulted(t, d, dsn)
		const slow = 100 * time.Millisecond
		delay := fault.Rule{
			ID: "slow", Target: fault.Target{Points: []string{dependency}, Operations: []string{"COMMIT"}},
			Scope: scope.Customers("c-1"), Fault: fault.Fault{Delay: &fault.Delay{Fixed: slow}}, TTL: time.Hour,
		}
		require.NoError(t, f.inj.Put(delay))
		f.inj.WatchTraffic(5 * time.Minute)
		for id := range 10 {
			ctx := scope.With(t.Context(), scope.Request{Customer: fmt.Sprint("c-", id%5)})
			require.NoError(t, f.inTx(ctx, id, (*sql.Tx).Commit))
			var none int
			require.ErrorIs(t, f.db.QueryRowContext(ctx, f.dialect.sql("SELECT id FROM "+f.table+" WHERE id = ?"), -1).Scan(&none), sql.ErrNoRows)
		}
		const errors = 3
		for range errors {
			require.Error(t, f.insert(t.Context(), f.db, 0), "the row is there")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, f.insert(ctx, f.db, 100), context.Canceled)

		delay.Scope = scope.Customers("c-2", "c-3")
		estimate, err := f.inj.Estimate(delay)
		require.NoError(t, err)
		var total fault.TrafficSecond
		require.Eventually(t, func() bool {
			total = fault.TrafficSecond{}
			for _, s := range f.inj.Traffic()[0].Seconds {
				total.Calls += s.Calls
				total.Faulted += s.Faulted
				total.Ended += s.Ended
				total.Errors += s.Errors
				total.P99 = max(total.P99, s.P99)
			}
			return int(total.Ended) == estimate.Calls
		}, 30*time.Second, 20*time.Millisecond)
		require.GreaterOrEqual(t, total.Calls, uint64(10*4+errors)) // some drivers prepare statements first
		require.Equal(t, total.Calls, total.Ended)
		require.EqualValues(t, errors, total.Errors)
		require.EqualValues(t, 2, total.Faulted)
		require.GreaterOrEqual(t, total.P99, slow*99/100)
		require.Equal(t, fault.Estimate{
			Since: estimate.Since, Calls: int(total.Calls), Hit: 4,
			Requests: estimate.Requests, RequestsHit: 4, Customers: 5, CustomersHit: 2,
			Points: []string{"sql:" + dependency},
		}, estimate)
	})
}
