package benchmarks_test

import (
	"context"
	"database/sql/driver"
	"io"
	"reflect"
)

// The null driver has every optional interface, does nothing and allocates
// nothing but its connections: what a call through it costs is the cost of
// whatever is in front of it. A query returns one row of one column.

type nullDriver struct{}

func (nullDriver) Open(string) (driver.Conn, error) {
	c := new(nullConn)
	c.stmt.conn = c
	return c, nil
}

func (d nullDriver) OpenConnector(string) (driver.Connector, error) { return nullConnector{d}, nil }

type nullConnector struct{ nullDriver }

func (c nullConnector) Connect(context.Context) (driver.Conn, error) { return c.Open("") }
func (c nullConnector) Driver() driver.Driver                        { return c.nullDriver }
func (nullConnector) Close() error                                   { return nil }

// A nullConn holds all that it hands out, as none of it is used at the same time.
type nullConn struct {
	stmt nullStmt
	rows nullRows
	_    [128]byte // no two of them share a cache line
}

func (*nullConn) Close() error                             { return nil }
func (*nullConn) Ping(context.Context) error               { return nil }
func (*nullConn) ResetSession(context.Context) error       { return nil }
func (*nullConn) IsValid() bool                            { return true }
func (*nullConn) CheckNamedValue(*driver.NamedValue) error { return nil }

func (*nullConn) Begin() (driver.Tx, error)             { return nullTx{}, nil }
func (c *nullConn) Prepare(string) (driver.Stmt, error) { return &c.stmt, nil }
func (c *nullConn) query() (driver.Rows, error)         { c.rows.read = false; return &c.rows, nil }

func (*nullConn) exec() (driver.Result, error)                         { return driver.RowsAffected(1), nil }
func (c *nullConn) Exec(string, []driver.Value) (driver.Result, error) { return c.exec() }
func (c *nullConn) Query(string, []driver.Value) (driver.Rows, error)  { return c.query() }

func (c *nullConn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) { return c.Begin() }

func (c *nullConn) PrepareContext(context.Context, string) (driver.Stmt, error) { return c.Prepare("") }

func (c *nullConn) ExecContext(context.Context, string, []driver.NamedValue) (driver.Result, error) {
	return c.exec()
}

func (c *nullConn) QueryContext(context.Context, string, []driver.NamedValue) (driver.Rows, error) {
	return c.query()
}

type nullTx struct{}

func (nullTx) Commit() error   { return nil }
func (nullTx) Rollback() error { return nil }

type nullStmt struct{ conn *nullConn }

func (*nullStmt) Close() error                                 { return nil }
func (*nullStmt) NumInput() int                                { return 1 }
func (*nullStmt) CheckNamedValue(*driver.NamedValue) error     { return nil }
func (*nullStmt) ColumnConverter(int) driver.ValueConverter    { return driver.DefaultParameterConverter }
func (s *nullStmt) Exec([]driver.Value) (driver.Result, error) { return s.conn.exec() }
func (s *nullStmt) Query([]driver.Value) (driver.Rows, error)  { return s.conn.query() }

func (s *nullStmt) ExecContext(context.Context, []driver.NamedValue) (driver.Result, error) {
	return s.conn.exec()
}

func (s *nullStmt) QueryContext(context.Context, []driver.NamedValue) (driver.Rows, error) {
	return s.conn.query()
}

var nullColumns = []string{"stock"}

type nullRows struct{ read bool }

func (*nullRows) Columns() []string                                         { return nullColumns }
func (*nullRows) Close() error                                              { return nil }
func (*nullRows) HasNextResultSet() bool                                    { return false }
func (*nullRows) NextResultSet() error                                      { return io.EOF }
func (*nullRows) ColumnTypeScanType(int) reflect.Type                       { return reflect.TypeFor[int64]() }
func (*nullRows) ColumnTypeDatabaseTypeName(int) string                     { return "BIGINT" }
func (*nullRows) ColumnTypeLength(int) (length int64, ok bool)              { return 0, false }
func (*nullRows) ColumnTypeNullable(int) (nullable, ok bool)                { return false, true }
func (*nullRows) ColumnTypePrecisionScale(int) (prec, scale int64, ok bool) { return 0, 0, false }

func (r *nullRows) Next(dest []driver.Value) error {
	if r.read {
		return io.EOF
	}
	r.read = true
	dest[0] = int64(7)
	return nil
}
