package databases_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// endless are statements that are not done in the time of a test. The comment
// is how they are found on the server.
var endless = map[dialect]string{
	sqliteSQL:   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(misfit_running()) FROM n",
	postgresSQL: "SELECT pg_sleep(600) /* misfit endless */",
	mysqlSQL:    "SELECT SLEEP(600) /* misfit endless */",
}

// running finds the connections in which they run.
var running = map[dialect]string{
	postgresSQL: "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%/* misfit endless%' AND pid <> pg_backend_pid()",
	mysqlSQL:    "SELECT id FROM information_schema.processlist WHERE command IN ('Query', 'Execute') AND info LIKE '%/* misfit endless%' AND id <> CONNECTION_ID()",
}

// stop ends what they run.
var stop = map[dialect]string{
	postgresSQL: "SELECT pg_cancel_backend(%d)",
	mysqlSQL:    "KILL QUERY %d",
}

// interrupted runs f and cancels its context once the endless statement runs.
func (s *session) interrupted(f func(ctx context.Context)) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	runs := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		if s.dialect == sqliteSQL {
			select {
			case <-runs:
			case <-s.ctx.Done():
			}
			return
		}
		require.Eventually(s, func() bool { return len(s.endless()) > 0 }, patience, 5*time.Millisecond)
	})
	defer sqliteRunning.watch(sync.OnceFunc(func() { close(runs) }))()
	s.caught(func() { f(ctx) })
	wg.Wait()
	s.gone()
}

// endless lists the connections in which an endless statement runs.
func (s *session) endless() (ids []int64) {
	rows, err := s.watch.QueryContext(s.ctx, running[s.dialect])
	if !assert.NoError(s, err) {
		return nil
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		assert.NoError(s, rows.Scan(&id))
		ids = append(ids, id)
	}
	assert.NoError(s, rows.Err())
	return ids
}

// gone returns when the server is rid of the endless statement. A driver that
// gives a connection up need not tell the server, which then goes on.
func (s *session) gone() {
	s.Helper()
	if s.dialect == sqliteSQL {
		return
	}
	require.Eventually(s, func() bool {
		ids := s.endless()
		for _, id := range ids {
			// It may have ended by itself meanwhile.
			_, err := s.watch.ExecContext(s.ctx, fmt.Sprintf(stop[s.dialect], id))
			s.Logf("stopped %d: %v", id, err)
		}
		return len(ids) == 0
	}, patience, 5*time.Millisecond)
}

// losesCancels reports whether the driver without the wrapper can go on after its
// context ended: a prepared Exec of pq was seen to wait in its watchCancel, with
// the statement still running, until the test's time was over.
func (s *session) losesCancels() bool {
	if s.name != "pq" {
		return false
	}
	s.note("nothing can be said of its cancellations")
	return true
}

func TestCancelledBefore(t *testing.T) {
	unnoticed(t, func(s *session) {
		stmt, err := s.db.PrepareContext(s.ctx, "SELECT 1")
		require.NoError(s, err)
		conn, err := s.db.Conn(s.ctx)
		require.NoError(s, err)
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		on := []querier{s.db}
		s.failure("ping", s.db.PingContext(ctx))
		_, err = s.db.BeginTx(ctx, nil)
		s.failure("begin", err)
		_, err = stmt.ExecContext(ctx)
		s.failure("exec", err)
		// pq and SQLite, when they are asked, start and race with the interruption.
		if s.name == "pgx" || s.name == "mysql" {
			on = append(on, conn)
			s.failure("ping", conn.PingContext(ctx))
			_, err = conn.BeginTx(ctx, nil)
			s.failure("begin", err)
		}
		for _, on := range on {
			_, err = on.ExecContext(ctx, "SELECT 1")
			s.failure("exec", err)
			rows, err := on.QueryContext(ctx, "SELECT 1")
			s.rows(rows, err)
			_, err = on.PrepareContext(ctx, "SELECT 1")
			s.failure("prepare", err)
		}
		s.query(conn, "SELECT 2")
		s.failure("close", conn.Close())
		s.failure("close", stmt.Close())
	})
}

func TestCancelledInTheMiddle(t *testing.T) {
	unnoticed(t, func(s *session) {
		if s.losesCancels() {
			return
		}
		q := endless[s.dialect]
		s.step("query")
		s.interrupted(func(ctx context.Context) {
			rows, err := s.db.QueryContext(ctx, q)
			s.rows(rows, err)
		})
		s.pool()
		s.step("exec")
		s.interrupted(func(ctx context.Context) {
			_, err := s.db.ExecContext(ctx, q)
			s.failure("exec", err)
		})
		s.pool()
		s.step("prepared")
		stmt, err := s.db.PrepareContext(s.ctx, q)
		require.NoError(s, err)
		s.interrupted(func(ctx context.Context) {
			rows, err := stmt.QueryContext(ctx)
			s.rows(rows, err)
		})
		s.interrupted(func(ctx context.Context) {
			_, err := stmt.ExecContext(ctx)
			s.failure("exec", err)
		})
		s.failure("close", stmt.Close())
		s.pool()
		s.step("after that")
		s.query(s.db, "SELECT 1")
	})
}

