package databases_test

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"
	"modernc.org/sqlite"
)

// patience ends a run that hangs; no run that works comes near it.
const patience = time.Minute

// A dialect is the kind of SQL a database speaks.
type dialect string

const (
	sqliteSQL   dialect = "SQLite"
	postgresSQL dialect = "PostgreSQL"
	mysqlSQL    dialect = "MariaDB"
)

// A database is a real one behind one of its drivers.
type database struct {
	name    string // the driver's
	dialect dialect

	// registered is the name under which the driver registers itself.
	registered string

	// dsn says where the database is. It skips the test where there is none.
	dsn func(t *testing.T) string

	// connector makes the driver's own connector.
	connector func(dsn string) (driver.Connector, error)
}

var databases = []database{
	{"sqlite", sqliteSQL, "sqlite", sqliteDSN, sqlite.NewConnector},
	{"pgx", postgresSQL, "pgx", postgresDSN, pgxConnector},
	{"pq", postgresSQL, "postgres", postgresDSN, func(dsn string) (driver.Connector, error) { return pq.NewConnector(dsn) }},
	{"mysql", mysqlSQL, "mysql", mysqlDSN, mysqlConnector},
}

// each runs a test with every database there is.
func each(t *testing.T, f func(t *testing.T, d database, dsn string)) {
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) { f(t, d, d.dsn(t)) })
	}
}

func pgxConnector(dsn string) (driver.Connector, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	return stdlib.GetConnector(*config), nil
}

func mysqlConnector(dsn string) (driver.Connector, error) {
	config, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	return mysql.NewConnector(config)
}

// sqliteDSN names a new database, in which two connections can write in turn.
func sqliteDSN(t *testing.T) string {
	return "file:" + filepath.Join(t.TempDir(), "test.db") +
		"?_pragma=foreign_keys(1)&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"
}

func postgresDSN(t *testing.T) string {
	return serverDSN(t, postgresSQL, "pgx", "MISFIT_TEST_POSTGRES",
		"postgres://misfit@127.0.0.1:5432/misfit?sslmode=disable", "5432")
}

func mysqlDSN(t *testing.T) string {
	dsn := serverDSN(t, mysqlSQL, "mysql", "MISFIT_TEST_MYSQL",
		"misfit@tcp(127.0.0.1:3306)/misfit", "3306")
	config, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	config.ParseTime = true
	config.MultiStatements = true
	return config.FormatDSN()
}

// serverDSN returns what the environment variable says, or else the local
// server's DSN if one listens on its standard port. It logs in, so that a test
// that goes on has its database.
func serverDSN(t *testing.T, d dialect, driverName, variable, local, port string) string {
	t.Helper()
	given := os.Getenv(variable)
	if given == "" {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			absent(t, d, variable, err)
		}
		require.NoError(t, conn.Close())
	}
	dsn := cmp.Or(given, local)
	db, err := sql.Open(driverName, dsn)
	require.NoError(t, err, variable)
	defer db.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	switch err := db.PingContext(ctx); {
	case err == nil:
	case given == "":
		absent(t, d, variable, err)
	default:
		require.NoError(t, err, "the %s of %s", d, variable)
	}
	return dsn
}

// absent ends a test for lack of a database.
func absent(t *testing.T, d dialect, variable string, err error) {
	t.Helper()
	why := fmt.Sprintf("no %s (%v): start a private one with "+
		"\".ci/databases go test ./internal/databases/...\", or set %s", d, err, variable)
	if os.Getenv("MISFIT_REQUIRE_DATABASES") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// watcher opens the database with its bare driver, to see from outside what
// others do there.
func (d database) watcher(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(d.registered, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// placeholder writes the n-th parameter of a statement.
func (d dialect) placeholder(n int) string {
	if d == postgresSQL {
		return fmt.Sprintf("$%d", n)
	}
	return "?"
}

// sql turns the question marks of a statement into the dialect's placeholders.
func (d dialect) sql(statement string) string {
	parts := strings.Split(statement, "?")
	for n := 1; n < len(parts); n++ {
		parts[n] = d.placeholder(n) + parts[n]
	}
	return strings.Join(parts, "")
}
