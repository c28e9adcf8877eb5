package sqldriver

//lint:file-ignore SA1019 a driver may have nothing else, and database/sql still knows what is deprecated

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// A session is a connection to a database, as all that is wrapped around it
// knows it.
type session struct {
	db     *database
	native driver.Conn
	lost   atomic.Bool // by a fault

	// The optional interfaces of the driver's connection; nil where it lacks one.
	pinger   driver.Pinger
	execer   driver.ExecerContext
	queryer  driver.QueryerContext
	preparer driver.ConnPrepareContext
	beginner driver.ConnBeginTx
	resetter driver.SessionResetter
	valid    driver.Validator
	checker  driver.NamedValueChecker

	// Those that database/sql still knows.
	oldExecer  driver.Execer
	oldQueryer driver.Queryer
}

func newSession(db *database, c driver.Conn) *session {
	s := &session{db: db, native: c}
	s.pinger, _ = c.(driver.Pinger)
	s.execer, _ = c.(driver.ExecerContext)
	s.queryer, _ = c.(driver.QueryerContext)
	s.preparer, _ = c.(driver.ConnPrepareContext)
	s.beginner, _ = c.(driver.ConnBeginTx)
	s.resetter, _ = c.(driver.SessionResetter)
	s.valid, _ = c.(driver.Validator)
	s.checker, _ = c.(driver.NamedValueChecker)
	s.oldExecer, _ = c.(driver.Execer)
	s.oldQueryer, _ = c.(driver.Queryer)
	return s
}

// idle reports whether a call is the driver's alone.
func (s *session) idle() bool { return !s.db.point.Armed() && !s.lost.Load() }

// lose breaks the connection: whoever uses it again is told that it is bad, as
// of any that broke, and database/sql closes it and with it what is open on the
// server. It is not closed here, since what belongs to it is to be closed before.
func (s *session) lose() {
	if s != nil {
		s.lost.Store(true)
	}
}

// run makes a call under the faults that are aimed at it.
func (s *session) run(ctx context.Context, op fault.Operation, call func() error) error {
	if s.lost.Load() {
		return driver.ErrBadConn
	}
	_, err := decided(ctx, s.db.point.Decide(ctx, op), s, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

// exec executes a statement under the faults that are aimed at it.
func (s *session) exec(ctx context.Context, text string, call func() (driver.Result, error)) (driver.Result, error) {
	if s.lost.Load() {
		return nil, driver.ErrBadConn
	}
	return decided(ctx, s.db.point.DecideText(ctx, text, s.db.naming), s, call)
}

// decided makes a call from its decision to its end. s is nil where there is no
// connection yet.
func decided[T any](ctx context.Context, d fault.Decision, s *session, call func() (T, error)) (T, error) {
	defer d.Done()
	result, err := under(ctx, d, s, call)
	d.End(hasFailed(ctx, err))
	return result, err
}

// under makes a call under the fault that was chosen for it, if one was.
func under[T any](ctx context.Context, d fault.Decision, s *session, call func() (T, error)) (T, error) {
	var none T
	if !d.Hit() {
		return call()
	}
	if err := d.Before(ctx); err != nil {
		return none, ended(ctx, err)
	}
	if f := d.Fault(); f.Error != nil && !f.LostReply {
		return none, fail(d, s, f.Error)
	}
	result, err := call()
	if late := d.After(ctx); late != nil {
		s.lose() // the answer is not waited for any more
		drop(result)
		return none, ended(ctx, late)
	}
	if f := d.Fault(); f.LostReply && err == nil {
		s.lose()
		drop(result)
		return none, failUnknown(d, f.Error)
	}
	return result, err
}

// hasFailed reports whether err, of a call that somebody watches, is a failure of
// the database. What the caller called off is not, and neither is a driver's way
// of saying that it lacks a short cut.
func hasFailed(ctx context.Context, err error) bool {
	switch {
	case err == nil, errors.Is(err, driver.ErrSkip), errors.Is(err, sql.ErrNoRows), errors.Is(err, context.Canceled):
		return false
	}
	return !errors.Is(ctx.Err(), context.Canceled)
}

// ended is the error of a wait that the context ended. Drivers say how it ended,
// which callers look for, and not the cause that it may have been given.
func ended(ctx context.Context, err error) error {
	var mark *fault.Error
	if ctx.Err() == nil || !errors.As(err, &mark) {
		return err
	}
	return remark(mark, ctx.Err())
}

// drop ends what a call has made and nobody will see.
func drop(result any) {
	switch made := result.(type) {
	case io.Closer:
		_ = made.Close()
	case driver.Tx:
		_ = made.Rollback()
	}
}

// longestHold bounds a wait of a call that has no context of its own: it is as
// good as a connection that never answers.
const longestHold = 5 * time.Minute

// reset makes a session ready for its next user under the faults that are aimed
// at that. database/sql goes on with a connection on all errors but
// [driver.ErrBadConn], so that one whose session was not reset is bad.
func (s *session) reset(ctx context.Context) error {
	err := s.run(ctx, fault.Operation{Name: "RESET"}, func() error { return s.resetter.ResetSession(ctx) })
	if err == nil {
		return nil
	}
	var mark *fault.Error // on the heap, for errors.As
	if errors.As(err, &mark) {
		s.lose()
		return remark(mark, driver.ErrBadConn)
	}
	return err
}
