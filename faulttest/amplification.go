package faulttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// Amplification says how many calls requests may come to when dependencies fail.
type Amplification struct {
	// Call has the service handle one request.
	Call func(ctx context.Context) error

	// Requests is how many are made for each measurement. Default 20: retry budgets
	// and breakers show only after some.
	Requests int

	// Bound is how many calls a request may come to at any one dependency, on average,
	// while something fails. Bounds are for single ones, by point or name.
	Bound  float64
	Bounds map[string]float64

	// Fault is how calls fail. Default Fail(fault.Unavailable).
	Fault Entry

	// Rest is how long to wait between two measurements, for breakers to close.
	// Default 0.
	Rest time.Duration

	// Patience is when a call counts as one that never ends. Default 5 minutes.
	Patience time.Duration
}

// A Factor is what was measured at a dependency.
type Factor struct {
	Failing  string // the point that failed; "" for none, "*" for all
	Point    string // the one that was measured
	Calls    int    // there
	Requests int
}

// Value returns the calls per request.
func (f Factor) Value() float64 { return float64(f.Calls) / float64(f.Requests) }

// String returns the factor as it stands in reports.
func (f Factor) String() string {
	failing := f.Failing
	switch failing {
	case "":
		failing = "nothing"
	case "*":
		failing = "everything"
	}
	return fmt.Sprintf("with %s failing: %s %.2f calls per request (%d/%d)", failing, f.Point, f.Value(), f.Calls, f.Requests)
}

// VerifyAmplification measures how many calls a request comes to at each dependency:
// without a fault, with each dependency failing alone, and with all of them; and fails
// t where that is beyond the bound. Where a dependency behind another is called so often
// because both are retried, it says so: the factors multiply.
//
// Dependencies are all points that calls are made at, but for services' own entries.
func VerifyAmplification(t testing.TB, r *Recorder, a Amplification) ([]Factor, []Finding) {
	t.Helper()
	var errs []error
	if a.Call == nil {
		errs = append(errs, errors.New("no Call: it is to have the service handle one request"))
	}
	if a.Bound <= 0 && len(a.Bounds) == 0 {
		errs = append(errs, errors.New("neither Bound nor Bounds is set: it is how many calls a request may come to at a dependency"))
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("faulttest: VerifyAmplification: %v", err)
	}
	a.Requests = positive(a.Requests, 20)
	if len(a.Fault.Fault.Effects()) == 0 {
		a.Fault = Fail(fault.Unavailable)
	}
	v := &stormCheck{drill: newDrill(t, r, "amplification", a.Patience), Amplification: a}
	v.run()
	return v.factors, v.end()
}

type stormCheck struct {
	*drill
	Amplification
	factors []Factor
}

func (v *stormCheck) run() {
	v.t.Helper()
	v.measure("")
	failed := make(map[string]bool)
	for { // dependencies may show only when others fail
		points := v.points()
		i := slices.IndexFunc(points, func(p string) bool { return !failed[p] })
		if i < 0 {
			break
		}
		failed[points[i]] = true
		v.measure(points[i])
	}
	if len(failed) == 0 {
		v.t.Fatalf("faulttest: amplification: Call reaches no dependency: does it use the recorder's injector?\ncalls seen:%s", listCalls(v.r.Calls()))
	}
	v.measure("*")
	for _, f := range v.factors {
		v.judge(f)
	}
}

// points returns those that were seen so far, sorted.
func (v *stormCheck) points() []string {
	var points []string
	for _, c := range v.r.Calls() {
		if !isServer(c.kind) {
			points = append(points, c.Point)
		}
	}
	return slices.Compact(points) // Calls are sorted by point
}

// measure makes the requests with a point failing, or none or all.
func (v *stormCheck) measure(failing string) {
	v.t.Helper()
	if failing != "" {
		v.inject(idOf("amplification", failing), v.Fault, failing)
		defer v.pause(v.Rest)
		defer v.lift()
	}
	before := make(map[string]int)
	for _, p := range v.points() {
		before[p] = v.reached(p)
	}
	for range v.Requests {
		if o := v.do(v.t.Context(), v.Call, failing); o.hung {
			v.found(NoDeadline, failing, "with it failing a request took %s, until the test ended it", readable(v.patience))
			break
		}
	}
	for _, p := range v.points() {
		v.factors = append(v.factors, Factor{Failing: failing, Point: p, Calls: v.reached(p) - before[p], Requests: v.Requests})
	}
}

// factor returns what was measured at a point while another failed, at least 1 for
// what it is divided by.
func (v *stormCheck) factor(failing, point string) float64 {
	for _, f := range v.factors {
		if f.Failing == failing && f.Point == point {
			return f.Value()
		}
	}
	return 0
}

func (v *stormCheck) bound(point string) float64 {
	if b, ok := v.Bounds[point]; ok {
		return b
	}
	_, name, _ := strings.Cut(point, ":")
	if b, ok := v.Bounds[name]; ok {
		return b
	}
	return v.Bound
}

func (v *stormCheck) judge(f Factor) {
	bound := v.bound(f.Point)
	if f.Failing == "" || bound <= 0 || f.Value() <= bound {
		return
	}
	if f.Failing == f.Point {
		if outer, times := v.around(f); outer != "" {
			v.found(NestedRetries, f.Point, "with it failing, a request comes to %.2f calls there, more than %g: %.2f at %s times %.2f for each of these", f.Value(), bound, times, outer, f.Value()/times)
			return
		}
	}
	v.found(Amplifies, f.Point, "%s, more than %g", f, bound)
}

// around returns a dependency that is itself called again and again while f's fails,
// and how often for each request: what is between is retried at both.
func (v *stormCheck) around(f Factor) (outer string, times float64) {
	const multiplies = 1.5
	for _, g := range v.factors {
		if g.Failing != f.Failing || g.Point == f.Point {
			continue
		}
		usual := v.factor("", g.Point)
		if usual > 0 && g.Value() >= multiplies*usual && f.Value() >= multiplies*g.Value() && g.Value() > times {
			outer, times = g.Point, g.Value()
		}
	}
	return outer, times
}
