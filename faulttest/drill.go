package faulttest

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// defaultPatience is when a call that a verification makes counts as one that never
// ends. It is long since it takes no time in a bubble.
const defaultPatience = 5 * time.Minute

// drillPriority puts the rules of a drill before those of the test.
const drillPriority = 1000

// A drill makes calls under faults, for a verification, and takes down what it finds.
type drill struct {
	t        testing.TB
	r        *Recorder
	what     string // "breaker"
	patience time.Duration
	findings []Finding

	mu     sync.Mutex
	rules  []string
	events []fault.Event // of rules of the drill: hits and releases, as they happened
	stop   func()
}

func newDrill(t testing.TB, r *Recorder, what string, patience time.Duration) *drill {
	if patience <= 0 {
		patience = defaultPatience
	}
	d := &drill{t: t, r: r, what: what, patience: patience}
	d.stop = r.inj.Observe(fault.ObserverFunc(func(e fault.Event) {
		if e.Kind == fault.Hit || e.Kind == fault.Release {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.events = append(d.events, e)
		}
	}))
	return d
}

// end takes the rules back, and fails the test with what was found.
func (d *drill) end() []Finding {
	d.t.Helper()
	d.lift()
	d.stop()
	for _, f := range d.findings {
		d.t.Errorf("faulttest: %s %s", d.what, f)
	}
	return d.findings
}

// found takes a finding down. One of a kind at a point is enough.
func (d *drill) found(flaw Flaw, point, format string, args ...any) {
	for _, f := range d.findings {
		if f.Flaw == flaw && f.Point == point {
			return
		}
	}
	d.findings = append(d.findings, Finding{Flaw: flaw, Point: point, Text: fmt.Sprintf(format, args...)})
}

// inject has e happen at points from now on. The same ID again edits the rule.
func (d *drill) inject(id string, e Entry, points ...string) {
	d.t.Helper()
	err := d.r.inj.Put(fault.Rule{
		ID:       id,
		Priority: drillPriority,
		Target:   fault.Target{Points: points, Operations: e.Operations},
		Scope:    scope.Everyone(),
		Fault:    e.Fault,
		TTL:      d.r.inj.Guardrails().MaxTTL,
	})
	if err != nil {
		d.lift()
		d.t.Fatalf("faulttest: %s: %q cannot be injected: %v", d.what, e.Name, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rules = append(d.rules, id)
}

// lift takes every rule of the drill back.
func (d *drill) lift() {
	d.mu.Lock()
	rules := d.rules
	d.rules = nil
	d.mu.Unlock()
	for _, id := range rules {
		d.r.inj.Delete(id)
	}
}

// eventsOf returns the hits and releases of a rule that came after the first n of all
// events.
func (d *drill) eventsOf(rule string, n int) []fault.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	var events []fault.Event
	for _, e := range d.events[n:] {
		if e.Rule == rule {
			events = append(events, e)
		}
	}
	return events
}

func (d *drill) eventCount() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.events)
}

// requireApplied ends the test if a fault applied to no call, which would make
// everything that follows mean nothing.
func (d *drill) requireApplied(id string, e Entry, point string) {
	d.t.Helper()
	if len(d.eventsOf(id, 0)) > 0 {
		return
	}
	d.lift()
	d.t.Fatalf("faulttest: %s: %q was injected at %s and applied to no call%s: does Call reach it, and can the point produce it?\ncalls seen:%s",
		d.what, e.Name, point, d.r.skips(id), listCalls(d.r.Calls()))
}

// reached counts the calls that were made at a point so far.
func (d *drill) reached(point string) int {
	d.r.s.mu.Lock()
	defer d.r.s.mu.Unlock()
	n := 0
	for i := range d.r.s.calls {
		if isAt(&d.r.s.calls[i], point) {
			n++
		}
	}
	return n
}

// isAt is [matchesPoint] as targets have it: entries of services only by kind and name.
func isAt(c *Call, point string) bool {
	return c.Point == point || c.name == point && !isServer(c.kind)
}

// An outcome is what one call of the test's function came to.
type outcome struct {
	err     error
	began   time.Time
	took    time.Duration
	reached int  // calls at the point meanwhile
	hung    bool // patience was over, and the call was ended
}

// do makes one call, and ends it when patience is over: first by its context, and if
// it does not heed that by letting go of what is held.
func (d *drill) do(ctx context.Context, f func(context.Context) error, point string) outcome {
	d.t.Helper()
	ctx, cancel := context.WithCancel(ctx) // no deadline: one would be taken for the code's own
	defer cancel()
	before := d.reached(point)
	o := outcome{began: time.Now()}
	done := make(chan error, 1)
	var panicked string
	go func() {
		defer func() {
			if v := recover(); v != nil {
				panicked = fmt.Sprintf("panic: %v\n%s", v, debug.Stack())
				done <- nil
			}
		}()
		done <- f(ctx)
	}()
	finished := false
	for _, end := range []func(){func() { o.hung = true; cancel() }, d.lift, func() {}} {
		timer := time.NewTimer(d.patience)
		select {
		case o.err = <-done:
			finished = true
		case <-timer.C:
			end()
		}
		timer.Stop()
		if finished {
			break
		}
	}
	switch {
	case !finished:
		d.t.Fatalf("faulttest: %s: Call does not return: %s after its context has ended and what was held was let go", d.what, readable(2*d.patience))
	case panicked != "":
		d.lift()
		d.t.Fatalf("faulttest: %s: Call: %s", d.what, panicked)
	}
	o.took = time.Since(o.began)
	o.reached = d.reached(point) - before
	return o
}

// pause waits. In a bubble everything else comes to rest meanwhile.
func (d *drill) pause(wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-d.t.Context().Done():
	}
}

// brief is a pause in which what a call leaves behind it in the background gets done.
const brief = time.Millisecond

// idOf makes the ID of a rule of a drill.
func idOf(what, name string) string { return ruleID("verify " + what + " " + name) }
