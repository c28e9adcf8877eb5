package faulttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// Timeouts say what is expected of how long calls may take.
type Timeouts struct {
	// Call has the service handle one request. Its context has no deadline, so that
	// every one that is met is the service's own.
	Call func(ctx context.Context) error

	// Caller is how long whoever makes the request waits for it. Default 0: unknown,
	// and not compared.
	Caller time.Duration

	// Longest is how long any one call to a dependency may take. Default 0: as long as
	// it ends.
	Longest time.Duration

	// Points are the dependencies to look at. Default: all that Call reaches.
	Points []string

	// Patience is when a call counts as one that never ends. Default 5 minutes.
	Patience time.Duration
}

// A Worst is what was measured at a dependency that does not answer.
type Worst struct {
	Point     string
	Operation string // of the call that took longest
	In        string // the function it was made in

	// Silence is how the dependency did not answer: "black hole", not at all; "stall",
	// with a beginning and no end.
	Silence string

	// Deadline is what the context of that call had left when it was made, where it had
	// a deadline. A call may end by other means: a transport's own timeout, or a timer.
	Deadline time.Duration
	Bounded  bool

	Calls   int           // there
	Longest time.Duration // that one of them was held
	Total   time.Duration // that the request took
	Endless bool          // it did not end by itself
}

// String returns what was measured, as it stands in reports.
func (w Worst) String() string {
	deadline := "no deadline in its context"
	if w.Bounded {
		deadline = "deadline " + readable(w.Deadline.Round(brief))
	}
	took := readable(w.Total.Round(brief))
	if w.Endless {
		took = "no end"
	}
	return fmt.Sprintf("%s %s: %s, %s, longest %s, request %s", w.Point, w.Silence, count(w.Calls, "call"), deadline, readable(w.Longest.Round(brief)), took)
}

// VerifyTimeouts finds out how long requests take when a dependency is silent, and
// fails t with each timeout that is missing or does not nest. It has each dependency
// answer nothing at all, one after the other, and then begin to answer and never
// finish; and if Caller is given makes the request with that for a deadline, and sees
// whether anything goes on once the deadline has passed.
//
// What is measured is what happens, whatever makes it happen: a deadline of the
// context, an [net/http.Client]'s Timeout, a transport's or driver's own, a timer
// beside the call. What is not found: timeouts of what is beneath the injection point,
// such as dialling, or a gRPC service config's; dependencies that only answer slowly;
// two that are silent at once; and code that Call does not get to.
//
// Made for a bubble of [testing/synctest], where minutes take no time.
func VerifyTimeouts(t testing.TB, r *Recorder, x Timeouts) ([]Worst, []Finding) {
	t.Helper()
	var errs []error
	if x.Call == nil {
		errs = append(errs, errors.New("no Call: it is to have the service handle one request"))
	}
	if x.Caller < 0 || x.Longest < 0 {
		errs = append(errs, errors.New("negative Caller or Longest"))
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("faulttest: VerifyTimeouts: %v", err)
	}
	v := &timeoutCheck{drill: newDrill(t, r, "timeouts", x.Patience), Timeouts: x}
	v.run()
	return v.worst, v.end()
}

type timeoutCheck struct {
	*drill
	Timeouts
	worst []Worst
}

// silences are the ways not to answer.
func silences() []Entry {
	return []Entry{
		BlackHole(),
		{Name: "stall", Fault: fault.Fault{Stream: &fault.StreamFault{Stall: true}}},
	}
}

func (v *timeoutCheck) run() {
	v.t.Helper()
	points := slices.Clone(v.Points)
	if o := v.do(v.t.Context(), v.Call, ""); o.hung {
		v.t.Fatalf("faulttest: timeouts: Call does not return within %s without any fault", readable(v.patience))
	}
	if len(points) == 0 {
		for _, c := range v.r.Calls() {
			if !isServer(c.kind) {
				points = append(points, c.Point)
			}
		}
		points = slices.Compact(points)
	}
	if len(points) == 0 {
		v.t.Fatalf("faulttest: timeouts: Call reaches no dependency: does it use the recorder's injector?\ncalls seen:%s", listCalls(v.r.Calls()))
	}
	for _, point := range points {
		for i, e := range silences() {
			w, applied := v.silence(point, e, i == 0)
			if !applied {
				continue
			}
			v.worst = append(v.worst, w)
			v.judge(w)
			if i == 0 && v.Caller > 0 {
				v.abandon(w, e)
			}
		}
	}
}

