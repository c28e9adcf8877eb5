package fault

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"
	"weak"
)

// ErrBlackout is returned for a new rule while the guardrail Blackouts lets none
// be in force. The error that wraps it says which window it is and when it ends.
var ErrBlackout = errors.New("fault: blackout: no rules are taken until it is over")

// A Blackout is a series of windows of time in which no rule is in force, such as
// the hours of business. Those of package control/blackout follow a schedule.
//
// It is asked by several goroutines at once, about each rule that is put, and at
// least once a minute, which is how soon an answer may come to be another. It
// should answer at once. One that panics, or is nil, counts as active: what may
// not be known to be allowed is not.
type Blackout interface {
	// Active reports whether now is in a window, and if so when that one ends. A
	// window begins with its first instant and ends before its last.
	Active(now time.Time) (until time.Time, active bool)

	// Next returns when the next window begins, after now and after the one that
	// is active now. It reports whether any is known to.
	Next(now time.Time) (begin time.Time, ok bool)

	// String returns what people call it, such as "0 9 * * MON-FRI for 8h in
	// Europe/Berlin".
	String() string
}

// A BlackoutStatus is what the guardrail Blackouts says at the moment, all its
// entries taken together.
type BlackoutStatus struct {
	Active bool
	Window string    // the entry that is active, or else the one that is next
	Until  time.Time // when no entry is active any more; zero if none is now
	Next   time.Time // when the next window begins after that; zero if none is known to
}

// lookEvery is how often blackouts are asked at least. A timer counts the time
// that passes, and would not notice that a clock is set.
const lookEvery = time.Minute

// blackouts is what an injector knows of its guardrail.
type blackouts struct {
	sight atomic.Pointer[sight] // nil if there are no entries; writers hold Injector.mu
	timer *time.Timer           // for the next look; guarded by Injector.mu

	// closed is from when on no rule applies to any call, in Unix nanoseconds: the
	// next begin, or what is now or past. 0 is never. It is asked when a rule is
	// about to apply, so that nothing depends on the timer being in time.
	closed atomic.Int64
}

// A sight is what a look at the blackouts found.
type sight struct {
	at     time.Time // with a monotonic reading
	status BlackoutStatus
}

// followBlackouts looks at the blackouts now and from then on.
func (inj *Injector) followBlackouts() {
	if len(inj.guardrails.Blackouts) == 0 {
		return
	}
	// The timer must not keep an injector that nothing else does.
	this := weak.Make(inj)
	inj.mu.Lock()
	inj.blackouts.timer = time.AfterFunc(math.MaxInt64, func() {
		if inj := this.Value(); inj != nil {
			inj.lookAtBlackouts(time.Now())
		}
	})
	inj.mu.Unlock()
	inj.lookAtBlackouts(time.Now())
}

// lookAtBlackouts asks the blackouts and acts upon what they say. It is called
// without mu, since they and the observers may be anybody's.
func (inj *Injector) lookAtBlackouts(now time.Time) {
	if inj.blackouts.timer == nil {
		return
	}
	seen, err := look(inj.guardrails.Blackouts, now)
	inj.Report(err)
	for _, e := range inj.heed(seen) {
		inj.emit(e)
	}
}

// glanceAtBlackouts is lookAtBlackouts where that may be often: it spares the look
// while the last one holds, which is until something begins or ends, and no longer
// than a minute.
func (inj *Injector) glanceAtBlackouts(now time.Time) {
	last := inj.blackouts.sight.Load()
	if last == nil || last.holds(now) {
		return
	}
	inj.lookAtBlackouts(now)
}

func (s *sight) holds(now time.Time) bool {
	if passed := now.Sub(s.at); passed < 0 || passed >= lookEvery {
		return false
	}
	wall, change := now.Round(0), s.change()
	return !wall.Before(s.at.Round(0)) && (change.IsZero() || wall.Before(change))
}

// change returns when the next begin or end is, or zero.
func (s *sight) change() time.Time {
	if s.status.Active {
		return s.status.Until
	}
	return s.status.Next
}

