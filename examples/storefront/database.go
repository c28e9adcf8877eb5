package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
)

// A database is a new and empty one, which goes when it is closed.
type database struct {
	what      string           // for people
	connector driver.Connector // of its driver, as it is

	// plain goes around the injection point: no fault is in what it says.
	plain *sql.DB

	remove func() error // removes what is left once plain is closed
}

// openDatabase makes a database in SQLite, or in PostgreSQL if it is told where
// that is.
func openDatabase(ctx context.Context, postgres string) (*database, error) {
	if postgres != "" {
		return openPostgres(ctx, postgres)
	}
	return openSQLite()
}

// openSQLite makes the database in a file: one in memory would go with the last
// of its connections, and faults lose connections.
func openSQLite() (*database, error) {
	dir, err := os.MkdirTemp("", "storefront-")
	if err != nil {
		return nil, err
	}
	remove := func() error { return os.RemoveAll(dir) }
	// In this mode readers do not wait for the one who writes. Writers wait for
	// each other, from the beginning of a transaction on, for up to 10 seconds.
	connector, err := sqlite.NewConnector("file:" + filepath.ToSlash(filepath.Join(dir, "stock.db")) +
		"?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	return &database{"SQLite", connector, sql.OpenDB(connector), remove}, nil
}

// openPostgres makes a schema that is nobody else's.
func openPostgres(ctx context.Context, dsn string) (*database, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	schema := "storefront_" + strings.ToLower(rand.Text())
	config.RuntimeParams["search_path"] = schema
	plain := sql.OpenDB(stdlib.GetConnector(*config))
	if _, err := plain.ExecContext(ctx, "CREATE SCHEMA "+schema); err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	remove := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		db := sql.OpenDB(stdlib.GetConnector(*config))
		_, err := db.ExecContext(ctx, "DROP SCHEMA "+schema+" CASCADE")
		return errors.Join(err, db.Close())
	}
	return &database{"PostgreSQL", stdlib.GetConnector(*config), plain, remove}, nil
}

func (d *database) close() error { return errors.Join(d.plain.Close(), d.remove()) }
