package databases_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tables makes the tables anew that the scripts use.
func (s *session) tables() {
	s.Helper()
	key := map[dialect]string{
		sqliteSQL:   "INTEGER PRIMARY KEY AUTOINCREMENT",
		postgresSQL: "BIGSERIAL PRIMARY KEY",
		mysqlSQL:    "BIGINT AUTO_INCREMENT PRIMARY KEY",
	}[s.dialect]
	s.must(
		"DROP TABLE IF EXISTS misfit_lines",
		"DROP TABLE IF EXISTS misfit_items",
		"CREATE TABLE misfit_items (id "+key+", name VARCHAR(40) NOT NULL UNIQUE, stock INT NOT NULL DEFAULT 0 CHECK (stock >= 0), note TEXT)",
		"CREATE TABLE misfit_lines (id "+key+", item BIGINT NOT NULL REFERENCES misfit_items (id))",
	)
	s.Cleanup(func() {
		for _, table := range []string{"misfit_lines", "misfit_items"} {
			_, err := s.watch.Exec("DROP TABLE IF EXISTS " + table)
			require.NoError(s, err)
		}
	})
}

func TestDefinitions(t *testing.T) {
	unnoticed(t, func(s *session) {
		for _, q := range []string{
			"DROP TABLE IF EXISTS misfit_new",
			"CREATE TABLE misfit_new (a INT)",
			"CREATE TABLE misfit_new (a INT)",
			"ALTER TABLE misfit_new ADD COLUMN b VARCHAR(10)",
			"CREATE INDEX misfit_new_a ON misfit_new (a)",
			"INSERT INTO misfit_new (a, b) VALUES (1, 'x'), (2, 'y')",
			"UPDATE misfit_new SET b = 'z'",
			"DELETE FROM misfit_new WHERE a = 7",
			"SELECT b FROM misfit_new",
			"DROP TABLE misfit_new",
			"DROP TABLE misfit_new",
			"SELEC 1",
			"",
			";",
			"-- nothing but a comment",
			"SELECT * FROM misfit_nowhere",
			"SELECT 'unfinished",
			"SELECT 1 AS ünï, 'ø\x00' AS nul",
			"\xff\xfe",
		} {
			s.step(q)
			s.exec(s.db, q)
			s.query(s.db, q)
		}
	})
}

func TestRows(t *testing.T) {
	unnoticed(t, func(s *session) {
		s.tables()
		s.step("many rows in one transaction")
		tx, err := s.db.BeginTx(s.ctx, nil)
		require.NoError(s, err)
		stmt, err := tx.PrepareContext(s.ctx, s.dialect.sql("INSERT INTO misfit_items (name, stock) VALUES (?, ?)"))
		require.NoError(s, err)
		for i := range 500 {
			_, err := stmt.ExecContext(s.ctx, fmt.Sprintf("item %d", i), i)
			require.NoError(s, err)
		}
		s.failure("close", stmt.Close())
		s.failure("commit", tx.Commit())

		s.step("all in one statement")
		values := make([]string, 200)
		args := make([]any, 200)
		for i := range values {
			values[i] = fmt.Sprintf("(%s)", s.dialect.placeholder(i+1))
			args[i] = fmt.Sprintf("more %d", i)
		}
		r, err := s.db.ExecContext(s.ctx, "INSERT INTO misfit_items (name) VALUES "+strings.Join(values, ", "), args...)
		s.result(r, err)
		s.query(s.db, "SELECT * FROM misfit_items ORDER BY id")

		s.step("as raw bytes")
		rows, err := s.db.QueryContext(s.ctx, "SELECT name, stock, note FROM misfit_items ORDER BY id LIMIT 3")
		require.NoError(s, err)
		for rows.Next() {
			var name, stock, note sql.RawBytes
			err := rows.Scan(&name, &stock, &note)
			s.note("%q %q %q %t %s", name, stock, note, note == nil, describe(err))
		}
		s.failure("rows", rows.Err())

		s.step("given up after two")
		rows, err = s.db.QueryContext(s.ctx, "SELECT name FROM misfit_items ORDER BY id")
		require.NoError(s, err)
		for range 2 {
			require.True(s, rows.Next())
			var name string
			s.failure("scan", rows.Scan(&name))
			s.note("%s", name)
		}
		s.failure("close", rows.Close())
		s.note("next %t %s", rows.Next(), describe(rows.Err()))
		s.pool()

		s.step("scanned wrongly")
		var number int
		s.failure("row", s.db.QueryRowContext(s.ctx, "SELECT name FROM misfit_items ORDER BY id").Scan(&number))
		s.failure("row", s.db.QueryRowContext(s.ctx, "SELECT name, stock FROM misfit_items ORDER BY id").Scan(&number))
		s.failure("row", s.db.QueryRowContext(s.ctx, "SELECT stock FROM misfit_items WHERE id < 0").Scan(&number))
		s.failure("row", s.db.QueryRowContext(s.ctx, "SELECT stock FROM misfit_nowhere").Scan(&number))
		if s.dialect != mysqlSQL {
			s.step("returning")
			s.query(s.db, "INSERT INTO misfit_items (name) VALUES (?), (?) RETURNING id, name", "r1", "r2")
		}
	})
}