// look asks all entries what is to be said of now. The error is why some could
// not be asked.
func look(entries []Blackout, now time.Time) (*sight, error) {
	var errs []error
	wall := now.Round(0) // what is scheduled is scheduled by the clock
	status := BlackoutStatus{Until: wall}
	// Windows of several entries may follow each other. The number of rounds is
	// for entries that have no end.
	for round := range 4 * len(entries) {
		longest := status.Until
		for _, b := range entries {
			until, active, err := b.(contained).ask(status.Until)
			if round == 0 {
				errs = append(errs, err)
			} else if err != nil {
				continue // nothing is known of that time
			}
			if !active || !until.After(longest) {
				continue
			}
			longest = until
			if !status.Active {
				status.Window = b.String()
			}
		}
		if longest.Equal(status.Until) {
			break
		}
		status.Active, status.Until = true, longest
	}
	for _, b := range entries {
		begin, ok := b.Next(status.Until)
		if !ok || !begin.After(status.Until) || !status.Next.IsZero() && !begin.Before(status.Next) {
			continue
		}
		status.Next = begin.Round(0)
		if !status.Active {
			status.Window = b.String()
		}
	}
	if !status.Active {
		status.Until = time.Time{}
	}
	return &sight{now, status}, errors.Join(errs...)
}

// heed acts upon what was seen, and returns what observers are to be told.
func (inj *Injector) heed(seen *sight) []Event {
	inj.mu.Lock()
	defer inj.mu.Unlock()
	last := inj.blackouts.sight.Load()
	if last == nil {
		last = new(sight)
	} else if seen.at.Before(last.at) {
		return nil // somebody has looked since
	}
	inj.blackouts.sight.Store(seen)
	before, now := last.status, seen.status

	closed, wait := int64(0), lookEvery
	if now.Active {
		closed = math.MinInt64
	} else if !now.Next.IsZero() {
		closed = now.Next.UnixNano()
	}
	inj.blackouts.closed.Store(closed)
	if change := seen.change(); !change.IsZero() {
		wait = min(wait, max(time.Millisecond, change.Sub(seen.at.Round(0))))
	}
	inj.blackouts.timer.Reset(wait)

	// A clock that was set ahead, or a process that was stopped, may have passed
	// over a window: that one has ended the rules too.
	missed := !before.Active && !before.Next.IsZero() && !seen.at.Round(0).Before(before.Next)
	var events []Event
	if missed || now.Active && !before.Active {
		begin := Event{Kind: BlackoutBegin, Window: now.Window, Until: now.Until}
		if !now.Active {
			begin.Window = before.Window
		}
		for _, r := range inj.endAll() {
			begin.Ended = append(begin.Ended, r.ID)
		}
		events = append(events, begin)
	}
	switch {
	case now.Active:
	case before.Active:
		events = append(events, Event{Kind: BlackoutEnd, Window: before.Window})
	case missed:
		events = append(events, Event{Kind: BlackoutEnd, Window: before.Window})
	}
	return events
}

// shut returns why no rule is taken now, or nil. The caller holds mu.
func (inj *Injector) shut() error {
	if inj.halted {
		return ErrHalted
	}
	if seen := inj.blackouts.sight.Load(); seen != nil && seen.status.Active {
		return fmt.Errorf("%w: the guardrail Blackouts has %s until %s", ErrBlackout, quote(seen.status.Window), seen.status.Until.Format(time.RFC3339))
	}
	return nil
}

// blackedOut reports whether a window has begun. It is asked when a rule is about
// to apply.
func (inj *Injector) blackedOut(now time.Time) bool {
	closed := inj.blackouts.closed.Load()
	return closed != 0 && now.UnixNano() >= closed
}

func (inj *Injector) blackoutStatus() *BlackoutStatus {
	seen := inj.blackouts.sight.Load()
	if seen == nil {
		return nil
	}
	return new(seen.status)
}

// contained is a [Blackout] that does not panic.
type contained struct{ Blackout }

func (c contained) Active(now time.Time) (until time.Time, active bool) {
	until, active, _ = c.ask(now)
	return until, active
}

// ask is Active that tells what went wrong.
func (c contained) ask(now time.Time) (until time.Time, active bool, err error) {
	err = c.try(func() { until, active = c.Blackout.Active(now) })
	switch {
	case err != nil:
		return now.Add(lookEvery), true, err
	case active && !until.After(now):
		until = now.Add(lookEvery) // it may know better by then
	}
	return until.Round(0), active, nil
}

func (c contained) Next(now time.Time) (begin time.Time, ok bool) {
	if err := c.try(func() { begin, ok = c.Blackout.Next(now) }); err != nil {
		return time.Time{}, false
	}
	return begin, ok
}

func (c contained) String() (text string) {
	if err := c.try(func() { text = c.Blackout.String() }); err != nil {
		return err.Error()
	}
	return text
}

func (c contained) try(ask func()) (err error) {
	if c.Blackout == nil {
		return errors.New("fault: an entry of the guardrail Blackouts is nil")
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("fault: a %T of the guardrail Blackouts panicked: %v", c.Blackout, v)
		}
	}()
	ask()
	return nil
}
