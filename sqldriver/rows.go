package sqldriver

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"

	"github.com/misfit-go/misfit/fault"
)

// query makes a call that returns rows. They are the driver's own unless a fault
// that acts on them was chosen.
func (s *session) query(ctx context.Context, text string, call func() (driver.Rows, error)) (driver.Rows, error) {
	if s.lost.Load() {
		return nil, driver.ErrBadConn
	}
	d := s.db.point.DecideText(ctx, text, s.db.naming)
	native, err := under(ctx, d, s, call)
	d.End(hasFailed(ctx, err))
	stream := d.Stream(fault.Response)
	if stream == nil || native == nil || err != nil {
		d.Done()
		return native, err
	}
	return newRows(&result{session: s, native: native, ctx: ctx, stream: stream, done: d.Done}), nil
}

// A result is a set of rows under a fault.
type result struct {
	*session
	native driver.Rows
	ctx    context.Context // of the query: Next has none
	stream *fault.Stream
	failed error // what every further Next returns
	done   func()
}

// Columns implements [driver.Rows].
func (r *result) Columns() []string { return r.native.Columns() }

// Close implements [driver.Rows].
func (r *result) Close() error {
	r.done()
	return r.native.Close()
}

// Next implements [driver.Rows].
func (r *result) Next(dest []driver.Value) error {
	if r.failed != nil {
		return r.failed
	}
	ctx, cancel := context.WithTimeout(r.ctx, longestHold)
	defer cancel()
	if err := r.stream.Broken(); err != nil {
		return r.fail(err)
	}
	err := r.native.Next(dest)
	switch {
	case err == nil:
		if _, err := r.stream.Next(ctx, 1); err != nil {
			return r.fail(err)
		}
		r.stream.Count(1)
	case errors.Is(err, io.EOF):
		if err := r.stream.End(ctx); err != nil {
			return r.fail(err)
		}
	}
	return err
}

// fail ends the rows with what the stream said. All but an error that the
// database itself would have sent breaks the connection.
func (r *result) fail(err error) error {
	mark := new(fault.Error)
	errors.As(err, &mark)
	switch e := r.stream.Failure(); {
	case e != nil && e.Name != "":
		r.failed = err
	case e != nil:
		r.failed = remark(mark, unknownCause(e.Class))
	case errors.Is(err, fault.ErrCut):
		r.lose()
		r.failed = remark(mark, errReset)
	default: // the context's end, at which drivers give the connection up
		r.lose()
		r.failed = ended(r.ctx, err)
	}
	return r.failed
}

// remark is the mark with another cause.
func remark(mark *fault.Error, cause error) error {
	changed := *mark
	changed.Err = cause
	return &changed
}