func TestColumnTypes(t *testing.T) {
	columns := map[dialect]string{
		sqliteSQL: "i INTEGER, r REAL, t TEXT NOT NULL, b BLOB, n NUMERIC(10,2), v VARCHAR(20), k BOOLEAN, d DATE, ts TIMESTAMP",
		postgresSQL: "i2 SMALLINT, i4 INT NOT NULL, i8 BIGINT, f4 REAL, f8 DOUBLE PRECISION, n NUMERIC(10,2), c CHAR(3), v VARCHAR(20), " +
			"t TEXT, b BYTEA, k BOOLEAN, d DATE, tm TIME, ts TIMESTAMP, tz TIMESTAMPTZ, iv INTERVAL, u UUID, j JSON, jb JSONB, ar INT[], ip INET",
		mysqlSQL: "i1 TINYINT, i2 SMALLINT UNSIGNED, i4 INT NOT NULL, i8 BIGINT UNSIGNED, f4 FLOAT, f8 DOUBLE, n DECIMAL(10,2), c CHAR(3), v VARCHAR(20), " +
			"t TEXT, b BLOB, vb VARBINARY(9), k BOOLEAN, d DATE, tm TIME, ts TIMESTAMP(6) NULL, dt DATETIME, y YEAR, j JSON, e ENUM('a','b'), bi BIT(3)",
	}
	values := map[dialect]string{
		sqliteSQL: "1, 2.5, 'text', x'00ff', 3.25, 'var', TRUE, '2026-02-03', '2026-02-03 04:05:06'",
		postgresSQL: "1, 2, 3, 1.5, 2.5, 3.25, 'c', 'var', 'text', '\\x00ff', TRUE, '2026-02-03', '04:05:06', '2026-02-03 04:05:06.789', " +
			"'2026-02-03 04:05:06+02', '1 day 2 hours', '11111111-2222-3333-4444-555555555555', '{\"a\": 1}', '{\"a\": 1}', '{1,2}', '10.1.2.3/8'",
		mysqlSQL: "1, 2, 3, 18446744073709551615, 1.5, 2.5, 3.25, 'c', 'var', 'text', x'00ff', x'01', TRUE, '2026-02-03', '04:05:06', " +
			"'2026-02-03 04:05:06.789', '2026-02-03 04:05:06', 2026, '{\"a\": 1}', 'a', b'101'",
	}
	unnoticed(t, func(s *session) {
		s.must("DROP TABLE IF EXISTS misfit_types", "CREATE TABLE misfit_types ("+columns[s.dialect]+")")
		defer s.must("DROP TABLE misfit_types")
		s.step("empty")
		s.query(s.db, "SELECT * FROM misfit_types")
		s.must("INSERT INTO misfit_types VALUES (" + values[s.dialect] + ")")
		s.step("a row")
		s.query(s.db, "SELECT * FROM misfit_types")
		s.step("a row, prepared")
		s.prepared(s.db, "SELECT * FROM misfit_types")
		s.step("expressions")
		s.query(s.db, "SELECT count(*), max(t), NULL, 1 + 1, 1.5, 'a' FROM misfit_types")
	})
}

