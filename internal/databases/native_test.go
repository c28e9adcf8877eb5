package databases_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"

	"github.com/misfit-go/misfit/sqldriver"
)

// A signal is an SQL function that tells whoever watches that it was called.
// SQLite's are the process's.
type signal struct {
	mu     sync.Mutex
	called func()
}

var sqliteRunning = newSignal("misfit_running")

func newSignal(name string) *signal {
	s := new(signal)
	sqlite.MustRegisterScalarFunction(name, 0, s.call)
	return s
}

func (s *signal) call(*sqlite.FunctionContext, []driver.Value) (driver.Value, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.called != nil {
		s.called()
	}
	return int64(1), nil
}

func (s *signal) watch(f func()) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.called = f
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.called = nil
	}
}

// raw runs f with the driver's own connection.
func (s *session) raw(f func(native any) error) {
	s.Helper()
	s.caught(func() {
		conn, err := s.db.Conn(s.ctx)
		require.NoError(s, err)
		defer func() { s.failure("close", conn.Close()) }()
		s.failure("raw", sqldriver.Raw(conn, func(native any) error {
			s.note("native %T", native)
			return f(native)
		}))
	})
}

func TestRaw(t *testing.T) {
	unnoticed(t, func(s *session) {
		s.tables()
		s.step("fine")
		s.raw(func(any) error { return nil })
		s.pool()
		s.step("an error")
		s.raw(func(any) error { return errNoValue })
		s.pool()
		s.step("a connection that is no good")
		s.raw(func(any) error { return driver.ErrBadConn })
		s.pool()
		s.step("a panic")
		s.raw(func(any) error { panic("raw") })
		s.pool()
		s.step("after closing")
		conn, err := s.db.Conn(s.ctx)
		require.NoError(s, err)
		s.failure("close", conn.Close())
		s.failure("raw", sqldriver.Raw(conn, func(any) error { return nil }))
		s.step("the driver's own")
		s.raw(func(native any) error { return ownAPI(s, native) })
		s.query(s.db, "SELECT name, stock FROM misfit_items ORDER BY id")
	})
}

// ownAPI does what only the driver's own connection can.
func ownAPI(s *session, native any) error {
	switch native := native.(type) {
	case *stdlib.Conn:
		n, err := native.Conn().CopyFrom(s.ctx, pgx.Identifier{"misfit_items"}, []string{"name", "stock"},
			pgx.CopyFromRows([][]any{{"copied", 1}, {"copied too", 2}}))
		s.note("copied %d", n)
		if err != nil {
			return err
		}
		batch := new(pgx.Batch)
		batch.Queue("UPDATE misfit_items SET stock = stock + 1")
		batch.Queue("SELECT * FROM misfit_nowhere")
		return native.Conn().SendBatch(s.ctx, batch).Close()
	case interface{ Serialize() ([]byte, error) }:
		image, err := native.Serialize()
		s.note("serialized %t", len(image) > 0)
		if err != nil {
			return err
		}
		columns, err := native.(interface {
			ColumnInfo(query string) ([]sqlite.ColumnInfo, error)
		}).ColumnInfo("SELECT * FROM misfit_items")
		s.note("columns %+v", columns)
		if err != nil {
			return err
		}
		_, err = native.(sqlite.FileControl).FileControlDataVersion("main")
		return err
	case driver.Conn:
		if s.name == "pq" {
			pq.SetNoticeHandler(native, func(e *pq.Error) { s.note("notice %s", e.Message) })
			defer pq.SetNoticeHandler(native, nil)
			_, err := native.(driver.ExecerContext).ExecContext(s.ctx, "DO $$ BEGIN RAISE NOTICE 'noticed'; END $$", nil)
			return err
		}
		return nil
	}
	return errors.New("not a connection")
}

// pq copies through prepared statements that are none to the server.
func TestCopyIn(t *testing.T) {
	unnoticed(t, func(s *session) {
		if s.dialect != postgresSQL {
			s.note("not with %s", s.dialect)
			return
		}
		s.tables()
		tx, err := s.db.BeginTx(s.ctx, nil)
		require.NoError(s, err)
		stmt, err := tx.PrepareContext(s.ctx, `COPY "misfit_items" ("name", "stock") FROM STDIN`)
		s.failure("prepare", err)
		if err == nil && s.name == "pq" {
			for i, name := range []string{"a", "b", "a"} {
				r, err := stmt.ExecContext(s.ctx, name, i)
				s.result(r, err)
			}
			r, err := stmt.ExecContext(s.ctx)
			s.result(r, err)
			s.failure("close", stmt.Close())
		}
		s.failure("rollback", tx.Rollback())
	})
}

// pgx runs its hooks for connections that it makes, and takes back.
func TestHooks(t *testing.T) {
	dsn := postgresDSN(t)
	for _, w := range wirings {
		if w.byName { // hooks are the connector's
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			var seen []string
			hook := func(what string) func(context.Context, *pgx.Conn) error {
				return func(context.Context, *pgx.Conn) error {
					seen = append(seen, what)
					return nil
				}
			}
			config, err := pgx.ParseConfig(dsn)
			require.NoError(t, err)
			c := stdlib.GetConnector(*config,
				stdlib.OptionAfterConnect(hook("connect")), stdlib.OptionResetSession(hook("reset")))
			if !w.bare {
				c = sqldriver.Wrap(c, w.injector(t), dependency)
			}
			db := sql.OpenDB(c)
			defer db.Close()
			db.SetMaxOpenConns(1)
			for range 3 {
				require.NoError(t, db.PingContext(asCustomer(t.Context())))
			}
			require.Equal(t, []string{"connect", "reset", "reset"}, seen)
		})
	}
}
