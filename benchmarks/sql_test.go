package benchmarks_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/XSAM/otelsql"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/sqldriver"
	"github.com/ngrok/sqlmw"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

const (
	selectItems = "SELECT stock FROM items WHERE id = ?"
	updateItems = "UPDATE items SET stock = stock - 1 WHERE id = ?"
)

// customer42 is the request that every call belongs to. It is never cancelled:
// database/sql would watch over one that can be, at a cost that hides the rest.
func customer42() context.Context {
	return scope.With(context.Background(), scope.Request{ID: "4bf92f3577b34da6a3ce929d0e0e4736", Customer: "42"})
}

// A sqlContender is a way to put something in front of a driver.
type sqlContender struct {
	name string
	wrap func(testing.TB) driver.Connector
}

func sqlContenders() []sqlContender {
	peers := []sqlContender{
		{"bare", func(testing.TB) driver.Connector { return nullConnector{} }},
		{"sqlmw", func(testing.TB) driver.Connector {
			return opener{sqlmw.Driver(nullDriver{}, sqlmw.NullInterceptor{})}
		}},
		{"otelsql", func(tb testing.TB) driver.Connector {
			d := otelsql.WrapDriver(nullDriver{},
				otelsql.WithTracerProvider(tracenoop.NewTracerProvider()),
				otelsql.WithMeterProvider(metricnoop.NewMeterProvider()))
			c, err := d.(driver.DriverContext).OpenConnector("")
			if err != nil {
				tb.Fatal(err)
			}
			return c
		}},
	}
	for _, s := range setUps() {
		peers = append(peers, sqlContender{"misfit-" + s.name, s.wrap})
	}
	return peers
}

// An opener is a driver that is no driver.DriverContext, as a connector.
type opener struct{ driver driver.Driver }

func (o opener) Connect(context.Context) (driver.Conn, error) { return o.driver.Open("") }
func (o opener) Driver() driver.Driver                        { return o.driver }

// A setUp is a state of the library in which none of the calls is faulted.
type setUp struct {
	name    string
	here    bool // a rule is aimed at the database
	rules   []fault.Rule
	options []sqldriver.Option
}

func setUps() []setUp {
	elsewhere := func(int) fault.Rule {
		return fault.Rule{Target: fault.Target{Points: []string{"other"}}, Scope: scope.Everyone()}
	}
	here := fault.Target{Points: []string{"sql:bench"}}
	someone := func(i int) fault.Rule {
		return fault.Rule{Target: here, Scope: scope.Customers(fmt.Sprint("someone-", i))}
	}
	otherOperation := func(int) fault.Rule {
		return fault.Rule{Target: fault.Target{Points: here.Points, Operations: []string{"DELETE invoices"}}, Scope: scope.Everyone()}
	}
	percent := func(unit scope.Unit) func(int) fault.Rule {
		return func(int) fault.Rule { return fault.Rule{Target: here, Scope: scope.Percent(1, unit)} }
	}
	given := sqldriver.Operations(func(context.Context, string) fault.Operation { return fault.Operation{Name: "given"} })
	return []setUp{
		{name: "idle"},
		{name: "elsewhere-1", rules: rules(1, elsewhere)},
		{name: "elsewhere-10000", rules: rules(10_000, elsewhere)},
		{name: "other-operation", here: true, rules: rules(1, otherOperation)},
		{name: "other-customer", here: true, rules: rules(1, someone)},
		{name: "other-customer-10000", here: true, rules: rules(10_000, someone)},
		{name: "other-customer-name-given", here: true, rules: rules(1, someone), options: []sqldriver.Option{given}},
		{name: "percentage-misses", here: true, rules: rules(1, percent(scope.PerRequest))},
		{name: "percentage-of-customers-misses", here: true, rules: rules(1, percent(scope.PerCustomer))},
	}
}

func rules(n int, build func(i int) fault.Rule) []fault.Rule {
	list := make([]fault.Rule, n)
	for i := range list {
		list[i] = build(i)
		list[i].ID = fmt.Sprintf("rule-%d", i)
		list[i].Fault = fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}}
		list[i].TTL = time.Hour
	}
	return list
}

func (s setUp) wrap(tb testing.TB) driver.Connector {
	inj := fault.New("bench")
	inj.Point("test", "other")
	if err := inj.Put(s.rules...); err != nil {
		tb.Fatal(err)
	}
	return sqldriver.Wrap(nullConnector{}, inj, "bench", s.options...)
}

