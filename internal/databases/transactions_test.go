package databases_test

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTransactions(t *testing.T) {
	unnoticed(t, func(s *session) {
		s.tables()
		for level := sql.LevelDefault; level <= sql.LevelLinearizable+1; level++ {
			for _, readOnly := range []bool{false, true} {
				s.step(fmt.Sprintf("%s, read only %t", level, readOnly))
				tx, err := s.db.BeginTx(s.ctx, &sql.TxOptions{Isolation: level, ReadOnly: readOnly})
				s.failure("begin", err)
				if err != nil {
					continue
				}
				if s.dialect == postgresSQL {
					s.query(tx, "SHOW transaction_isolation")
					s.query(tx, "SHOW transaction_read_only")
				}
				s.query(tx, "SELECT count(*) FROM misfit_items")
				s.exec(tx, "INSERT INTO misfit_items (name) VALUES (?)", fmt.Sprintf("at %s %t", level, readOnly))
				s.failure("commit", tx.Commit())
				s.failure("commit again", tx.Commit())
				s.failure("rollback", tx.Rollback())
				s.exec(tx, "SELECT 1")
			}
		}
		s.query(s.db, "SELECT name FROM misfit_items ORDER BY id")

		s.step("rolled back")
		tx, err := s.db.BeginTx(s.ctx, nil)
		require.NoError(s, err)
		s.exec(tx, "INSERT INTO misfit_items (name) VALUES ('gone')")
		s.prepared(tx, "SELECT name FROM misfit_items WHERE name = ?", "gone")
		s.failure("rollback", tx.Rollback())
		s.query(s.db, "SELECT name FROM misfit_items WHERE name = 'gone'")

		s.step("a statement of the pool in a transaction")
		stmt, err := s.db.PrepareContext(s.ctx, s.dialect.sql("INSERT INTO misfit_items (name) VALUES (?)"))
		require.NoError(s, err)
		tx, err = s.db.BeginTx(s.ctx, nil)
		require.NoError(s, err)
		r, err := tx.StmtContext(s.ctx, stmt).ExecContext(s.ctx, "bound")
		s.result(r, err)
		s.failure("commit", tx.Commit())
		r, err = stmt.ExecContext(s.ctx, "unbound")
		s.result(r, err)
		s.failure("close", stmt.Close())
		_, err = stmt.ExecContext(s.ctx, "closed")
		s.failure("closed", err)

		s.step("nested on one connection")
		conn, err := s.db.Conn(s.ctx)
		require.NoError(s, err)
		outer, err := conn.BeginTx(s.ctx, nil)
		require.NoError(s, err)
		inner, err := conn.BeginTx(s.ctx, nil)
		s.failure("begin", err)
		if err == nil {
			s.failure("rollback", inner.Rollback())
		}
		s.failure("rollback", outer.Rollback())
		s.failure("close", conn.Close())

		s.step("by hand")
		conn, err = s.db.Conn(s.ctx)
		require.NoError(s, err)
		for _, q := range []string{"BEGIN", "INSERT INTO misfit_items (name) VALUES ('by hand')", "ROLLBACK", "COMMIT"} {
			s.exec(conn, q)
		}
		s.failure("close", conn.Close())
	})
}

// Two transactions that wait for each other: the error that services retry on.
func TestSerialization(t *testing.T) {
	unnoticed(t, func(s *session) {
		s.tables()
		s.must("INSERT INTO misfit_items (name) VALUES ('pen')")
		level := sql.LevelSerializable
		if s.dialect == sqliteSQL {
			level = sql.LevelDefault
		}
		tx, err := s.db.BeginTx(s.ctx, &sql.TxOptions{Isolation: level})
		require.NoError(s, err)
		s.query(tx, "SELECT stock FROM misfit_items")
		if s.dialect != mysqlSQL { // which would wait
			_, err = s.watch.ExecContext(s.ctx, "UPDATE misfit_items SET stock = stock + 1")
			require.NoError(s, err)
		}
		s.exec(tx, "UPDATE misfit_items SET stock = stock + 10")
		s.failure("commit", tx.Commit())
		s.query(s.db, "SELECT stock FROM misfit_items")
	})
}
