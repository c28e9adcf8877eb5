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
	"github.com/misfit-go/misfit/internal/criticality"
)

// Critical finds out which dependencies f, an ordinary test, cannot do without, and
// fails t if one of them is not known to be.
//
// It runs f without faults, to see which points it reaches; then with all calls
// failing at all points but the [Allowed] ones; then with each point failing alone;
// and if that does not explain why the second fails, with sets of points, until the
// smallest of those that f does not survive are found. Each run has an injector of
// its own, which f is to give to what it tests, and a [testing.TB] that stands in for
// t: f is expected to fail with what is critical. A table of what is critical and
// what is tolerated goes to the log of t.
//
// Known to be critical is what [Allowed] and the list that is checked in ([Listed])
// say. Calls fail as [fault.Unavailable] has it, or the first fault that the option
// [Faults] names for the point; without any there, and at entries of services
// (kinds ending in ".server"), they never do. What is not tried is that a call fails
// in other ways, or only some of the calls at a point: that is for [Explore].
//
// Besides these it takes the options [Service], [Injector], [CaseLimit], [Bubble],
// [MaxRuns] and [Timeout].
func Critical(t *testing.T, f func(t testing.TB, inj *fault.Injector), options ...Option) *Criticality {
	t.Helper()
	return critical(t, t, f, options)
}

// critical is [Critical] for t, of which to tells the outcome.
func critical(t *testing.T, to testing.TB, f func(testing.TB, *fault.Injector), options []Option) *Criticality {
	to.Helper()
	c := &criticalTest{TB: to, t: t, f: f, settings: newSettings(options), report: &Criticality{Test: t.Name()}}
	requireMachinery(to, fault.New(c.settings.service))
	list := c.load()
	c.allowed = slices.Clone(c.settings.critical.allowed)
	if list != nil {
		c.allowed = append(c.allowed, list.Critical...)
	}
	began := time.Now()
	c.deadline(began)
	result, err := c.examine()
	c.report.Took = time.Since(began)
	if err != nil {
		c.Fatalf("faulttest: %s: %v", t.Name(), err)
	}
	difference := criticality.Compare(result, c.settings.critical.allowed, list)
	c.report.take(result, difference)
	fmt.Fprint(c.Output(), c.report)
	c.conclude(result, difference, list)
	return c.report
}

// criticalSettings are what options for [Critical] alone set.
type criticalSettings struct {
	allowed []string
	list    string
	exact   bool
}

// Allowed names points that may be critical: "login" is every dependency of that name,
// "http.client:login" has the kind too, and * stands for any text. It is an option of
// [Critical]. By default there are none.
func Allowed(points ...string) Option {
	return option(func(s *settings) { s.critical.allowed = append(s.critical.allowed, points...) })
}

// Listed names a file, such as "testdata/critical.json", that holds what is critical.
// It is an option of [Critical], checked in with the test. What it does not have, and
// is critical, fails the test; the flag -faulttest.update writes it. By default there
// is none.
func Listed(path string) Option {
	return option(func(s *settings) { s.critical.list = path })
}

// ExactlyListed has [Critical] fail, too, where something is known to be critical that
// is not any more, or that is not reached. By default that is only said.
func ExactlyListed() Option {
	return option(func(s *settings) { s.critical.exact = true })
}

// criticalTest is what [Critical] does.
type criticalTest struct {
	testing.TB // what is told of the outcome
	t          *testing.T
	f          func(t testing.TB, inj *fault.Injector)
	settings   settings
	allowed    []string
	until      time.Time // no run begins after; zero: any may
	report     *Criticality
}

func (c *criticalTest) deadline(now time.Time) {
	rest := time.Duration(0)
	if deadline, ok := c.t.Deadline(); ok {
		rest = time.Until(deadline)
	}
	if d := c.settings.limit(rest); d > 0 {
		c.until = now.Add(d)
	}
}