func TestResultSets(t *testing.T) {
	unnoticed(t, func(s *session) {
		s.tables()
		for _, q := range []string{
			"SELECT 1 AS a; SELECT 'x' AS b, 2 AS c",
			"SELECT 1 AS a WHERE 1 = 0; SELECT 2 AS b",
			"INSERT INTO misfit_items (name) VALUES ('a'); SELECT name FROM misfit_items; INSERT INTO misfit_items (name) VALUES ('b')",
			"SELECT 1; SELECT * FROM misfit_nowhere; SELECT 2",
			"INSERT INTO misfit_items (name) VALUES ('c'); INSERT INTO misfit_items (name) VALUES ('c')",
			"SELECT 1;",
		} {
			s.step(q)
			s.query(s.db, q)
			s.exec(s.db, q)
			s.pool()
		}
		s.step("with an argument")
		s.query(s.db, "SELECT 1; SELECT ?", 2)
		s.step("prepared")
		s.prepared(s.db, "SELECT 1; SELECT 2")
		s.query(s.db, "SELECT name FROM misfit_items ORDER BY id")
	})
}

func TestConstraints(t *testing.T) {
	unnoticed(t, func(s *session) {
		s.tables()
		s.must("INSERT INTO misfit_items (name) VALUES ('pen')")
		for _, q := range []string{
			"INSERT INTO misfit_items (name) VALUES ('pen')",
			"INSERT INTO misfit_items (name) VALUES (NULL)",
			"INSERT INTO misfit_items (name, stock) VALUES ('ink', -1)",
			"INSERT INTO misfit_lines (item) VALUES (4711)",
			"INSERT INTO misfit_items (id, name) VALUES (1, 'ink')",
			"SELECT 1 / (stock - stock) FROM misfit_items",
		} {
			s.step(q)
			s.exec(s.db, q)
			s.query(s.db, q)
			s.prepared(s.db, q)
			s.step("in a transaction: " + q)
			tx, err := s.db.BeginTx(s.ctx, nil)
			require.NoError(s, err)
			s.exec(tx, "INSERT INTO misfit_items (name) VALUES ('paper')")
			s.exec(tx, q)
			s.query(tx, "SELECT name FROM misfit_items ORDER BY id")
			s.failure("commit", tx.Commit())
			s.exec(s.db, "DELETE FROM misfit_items WHERE name = 'paper'")
		}
	})
}

func TestUsedAfterClosing(t *testing.T) {
	unnoticed(t, func(s *session) {
		db, err := s.open(s.dsn)
		require.NoError(s, err)
		s.failure("ping", db.PingContext(s.ctx))
		conn, err := db.Conn(s.ctx)
		require.NoError(s, err)
		s.failure("ping", conn.PingContext(s.ctx))
		s.failure("close", conn.Close())
		s.failure("close again", conn.Close())
		s.failure("ping", conn.PingContext(s.ctx))
		s.exec(conn, "SELECT 1")
		s.failure("raw", conn.Raw(func(any) error { return nil }))
		stmt, err := db.PrepareContext(s.ctx, "SELECT 1")
		require.NoError(s, err)
		s.failure("close", db.Close())
		s.failure("ping", db.PingContext(s.ctx))
		s.query(db, "SELECT 1")
		rows, err := stmt.QueryContext(s.ctx)
		s.rows(rows, err)
		_, err = db.BeginTx(s.ctx, nil)
		s.failure("begin", err)
	})
}