func TestCancelledTransaction(t *testing.T) {
	unnoticed(t, func(s *session) {
		if s.losesCancels() {
			return
		}
		s.tables()
		s.step("the statement's context")
		tx, err := s.db.BeginTx(s.ctx, nil)
		require.NoError(s, err)
		s.exec(tx, "INSERT INTO misfit_items (name) VALUES ('a')")
		s.interrupted(func(ctx context.Context) {
			_, err := tx.ExecContext(ctx, endless[s.dialect])
			s.failure("exec", err)
		})
		s.query(tx, "SELECT 1")
		s.failure("rollback", tx.Rollback())
		s.pool()
		s.query(s.db, "SELECT name FROM misfit_items")

		s.step("the transaction's context, idle")
		ctx, cancel := context.WithCancel(s.ctx)
		tx, err = s.db.BeginTx(ctx, nil)
		require.NoError(s, err)
		s.exec(tx, "INSERT INTO misfit_items (name) VALUES ('b')")
		cancel()
		s.pool()
		s.failure("commit", tx.Commit())
		s.query(s.db, "SELECT name FROM misfit_items")
	})
}

func TestCancelledRows(t *testing.T) {
	many := map[dialect]string{
		sqliteSQL:   "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n LIMIT 1000000",
		postgresSQL: "SELECT i FROM generate_series(1, 1000000) AS i",
		mysqlSQL:    "SELECT seq FROM seq_1_to_1000000",
	}
	unnoticed(t, func(s *session) {
		if s.losesCancels() {
			return
		}
		ctx, cancel := context.WithCancel(s.ctx)
		defer cancel()
		rows, err := s.db.QueryContext(ctx, many[s.dialect])
		require.NoError(s, err)
		for range 3 {
			require.True(s, rows.Next())
			var n int
			s.failure("scan", rows.Scan(&n))
			s.note("%d", n)
		}
		cancel()
		// database/sql closes the rows, and the driver the connection, each in a
		// goroutine of its own: rows that are closed first are read to their end,
		// and the connection is kept.
		s.returned()
		s.note("next %t %s", rows.Next(), describe(rows.Err()))
		s.failure("close", rows.Close())
		s.query(s.db, "SELECT 1")
	})
}

// A connection that the server ends: what database/sql makes of that depends on
// driver.ErrBadConn, validity and session resets coming through as they are.
func TestLostConnection(t *testing.T) {
	unnoticed(t, func(s *session) {
		if s.dialect == sqliteSQL {
			s.note("it has no connection to lose")
			return
		}
		s.db.SetMaxOpenConns(1)
		stmt, err := s.db.PrepareContext(s.ctx, "SELECT 1")
		require.NoError(s, err)

		s.step("in a statement")
		s.lose(s.db)
		s.pool()
		rows, err := stmt.QueryContext(s.ctx)
		s.rows(rows, err)
		s.failure("close", stmt.Close())
		s.pool()

		s.step("in a transaction")
		tx, err := s.db.BeginTx(s.ctx, nil)
		require.NoError(s, err)
		s.lose(tx)
		s.exec(tx, "SELECT 1")
		s.query(tx, "SELECT 1")
		s.failure("commit", tx.Commit())
		s.pool()
		s.query(s.db, "SELECT 1")

		s.step("kept by a caller")
		conn, err := s.db.Conn(s.ctx)
		require.NoError(s, err)
		s.lose(conn)
		s.failure("ping", conn.PingContext(s.ctx))
		s.exec(conn, "SELECT 1")
		s.failure("close", conn.Close())
		s.pool()
		s.query(s.db, "SELECT 1")

		// The others learn it from TCP: from what the server said last, or else
		// from a reset, whichever comes first.
		if s.name == "mysql" {
			s.step("idle in the pool")
			id := s.connection(s.db)
			_, err := s.watch.ExecContext(s.ctx, fmt.Sprintf("KILL %d", id))
			require.NoError(s, err)
			s.closed(id)
			s.query(s.db, "SELECT 1")
			s.pool()
		}
	})
}

// lose has the server end the connection in which it is asked to.
func (s *session) lose(on querier) {
	s.Helper()
	if s.dialect == postgresSQL {
		s.exec(on, "SELECT pg_terminate_backend(pg_backend_pid())")
		return
	}
	id := s.connection(on)
	s.exec(on, "KILL CONNECTION_ID()")
	s.closed(id)
}

// connection returns MariaDB's number of a connection.
func (s *session) connection(on querier) (id int64) {
	s.Helper()
	rows, err := on.QueryContext(s.ctx, "SELECT CONNECTION_ID()")
	require.NoError(s, err)
	defer rows.Close()
	require.True(s, rows.Next())
	require.NoError(s, rows.Scan(&id))
	return id
}

// closed waits until MariaDB has closed a connection, which takes it a moment.
func (s *session) closed(id int64) {
	s.Helper()
	require.Eventually(s, func() bool {
		n := 1
		find := fmt.Sprintf("SELECT count(*) FROM information_schema.processlist WHERE id = %d", id)
		return s.watch.QueryRowContext(s.ctx, find).Scan(&n) == nil && n == 0
	}, patience, time.Millisecond)
}

// What a session was set to goes with its connection through the pool.
func TestSessionState(t *testing.T) {
	set := map[dialect][2]string{
		sqliteSQL:   {"PRAGMA cache_size = 77", "PRAGMA cache_size"},
		postgresSQL: {"SET application_name = 'misfit'", "SHOW application_name"},
		mysqlSQL:    {"SET @misfit = 'kept'", "SELECT @misfit"},
	}
	unnoticed(t, func(s *session) {
		s.db.SetMaxOpenConns(1)
		s.exec(s.db, set[s.dialect][0])
		s.query(s.db, set[s.dialect][1])
		conn, err := s.db.Conn(s.ctx)
		require.NoError(s, err)
		s.query(conn, set[s.dialect][1])
		s.failure("close", conn.Close())
		tx, err := s.db.BeginTx(s.ctx, &sql.TxOptions{})
		require.NoError(s, err)
		s.query(tx, set[s.dialect][1])
		s.failure("rollback", tx.Rollback())
		s.db.SetMaxIdleConns(-1)
		s.query(s.db, set[s.dialect][1])
	})
}
