package faulttest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// A Breaker says what is expected of a circuit breaker. All numbers are of calls that
// reach the dependency: where the breaker is around retries, one of the calls that it
// counts is several of these.
type Breaker struct {
	// Call calls the dependency once through the breaker, as the service does. It is
	// called by several goroutines at once.
	Call func(ctx context.Context) error

	Point     string        // the dependency's: "ratings", or "http.client:ratings"
	Threshold int           // failing calls in a row after which it opens
	OpenFor   time.Duration // how long it then lets nothing through

	// Probes is how many calls it lets through at once when it is half-open. They have
	// to succeed for it to close. Default 1.
	Probes int

	// Slack is how many calls more than Threshold may fail before it opens, and more
	// than Probes may get through: for breakers that count in the background. Default 0.
	Slack int

	// Fault is how calls fail. Default Fail(fault.Unavailable).
	Fault Entry

	// Fallback, if not nil, makes such a call while the breaker is open, and returns
	// what is wrong with what is served in place of the dependency's answer.
	Fallback func(ctx context.Context) error

	// Harmless are answers that say nothing against the dependency, such as
	// Status(404), and are not to open the breaker, however many there are.
	Harmless []Entry

	// Others are calls to other dependencies, by their points, that are to get through
	// while the breaker is open.
	Others map[string]func(ctx context.Context) error

	// RecoverWithin is how long after the dependency is well calls may still be kept
	// from it. Default twice OpenFor.
	RecoverWithin time.Duration

	// Patience is when a call counts as one that never ends. Default 5 minutes.
	Patience time.Duration
}

func (b *Breaker) validate() error {
	var errs []error
	refuse := func(wrong bool, text string) {
		if wrong {
			errs = append(errs, errors.New(text))
		}
	}
	refuse(b.Call == nil, "no Call: it is to call the dependency once through the breaker")
	refuse(b.Point == "", `no Point: it is the dependency's injection point, such as "http.client:ratings"`)
	refuse(b.Threshold < 1, "no Threshold: it is how many failing calls open the breaker")
	refuse(b.OpenFor <= 0, "no OpenFor: it is how long the breaker stays open")
	refuse(b.Probes < 0, "negative Probes")
	refuse(b.Slack < 0, "negative Slack")
	for point, call := range b.Others {
		refuse(call == nil, fmt.Sprintf("Others[%q] is nil", point))
	}
	return errors.Join(errs...)
}

// VerifyBreaker finds out whether a circuit breaker does what b says, with r's rules
// at the dependency, and fails t with each deviation. It expects the breaker closed,
// and leaves it so if it can.
//
// It has calls fail until one does not reach the dependency any more, and counts them;
// calls on, twenty times in OpenFor, until one gets through; then, once that has failed
// and OpenFor has passed again, makes some calls more at once than are to get through;
// takes the fault away, and waits for calls to get through and succeed; and has the
// Harmless faults happen. Times are told to a twentieth of OpenFor.
//
// Made for a bubble of [testing/synctest], where it takes no time. Outside it takes a
// little more than three times OpenFor, and once more for each of Harmless.
func VerifyBreaker(t testing.TB, r *Recorder, b Breaker) []Finding {
	t.Helper()
	if err := b.validate(); err != nil {
		t.Fatalf("faulttest: VerifyBreaker: %v", err)
	}
	if b.Probes == 0 {
		b.Probes = 1
	}
	if len(b.Fault.Fault.Effects()) == 0 {
		b.Fault = Fail(fault.Unavailable)
	}
	if b.RecoverWithin <= 0 {
		b.RecoverWithin = 2 * b.OpenFor
	}
	v := &breakerCheck{
		drill: newDrill(t, r, "breaker", b.Patience), Breaker: b,
		rule: idOf("breaker", b.Point), step: max(b.OpenFor/20, 1), openFor: b.OpenFor,
	}
	v.run()
	return v.end()
}

// A breakerCheck is what [VerifyBreaker] does.
type breakerCheck struct {
	*drill
	Breaker
	rule    string
	step    time.Duration
	openFor time.Duration // as measured

	openFrom, openBy time.Time // it opened between the two
	stuck            bool      // a call never ended
}

func (v *breakerCheck) run() {
	v.t.Helper()
	if !v.opens() {
		return
	}
	v.fallback()
	cutOff := v.others()
	if v.tries() {
		v.probes()
	}
	if v.recovers() {
		v.harmless()
		v.requireOthers(cutOff)
	}
}

