package databases_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/sqldriver"
)

// TestFaults makes each operation under each fault against each database, and
// looks from outside, over the bare driver, at what was stored and what was left
// open.
func TestFaults(t *testing.T) {
	needsFaults(t)
	each(t, func(t *testing.T, d database, dsn string) {
		f := newFaulted(t, d, dsn)
		for _, op := range faultedOperations {
			for _, what := range faultsOfADatabase {
				// A rollback has no context: it is held until the rule is withdrawn.
				if op.name == "ROLLBACK" && what.what.BlackHole {
					continue
				}
				t.Run(op.name+"/"+what.name, func(t *testing.T) { f.run(t, op, what) })
			}
		}
	})
}

// A faultedDatabase is a wrapped pool and a view of the database beside it.
type faultedDatabase struct {
	database
	table   string
	inj     *fault.Injector
	db      *sql.DB
	watcher *sql.DB
	rows    int // IDs given out
}

var errNative = errors.New("quota used up")

func newFaulted(t *testing.T, d database, dsn string) *faultedDatabase {
	f := &faultedDatabase{
		database: d, table: "misfit_faults_" + d.name, watcher: d.watcher(t, dsn),
		inj: fault.New("shop", fault.WithNamedError("quota", errNative)),
	}
	f.do(t, "DROP TABLE IF EXISTS "+f.table)
	f.do(t, "CREATE TABLE "+f.table+" (id INTEGER PRIMARY KEY)")
	connector, err := d.connector(dsn)
	require.NoError(t, err)
	f.db = sql.OpenDB(sqldriver.Wrap(connector, f.inj, dependency))
	f.db.SetMaxOpenConns(4)
	t.Cleanup(func() {
		require.NoError(t, f.db.Close())
		f.do(t, "DROP TABLE "+f.table) // which an open transaction would keep it from
	})
	return f
}

// do uses the view beside, and not for long: what a fault left locked fails it.
func (f *faultedDatabase) do(t *testing.T, statement string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_, err := f.watcher.ExecContext(ctx, statement, args...)
	require.NoError(t, err)
}

func (f *faultedDatabase) count(t *testing.T, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, f.watcher.QueryRowContext(t.Context(), f.dialect.sql(query), args...).Scan(&n))
	return n
}

// A faultedOperation is an operation of a database as a caller makes it, which
// adds the row with an ID.
type faultedOperation struct {
	name string // of the operation that the rule is for; TABLE stands for the table
	do   func(ctx context.Context, f *faultedDatabase, id int) error
}

func (f *faultedDatabase) insert(ctx context.Context, db interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, id int,
) error {
	_, err := db.ExecContext(ctx, f.dialect.sql("INSERT INTO "+f.table+" (id) VALUES (?)"), id)
	return err
}

func (f *faultedDatabase) inTx(ctx context.Context, id int, end func(*sql.Tx) error) error {
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f.insert(ctx, tx, id); err != nil {
		_ = tx.Rollback()
		return err
	}
	return end(tx)
}

var faultedOperations = []faultedOperation{
	{"INSERT TABLE", func(ctx context.Context, f *faultedDatabase, id int) error { return f.insert(ctx, f.db, id) }},
	{"COMMIT", func(ctx context.Context, f *faultedDatabase, id int) error { return f.inTx(ctx, id, (*sql.Tx).Commit) }},
	{"BEGIN", func(ctx context.Context, f *faultedDatabase, id int) error { return f.inTx(ctx, id, (*sql.Tx).Commit) }},
	{"SELECT TABLE", func(ctx context.Context, f *faultedDatabase, id int) error { // in a transaction that has written
		return f.inTx(ctx, id, func(tx *sql.Tx) error {
			var n int
			if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM "+f.table).Scan(&n); err != nil {
				_ = tx.Rollback()
				return err
			}
			return tx.Commit()
		})
	}},
	{"ROLLBACK", func(ctx context.Context, f *faultedDatabase, id int) error {
		if err := f.inTx(ctx, id, (*sql.Tx).Rollback); err != nil {
			return err
		}
		return f.insert(ctx, f.db, id)
	}},
	{"PING", func(ctx context.Context, f *faultedDatabase, id int) error {
		if err := f.db.PingContext(ctx); err != nil {
			return err
		}
		return f.insert(ctx, f.db, id)
	}},
	{"CONNECT", func(ctx context.Context, f *faultedDatabase, id int) error {
		f.db.SetMaxIdleConns(0) // so that there is a new one
		defer f.db.SetMaxIdleConns(4)
		return f.insert(ctx, f.db, id)
	}},
	{"PREPARE INSERT TABLE", func(ctx context.Context, f *faultedDatabase, id int) error {
		st, err := f.db.PrepareContext(ctx, f.dialect.sql("INSERT INTO "+f.table+" (id) VALUES (?)"))
		if err != nil {
			return err
		}
		_, err = st.ExecContext(ctx, id)
		return errors.Join(err, st.Close())
	}},
}