// examine makes all the runs.
func (c *criticalTest) examine() (*criticality.Result, error) {
	for _, pattern := range c.settings.critical.allowed {
		if err := criticality.CheckPattern(pattern); err != nil {
			return nil, fmt.Errorf("Allowed: %w", err)
		}
	}
	plain, o, err := c.run("no faults", criticality.Failing{})
	switch {
	case err != nil:
		return nil, err
	case plain.skipped:
		return nil, errors.New("it skips itself")
	case !o.Passed:
		return nil, fmt.Errorf("it fails without any fault, and so with one nothing is told: %s", o.Why)
	}
	var reached []string
	for _, call := range plain.sorted() {
		if !isServer(call.kind) && !slices.Contains(reached, call.Point) {
			reached = append(reached, call.Point)
		}
	}
	if len(reached) == 0 {
		return nil, errors.New("it reaches no injection point: does what it tests use the injector that it is given?")
	}
	return criticality.Examination{
		Reached: reached,
		Allowed: c.allowed,
		MaxSets: c.settings.maxRuns - len(reached) - runsBesides,
		Try: func(f criticality.Failing) (criticality.Outcome, error) {
			name := "failing " + strings.Join(f.Points, " ")
			if f.All {
				name = "failing all but the allowed"
			}
			r, o, err := c.run(name, f)
			if err == nil && !o.Applied {
				o.Lack = "it was not called"
				if slices.ContainsFunc(r.sorted(), func(call Call) bool { return f.Includes(call.Point) && !isServer(call.kind) }) {
					o.Lack = "it is called, and never made to fail: see Faults"
				}
			}
			return o, err
		},
	}.Run()
}

// runsBesides are those that are not of one dependency, or of a set: without faults,
// with all but the allowed failing, and again without what is critical.
const runsBesides = 3

// run calls the test once, and says what it came to.
func (c *criticalTest) run(name string, failing criticality.Failing) (*failingRun, criticality.Outcome, error) {
	if c.report.Runs >= c.settings.maxRuns || !c.until.IsZero() && time.Now().After(c.until) {
		return nil, criticality.Outcome{}, fmt.Errorf("there are more runs than are allowed, or time is up, after %s: see MaxRuns and Timeout", count(c.report.Runs, "run"))
	}
	c.report.Runs++
	r := &failingRun{caseRun: newCaseRun(&c.settings, nil), failing: failing}
	ok := false
	c.settings.enter(c.t, func(t *testing.T) {
		ok = probing(t, name, func(p *probe) { r.runFailing(p, func(inj *fault.Injector) { c.f(p, inj) }) })
	})
	if len(r.trouble) > 0 {
		return nil, criticality.Outcome{}, errors.New(strings.Join(r.trouble, "; "))
	}
	o := criticality.Outcome{Passed: ok && !r.failed, Why: r.why, Took: r.took}
	for _, i := range r.injected() {
		o.Applied = true
		if !slices.Contains(o.Hit, i.Call.Point) {
			o.Hit = append(o.Hit, i.Call.Point)
		}
	}
	return r, o, nil
}

// A failingRun is a run in which calls fail by their points.
type failingRun struct {
	*caseRun
	failing criticality.Failing
}

// runFailing is [caseRun.run] with another chooser.
func (r *failingRun) runFailing(t testing.TB, f func(inj *fault.Injector)) {
	r.executed, r.log = true, t
	register(t, r.session)
	inj := r.settings.injector(r.choose, r.session)
	start := time.Now()
	watchdog := time.AfterFunc(r.settings.caseLimit, func() { r.hang(inj) })
	defer func() {
		p := recover()
		watchdog.Stop()
		r.end()
		r.took = time.Since(start)
		inj.Halt() // what is held goes on, so that what the test has started can end
		r.judge(t, p)
	}()
	f(inj)
}

// choose is the run's [fault.Chooser].
func (r *failingRun) choose(ctx context.Context, about fault.Call) (fault.Choice, bool) {
	c := newCall(about, about.Operation.String())
	if deadline, ok := ctx.Deadline(); ok {
		c.bounded, c.deadline = true, time.Until(deadline)
	}
	if !r.note(&c) || !r.failing.Includes(c.Point) {
		return fault.Choice{}, false
	}
	e, err := r.settings.failure(about, c.Operation)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.fail(err.Error())
		return fault.Choice{}, false
	case e == nil:
		return fault.Choice{}, false
	}
	r.done = append(r.done, Injection{Call: c, Fault: e.Name})
	return fault.Choice{Rule: r.ruleOf(&c, e.Name), Fault: e.Fault}, true
}

// failure returns how a call fails, or nil if it never does.
func (s *settings) failure(about fault.Call, operation string) (*Entry, error) {
	entries := s.entriesOf(about.Kind, about.Name)
	if len(entries) == 0 {
		return nil, nil
	}
	if !entries[0].asked {
		entries = []Entry{Fail(fault.Unavailable)}
	}
	for _, e := range entries {
		if !e.isFor(operation) {
			continue
		}
		if err := about.Check(e.Fault); err != nil {
			return nil, fmt.Errorf("%q cannot be injected at %s, where the option Faults may name another: %w", e.Name, about.Point(), err)
		}
		return &e, nil
	}
	return nil, nil
}