// call makes one call. It reports false where that never ended by itself.
func (v *breakerCheck) call() (outcome, bool) {
	v.t.Helper()
	o := v.do(v.t.Context(), v.Call, v.Point)
	if o.hung {
		v.stuck = true
		v.found(NoDeadline, v.Point, "with %q a call took %s, until the test ended it: a breaker counts calls that end", v.Fault.Name, readable(v.patience))
		return o, false
	}
	return o, true
}

// many is a number of failing calls after which a breaker would have opened by any
// reading of its settings.
func (v *breakerCheck) many() int { return 4*(v.Threshold+v.Slack) + 20 }

// untilShut makes calls until one does not reach the dependency, and returns how many
// did. It reports false if that does not happen.
func (v *breakerCheck) untilShut() (reached int, shut bool) {
	v.t.Helper()
	for tries := 0; reached < v.many() && tries < v.many(); tries++ {
		o, ended := v.call()
		if !ended {
			return reached + o.reached, false
		}
		v.openBy = o.began.Add(o.took)
		if o.reached == 0 {
			return reached, true
		}
		v.openFrom = o.began
		reached += o.reached
		if tries == 0 {
			v.requireApplied(v.rule, v.Fault, v.Point)
		}
		v.pause(brief)
	}
	return reached, false
}

func (v *breakerCheck) opens() bool {
	v.t.Helper()
	v.inject(v.rule, v.Fault, v.Point)
	n, shut := v.untilShut()
	switch {
	case n == 0:
		v.requireApplied(v.rule, v.Fault, v.Point) // no call of it: ends the test
	case v.stuck:
		return false
	case !shut:
		v.found(NeverOpens, v.Point, "%d calls in a row failed, all reached the dependency: it is to open after %d", n, v.Threshold)
		return false
	case n < v.Threshold:
		v.found(OpensEarly, v.Point, "opened after %s, not %d", count(n, "failure"), v.Threshold)
	case n > v.Threshold+v.Slack:
		v.found(OpensLate, v.Point, "opened after %s, not %d", count(n, "failure"), v.Threshold)
	}
	return true
}

func (v *breakerCheck) fallback() {
	v.t.Helper()
	if v.Fallback == nil {
		return
	}
	if o := v.do(v.t.Context(), v.Fallback, v.Point); o.err != nil {
		v.found(WrongFallback, v.Point, "while open: %v", o.err)
	}
}

// others returns the points of the other calls that did not get through.
func (v *breakerCheck) others() (cutOff []string) {
	v.t.Helper()
	for _, point := range slices.Sorted(maps.Keys(v.Others)) {
		if o := v.do(v.t.Context(), v.Others[point], point); o.reached == 0 {
			cutOff = append(cutOff, point)
			v.found(SharedBreaker, point, "calls do not get there either while the breaker of %s is open: is it for both?", v.Point)
		}
	}
	return cutOff
}

// requireOthers ends the test if a call that was cut off does not reach its point in
// good times either.
func (v *breakerCheck) requireOthers(cutOff []string) {
	v.t.Helper()
	for _, point := range cutOff {
		if o := v.do(v.t.Context(), v.Others[point], point); o.reached == 0 {
			v.t.Fatalf("faulttest: breaker: Others[%q] makes no call there without a fault either\ncalls seen:%s", point, listCalls(v.r.Calls()))
		}
	}
}

// tries waits until the breaker lets a call through, and until that has failed.
func (v *breakerCheck) tries() bool {
	v.t.Helper()
	early, leaks, asked := v.OpenFor-v.step, 0, 0
	var first time.Duration // from when it opened to the first that got through
	lastShut := v.openBy
	var o outcome
	for ended := true; ; {
		v.pause(v.step)
		o, ended = v.call()
		if !ended {
			return false
		}
		if o.began.Sub(v.openFrom) < early {
			asked++
		}
		if o.reached == 0 {
			lastShut = o.began
			if first == 0 && o.began.Sub(v.openBy) > 10*v.OpenFor {
				v.found(NeverTries, v.Point, "let no call through for %s after it opened: it is to try after %s", readable(o.began.Sub(v.openBy).Round(v.step)), readable(v.OpenFor))
				return false
			}
			if first > 0 && o.began.Sub(v.openFrom) >= early {
				break // leaks have been counted
			}
			continue
		}
		since := o.began.Sub(v.openFrom)
		if first == 0 {
			first = since
		}
		if since >= early {
			break
		}
		leaks += o.reached
	}
	switch {
	case leaks > 0:
		v.found(CallsWhileOpen, v.Point, "%s reached it while open, the first %s after it opened: it is to let none through for %s (Call was made %s)",
			count(leaks, "call"), readable(first.Round(v.step/10)), readable(v.OpenFor), count(asked, "time"))
		return false // nobody knows when to look for what is half-open
	case lastShut.Sub(v.openBy) > v.OpenFor+v.step:
		v.openFor = first
		v.found(TriesLate, v.Point, "let the first call through %s after it opened, not %s", readable(first.Round(v.step)), readable(v.OpenFor))
	}
	return v.reopens(o.reached)
}

