package benchmarks_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"runtime"
	"slices"
	"testing"

	"github.com/XSAM/otelsql"
	"github.com/luna-duclos/instrumentedsql"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/sqldriver"
	"github.com/ngrok/sqlmw"
	nhatotelsql "go.nhat.io/otelsql"
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
	return scope.With(context.Background(), scope.Request{ID: requestID, Customer: customer})
}

// atDatabase is the point that the calls are made at.
var atDatabase = fault.Target{Points: []string{"sql:bench"}}

// misfitSQL is the library in front of the null driver, the injector behind it,
// and the context of the calls.
func misfitSQL(tb testing.TB, s scenario, options ...sqldriver.Option) (context.Context, driver.Connector, *fault.Injector) {
	tb.Helper()
	inj, ctx := s.injector(tb, atDatabase)
	return ctx, sqldriver.Wrap(nullConnector{}, inj, "bench", options...), inj
}

// sqlPeers are other ways to put something in front of a driver. Nobody listens
// to what they would tell.
var sqlPeers = []struct {
	name  string
	times float64 // what it adds is more than so many times what the library adds idle
	wrap  func() driver.Driver
}{
	{"sqlmw", 3, func() driver.Driver { return sqlmw.Driver(nullDriver{}, sqlmw.NullInterceptor{}) }},
	{"instrumentedsql", 10, func() driver.Driver { return instrumentedsql.WrapDriver(nullDriver{}) }},
	{"otelsql", 10, func() driver.Driver {
		return otelsql.WrapDriver(nullDriver{},
			otelsql.WithTracerProvider(tracenoop.NewTracerProvider()),
			otelsql.WithMeterProvider(metricnoop.NewMeterProvider()))
	}},
	{"nhat-otelsql", 10, func() driver.Driver {
		return nhatotelsql.Wrap(nullDriver{},
			nhatotelsql.WithTracerProvider(tracenoop.NewTracerProvider()),
			nhatotelsql.WithMeterProvider(metricnoop.NewMeterProvider()))
	}},
}

// connectorOf returns the connector that database/sql would make of a driver.
func connectorOf(tb testing.TB, d driver.Driver) driver.Connector {
	tb.Helper()
	dc, ok := d.(driver.DriverContext)
	if !ok {
		return opener{d}
	}
	c, err := dc.OpenConnector("")
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// An opener is a driver that is no driver.DriverContext, as a connector.
type opener struct{ driver driver.Driver }

func (o opener) Connect(context.Context) (driver.Conn, error) { return o.driver.Open("") }
func (o opener) Driver() driver.Driver                        { return o.driver }

// sqlCalls are calls by their names.
type sqlCalls map[string]func() error

var sqlCallNames = []string{"exec", "query", "stmt-exec", "begin-commit", "begin-rollback", "ping"}

// failing is what every call comes to where there is no connection.
func failing(err error) sqlCalls {
	calls := sqlCalls{}
	for _, name := range sqlCallNames {
		calls[name] = func() error { return err }
	}
	return calls
}

// A sqlLevel is where calls are made. It returns a function that returns those of
// one goroutine, in the context ctx.
type sqlLevel func(tb testing.TB, ctx context.Context, connector driver.Connector) func() sqlCalls

// atDriver are the calls that database/sql makes to a driver, each goroutine's on
// a connection of its own.
func atDriver(_ testing.TB, ctx context.Context, connector driver.Connector) func() sqlCalls {
	return func() sqlCalls {
		conn, err := connector.Connect(context.Background())
		if err != nil {
			return failing(err)
		}
		prepared, err := conn.(driver.ConnPrepareContext).PrepareContext(context.Background(), updateItems)
		if err != nil {
			return failing(err)
		}
		return driverCalls(ctx, conn, prepared)
	}
}

func driverCalls(ctx context.Context, conn driver.Conn, prepared driver.Stmt) sqlCalls {
	execer, queryer := conn.(driver.ExecerContext), conn.(driver.QueryerContext)
	stmt, beginner, pinger := prepared.(driver.StmtExecContext), conn.(driver.ConnBeginTx), conn.(driver.Pinger)
	args := []driver.NamedValue{{Ordinal: 1, Value: int64(7)}}
	row := make([]driver.Value, 1)
	return sqlCalls{
		"exec": func() error {
			_, err := execer.ExecContext(ctx, updateItems, args)
			return err
		},
		"query": func() error {
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
		},
		"stmt-exec": func() error {
			_, err := stmt.ExecContext(ctx, args)
			return err
		},
		"begin-commit": func() error {
			tx, err := beginner.BeginTx(ctx, driver.TxOptions{})
			if err != nil {
				return err
			}
			return tx.Commit()
		},
		"begin-rollback": func() error {
			tx, err := beginner.BeginTx(ctx, driver.TxOptions{})
			if err != nil {
				return err
			}
			return tx.Rollback()
		},
		"ping": func() error { return pinger.Ping(ctx) },
	}
}

// atDatabaseSQL are the calls that a program makes to database/sql, all goroutines'
// to one pool.
func atDatabaseSQL(tb testing.TB, ctx context.Context, connector driver.Connector) func() sqlCalls {
	db := sql.OpenDB(connector)
	db.SetMaxIdleConns(4 * runtime.GOMAXPROCS(0)) // nobody is to connect while calls are measured
	tb.Cleanup(func() { _ = db.Close() })
	stmt, err := db.PrepareContext(context.Background(), updateItems)
	if err != nil {
		return func() sqlCalls { return failing(err) }
	}
	calls := databaseCalls(ctx, db, stmt)
	return func() sqlCalls { return calls }
}

func databaseCalls(ctx context.Context, db *sql.DB, stmt *sql.Stmt) sqlCalls {
	return sqlCalls{
		"exec": func() error {
			_, err := db.ExecContext(ctx, updateItems, 7)
			return err
		},
		"query": func() error {
			rows, err := db.QueryContext(ctx, selectItems, 7)
			if err != nil {
				return err
			}
			for rows.Next() {
			}
			return errors.Join(rows.Err(), rows.Close())
		},
		"stmt-exec": func() error {
			_, err := stmt.ExecContext(ctx, 7)
			return err
		},
		"begin-commit": func() error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			return tx.Commit()
		},
		"begin-rollback": func() error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			return tx.Rollback()
		},
		"ping": func() error { return db.PingContext(ctx) },
	}
}

