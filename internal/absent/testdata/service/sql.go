package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/sqldriver"
)

// callSQL wraps a database in both ways.
func callSQL(inj *fault.Injector) []call {
	sql.Register("nothing-with-faults", sqldriver.WrapDriver(nothing{}, inj, "by-name"))
	named := func(context.Context, string) fault.Operation { return fault.Operation{} }
	select1 := func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, "SELECT 1")
		return errors.Join(err, db.Close())
	}
	return []call{
		{"sql:by-name", func(ctx context.Context) error {
			db, err := sql.Open("nothing-with-faults", "")
			if err != nil {
				return err
			}
			return select1(ctx, db)
		}},
		{"sql:by-connector", func(ctx context.Context) error {
			return select1(ctx, sql.OpenDB(sqldriver.Wrap(nothing{}, inj, "by-connector", sqldriver.Operations(named))))
		}},
	}
}

// nothing is a database that holds nothing, all of its objects in one.
type nothing struct{}

func (n nothing) Open(string) (driver.Conn, error)             { return n, nil }
func (n nothing) Connect(context.Context) (driver.Conn, error) { return n, nil }
func (n nothing) Driver() driver.Driver                        { return n }
func (n nothing) Prepare(string) (driver.Stmt, error)          { return n, nil }
func (n nothing) Begin() (driver.Tx, error)                    { return n, nil }
func (n nothing) Close() error                                 { return nil }
func (n nothing) Commit() error                                { return nil }
func (n nothing) Rollback() error                              { return nil }
func (n nothing) NumInput() int                                { return -1 }
func (n nothing) Exec([]driver.Value) (driver.Result, error)   { return driver.ResultNoRows, nil }
func (n nothing) Query([]driver.Value) (driver.Rows, error)    { return n, nil }
func (n nothing) Columns() []string                            { return nil }
func (n nothing) Next([]driver.Value) error                    { return io.EOF }
func (n nothing) Ping(context.Context) error                   { return nil }
func (n nothing) ResetSession(context.Context) error           { return nil }
func (n nothing) IsValid() bool                                { return true }
func (n nothing) CheckNamedValue(*driver.NamedValue) error     { return nil }

func (n nothing) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return driver.ResultNoRows, nil
}

func (n nothing) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return n, nil
}