// A call is what is measured.
type call struct {
	name      string
	statement string // that it is named by; empty where its name is fixed
	do        func() error
}

// driverCalls are the calls that database/sql makes to a driver.
func driverCalls(tb testing.TB, connector driver.Connector) []call {
	ctx := customer42()
	conn, err := connector.Connect(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	prepared, err := conn.(driver.ConnPrepareContext).PrepareContext(ctx, updateItems)
	if err != nil {
		tb.Fatal(err)
	}
	execer, queryer := conn.(driver.ExecerContext), conn.(driver.QueryerContext)
	stmt, beginner, pinger := prepared.(driver.StmtExecContext), conn.(driver.ConnBeginTx), conn.(driver.Pinger)
	args := []driver.NamedValue{{Ordinal: 1, Value: int64(7)}}
	row := make([]driver.Value, 1)
	return []call{
		{"exec", updateItems, func() error {
			_, err := execer.ExecContext(ctx, updateItems, args)
			return err
		}},
		{"query", selectItems, func() error {
			rows, err := queryer.QueryContext(ctx, selectItems, args)
			if err != nil {
				return err
			}
			for err == nil {
				err = rows.Next(row)
			}
			if err != io.EOF {
				return err
			}
			return rows.Close()
		}},
		{"stmt-exec", updateItems, func() error {
			_, err := stmt.ExecContext(ctx, args)
			return err
		}},
		{"begin-commit", "", func() error {
			tx, err := beginner.BeginTx(ctx, driver.TxOptions{})
			if err != nil {
				return err
			}
			return tx.Commit()
		}},
		{"begin-rollback", "", func() error {
			tx, err := beginner.BeginTx(ctx, driver.TxOptions{})
			if err != nil {
				return err
			}
			return tx.Rollback()
		}},
		{"ping", "", func() error { return pinger.Ping(ctx) }},
	}
}

// databaseCalls are the calls that a program makes to database/sql.
func databaseCalls(tb testing.TB, connector driver.Connector) []call {
	ctx := customer42()
	db := sql.OpenDB(connector)
	tb.Cleanup(func() { _ = db.Close() })
	stmt, err := db.PrepareContext(ctx, updateItems)
	if err != nil {
		tb.Fatal(err)
	}
	return []call{
		{"exec", updateItems, func() error {
			_, err := db.ExecContext(ctx, updateItems, 7)
			return err
		}},
		{"query", selectItems, func() error {
			rows, err := db.QueryContext(ctx, selectItems, 7)
			if err != nil {
				return err
			}
			for rows.Next() {
			}
			return errors.Join(rows.Err(), rows.Close())
		}},
		{"stmt-exec", updateItems, func() error {
			_, err := stmt.ExecContext(ctx, 7)
			return err
		}},
		{"begin-commit", "", func() error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			return tx.Commit()
		}},
		{"begin-rollback", "", func() error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			return tx.Rollback()
		}},
		{"ping", "", func() error { return db.PingContext(ctx) }},
	}
}

var levels = []struct {
	name  string
	calls func(testing.TB, driver.Connector) []call
}{
	{"driver", driverCalls},
	{"database-sql", databaseCalls},
}

// BenchmarkSQL names its rows in the way that benchstat takes apart.
func BenchmarkSQL(b *testing.B) {
	for _, level := range levels {
		rows := make(map[string][]call) // by sqlContender
		for _, c := range sqlContenders() {
			rows[c.name] = level.calls(b, c.wrap(b))
		}
		for i, call := range rows["bare"] {
			for _, c := range sqlContenders() {
				do := rows[c.name][i].do
				b.Run(fmt.Sprintf("level=%s/call=%s/with=%s", level.name, call.name, c.name), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if err := do(); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// TestSetUps holds that the rules of every set-up are where it says: somebody
// else's statement is faulted if they are here, and nobody's if they are not.
func TestSetUps(t *testing.T) {
	for _, s := range setUps() {
		conn, err := s.wrap(t).Connect(customer42())
		if err != nil {
			t.Fatal(err)
		}
		faulted := false
		for i := 0; i < 10_000 && !faulted; i++ {
			ctx := scope.With(context.Background(), scope.Request{ID: fmt.Sprint("r-", i), Customer: fmt.Sprint("someone-", i)})
			_, err := conn.(driver.ExecerContext).ExecContext(ctx, "DELETE FROM invoices", nil)
			faulted = errors.Is(err, fault.ErrInjected)
		}
		if faulted != s.here {
			t.Errorf("%s: a rule applies to somebody: %v", s.name, faulted)
		}
	}
}
