package fault

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/internal/faultstatus"
)

// A Decision is a point's answer about one call. Its zero value means that no
// rule applies. An adapter reads it from top to bottom:
//
//	d := point.Decide(ctx, op)
//	if !d.Hit() {
//		return call(ctx)
//	}
//	defer d.Done()
//	if err := d.Before(ctx); err != nil { // wait
//		return err
//	}
//	if fail := d.Fault(); fail.Error != nil { … } // fail
//	result, err := call(ctx) // or go on
//	if err := d.After(ctx); err != nil { … } // pad
//
// It belongs to one call and is not safe for concurrent use.
type Decision struct {
	f     *firing
	noted noted
}

// A firing is a rule applied to a call.
type firing struct {
	call
	rule    *liveRule     // the version in force, which an edit may replace during a wait
	delay   time.Duration // before the call
	padTo   time.Duration // from start to the end of the call
	counted bool          // in Injector.held
	failing bool          // held for its error: see Hold
	over    bool          // the rule ended during a wait: the call goes on untouched
	done    atomic.Bool
}

// fires reports whether the rule, whose scope includes the call, still has
// time and attempts for it.
func (l *liveRule) fires(c *call, drawn uint64) bool {
	now := time.Now()
	if l.expired(now) {
		l.skip(c, SkipExpired)
		return false
	}
	if c.point.inj.blackedOut(now) {
		l.skip(c, SkipBlackout)
		return false
	}
	if most := l.rule.Scope.Attempts; most > 0 && c.request != nil {
		first, known := l.state.attempts.take(c.request.ID, most, now)
		if !known {
			l.skip(c, SkipAttempts)
		}
		if !first {
			return false
		}
	}
	c.start = now
	c.drawn = drawn
	return true
}

// admit takes the call into the limits, or counts it as skipped.
func (l *liveRule) admit(c *call) bool {
	inj := c.point.inj
	if l.waits && inj.held.Add(1) > int64(inj.guardrails.MaxHeld) {
		inj.held.Add(-1)
		l.skip(c, SkipHeld)
		return false
	}
	if l.source == SourceToken && inj.tokenFaults.Add(1) > int64(inj.guardrails.Tokens.MaxConcurrent) {
		l.refund(inj)
		l.skip(c, SkipTokens)
		return false
	}
	var forbidden SkipReason
	if c.number, c.running, forbidden = l.state.limiter.acquire(l.rule.Limits, l.draws); forbidden != "" {
		l.refund(inj)
		l.skip(c, forbidden)
		return false
	}
	return true
}

// refund gives back what a call took from the injector's own limits.
func (l *liveRule) refund(inj *Injector) {
	if l.waits {
		inj.held.Add(-1)
	}
	if l.source == SourceToken {
		inj.tokenFaults.Add(-1)
	}
}

func newDecision(l *liveRule, c call) Decision {
	f := &firing{call: c, rule: l, counted: l.waits}
	if c.luggage != nil {
		c.luggage.noteCall(faultstatus.Applied, l, c.point, "")
	}
	if delay := l.rule.Fault.Delay; delay != nil {
		f.delay = delay.sample(l.salt, c.number)
		if delay.PadTo > 0 {
			f.padTo = delay.PadTo
		}
	}
	if f.point.inj.observers.any() {
		f.tellHit()
	}
	return Decision{f: f}
}

// tellHit is apart from newDecision so that the event takes no room on the stacks
// of calls that nobody observes.
//
//go:noinline
func (f *firing) tellHit() {
	e := f.event(Hit, f.rule)
	e.Effects = f.rule.effects
	e.Delay = max(f.delay, f.padTo)
	f.point.inj.emit(e)
}

// Hit reports whether a rule applies. If so, Done must be called.
func (d Decision) Hit() bool { return !absent.Machinery && d.f != nil }

// Rule returns the ID of the rule that applies.
func (d Decision) Rule() string {
	if !d.Hit() {
		return ""
	}
	return d.f.rule.rule.ID
}

// Before waits as long as the fault says: out a delay, or in a black hole
// until the rule ends. It returns an [*Error] with the context's cause when
// the context ends first. When the rule ends first, Before returns nil and
// nothing more happens to the call.
func (d Decision) Before(ctx context.Context) error {
	f := d.f
	if !d.Hit() {
		return nil
	}
	wait := f.delay
	fault := &f.rule.rule.Fault
	if ends := fault.Error != nil || fault.BlackHole || fault.Panic; ends && !fault.LostReply && f.padTo > 0 {
		wait, f.padTo = f.padTo, 0 // no call will follow that could be padded
	}
	if wait > 0 {
		if err := f.hold(ctx, wait); err != nil {
			return err
		}
	}
	if now := d.Fault(); now.BlackHole && !now.LostReply {
		if err := f.hold(ctx, forever); err != nil {
			return err
		}
	}
	if now := d.Fault(); f.padTo == 0 && now.Stream == nil && !now.LostReply {
		f.release() // no wait is left
	}
	return nil
}