// reopens makes calls until the breaker is open again, after some of a half-open one
// have got through and failed.
func (v *breakerCheck) reopens(through int) bool {
	v.t.Helper()
	n, shut := v.untilShut()
	n += through
	switch {
	case !shut:
		v.found(NeverReopens, v.Point, "half-open, it let %s through that failed, and did not open again", count(n, "call"))
	case n > v.Probes+v.Slack && through <= v.Probes:
		v.found(WrongProbes, v.Point, "half-open, it let %s through that failed until it opened again, not %d", count(n, "call"), v.Probes)
	}
	return shut
}

// probes counts the calls that a half-open breaker lets through at once.
func (v *breakerCheck) probes() {
	v.t.Helper()
	const extra, hold = 3, 100 * time.Millisecond // so that they are under way together
	held := v.Fault
	if !held.waits() {
		held.Fault.Delay = &fault.Delay{Fixed: hold}
	}
	v.pause(v.openFor + 2*v.step)
	v.inject(v.rule, held, v.Point)
	before := v.reached(v.Point)
	ctx, cancel := context.WithTimeout(v.t.Context(), v.patience)
	defer cancel()
	var wg sync.WaitGroup
	for range v.Probes + v.Slack + extra {
		wg.Go(func() { _ = v.Call(ctx) })
	}
	wg.Wait()
	n := v.reached(v.Point) - before
	if n < v.Probes || n > v.Probes+v.Slack {
		v.found(WrongProbes, v.Point, "half-open, it let %s through at once, not %d (Call was made %s)", count(n, "call"), v.Probes, count(v.Probes+v.Slack+extra, "time"))
	}
	v.inject(v.rule, v.Fault, v.Point)
	v.reopens(max(n, v.Probes+1))
}

// recovers takes the fault away and waits until calls get through and succeed.
func (v *breakerCheck) recovers() bool {
	v.t.Helper()
	v.lift()
	well := time.Now()
	streak, through, made := 0, 0, 0
	var last error
	for {
		o, ended := v.call()
		if !ended {
			return false
		}
		made++
		streak++
		if o.reached > 0 {
			through++
		}
		if o.reached == 0 || o.err != nil {
			streak = 0
		}
		last = o.err
		if streak > v.Probes {
			return true
		}
		if o.began.Sub(well) > v.RecoverWithin {
			break
		}
		v.pause(v.step)
	}
	text := fmt.Sprintf("did not recover within %s after the rule was removed: %d of %s got through", readable(v.RecoverWithin), through, count(made, "call"))
	if last != nil {
		text += fmt.Sprintf("; the last returned %q", last)
	}
	v.found(NeverRecovers, v.Point, "%s", text)
	return false
}

// harmless has the harmless answers come, each until the breaker would open.
func (v *breakerCheck) harmless() {
	v.t.Helper()
	for i, e := range v.Harmless {
		rule := idOf("harmless", fmt.Sprintf("%d %s", i, e.Name))
		v.inject(rule, e, v.Point)
		for n := range 2 * (v.Threshold + v.Slack) {
			o := v.do(v.t.Context(), v.Call, v.Point)
			if n == 0 && o.reached > 0 {
				v.requireApplied(rule, e, v.Point)
			}
			if o.reached == 0 {
				v.found(CountsHarmless, v.Point, "opened after %s that ended with %q, which says nothing against the dependency", count(n, "call"), e.Name)
				break
			}
			v.pause(brief)
		}
		v.lift()
		v.pause(v.openFor + 2*v.step)
		if !v.recovers() {
			return
		}
	}
}
