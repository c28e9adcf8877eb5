package databases_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"
)

// A script is what a service does with a database. It notes everything that the
// service could observe.
type script func(s *session)

// unnoticed requires that a script goes through every wiring as it goes bare.
func unnoticed(t *testing.T, f script) {
	t.Helper()
	each(t, func(t *testing.T, d database, dsn string) {
		t.Helper()
		want := map[bool][]string{}
		for _, w := range wirings {
			if want[w.byName] == nil {
				want[w.byName] = record(t, d, dsn, w.baseline(), f)
				require.NotEmpty(t, want[w.byName], "a script that notes nothing cannot fail")
				show(t, want[w.byName])
			}
			t.Run(w.name, func(t *testing.T) {
				require.Equal(t, want[w.byName], record(t, d, dsn, w, f))
			})
		}
	})
}

// show writes a transcript where MISFIT_TRANSCRIPTS says, to be read by people.
func show(t *testing.T, lines []string) {
	t.Helper()
	dir := os.Getenv("MISFIT_TRANSCRIPTS")
	if dir == "" {
		return
	}
	file := filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-")+".txt")
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
}

// A session is one run of a script.
type session struct {
	*testing.T
	database
	dsn  string
	open opener
	db   *sql.DB
	ctx  context.Context

	// watch is the same database seen by another service.
	watch *sql.DB

	lines []string
}

func record(t *testing.T, d database, dsn string, w wiring, f script) []string {
	t.Helper()
	if d.dialect == sqliteSQL {
		dsn = d.dsn(t) // the watcher too has to see a new one
	}
	ctx, cancel := context.WithTimeout(asCustomer(t.Context()), patience)
	defer cancel()
	s := &session{T: t, database: d, dsn: dsn, open: w.open(t, d), ctx: ctx, watch: d.watcher(t, dsn)}
	db, err := s.open(dsn)
	require.NoError(t, err)
	s.db = db
	db.SetMaxOpenConns(4)
	defer func() {
		require.NoError(t, s.db.Close())
		require.Zero(t, s.db.Stats().OpenConnections)
	}()
	f(s)
	require.NoError(t, ctx.Err(), "it took too long")
	s.pool()
	return s.lines
}

var (
	loopback = regexp.MustCompile(`(127\.0\.0\.1|\[::1\]|localhost)(:[0-9]+| *\([^)]*\):? *[0-9]*)`)
	pointer  = regexp.MustCompile(`0x[0-9a-f]{6,}|0xc[0-9a-f]+`)
	folder   = regexp.MustCompile(`[^ "':]*/Test[^ "'?]*`)
)

// note writes down what was seen. What differs from run to run is left out.
func (s *session) note(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	line = loopback.ReplaceAllString(line, "HOST")
	line = pointer.ReplaceAllString(line, "POINTER")
	s.lines = append(s.lines, folder.ReplaceAllString(line, "FILE"))
}

// step heads what is noted after it.
func (s *session) step(name string) { s.note("== %s", name) }

// must runs statements that a script builds upon.
func (s *session) must(statements ...string) {
	s.Helper()
	for _, q := range statements {
		_, err := s.db.ExecContext(s.ctx, q)
		require.NoError(s, err, q)
	}
}

// pool notes how many connections are open once none is in use: one that is to
// be thrown away is, sooner or later, and one that is fit is kept.
func (s *session) pool() {
	s.Helper()
	s.returned()
	s.note("pool: %d open", s.db.Stats().OpenConnections)
}

// returned waits until no connection is in use.
func (s *session) returned() {
	s.Helper()
	require.Eventually(s, func() bool { return s.db.Stats().InUse == 0 }, patience, time.Millisecond)
}

// caught runs f and notes a panic.
func (s *session) caught(f func()) {
	defer func() {
		if p := recover(); p != nil {
			s.note("panic %T %v", p, p)
		}
	}()
	f()
}

// A querier is anything that runs statements.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

func (s *session) exec(on querier, query string, args ...any) {
	s.caught(func() {
		r, err := on.ExecContext(s.ctx, s.dialect.sql(query), args...)
		s.result(r, err)
	})
}

func (s *session) query(on querier, query string, args ...any) {
	s.caught(func() {
		rows, err := on.QueryContext(s.ctx, s.dialect.sql(query), args...)
		s.rows(rows, err)
	})
}

