package sqldriver_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/sqldriver"
	"github.com/stretchr/testify/require"
)

const dbPoint = "sql:orders-db"

// noted adds up what was noted at the database. Of the latencies it returns the
// longest.
func noted(inj *fault.Injector) (total fault.TrafficSecond) {
	for _, of := range inj.Traffic() {
		for _, s := range of.Seconds {
			total.Calls += s.Calls
			total.Faulted += s.Faulted
			total.Ended += s.Ended
			total.Errors += s.Errors
			total.P99 = max(total.P99, s.P99)
		}
	}
	return total
}

// saying is a connection that answers every statement with err, after a while.
type saying struct {
	nothing
	err   error
	after time.Duration
}

func (s *saying) Connect(context.Context) (driver.Conn, error) { return s, nil }

func (s *saying) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	time.Sleep(s.after)
	return nil, s.err
}

func (s *saying) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	time.Sleep(s.after)
	return nil, s.err
}

func (s *saying) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) { return s, nil }
func (s *saying) Rollback() error                                              { return nil }

func (s *saying) Commit() error {
	time.Sleep(s.after)
	return s.err
}

func TestTrafficByError(t *testing.T) {
	const slow = 700 * time.Millisecond
	for name, test := range map[string]struct {
		err       error
		calledOff bool
		what      *fault.Fault
		failed    bool
	}{
		"none":                   {},
		"an error":               {err: errors.New("syntax error"), failed: true},
		"a broken connection":    {err: driver.ErrBadConn, failed: true},
		"overdue":                {err: fmt.Errorf("query: %w", context.DeadlineExceeded), failed: true},
		"skipped":                {err: driver.ErrSkip},
		"no rows":                {err: sql.ErrNoRows},
		"cancelled":              {err: fmt.Errorf("query: %w", context.Canceled)},
		"interrupted":            {err: errors.New("interrupted"), calledOff: true},
		"an injected error":      {what: new(fail(fault.Overloaded)), failed: true},
		"an injected broken one": {what: new(fail(fault.Reset)), failed: true},
		"an injected lost reply": {what: &fault.Fault{LostReply: true}, failed: true},
		"an injected delay":      {what: &fault.Fault{Delay: &fault.Delay{Fixed: slow}}},
		"held, called off":       {what: &fault.Fault{BlackHole: true}, calledOff: true},
	} {
		for operation, call := range map[string]func(context.Context, driver.Conn) error{
			"exec": func(ctx context.Context, c driver.Conn) error {
				_, err := c.(driver.ExecerContext).ExecContext(ctx, query, nil)
				return err
			},
			"query": func(ctx context.Context, c driver.Conn) error {
				_, err := c.(driver.QueryerContext).QueryContext(ctx, query, nil)
				return err
			},
		} {
			t.Run(name+"/"+operation, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					inj := fault.New("shop")
					c, err := sqldriver.Wrap(&saying{err: test.err, after: slow}, inj, "orders-db").Connect(t.Context())
					require.NoError(t, err)
					_ = call(t.Context(), c) // while nobody watches
					if test.what != nil {
						put(t, inj, rule("r", *test.what))
					}
					inj.WatchTraffic(time.Minute)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if test.calledOff {
						time.AfterFunc(slow/2, cancel)
					}
					_ = call(ctx, c)
					time.Sleep(time.Second)
					got := noted(inj)
					require.EqualValues(t, 1, got.Calls)
					require.EqualValues(t, 1, got.Ended)
					require.Equal(t, test.failed, got.Errors == 1)
					require.Equal(t, test.what != nil, got.Faulted == 1)
					if test.what == nil || test.what.Delay != nil {
						require.GreaterOrEqual(t, got.P99, slow*99/100)
					}
				})
			})
		}
	}
}

// Every operation of a pool counts, and ends.
func TestTrafficOfAPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, connector := range []driver.Connector{&store{}, minimal{&store{}}} {
			db, inj := newDB(t, connector)
			inj.WatchTraffic(10 * time.Minute)
			for _, act := range acts {
				require.NoError(t, act.do(scope.With(t.Context(), scope.Request{Customer: act.name}), db), act.name)
			}
			require.NoError(t, db.Close())
			time.Sleep(time.Second)
			got := noted(inj)
			require.GreaterOrEqual(t, got.Calls, uint64(len(acts)-2)) // a minimal driver has no PING and no RESET
			require.Equal(t, got.Calls, got.Ended)
			require.Zero(t, got.Errors)
			for _, op := range []string{"CONNECT", "INSERT orders", "SELECT orders", "BEGIN", "COMMIT", "ROLLBACK"} {
				estimate, err := inj.Estimate(rule("r", fail(fault.Overloaded), operations(op)))
				require.NoError(t, err)
				require.Equal(t, []string{dbPoint}, estimate.Points)
				require.EqualValues(t, got.Calls, estimate.Calls)
				require.Positive(t, estimate.Hit, op)
				require.Less(t, estimate.Hit, estimate.Calls, op)
			}
		}
	})
}

// A commit belongs to the request that its transaction was begun for.
func TestTrafficOfATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("shop")
		c, err := sqldriver.Wrap(&saying{err: errors.New("conflict"), after: 100 * time.Millisecond}, inj, "orders-db").Connect(t.Context())
		require.NoError(t, err)
		put(t, inj, rule("r", fail(fault.Overloaded), operations("ROLLBACK")))
		inj.WatchTraffic(time.Minute)
		for range 2 {
			tx, err := c.(driver.ConnBeginTx).BeginTx(t.Context(), driver.TxOptions{})
			require.NoError(t, err)
			require.Error(t, tx.Commit())
		}
		tx, err := c.(driver.ConnBeginTx).BeginTx(t.Context(), driver.TxOptions{})
		require.NoError(t, err)
		require.Error(t, tx.Rollback())
		time.Sleep(time.Second)
		got := noted(inj)
		got.P99 = 0
		require.Equal(t, fault.TrafficSecond{Calls: 6, Faulted: 1, Ended: 6, Errors: 3}, got)
	})
}

// BenchmarkWatched is [BenchmarkConn] while somebody watches.
func BenchmarkWatched(b *testing.B) {
	inj := fault.New("shop")
	c, err := sqldriver.Wrap(&nothing{}, inj, "orders-db").Connect(context.Background())
	require.NoError(b, err)
	inj.WatchTraffic(10 * time.Minute)
	for name, call := range calls(c) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}
