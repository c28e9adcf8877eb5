package sqldriver

import (
	"context"
	"database/sql/driver"

	"github.com/misfit-go/misfit/fault"
)

// A tx is a transaction. Commit and Rollback have no context: they belong to the
// request that the transaction was begun for.
type tx struct {
	*session
	ctx    context.Context
	native driver.Tx
}

// transaction wraps a transaction.
func (s *session) transaction(ctx context.Context, native driver.Tx, err error) (driver.Tx, error) {
	if native == nil || err != nil {
		return native, err
	}
	return &tx{s, ctx, native}, nil
}

func (s *session) begin(ctx context.Context, begin func() (driver.Tx, error)) (driver.Tx, error) {
	if s.lost.Load() {
		return nil, driver.ErrBadConn
	}
	native, err := decided(ctx, s.db.point.Decide(ctx, fault.Operation{Name: "BEGIN"}), s, begin)
	return s.transaction(ctx, native, err)
}

// Commit implements [driver.Tx]. A commit that a fault has kept from the database
// ends the transaction all the same, as one that the database refuses does, and
// as the server does when a connection breaks.
func (t *tx) Commit() error {
	if t.idle() {
		return t.native.Commit()
	}
	asked, err := t.end("COMMIT", t.native.Commit)
	if !asked {
		_ = t.native.Rollback() // the caller is told why there was no commit
	}
	return err
}

// Rollback implements [driver.Tx]. One that a fault has kept from the database
// loses the connection, at which the server rolls back.
func (t *tx) Rollback() error {
	if t.idle() {
		return t.native.Rollback()
	}
	asked, err := t.end("ROLLBACK", t.native.Rollback)
	if !asked {
		_ = t.native.Rollback() // in the server's place, which sees the connection go only later
		t.lose()
	}
	return err
}

// end ends the transaction under the faults that are aimed at that, and reports
// whether the database was asked to.
func (t *tx) end(operation string, end func() error) (asked bool, err error) {
	if t.lost.Load() {
		return false, driver.ErrBadConn
	}
	d := t.db.point.Decide(t.ctx, fault.Operation{Name: operation})
	defer d.Done()
	asked, err = t.endUnder(d, operation, end)
	d.End(hasFailed(t.ctx, err))
	return asked, err
}

func (t *tx) endUnder(d fault.Decision, operation string, end func() error) (asked bool, err error) {
	if !d.Hit() {
		return true, end()
	}
	ctx := t.ctx
	if operation == "ROLLBACK" { // is often the end of a context, and must not fail for that
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, longestHold)
	defer cancel()
	_, err = under(ctx, d, t.session, func() (struct{}, error) {
		asked = true
		return struct{}{}, end()
	})
	return asked, err
}
