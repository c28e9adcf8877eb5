package sqldriver_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/sqldriver"
	"github.com/stretchr/testify/require"
)

// script does with a database what callers do, and notes what came of it.
func script(t *testing.T, db *sql.DB) (notes []string) {
	note := func(what string, err error) { notes = append(notes, fmt.Sprintf("%s: %v", what, err)) }
	ctx := scope.With(t.Context(), scope.Request{Customer: "42"})
	note("ping", db.PingContext(ctx))
	_, err := db.ExecContext(ctx, "INSERT INTO orders VALUES (?)", "tea")
	note("insert", err)
	_, err = db.ExecContext(ctx, "INSERT INTO orders VALUES (?)", struct{}{})
	note("an argument that no driver takes", err)
	_, err = db.ExecContext(ctx, "INSERT INTO orders VALUES (@a)", sql.Named("a", 1))
	note("a named argument", err)
	note("select", readAll(db.QueryContext(ctx, "SELECT name FROM orders")))
	st, err := db.PrepareContext(ctx, "INSERT INTO orders VALUES (?)")
	note("prepare", err)
	for range 2 {
		result, err := st.ExecContext(ctx, "coffee")
		note("exec", err)
		n, err := result.RowsAffected()
		note(fmt.Sprint("affected ", n), err)
	}
	note("close", st.Close())
	for _, options := range []*sql.TxOptions{nil, {Isolation: sql.LevelSerializable}, {ReadOnly: true}} {
		tx, err := db.BeginTx(ctx, options)
		note(fmt.Sprintf("begin %v", options), err)
		if err != nil {
			continue
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO orders VALUES (?)", "milk")
		note("in tx", err)
		note("select in tx", readAll(tx.QueryContext(ctx, "SELECT name FROM orders")))
		note("commit", tx.Commit())
		note("again", tx.Rollback())
	}
	tx, err := db.Begin()
	note("begin", err)
	note("rollback", tx.Rollback())
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = db.ExecContext(cancelled, "INSERT INTO orders VALUES (?)", "late")
	note("cancelled", err)
	c, err := db.Conn(ctx)
	note("conn", err)
	require.NoError(t, sqldriver.Raw(c, func(native any) error {
		notes = append(notes, fmt.Sprintf("native: %T", native))
		return nil
	}))
	note("close", c.Close())
	rows, err := db.Query("SELECT name FROM orders")
	note("query", err)
	columns, err := rows.Columns()
	note(fmt.Sprint(columns), err)
	types, err := rows.ColumnTypes()
	note(fmt.Sprint(len(types), types[0].DatabaseTypeName()), err)
	note(fmt.Sprint("more: ", rows.NextResultSet()), rows.Err())
	note("close", rows.Close())
	notes = append(notes, fmt.Sprintf("%T", db.Driver()))
	note("close", db.Close())
	return notes
}

// TestTransparent holds the wrapper against the bare driver: a full and a
// minimal one, idle and with rules live that are for others.
func TestTransparent(t *testing.T) {
	unrelated := []fault.Rule{
		rule("elsewhere", fail(fault.Reset), func(r *fault.Rule) { r.Target.Points = []string{"sql:other"} }),
		rule("operation", fault.Fault{LostReply: true}, operations("TRUNCATE *")),
		rule("customer", fault.Fault{BlackHole: true}, only(scope.Customers("7"))),
		rule("percentage", fault.Fault{Stream: &fault.StreamFault{Cut: true}}, only(scope.Percent(0, scope.PerCall))),
	}
	for name, connector := range map[string]func(*store) driver.Connector{
		"full":    func(s *store) driver.Connector { return s },
		"minimal": func(s *store) driver.Connector { return minimal{s} },
	} {
		bare := &store{}
		want := script(t, sql.OpenDB(connector(bare)))
		reached := bare.took()
		require.NotEmpty(t, reached)
		for state, rules := range map[string][]fault.Rule{"idle": nil, "with rules for others": unrelated} {
			t.Run(name+"/"+state, func(t *testing.T) {
				inj := fault.New("shop")
				put(t, inj, rules...)
				s := &store{}
				got := script(t, sql.OpenDB(sqldriver.Wrap(connector(s), inj, "orders-db")))
				require.Equal(t, want, got)
				require.Equal(t, reached, s.took(), "what reached the database")
			})
		}
	}
}

// TestWrapDriver is the form for tools that take the name of a driver.
func TestWrapDriver(t *testing.T) {
	s := &store{}
	inj := fault.New("shop")
	native := storeDriver{s}
	name := fmt.Sprintf("store-with-faults-%d", len(sql.Drivers())) // nothing can be unregistered
	sql.Register(name, sqldriver.WrapDriver(native, inj, "orders-db"))
	db, err := sql.Open(name, "whatever")
	require.NoError(t, err)
	defer db.Close()
	put(t, inj, rule("r", fail(fault.Refused), operations("CONNECT")))
	require.ErrorIs(t, db.Ping(), fault.ErrInjected)
	inj.Halt()
	require.NoError(t, db.Ping())

	require.Equal(t, native, sqldriver.WrapDriver(native, nil, "x"))
	require.Equal(t, driver.Connector(s), sqldriver.Wrap(s, nil, "x"))
}

// TestScope holds for whom the operations without a context of their own are.
func TestScope(t *testing.T) {
	s := &store{rows: []string{"one", "two"}}
	db, inj := newDB(t, s)
	as := func(name string) context.Context { return scope.With(t.Context(), scope.Request{Customer: name}) }
	forSeven := only(scope.Customers("7"))

	put(t, inj, rule("r", fault.Fault{LostReply: true}, operations("COMMIT"), forSeven))
	require.NoError(t, inTx(as("42"), db, (*sql.Tx).Commit))
	require.ErrorIs(t, inTx(as("7"), db, (*sql.Tx).Commit), fault.ErrInjected)
	require.Len(t, s.content(), 4, "both are made; of one nobody knows")

	put(t, inj, rule("r", fault.Fault{Stream: &fault.StreamFault{After: 1, Cut: true}}, operations("SELECT *"), forSeven))
	require.NoError(t, readAll(db.QueryContext(as("42"), "SELECT name FROM orders")))
	require.ErrorIs(t, readAll(db.QueryContext(as("7"), "SELECT name FROM orders")), fault.ErrInjected)

	put(t, inj, rule("r", fail(fault.Overloaded), operations("INSERT *"), forSeven))
	st, err := db.PrepareContext(as("7"), "INSERT INTO orders VALUES (?)")
	require.NoError(t, err)
	defer st.Close()
	_, err = st.ExecContext(as("42"), "tea")
	require.NoError(t, err, "each execution has the context it is made with")
	_, err = st.ExecContext(as("7"), "tea")
	require.ErrorIs(t, err, fault.ErrInjected)
}

// TestOperations names statements in the service's own way.
func TestOperations(t *testing.T) {
	inj := fault.New("shop")
	db := sql.OpenDB(sqldriver.Wrap(&store{}, inj, "orders-db", sqldriver.Operations(func(_ context.Context, query string) fault.Operation {
		if query == "" {
			panic("no query")
		}
		if query == "SELECT 1" {
			return fault.Operation{Verb: "CHECK", Name: "alive"}
		}
		return fault.Operation{}
	})))
	defer db.Close()
	put(t, inj, rule("r", fail(fault.Internal), operations("CHECK alive")))
	require.ErrorIs(t, readAll(db.Query("SELECT 1")), fault.ErrInjected)
	require.NoError(t, readAll(db.Query("SELECT 2")))
	require.NoError(t, readAll(db.Query("")), "a panic is contained")
	require.EqualValues(t, 1, inj.Status().Problems)
	require.Panics(t, func() { sqldriver.Operations(nil) })
}
