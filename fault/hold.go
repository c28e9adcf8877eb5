package fault

import (
	"context"
	"time"

	"github.com/misfit-go/misfit/scope"
)

const forever time.Duration = -1

// wait is the one place in this library that waits. It returns nil after d,
// or when the rule ends, and the context's cause, marked, when the context
// ends first. An edit of the rule that still holds this call does not let go
// of it.
func (f *firing) wait(ctx context.Context, d time.Duration) error {
	held := &f.rule.state.held
	held.Add(1)
	defer held.Add(-1)

	var elapsed <-chan time.Time
	if d != forever {
		timer := time.NewTimer(d)
		defer timer.Stop()
		elapsed = timer.C
	}
	for {
		select {
		case <-ctx.Done():
			return f.markEnd(ctx)
		case <-elapsed:
			return nil
		case <-f.rule.ended:
			if !f.inForce() {
				return nil
			}
		}
	}
}

// markEnd is apart from wait for the sake of the stacks of the calls that wait.
//
//go:noinline
func (f *firing) markEnd(ctx context.Context) error { return Decision{f: f}.Mark(context.Cause(ctx)) }

// inForce reports whether the rule still has this call. It moves on to the
// version that an edit put in force, if that one keeps the call.
func (f *firing) inForce() bool {
	for !f.over {
		select {
		case <-f.rule.ended:
			if next := f.rule.next; next != nil && next.keeps(f) {
				f.rule = next
				continue
			}
			f.over = true
		default:
			return true
		}
	}
	return false
}

// keeps reports whether the rule, which replaced the one that f waits for,
// holds the same call in the same way.
func (l *liveRule) keeps(f *firing) bool {
	before, now := f.rule.rule.Fault, l.rule.Fault
	return !l.rule.Paused && now.BlackHole == before.BlackHole && now.LostReply == before.LostReply &&
		(now.Delay != nil) == (before.Delay != nil) && sameStream(now.Stream, before.Stream) &&
		l.arming(f.point.inj, f.point) == armedHere &&
		(!f.failing || sameError(now.Error, before.Error)) &&
		l.matchOperation(&f.call) &&
		l.scope.Match(f.request, f.drawn) == scope.In &&
		!l.expired(time.Now())
}

func sameStream(a, b *StreamFault) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.direction() == b.direction() && a.Stall == b.Stall && a.Cut == b.Cut &&
		(a.PerSecond > 0) == (b.PerSecond > 0) && (a.Delay != nil) == (b.Delay != nil) && sameError(a.Error, b.Error)
}

func sameError(a, b *ErrorFault) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.effect() == b.effect()
}