// faultsOfADatabase say of each fault whether the operation that it applies to
// is carried out.
var faultsOfADatabase = []struct {
	name    string
	what    fault.Fault
	carried bool  // the operation is carried out
	err     error // that the caller gets
}{
	{"delay", fault.Fault{Delay: &fault.Delay{Fixed: 10 * time.Millisecond}}, true, nil},
	{"black hole", fault.Fault{BlackHole: true}, false, context.Canceled},
	{"reset", fault.Fault{Error: &fault.ErrorFault{Class: fault.Reset}}, false, fault.ErrInjected},
	{"timeout", fault.Fault{Error: &fault.ErrorFault{Class: fault.Timeout}}, false, fault.ErrInjected},
	{"overloaded", fault.Fault{Error: &fault.ErrorFault{Class: fault.Overloaded}}, false, fault.ErrInjected},
	{"native", fault.Fault{Error: &fault.ErrorFault{Name: "quota"}}, false, errNative},
	{"lost reply", fault.Fault{LostReply: true}, true, fault.ErrInjected},
}

// calledOff is a context of calls that are given up once the rule holds one. A
// deadline might be over before they come to the operation that the rule is for.
func (f *faultedDatabase) calledOff(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			if live, _ := f.inj.Rule("r"); live.Held > 0 {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	return ctx
}

func (f *faultedDatabase) run(t *testing.T, op faultedOperation, what struct {
	name    string
	what    fault.Fault
	carried bool
	err     error
},
) {
	f.rows++
	id := f.rows
	name := op.name
	if table := len(name) - len("TABLE"); table > 0 && name[table:] == "TABLE" {
		name = name[:table] + f.table
	}
	require.NoError(t, f.inj.Put(fault.Rule{
		ID: "r", Target: fault.Target{Points: []string{dependency}, Operations: []string{name}},
		Scope: scope.Everyone(), Fault: what.what, TTL: time.Hour,
	}))
	ctx := t.Context()
	if what.err == context.Canceled {
		ctx = f.calledOff(t)
	}
	err := op.do(ctx, f, id)
	live, _ := f.inj.Rule("r")
	require.NotZero(t, live.Hits, "the rule is for the operation")
	f.inj.Delete("r")
	if what.err == nil {
		require.NoError(t, err)
	} else {
		require.ErrorIs(t, err, what.err)
	}

	require.Eventually(t, func() bool { return f.db.Stats().InUse == 0 }, 10*time.Second, time.Millisecond, "nothing is left open")
	stored := f.count(t, "SELECT count(*) FROM "+f.table+" WHERE id = ?", id) == 1
	last := op.name == "COMMIT" || op.name == "INSERT TABLE" // what stores the row
	require.Equal(t, what.carried && (last || what.err == nil), stored, "the row is there: %v", stored)

	require.Eventually(t, func() bool { return f.open(t) == 0 }, 10*time.Second, 10*time.Millisecond, "no transaction is open on the server")
	f.do(t, "DELETE FROM "+f.table) // is not kept waiting by a lock

	// The pool serves at its full size again.
	conns := make([]*sql.Conn, 4)
	for i := range conns {
		conns[i], err = f.db.Conn(t.Context())
		require.NoError(t, err)
		require.NoError(t, conns[i].PingContext(t.Context()))
	}
	for _, c := range conns {
		require.NoError(t, c.Close())
	}
	require.LessOrEqual(t, f.db.Stats().OpenConnections, 4)
	require.Zero(t, f.inj.Status().Held)
	_ = fmt.Sprint
}

// open counts the transactions that are left open on the server, as far as it
// tells.
func (f *faultedDatabase) open(t *testing.T) int {
	if f.dialect != postgresSQL {
		return 0
	}
	return f.count(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'`)
}
