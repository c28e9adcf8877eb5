package sqldriver_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/sqldriver"
	"github.com/stretchr/testify/require"
)

// A store is a small database of one table in memory. It knows INSERT, which
// adds a row, and SELECT, which returns them all, and rolls back what was open
// on a connection that closes.
type store struct {
	mu    sync.Mutex
	rows  []string
	conns int      // open
	calls []string // what has reached the database, in order
}

func (s *store) reached(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, what)
}

// took returns what has reached the database since it was last asked.
func (s *store) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

func (s *store) content() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rows)
}

func (s *store) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// Connect implements [driver.Connector].
func (s *store) Connect(context.Context) (driver.Conn, error) {
	s.reached("CONNECT")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns++
	return &storeConn{store: s}, nil
}

// Driver implements [driver.Connector].
func (s *store) Driver() driver.Driver { return storeDriver{s} }

type storeDriver struct{ store *store }

func (d storeDriver) Open(string) (driver.Conn, error) { return d.store.Connect(context.Background()) }

// A storeConn is a connection to a store, with every optional interface.
type storeConn struct {
	store   *store
	inTx    bool
	pending []string
	closed  bool
}

func (c *storeConn) Close() error {
	if c.closed {
		return errors.New("store: closed twice")
	}
	c.closed = true
	c.store.reached("CLOSE")
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	c.store.conns--
	return nil
}

func (c *storeConn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

func (c *storeConn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}
func (c *storeConn) IsValid() bool                            { return !c.closed }
func (c *storeConn) CheckNamedValue(*driver.NamedValue) error { return driver.ErrSkip }

func (c *storeConn) Ping(context.Context) error {
	c.store.reached("PING")
	return nil
}

func (c *storeConn) ResetSession(context.Context) error {
	c.store.reached("RESET")
	return nil
}

func (c *storeConn) PrepareContext(_ context.Context, query string) (driver.Stmt, error) {
	c.store.reached("PREPARE " + query)
	return &storeStmt{c, query}, nil
}

func (c *storeConn) BeginTx(_ context.Context, options driver.TxOptions) (driver.Tx, error) {
	if options.ReadOnly {
		return nil, errors.New("store: no read-only transactions")
	}
	c.store.reached("BEGIN")
	c.inTx, c.pending = true, nil
	return (*storeTx)(c), nil
}

func (c *storeConn) ExecContext(_ context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.store.reached(query)
	if !strings.HasPrefix(query, "INSERT") {
		return driver.ResultNoRows, nil
	}
	row := fmt.Sprint(args[0].Value)
	if c.inTx {
		c.pending = append(c.pending, row)
		return driver.RowsAffected(1), nil
	}
	c.store.mu.Lock()
	defer c.store.mu.Unlock()
	c.store.rows = append(c.store.rows, row)
	return driver.RowsAffected(1), nil
}

func (c *storeConn) QueryContext(_ context.Context, query string, _ []driver.NamedValue) (driver.Rows, error) {
	c.store.reached(query)
	return &storeRows{store: c.store, rows: append(c.store.content(), c.pending...)}, nil
}

type storeTx storeConn

func (t *storeTx) Commit() error {
	t.store.reached("COMMIT")
	t.store.mu.Lock()
	defer t.store.mu.Unlock()
	t.store.rows = append(t.store.rows, t.pending...)
	t.inTx, t.pending = false, nil
	return nil
}

func (t *storeTx) Rollback() error {
	t.store.reached("ROLLBACK")
	t.inTx, t.pending = false, nil
	return nil
}

type storeStmt struct {
	conn  *storeConn
	query string
}

func (*storeStmt) Close() error  { return nil }
func (*storeStmt) NumInput() int { return -1 }

func (s *storeStmt) Exec([]driver.Value) (driver.Result, error) {
	return nil, errors.New("store: give a context")
}

func (s *storeStmt) Query([]driver.Value) (driver.Rows, error) {
	return nil, errors.New("store: give a context")
}

func (s *storeStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return s.conn.ExecContext(ctx, s.query, args)
}

func (s *storeStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return s.conn.QueryContext(ctx, s.query, args)
}

type storeRows struct {
	store  *store
	rows   []string
	closed bool
}

func (*storeRows) Columns() []string { return []string{"name"} }

func (r *storeRows) Close() error {
	if !r.closed {
		r.store.reached("ROWS CLOSED")
	}
	r.closed = true
	return nil
}

func (r *storeRows) Next(dest []driver.Value) error {
	if len(r.rows) == 0 {
		return io.EOF
	}
	dest[0], r.rows = r.rows[0], r.rows[1:]
	return nil
}

// minimal hides every optional interface of a store's objects.
type minimal struct{ store *store }

func (m minimal) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := m.store.Connect(ctx)
	return minimalConn{c.(*storeConn)}, err
}
func (m minimal) Driver() driver.Driver { return m.store.Driver() }

type minimalConn struct{ c *storeConn }

func (m minimalConn) Close() error              { return m.c.Close() }
func (m minimalConn) Begin() (driver.Tx, error) { return m.c.Begin() }
func (m minimalConn) Prepare(query string) (driver.Stmt, error) {
	s, err := m.c.Prepare(query)
	return minimalStmt{s.(*storeStmt)}, err
}

type minimalStmt struct{ s *storeStmt }

func (m minimalStmt) Close() error  { return m.s.Close() }
func (m minimalStmt) NumInput() int { return m.s.NumInput() }
func (m minimalStmt) Exec(args []driver.Value) (driver.Result, error) {
	return m.s.ExecContext(context.Background(), named(args))
}

func (m minimalStmt) Query(args []driver.Value) (driver.Rows, error) {
	return m.s.QueryContext(context.Background(), named(args))
}

func named(args []driver.Value) []driver.NamedValue {
	values := make([]driver.NamedValue, len(args))
	for i, v := range args {
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return values
}

// rule returns a rule for everyone at the database, changed by edits.
func rule(id string, what fault.Fault, edits ...func(*fault.Rule)) fault.Rule {
	r := fault.Rule{
		ID: id, Target: fault.Target{Points: []string{"orders-db"}}, Scope: scope.Everyone(), Fault: what, TTL: time.Hour,
	}
	for _, edit := range edits {
		edit(&r)
	}
	return r
}

func operations(ops ...string) func(*fault.Rule) {
	return func(r *fault.Rule) { r.Target.Operations = ops }
}
func only(s scope.Scope) func(*fault.Rule) { return func(r *fault.Rule) { r.Scope = s } }

func fail(class fault.Class) fault.Fault {
	return fault.Fault{Error: &fault.ErrorFault{Class: class}}
}

func put(t testing.TB, inj *fault.Injector, rules ...fault.Rule) {
	t.Helper()
	require.NoError(t, inj.Put(rules...))
}

var errQuota = errors.New("quota used up")

// newDB returns a pool on a store, wrapped.
func newDB(t testing.TB, connector driver.Connector) (*sql.DB, *fault.Injector) {
	inj := fault.New("shop", fault.WithNamedError("quota", errQuota))
	db := sql.OpenDB(sqldriver.Wrap(connector, inj, "orders-db"))
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db, inj
}
