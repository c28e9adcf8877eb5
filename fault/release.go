package fault

import (
	"context"
	"time"
)

// A ReleaseReason says why a call that was delayed or held goes on.
type ReleaseReason string

const (
	ReleaseElapsed ReleaseReason = "elapsed" // the delay was over
	ReleaseRule    ReleaseReason = "rule"    // the rule ended, or an edit let go of the call, which goes on untouched
	ReleaseContext ReleaseReason = "context" // the caller's context ended
)

// hold waits, and tells the observers when and why the wait is over. The
// slices of a throttled stream are not worth that: they call wait.
func (f *firing) hold(ctx context.Context, d time.Duration) error {
	began := time.Now()
	err := f.wait(ctx, d)
	if f.point.inj.observers.any() {
		f.tellRelease(time.Since(began), err)
	}
	return err
}

// tellRelease is apart from hold so that the event takes no room on the stacks of
// the calls that wait.
//
//go:noinline
func (f *firing) tellRelease(waited time.Duration, err error) {
	e := f.event(Release, f.rule)
	e.Waited = waited
	switch {
	case err != nil:
		e.Released = ReleaseContext
	case f.over:
		e.Released = ReleaseRule
	default:
		e.Released = ReleaseElapsed
	}
	f.point.inj.emit(e)
}