// prepared runs a prepared statement both ways, twice. go-sql-driver/mysql
// v1.10.1 never returns from executing a prepared query that finds no rows.
func (s *session) prepared(on querier, query string, args ...any) {
	s.caught(func() {
		stmt, err := on.PrepareContext(s.ctx, s.dialect.sql(query))
		if err != nil {
			s.failure("prepare", err)
			return
		}
		for range 2 {
			if s.dialect != mysqlSQL || !strings.HasPrefix(query, "SELECT") {
				r, err := stmt.ExecContext(s.ctx, args...)
				s.result(r, err)
			}
			rows, err := stmt.QueryContext(s.ctx, args...)
			s.rows(rows, err)
		}
		s.failure("close", stmt.Close())
	})
}

func (s *session) result(r sql.Result, err error) {
	if err != nil {
		s.failure("exec", err)
		return
	}
	id, idErr := r.LastInsertId()
	n, nErr := r.RowsAffected()
	s.note("exec: id %d %s, affected %d %s", id, describe(idErr), n, describe(nErr))
}

// rows notes all of a query's result sets, and closes it.
func (s *session) rows(rows *sql.Rows, err error) {
	if err != nil {
		s.failure("query", err)
		return
	}
	for {
		columns, err := rows.Columns()
		s.note("columns %q %s", columns, describe(err))
		types, err := rows.ColumnTypes()
		if err != nil {
			s.failure("types", err)
		}
		for _, c := range types {
			s.note("  %s", columnType(c))
		}
		for rows.Next() {
			values := make([]any, len(columns))
			targets := make([]any, len(columns))
			for i := range values {
				targets[i] = &values[i]
			}
			if err := rows.Scan(targets...); err != nil {
				s.failure("scan", err)
			}
			line := "row"
			for _, v := range values {
				line += " " + value(v)
			}
			s.note("%s", line)
		}
		s.failure("rows", rows.Err())
		if !rows.NextResultSet() {
			break
		}
		s.note("next result set")
	}
	s.failure("rows after all", rows.Err())
	s.failure("close", rows.Close())
}

func (s *session) failure(what string, err error) { s.note("%s: %s", what, describe(err)) }

func columnType(c *sql.ColumnType) string {
	length, hasLength := c.Length()
	precision, scale, hasScale := c.DecimalSize()
	nullable, saysNullable := c.Nullable()
	return fmt.Sprintf("%s %s: %v, length %d %t, decimal %d %d %t, nullable %t %t", c.Name(),
		c.DatabaseTypeName(), c.ScanType(), length, hasLength, precision, scale, hasScale, nullable, saysNullable)
}

// value writes a value with its type, down to what a time is kept as.
func value(v any) string {
	switch v := v.(type) {
	case []byte:
		return fmt.Sprintf("[]byte(%q)", v)
	case string:
		return fmt.Sprintf("string(%q)", v)
	case time.Time:
		return fmt.Sprintf("time(%s in %s)", v.Format(time.RFC3339Nano), v.Location())
	}
	return fmt.Sprintf("%T(%+v)", v, v)
}

// describe writes an error with everything that it wraps, and what the driver's
// own error says.
func describe(err error) string {
	if err == nil {
		return "ok"
	}
	return chain(err) + native(err)
}

func chain(err error) string {
	text := fmt.Sprintf("%T %q", err, err)
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		if inner := err.Unwrap(); inner != nil {
			text += " <- " + chain(inner)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range err.Unwrap() {
			text += " <- (" + chain(inner) + ")"
		}
	}
	return text
}

func native(err error) string {
	var (
		ofPgx    *pgconn.PgError
		ofPq     *pq.Error
		ofMySQL  *mysql.MySQLError
		ofSQLite *sqlite.Error
		ofNet    *net.OpError
	)
	switch {
	case errors.As(err, &ofPgx):
		return fmt.Sprintf(" pgx %+v", exported(*ofPgx))
	case errors.As(err, &ofPq):
		return fmt.Sprintf(" pq %+v", exported(*ofPq))
	case errors.As(err, &ofMySQL):
		return fmt.Sprintf(" mysql %d %q", ofMySQL.Number, ofMySQL.SQLState)
	case errors.As(err, &ofSQLite):
		return fmt.Sprintf(" sqlite %d", ofSQLite.Code())
	case errors.As(err, &ofNet):
		return fmt.Sprintf(" net %s %v timeout %t", ofNet.Op, ofNet.Err, ofNet.Timeout())
	}
	return ""
}

// exported lists the exported fields of a struct.
func exported(v any) string {
	var fields []string
	of := reflect.ValueOf(v)
	for i := range of.NumField() {
		if f := of.Type().Field(i); f.IsExported() && !of.Field(i).IsZero() {
			fields = append(fields, fmt.Sprintf("%s=%v", f.Name, of.Field(i).Interface()))
		}
	}
	return "{" + strings.Join(fields, " ") + "}"
}
