package mysqlerrors_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/sqldriver/mysqlerrors"
	"github.com/stretchr/testify/require"
)

// patience ends a test that hangs.
const patience = time.Minute

// names are what rules say, in files and at endpoints: they stay.
var names = map[string]uint16{
	"mysql.deadlock":             1213,
	"mysql.lock_wait_timeout":    1205,
	"mysql.too_many_connections": 1040,
	"mysql.duplicate_entry":      1062,
}

func TestOptions(t *testing.T) {
	require.Len(t, mysqlerrors.Options(), len(names))
	inj := fault.New("test", mysqlerrors.Options()...)
	point := inj.PointOf(fault.Kind{Name: "sql", Effects: []fault.Effect{fault.EffectErrorName}}, "db")
	for name, number := range names {
		require.NoError(t, inj.Put(fault.Rule{
			ID:     "r",
			Target: fault.Target{Points: []string{"db"}},
			Scope:  scope.Everyone(),
			Fault:  fault.Fault{Error: &fault.ErrorFault{Name: name}},
			TTL:    time.Minute,
		}), name)
		d := point.Decide(t.Context(), fault.Operation{Name: "COMMIT"})
		require.True(t, d.Hit(), name)
		e, ok := errors.AsType[*mysql.MySQLError](d.Named())
		require.True(t, ok, name)
		require.Equal(t, number, e.Number, name)
		d.Done()
	}
}

// What a caller does to an error that it got is not to change the next one.
func TestEachIsItsOwn(t *testing.T) {
	mysqlerrors.Deadlock().Message = "changed"
	require.NotEqual(t, "changed", mysqlerrors.Deadlock().Message)
}

// same holds an error against that of a server.
func same(t *testing.T, want *mysql.MySQLError, err error) {
	t.Helper()
	real, ok := errors.AsType[*mysql.MySQLError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, *want, *real)
}

func TestDeadlock(t *testing.T) {
	a, b, table := pair(t)
	update := "UPDATE " + table + " SET n = n + 1 WHERE id = "
	exec(t, a, "BEGIN")
	exec(t, b, "BEGIN")
	exec(t, a, update+"1")
	exec(t, b, update+"2")
	first := make(chan error, 1)
	go func() {
		_, err := a.ExecContext(t.Context(), update+"2")
		first <- err
	}()
	_, err := b.ExecContext(t.Context(), update+"1")
	exec(t, b, "ROLLBACK")
	other := <-first
	if err == nil { // then a is the one
		err, other = other, nil
	}
	require.NoError(t, other)
	same(t, mysqlerrors.Deadlock(), err)
}

func TestLockWaitTimeout(t *testing.T) {
	a, b, table := pair(t)
	exec(t, a, "BEGIN")
	exec(t, a, "UPDATE "+table+" SET n = 1 WHERE id = 1")
	exec(t, b, "SET innodb_lock_wait_timeout = 1")
	_, err := b.ExecContext(t.Context(), "UPDATE "+table+" SET n = 2 WHERE id = 1")
	same(t, mysqlerrors.LockWaitTimeout(), err)
}

func TestDuplicateEntry(t *testing.T) {
	c, _, table := pair(t)
	_, err := c.ExecContext(t.Context(), "INSERT INTO "+table+" VALUES (1, 0)")
	real, ok := errors.AsType[*mysql.MySQLError](err)
	require.True(t, ok, "%v", err)
	key := "PRIMARY"
	if regexp.MustCompile(`'` + table + `\.PRIMARY'$`).MatchString(real.Message) { // MySQL's
		key = table + ".PRIMARY"
	}
	same(t, mysqlerrors.DuplicateEntry("1", key), real)
}

// Filling a server fails what else uses it, so it has to be this test's alone:
//
//	MISFIT_TEST_FILL=1 .ci/databases go test -run TooMany ./sqldriver/mysqlerrors
func TestTooManyConnections(t *testing.T) {
	if os.Getenv("MISFIT_TEST_FILL") != "1" {
		t.Skip("fills the server: set MISFIT_TEST_FILL=1 where that is nobody else's")
	}
	db := open(t)
	var room int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT @@max_connections").Scan(&room))
	var err error
	for range room + 1 {
		var c *sql.Conn
		if c, err = db.Conn(t.Context()); err != nil {
			break
		}
		defer c.Close()
	}
	same(t, mysqlerrors.TooManyConnections(), err)
}

// pair makes a table of two rows, and two connections to it.
func pair(t *testing.T) (a, b *sql.Conn, table string) {
	t.Helper()
	db := open(t)
	table = fmt.Sprintf("misfit_mysqlerrors_%d", time.Now().UnixNano())
	exec(t, db, "CREATE TABLE "+table+" (id int PRIMARY KEY, n int) ENGINE=InnoDB")
	// Comes last: when a test has failed, the two may have transactions open.
	t.Cleanup(func() { exec(t, db, "DROP TABLE "+table) })
	exec(t, db, "INSERT INTO "+table+" VALUES (1, 0), (2, 0)")
	return session(t, db), session(t, db), table
}

// session is a connection that is closed when the test ends, with whatever is
// open on it.
func session(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	c, err := db.Conn(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() {
		exec(t, c, "ROLLBACK")
		require.NoError(t, c.Close())
	})
	return c
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func exec(t *testing.T, c execer, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	_, err := c.ExecContext(ctx, statement)
	require.NoError(t, err, statement)
}

// open opens the MariaDB or MySQL that MISFIT_TEST_MYSQL names, or the local one
// if it is not set.
func open(t *testing.T) *sql.DB {
	t.Helper()
	dsn := os.Getenv("MISFIT_TEST_MYSQL")
	given := dsn != ""
	if !given {
		dsn = "misfit@tcp(127.0.0.1:3306)/misfit"
	}
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	if err := db.PingContext(t.Context()); err != nil && !given {
		absent(t, err)
	} else {
		require.NoError(t, err, "MISFIT_TEST_MYSQL")
	}
	return db
}

func absent(t *testing.T, err error) {
	t.Helper()
	why := fmt.Sprintf("no MariaDB (%v): start a private one with "+
		`".ci/databases go test ./sqldriver/mysqlerrors/...", or set MISFIT_TEST_MYSQL`, err)
	if os.Getenv("MISFIT_REQUIRE_DATABASES") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}
