package sqldriver

//lint:file-ignore SA1019 a driver may have nothing else, and database/sql still knows what is deprecated

import (
	"context"
	"database/sql/driver"

	"github.com/misfit-go/misfit/fault"
)

// A conn is a session as database/sql sees it. An optional interface is
// implemented by a type only if name and signature of its method are right, and
// a type parameter can make the signature another: with [lacks] in place of
// context.Context, conn has a method PingContext in all but name, and is no
// [driver.Pinger]. So one type stands for the 1,024 sets of interfaces that a
// driver's connection may have, and newConn picks the one it has.
type conn[Ping, Exec, Query, Prepare, Begin, Reset context.Context, Valid, Check, OldExec, OldQuery any] struct{ s *session }

// What stands in a method's signature for what an interface asks for, where the
// driver's object lacks that interface. Each has the shape of the other, so that
// the compiler makes the methods' code once.
type (
	lacks      context.Context
	lacksBool  bool
	lacksValue *driver.NamedValue
	lacksArgs  []driver.Value
)

func (c *conn[_, _, _, _, _, _, _, _, _, _]) unwrap() *session { return c.s }

// Prepare implements [driver.Conn].
func (c *conn[_, _, _, _, _, _, _, _, _, _]) Prepare(query string) (driver.Stmt, error) {
	if c.s.idle() {
		native, err := c.s.native.Prepare(query)
		return c.s.statement(query, native, err)
	}
	return c.s.prepare(context.Background(), query, func() (driver.Stmt, error) { return c.s.native.Prepare(query) })
}

// Close implements [driver.Conn].
func (c *conn[_, _, _, _, _, _, _, _, _, _]) Close() error { return c.s.native.Close() }

// Begin implements [driver.Conn].
func (c *conn[_, _, _, _, _, _, _, _, _, _]) Begin() (driver.Tx, error) {
	if c.s.idle() {
		native, err := c.s.native.Begin()
		return c.s.transaction(context.Background(), native, err)
	}
	return c.s.begin(context.Background(), c.s.native.Begin)
}

// Ping implements [driver.Pinger].
func (c *conn[Ping, _, _, _, _, _, _, _, _, _]) Ping(ctx Ping) error {
	if c.s.idle() {
		return c.s.pinger.Ping(ctx)
	}
	return c.s.run(ctx, fault.Operation{Name: "PING"}, func() error { return c.s.pinger.Ping(ctx) })
}

// ExecContext implements [driver.ExecerContext].
func (c *conn[_, Exec, _, _, _, _, _, _, _, _]) ExecContext(ctx Exec, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.s.idle() {
		return c.s.execer.ExecContext(ctx, query, args)
	}
	return c.s.exec(ctx, query, func() (driver.Result, error) { return c.s.execer.ExecContext(ctx, query, args) })
}

// QueryContext implements [driver.QueryerContext].
func (c *conn[_, _, Query, _, _, _, _, _, _, _]) QueryContext(ctx Query, query string, args []driver.NamedValue) (driver.Rows, error) {
	if c.s.idle() {
		return c.s.queryer.QueryContext(ctx, query, args)
	}
	return c.s.query(ctx, query, func() (driver.Rows, error) { return c.s.queryer.QueryContext(ctx, query, args) })
}

// PrepareContext implements [driver.ConnPrepareContext].
func (c *conn[_, _, _, Prepare, _, _, _, _, _, _]) PrepareContext(ctx Prepare, query string) (driver.Stmt, error) {
	if c.s.idle() {
		native, err := c.s.preparer.PrepareContext(ctx, query)
		return c.s.statement(query, native, err)
	}
	return c.s.prepare(ctx, query, func() (driver.Stmt, error) { return c.s.preparer.PrepareContext(ctx, query) })
}

// BeginTx implements [driver.ConnBeginTx].
func (c *conn[_, _, _, _, Begin, _, _, _, _, _]) BeginTx(ctx Begin, options driver.TxOptions) (driver.Tx, error) {
	if c.s.idle() {
		native, err := c.s.beginner.BeginTx(ctx, options)
		return c.s.transaction(ctx, native, err)
	}
	return c.s.begin(ctx, func() (driver.Tx, error) { return c.s.beginner.BeginTx(ctx, options) })
}

// ResetSession implements [driver.SessionResetter].
func (c *conn[_, _, _, _, _, Reset, _, _, _, _]) ResetSession(ctx Reset) error {
	if c.s.idle() {
		return c.s.resetter.ResetSession(ctx)
	}
	return c.s.reset(ctx)
}

// IsValid implements [driver.Validator].
func (c *conn[_, _, _, _, _, _, Valid, _, _, _]) IsValid() Valid {
	return as[Valid](!c.s.lost.Load() && c.s.valid.IsValid())
}

// CheckNamedValue implements [driver.NamedValueChecker].
func (c *conn[_, _, _, _, _, _, _, Check, _, _]) CheckNamedValue(value Check) error {
	return c.s.checker.CheckNamedValue(as[*driver.NamedValue](value))
}

// Exec implements [driver.Execer].
func (c *conn[_, _, _, _, _, _, _, _, OldExec, _]) Exec(query string, args OldExec) (driver.Result, error) {
	values := as[[]driver.Value](args)
	if c.s.idle() {
		return c.s.oldExecer.Exec(query, values)
	}
	ctx := context.Background()
	return c.s.exec(ctx, query, func() (driver.Result, error) { return c.s.oldExecer.Exec(query, values) })
}

// Query implements [driver.Queryer].
func (c *conn[_, _, _, _, _, _, _, _, _, OldQuery]) Query(query string, args OldQuery) (driver.Rows, error) {
	values := as[[]driver.Value](args)
	if c.s.idle() {
		return c.s.oldQueryer.Query(query, values)
	}
	return c.s.query(context.Background(), query, func() (driver.Rows, error) { return c.s.oldQueryer.Query(query, values) })
}