func TestBadDSN(t *testing.T) {
	unnoticed(t, func(s *session) {
		for _, dsn := range badDSNs[s.dialect] {
			s.step(dsn)
			db, err := s.open(dsn)
			s.failure("open", err)
			if err != nil {
				continue
			}
			s.failure("ping", db.PingContext(s.ctx))
			s.query(db, "SELECT 1")
			_, err = db.BeginTx(s.ctx, nil)
			s.failure("begin", err)
			ctx, cancel := context.WithCancel(s.ctx)
			cancel()
			s.failure("ping, cancelled", db.PingContext(ctx))
			s.failure("close", db.Close())
		}
	})
}

// Nobody listens on port 1.
var badDSNs = map[dialect][]string{
	sqliteSQL: {
		"file:/nowhere/at/all/test.db",
		"file:x.db?mode=ro&_pragma=%zz",
		"file:x.db?vfs=a&vfs=b",
		"file:/nowhere.db?mode=ro",
		":memory:?_pragma=nothing(",
		":memory:?_txlock=sometimes",
	},
	postgresSQL: {
		"postgres://misfit@127.0.0.1:1/misfit?sslmode=disable",
		"postgres://misfit@127.0.0.1:1/misfit?sslmode=sometimes",
		"postgres://misfit@[::1/misfit",
		"host=127.0.0.1 port=x",
		"nonsense",
	},
	mysqlSQL: {
		"misfit@tcp(127.0.0.1:1)/misfit",
		"misfit@pigeon(127.0.0.1:1)/misfit",
		"misfit@tcp(127.0.0.1:1)",
		"misfit@tcp(127.0.0.1:1)/misfit?parseTime=perhaps",
		"misfit@tcp(127.0.0.1:1)/misfit?timeout=x",
		"nonsense",
	},
}

// Callers share a pool that is smaller than they are many.
func TestConcurrently(t *testing.T) {
	unnoticed(t, func(s *session) {
		s.tables()
		if s.dialect == sqliteSQL {
			s.db.SetMaxOpenConns(1) // one writer at a time
		}
		stmt, err := s.db.PrepareContext(s.ctx, s.dialect.sql("SELECT name FROM misfit_items WHERE name = ?"))
		require.NoError(s, err)
		var mu sync.Mutex
		var wg sync.WaitGroup
		var seen []string
		for i := range 32 {
			wg.Go(func() {
				got, err := order(s.ctx, s.db, stmt, s.dialect, fmt.Sprintf("item %02d", i), i%4 == 3)
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, fmt.Sprintf("%d %q %s", i, got, describe(err)))
			})
		}
		wg.Wait()
		slices.Sort(seen)
		s.note("%s", strings.Join(seen, "\n"))
		s.failure("close", stmt.Close())
		s.query(s.db, "SELECT name, stock FROM misfit_items ORDER BY name")
		s.db.SetMaxIdleConns(1)
		s.pool()
	})
}

var errChanged = errors.New("changed my mind")

// order takes something new into stock, unless it changes its mind.
func order(ctx context.Context, db *sql.DB, find *sql.Stmt, d dialect, name string, rollback bool) (got string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience/2)
	defer cancel()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	if _, err := tx.ExecContext(ctx, d.sql("INSERT INTO misfit_items (name, stock) VALUES (?, ?)"), name, len(name)); err != nil {
		return "", err
	}
	if err := tx.StmtContext(ctx, find).QueryRowContext(ctx, name).Scan(&got); err != nil {
		return "", err
	}
	if rollback {
		return got, errChanged
	}
	return got, tx.Commit()
}

func TestPool(t *testing.T) {
	unnoticed(t, func(s *session) {
		s.db.SetConnMaxLifetime(time.Hour)
		conns := make([]*sql.Conn, 4)
		for i := range conns {
			var err error
			conns[i], err = s.db.Conn(s.ctx)
			require.NoError(s, err)
			s.query(conns[i], "SELECT 1")
		}
		ctx, cancel := context.WithTimeout(s.ctx, 20*time.Millisecond)
		defer cancel()
		_, err := s.db.ExecContext(ctx, "SELECT 1")
		s.failure("no connection left", err)
		for _, c := range conns {
			s.failure("close", c.Close())
		}
		s.pool()
		s.db.SetMaxIdleConns(3)
		s.pool()
	})
}
