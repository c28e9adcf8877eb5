package sqldriver_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/sqldriver"
	"github.com/stretchr/testify/require"
)

// nothing is a driver that does nothing, and allocates nothing.
type nothing struct{ minimalConn }

func (n *nothing) Connect(context.Context) (driver.Conn, error) { return n, nil }
func (*nothing) Driver() driver.Driver                          { return nil }
func (*nothing) Close() error                                   { return nil }
func (*nothing) Ping(context.Context) error                     { return nil }

func (*nothing) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.ResultNoRows, nil
}

func (*nothing) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return noRows{}, nil
}

type noRows struct{}

func (noRows) Columns() []string         { return nil }
func (noRows) Close() error              { return nil }
func (noRows) Next([]driver.Value) error { return io.EOF }

// setUps name states of the injector.
func setUps() map[string][]fault.Rule {
	rules := func(n int, build func(i int) fault.Rule) []fault.Rule {
		list := make([]fault.Rule, n)
		for i := range list {
			list[i] = build(i)
			list[i].ID, list[i].Fault, list[i].TTL = fmt.Sprintf("rule-%d", i), fail(fault.Overloaded), time.Hour
		}
		return list
	}
	here := fault.Target{Points: []string{"orders-db"}}
	return map[string][]fault.Rule{
		"idle": nil,
		"elsewhere-10000": rules(10_000, func(int) fault.Rule {
			return fault.Rule{Target: fault.Target{Points: []string{"other"}}, Scope: scope.Everyone()}
		}),
		"other-operation": rules(1, func(int) fault.Rule {
			return fault.Rule{Target: fault.Target{Points: here.Points, Operations: []string{"COMMIT"}}, Scope: scope.Everyone()}
		}),
		"other-customer-10000": rules(10_000, func(i int) fault.Rule {
			return fault.Rule{Target: here, Scope: scope.Customers(fmt.Sprint("someone-", i))}
		}),
	}
}

func wrapped(t testing.TB, rules []fault.Rule) driver.Conn {
	inj := fault.New("shop")
	inj.Point("test", "other")
	put(t, inj, rules...)
	c, err := sqldriver.Wrap(&nothing{}, inj, "orders-db").Connect(context.Background())
	require.NoError(t, err)
	return c
}

const query = "SELECT name FROM orders WHERE id = ?"

// calls are the calls of a connection that are measured.
func calls(c driver.Conn) map[string]func() {
	ctx := context.Background()
	return map[string]func(){
		"ping":  func() { _ = c.(driver.Pinger).Ping(ctx) },
		"exec":  func() { _, _ = c.(driver.ExecerContext).ExecContext(ctx, query, nil) },
		"query": func() { _, _ = c.(driver.QueryerContext).QueryContext(ctx, query, nil) },
	}
}

// TestNothingIsAllocated holds that a call which no rule is aimed at costs no
// memory, and one that no rule selects none but the statement's name.
func TestNothingIsAllocated(t *testing.T) {
	for state, rules := range setUps() {
		for name, call := range calls(wrapped(t, rules)) {
			allocated := testing.AllocsPerRun(100, call)
			if state == "idle" || state == "elsewhere-10000" || name == "ping" {
				require.LessOrEqual(t, allocated, 1.0, "%s, %s: the call's closure", name, state)
			}
			if state == "idle" || state == "elsewhere-10000" {
				require.Zero(t, allocated, "%s, %s", name, state)
			}
		}
	}
}

// BenchmarkConn compares with /bare, the driver's own connection.
func BenchmarkConn(b *testing.B) {
	for _, name := range []string{"ping", "exec", "query"} {
		run := func(c driver.Conn) func(*testing.B) {
			call := calls(c)[name]
			return func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					call()
				}
			}
		}
		b.Run(name+"/bare", run(&nothing{}))
		for _, state := range []string{"idle", "elsewhere-10000", "other-operation", "other-customer-10000"} {
			b.Run(name+"/"+state, run(wrapped(b, setUps()[state])))
		}
	}
}