// sqlWrap puts something in front of the null driver. It returns the context of
// the calls, too.
type sqlWrap func(testing.TB, scenario) (context.Context, driver.Connector)

// sqlContender is a way to make a call at a level.
func sqlContender(name string, level sqlLevel, call string, wrap sqlWrap) contender {
	return contender{name: name, variant: "call=" + call, each: func(tb testing.TB, s scenario) func() func() error {
		ctx, connector := wrap(tb, s)
		calls := level(tb, ctx, connector)
		return func() func() error { return calls()[call] }
	}}
}

// bareSQL is the floor.
func bareSQL(level sqlLevel, call string) contender {
	return sqlContender("bare", level, call, func(tb testing.TB, s scenario) (context.Context, driver.Connector) {
		_, ctx := s.injector(tb, atDatabase)
		return ctx, nullConnector{}
	})
}

// ourSQL is the library.
func ourSQL(level sqlLevel, call string) contender {
	return sqlContender("misfit", level, call, wrapOurs)
}

func wrapOurs(tb testing.TB, s scenario) (context.Context, driver.Connector) {
	ctx, connector, _ := misfitSQL(tb, s)
	return ctx, connector
}

// benchmarkSQL measures some calls in every scenario, and the others idle. The
// peers have no rules: what they cost is the same in every scenario.
func benchmarkSQL(b *testing.B, level sqlLevel, everywhere ...string) {
	idle := []string{"idle"}
	for _, call := range []string{"exec", "query", "stmt-exec", "begin-commit", "ping"} {
		contenders := []contender{bareSQL(level, call), ourSQL(level, call)}
		for _, p := range sqlPeers {
			peer := sqlContender(p.name, level, call, func(tb testing.TB, _ scenario) (context.Context, driver.Connector) {
				return customer42(), connectorOf(tb, p.wrap())
			})
			peer.in = idle
			contenders = append(contenders, peer)
		}
		if !slices.Contains(everywhere, call) {
			for i := range contenders {
				contenders[i].in = idle
			}
		}
		measure(b, contenders)
	}
}

// BenchmarkSQLDriver measures the calls that database/sql makes to a driver.
func BenchmarkSQLDriver(b *testing.B) { benchmarkSQL(b, atDriver, "exec", "query") }

// BenchmarkSQLDatabase measures the calls that a program makes to database/sql.
func BenchmarkSQLDatabase(b *testing.B) { benchmarkSQL(b, atDatabaseSQL, "query") }