// Hold holds a call that is to fail, for protocols under which the failure does
// not show as long as the caller is ready to wait for it to pass. It returns an
// [*Error] with the context's cause when the context ends, and nil when the rule
// does; the call then goes on untouched, as it does where the guardrail MaxHeld
// leaves no room for it.
func (d Decision) Hold(ctx context.Context) error {
	f := d.f
	if !d.Hit() || f.over {
		return nil
	}
	if inj := f.point.inj; !f.counted {
		if inj.held.Add(1) > int64(inj.guardrails.MaxHeld) {
			inj.held.Add(-1)
			f.rule.skip(&f.call, SkipHeld)
			f.over = true
			return nil
		}
		f.counted = true
	}
	f.failing = true
	defer f.release()
	return f.hold(ctx, forever)
}

// Fault returns what is to happen to the call: the rule's fault, or nothing
// if the rule ended meanwhile.
func (d Decision) Fault() Fault {
	if !d.Hit() || d.f.over {
		return Fault{}
	}
	return d.f.rule.rule.Fault
}

// InForce reports whether the rule still has the call. It has not once it has
// ended, or an edit let go of the call.
func (d Decision) InForce() bool { return d.Hit() && d.f.inForce() }

// Fork returns the same answer for another goroutine. Only d itself is to be
// Done.
func (d Decision) Fork() Decision {
	if !d.Hit() {
		return d
	}
	own := &firing{call: d.f.call, rule: d.f.rule, padTo: d.f.padTo, over: d.f.over}
	own.done.Store(true)
	return Decision{f: own}
}

// After waits until a call that is padded has taken its minimum, and where its
// reply is lost in a black hole, until the rule ends. It returns an [*Error]
// with the context's cause when the context ends first.
func (d Decision) After(ctx context.Context) error {
	f := d.f
	if !d.Hit() || !f.inForce() { // the rule may have ended during the call
		return nil
	}
	if f.padTo > 0 {
		if rest := f.padTo - time.Since(f.start); rest > 0 {
			if err := f.hold(ctx, rest); err != nil {
				return err
			}
		}
	}
	if now := d.Fault(); now.LostReply && now.BlackHole {
		return f.hold(ctx, forever)
	}
	return nil
}

// Done gives back what the call took from the limits. Calling it again does
// nothing. It may be called by another goroutine, once the others are done.
func (d Decision) Done() {
	f := d.f
	if !d.Hit() || f.done.Swap(true) {
		return
	}
	f.release()
	if f.rule.source == SourceToken {
		f.point.inj.tokenFaults.Add(-1)
	}
	f.running.Add(-1)
}

func (f *firing) release() {
	if f.counted {
		f.counted = false
		f.point.inj.held.Add(-1)
	}
}

// Mark puts the mark of the injection around cause. Adapters build the error
// of a real failure around it.
func (d Decision) Mark(cause error) *Error {
	if !d.Hit() {
		return &Error{Err: cause}
	}
	return &Error{
		Rule:      d.f.rule.rule.ID,
		Service:   d.f.point.inj.service,
		Point:     d.f.point.String(),
		Operation: d.f.op.String(),
		Err:       cause,
	}
}

// Named returns the registered error that the fault names, marked, or nil.
func (d Decision) Named() error {
	if named := d.Registered(); named != nil {
		return d.Mark(named)
	}
	return nil
}

// Registered returns the registered error that the fault names, as it was
// registered, or nil.
func (d Decision) Registered() error {
	if e := d.Fault().Error; !d.Hit() || e == nil || e.Name == "" {
		return nil
	}
	return d.f.rule.named
}

// PanicValue is what a panic of the fault panics with.
func (d Decision) PanicValue() *Error { return d.Mark(errPanic) }

// Err returns the error that a call at a custom point fails with, nil if it
// is to go on, and panics if the fault is a panic.
func (d Decision) Err() error {
	if !d.Hit() {
		return nil
	}
	fault := d.Fault()
	switch {
	case fault.Panic:
		panic(d.PanicValue())
	case fault.Error == nil:
		return nil
	case fault.Error.Name != "":
		return d.Named()
	}
	cause, ok := defaultCauses[fault.Error.Class]
	if !ok {
		cause = errors.New(string(fault.Error.Class))
	}
	return d.Mark(cause)
}
