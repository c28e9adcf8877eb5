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

// A server that is full would fail the tests of others beside this one, so that
// this is a database that takes nobody, whose message is another.
func TestTooManyConnections(t *testing.T) {
	c := connect(t)
	var allowed bool
	require.NoError(t, c.QueryRow(t.Context(), "SELECT rolcreatedb AND NOT rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&allowed))
	if !allowed {
		t.Skip("the role may not create databases, or is a superuser, for whom there is always room")
	}
	name := unique("misfit_full")
	exec(t, c, "CREATE DATABASE "+name+" CONNECTION LIMIT 0")
	t.Cleanup(func() { exec(t, c, "DROP DATABASE "+name) })
	config := c.Config().Copy()
	config.Database = name
	_, err := pgx.ConnectConfig(t.Context(), config)
	want := pgerrors.TooManyConnections()
	want.Message = fmt.Sprintf("too many connections for database %q", name)
	same(t, want, err)
}

// pair makes a table of two rows, and two connections to it.
func pair(t *testing.T) (a, b *pgx.Conn, table string) {
	a, b = connect(t), connect(t)
	table = unique("misfit_pgerrors")
	exec(t, a, "CREATE TABLE "+table+" (id int PRIMARY KEY, n int)")
	t.Cleanup(func() { exec(t, connect(t), "DROP TABLE "+table) })
	exec(t, a, "INSERT INTO "+table+" VALUES (1, 0), (2, 0)")
	return a, b, table
}

func unique(name string) string { return fmt.Sprintf("%s_%d", name, time.Now().UnixNano()) }

func exec(t *testing.T, c *pgx.Conn, statement string) {
	t.Helper()
	_, err := c.Exec(context.WithoutCancel(t.Context()), statement)
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
