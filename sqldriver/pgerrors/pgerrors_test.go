package pgerrors_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/sqldriver/pgerrors"
	"github.com/stretchr/testify/require"
)

// patience ends a test that hangs.
const patience = time.Minute

// names are what rules say, in files and at endpoints: they stay.
var names = map[string]string{
	"pg.serialization_failure": "40001",
	"pg.deadlock_detected":     "40P01",
	"pg.query_canceled":        "57014",
	"pg.too_many_connections":  "53300",
	"pg.unique_violation":      "23505",
}

func TestOptions(t *testing.T) {
	require.Len(t, pgerrors.Options(), len(names))
	inj := fault.New("test", pgerrors.Options()...)
	point := inj.PointOf(fault.Kind{Name: "sql", Effects: []fault.Effect{fault.EffectErrorName}}, "db")
	for name, code := range names {
		require.NoError(t, inj.Put(fault.Rule{
			ID:     "r",
			Target: fault.Target{Points: []string{"db"}},
			Scope:  scope.Everyone(),
			Fault:  fault.Fault{Error: &fault.ErrorFault{Name: name}},
			TTL:    time.Minute,
		}), name)
		d := point.Decide(t.Context(), fault.Operation{Name: "COMMIT"})
		require.True(t, d.Hit(), name)
		e, ok := errors.AsType[*pgconn.PgError](d.Named())
		require.True(t, ok, name)
		require.Equal(t, code, e.Code, name)
		d.Done()
	}
}

// What a caller does to an error that it got is not to change the next one.
func TestEachIsItsOwn(t *testing.T) {
	pgerrors.QueryCanceled().Message = "changed"
	require.NotEqual(t, "changed", pgerrors.QueryCanceled().Message)
}

// same holds an error against that of a server, which also says where in its
// source it found it.
func same(t *testing.T, want *pgconn.PgError, err error) {
	t.Helper()
	real, ok := errors.AsType[*pgconn.PgError](err)
	require.True(t, ok, "%v", err)
	got := *real
	got.File, got.Line, got.Routine = "", 0, ""
	require.Equal(t, *want, got)
}

func TestSerializationFailure(t *testing.T) {
	a, b, table := pair(t)
	for _, c := range []*pgx.Conn{a, b} {
		exec(t, c, "BEGIN ISOLATION LEVEL SERIALIZABLE")
		exec(t, c, "SELECT sum(n) FROM "+table)
	}
	exec(t, a, "UPDATE "+table+" SET n = n + 1 WHERE id = 1")
	exec(t, b, "UPDATE "+table+" SET n = n + 1 WHERE id = 2")
	exec(t, a, "COMMIT")
	_, err := b.Exec(t.Context(), "COMMIT")
	same(t, pgerrors.SerializationFailure(), err)
}

func TestDeadlockDetected(t *testing.T) {
	a, b, table := pair(t)
	update := "UPDATE " + table + " SET n = n + 1 WHERE id = "
	exec(t, a, "BEGIN")
	exec(t, b, "BEGIN")
	exec(t, a, update+"1")
	exec(t, b, update+"2")
	first := make(chan error, 1)
	go func() {
		_, err := a.Exec(t.Context(), update+"2")
		if err != nil {
			_, _ = a.Exec(t.Context(), "ROLLBACK")
		}
		first <- err
	}()
	_, err := b.Exec(t.Context(), update+"1")
	if err == nil { // then a is the one
		err = <-first
	} else {
		exec(t, b, "ROLLBACK")
		require.NoError(t, <-first)
	}
	real, ok := errors.AsType[*pgconn.PgError](err)
	require.True(t, ok, "%v", err)
	want := pgerrors.DeadlockDetected()
	number := regexp.MustCompile(`\d+`)
	want.Detail, real.Detail = number.ReplaceAllString(want.Detail, "0"), number.ReplaceAllString(real.Detail, "0")
	require.Regexp(t, `^while updating tuple `, real.Where)
	real.Where = ""
	same(t, want, real)
}

func TestQueryCanceled(t *testing.T) {
	c := connect(t)
	exec(t, c, "SET statement_timeout = 10")
	_, err := c.Exec(t.Context(), "SELECT pg_sleep(60)")
	same(t, pgerrors.QueryCanceled(), err)
}

func TestUniqueViolation(t *testing.T) {
	c, _, table := pair(t)
	_, err := c.Exec(t.Context(), "INSERT INTO "+table+" VALUES (1, 0)")
	same(t, pgerrors.UniqueViolation(table, table+"_pkey", "Key (id)=(1) already exists."), err)
}

// Filling a server fails what else uses it, so it has to be this test's alone:
//
//	MISFIT_TEST_FILL=1 .ci/databases go test -run TooMany ./sqldriver/pgerrors
func TestTooManyConnections(t *testing.T) {
	if os.Getenv("MISFIT_TEST_FILL") != "1" {
		t.Skip("fills the server: set MISFIT_TEST_FILL=1 where that is nobody else's")
	}
	c := connect(t)
	var room int
	require.NoError(t, c.QueryRow(t.Context(), "SELECT current_setting('max_connections')::int").Scan(&room))
	var err error
	for range room + 1 {
		var another *pgx.Conn
		if another, err = pgx.ConnectConfig(t.Context(), c.Config()); err != nil {
			break
		}
		defer another.Close(t.Context())
	}
	// The last connections are reserved for superusers, and whoever wants one has
	// a message that each version of the server words in its own way.
	real, ok := errors.AsType[*pgconn.PgError](err)
	require.True(t, ok, "%v", err)
	want := pgerrors.TooManyConnections()
	if real.Message != want.Message {
		require.Regexp(t, "^remaining connection slots are reserved for ", real.Message)
		want.Message = real.Message
	}
	same(t, want, real)
}

// pair makes a table of two rows, and two connections to it.
func pair(t *testing.T) (a, b *pgx.Conn, table string) {
	table = fmt.Sprintf("misfit_pgerrors_%d", time.Now().UnixNano())
	exec(t, connect(t), "CREATE TABLE "+table+" (id int PRIMARY KEY, n int)")
	// Comes last: when a test has failed, the two may have transactions open.
	t.Cleanup(func() { exec(t, connect(t), "DROP TABLE "+table) })
	a, b = connect(t), connect(t)
	exec(t, a, "INSERT INTO "+table+" VALUES (1, 0), (2, 0)")
	return a, b, table
}

func exec(t *testing.T, c *pgx.Conn, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	_, err := c.Exec(ctx, statement)
	require.NoError(t, err, statement)
}

// connect logs in to the PostgreSQL that MISFIT_TEST_POSTGRES names, or to the
// local one if it is not set.
func connect(t *testing.T) *pgx.Conn {
	t.Helper()
	dsn := os.Getenv("MISFIT_TEST_POSTGRES")
	given := dsn != ""
	if !given {
		dsn = "postgres://misfit@127.0.0.1:5432/misfit?sslmode=disable"
	}
	ctx := context.WithoutCancel(t.Context())
	c, err := pgx.Connect(ctx, dsn)
	if err != nil && !given {
		absent(t, err)
	}
	require.NoError(t, err, "MISFIT_TEST_POSTGRES")
	t.Cleanup(func() { require.NoError(t, c.Close(ctx)) })
	return c
}

func absent(t *testing.T, err error) {
	t.Helper()
	why := fmt.Sprintf("no PostgreSQL (%v): start a private one with "+
		`".ci/databases go test ./sqldriver/pgerrors/...", or set MISFIT_TEST_POSTGRES`, err)
	if os.Getenv("MISFIT_REQUIRE_DATABASES") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}