// silence measures a request to which a dependency is silent.
func (v *timeoutCheck) silence(point string, e Entry, needed bool) (w Worst, applied bool) {
	v.t.Helper()
	defer v.lift()
	rule := idOf("timeouts", point+" "+e.Name)
	calls, events := v.callCount(), v.eventCount()
	v.inject(rule, e, point)
	o := v.do(v.t.Context(), v.Call, point)
	v.pause(brief) // for releases on other goroutines
	if needed {
		v.requireApplied(rule, e, point)
	}
	if len(v.eventsOf(rule, events)) == 0 {
		return w, false
	}
	if !o.hung && e.Fault.BlackHole {
		v.left(point, o, rule, events)
	}
	w = Worst{Point: point, Silence: e.Name, Calls: o.reached, Total: o.took, Endless: o.hung}
	for _, event := range v.eventsOf(rule, events) {
		if event.Kind == fault.Release {
			w.Longest = max(w.Longest, event.Waited)
		}
	}
	for i, c := range v.callsSince(calls, point) {
		if i == 0 || w.Bounded && (!c.bounded || c.deadline > w.Deadline) {
			w.Operation, w.In = c.Operation, c.In
			w.Deadline, w.Bounded = c.deadline, c.bounded
		}
	}
	return w, true
}

// left waits for calls that are still held though the request is over, and says for
// how long they were.
func (v *timeoutCheck) left(point string, o outcome, rule string, since int) {
	v.t.Helper()
	held := func() (n int) {
		for _, event := range v.eventsOf(rule, since) {
			if n++; event.Kind == fault.Release {
				n -= 2
			}
		}
		return n
	}
	n, over := held(), o.began.Add(o.took)
	if n == 0 {
		return
	}
	for time.Since(over) < v.patience && held() > 0 {
		v.pause(max(v.patience/1000, brief))
	}
	until := readable(v.patience) + " after that, when the test ended it"
	if held() == 0 {
		events := v.eventsOf(rule, since)
		until = readable(events[len(events)-1].Time.Sub(over).Round(brief)) + " after that"
	}
	v.found(GoesOn, point, "with no answer there the request was over after %s, and %s went on until %s", readable(o.took.Round(brief)), count(n, "call"), until)
}

func (v *timeoutCheck) callCount() int {
	v.r.s.mu.Lock()
	defer v.r.s.mu.Unlock()
	return len(v.r.s.calls)
}

// callsSince returns the calls at a point after the first n of all, as they were made.
func (v *timeoutCheck) callsSince(n int, point string) []Call {
	v.r.s.mu.Lock()
	defer v.r.s.mu.Unlock()
	calls := slices.Clone(v.r.s.calls[n:])
	return slices.DeleteFunc(calls, func(c Call) bool { return !isAt(&c, point) })
}

func (v *timeoutCheck) judge(w Worst) {
	silent := "with no answer"
	if w.Silence != BlackHole().Name {
		silent = "with an answer that begins and does not end"
	}
	total, longest := readable(w.Total.Round(brief)), readable(w.Longest.Round(brief))
	if w.Endless {
		v.found(NoDeadline, w.Point, "%s in %s: %s it went on for %s, until the test ended it", w.Operation, w.In, silent, readable(v.patience))
		return
	}
	if v.Longest > 0 && w.Longest > v.Longest {
		v.found(LongCall, w.Point, "%s in %s: %s it took %s, not %s at most", w.Operation, w.In, silent, longest, readable(v.Longest))
	}
	if v.Caller == 0 || w.Total <= v.Caller {
		return
	}
	if w.Calls > 1 {
		v.found(RetriesOutlastCaller, w.Point, "%s a request takes %s, by %s of up to %s: its caller waits %s", silent, total, count(w.Calls, "call"), longest, readable(v.Caller))
		return
	}
	v.found(OutlastsCaller, w.Point, "%s a request takes %s: its caller waits %s", silent, total, readable(v.Caller))
}

// abandon has the caller give up, and sees what goes on.
func (v *timeoutCheck) abandon(w Worst, e Entry) {
	v.t.Helper()
	if w.Total <= v.Caller { // it is over by then
		return
	}
	defer v.lift()
	rule := idOf("abandoned", w.Point)
	events := v.eventCount()
	v.inject(rule, e, w.Point)
	ctx, cancel := context.WithTimeout(v.t.Context(), v.Caller)
	defer cancel()
	gone := time.Now().Add(v.Caller)
	late := v.Caller + max(v.Caller/10, 10*time.Millisecond)
	if o := v.do(ctx, v.Call, w.Point); o.took > late {
		took := readable(o.took.Round(brief))
		if o.hung {
			took = "until the test ended it, " + took
		}
		v.found(IgnoresCaller, w.Point, "with no answer there and a caller that waits %s, the request went on for %s", readable(v.Caller), took)
		return
	}
	v.pause(w.Total)
	made, last := 0, gone
	for _, event := range v.eventsOf(rule, events) {
		switch {
		case event.Kind == fault.Hit && event.Time.Sub(gone) > late-v.Caller:
			made++
			last = event.Time
		case event.Kind == fault.Release && event.Time.After(last):
			last = event.Time
		}
	}
	if over := last.Sub(gone); over > late-v.Caller {
		v.found(GoesOn, w.Point, "its caller waits %s, and calls are held there for %s after that; %s made meanwhile", readable(v.Caller), readable(over.Round(brief)), count(made, "new call"))
	}
}
