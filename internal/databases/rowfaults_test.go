package databases_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// TestRowFaults acts on rows as they are read, and on sessions between two
// users, against each database.
func TestRowFaults(t *testing.T) {
	needsFaults(t)
	each(t, func(t *testing.T, d database, dsn string) {
		f := newFaulted(t, d, dsn)
		for id := range 5 {
			f.do(t, f.dialect.sql("INSERT INTO "+f.table+" (id) VALUES (?)"), id)
		}
		put := func(what fault.Fault, operations ...string) {
			require.NoError(t, f.inj.Put(fault.Rule{
				ID: "r", Target: fault.Target{Points: []string{dependency}, Operations: operations},
				Scope: scope.Everyone(), Fault: what, TTL: time.Hour,
			}))
		}
		read := func(ctx context.Context) (n int, err error) {
			rows, err := f.db.QueryContext(ctx, "SELECT id FROM "+f.table)
			require.NoError(t, err)
			defer rows.Close()
			for rows.Next() {
				n++
			}
			return n, rows.Err()
		}
		settled := func() {
			t.Helper()
			require.Eventually(t, func() bool { return f.db.Stats().InUse == 0 && f.open(t) == 0 }, 10*time.Second, 10*time.Millisecond)
			f.inj.Delete("r")
			n, err := read(t.Context())
			require.NoError(t, err)
			require.Equal(t, 5, n, "the pool serves on")
		}
		for name, test := range map[string]struct {
			what fault.StreamFault
			rows int
			err  error
		}{
			"cut":      {fault.StreamFault{After: 2, Cut: true}, 2, fault.ErrInjected},
			"error":    {fault.StreamFault{After: 3, Error: &fault.ErrorFault{Name: "quota"}}, 3, errNative},
			"stall":    {fault.StreamFault{After: 1, Stall: true}, 1, context.Canceled},
			"delay":    {fault.StreamFault{Delay: &fault.Delay{Fixed: time.Millisecond}}, 5, nil},
			"throttle": {fault.StreamFault{PerSecond: 1000}, 5, nil},
		} {
			t.Run(name, func(t *testing.T) {
				put(fault.Fault{Stream: &test.what}, "SELECT *")
				ctx := t.Context()
				if test.err == context.Canceled {
					ctx = f.calledOff(t)
				}
				n, err := read(ctx)
				require.Equal(t, test.rows, n)
				require.ErrorIs(t, err, test.err)
				settled()
			})
		}
		t.Run("a session that is not reset", func(t *testing.T) {
			put(fault.Fault{Error: &fault.ErrorFault{Name: "quota"}}, "RESET")
			n, err := read(t.Context())
			require.NoError(t, err, "database/sql takes another connection")
			require.Equal(t, 5, n)
			live, _ := f.inj.Rule("r")
			require.NotZero(t, live.Hits, "and this one goes to nobody")
			settled()
		})
	})
}
