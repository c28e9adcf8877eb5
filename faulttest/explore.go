package faulttest

import (
	"fmt"
	"runtime/debug"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// Explore runs f again and again, each time with other faults in the calls that it
// makes, and so finds out which of them it does not survive.
//
// It first runs f without any, to see which calls there are; then with every single
// fault that can be injected into one of them; then with pairs, and so on up to
// [MaxFaults]. Calls that are made only under faults, such as retries and fallbacks,
// are explored too. Each run is a subtest with an injector of its own, which f is to
// give to what it tests, and fails like any other test. At the end a table says what
// was masked and what was not, and how to run each failure again.
//
// Package doc has the details: what is skipped, the flags, and what is assumed.
func Explore(t *testing.T, f func(t *testing.T, inj *fault.Injector), options ...Option) *Report {
	t.Helper()
	return explore(t, f, options)
}

// Survey is [Explore] for what is known, or expected, to have weak spots: runs are no
// subtests, and their failures are in the report only. f is given a [testing.TB] that
// stands in for t. t fails if f does without faults.
func Survey(t *testing.T, f func(t testing.TB, inj *fault.Injector), options ...Option) *Report {
	t.Helper()
	return survey(t, f, options)
}

func explore(t *testing.T, f func(*testing.T, *fault.Injector), options []Option) *Report {
	t.Helper()
	e := newExplorer(t, options)
	e.runCase = func(name string, c *caseRun) bool {
		return t.Run(name, func(t *testing.T) {
			c.log = t                                   // a test in a bubble logs to the one around it
			t.Cleanup(func() { c.explain(t.Failed()) }) // the last one that is called
			e.settings.enter(t, func(t *testing.T) { c.runTest(t, f) })
		})
	}
	e.here = func(c *caseRun) {
		e.settings.enter(t, func(t *testing.T) { c.runTest(t, f) })
	}
	if *replayFlag != "" {
		e.replay(*replayFlag)
		return e.report
	}
	e.explore()
	fmt.Fprint(t.Output(), e.report)
	if r := e.report; r.Broken != "" || len(r.Wrong) > 0 {
		t.Fail()
	}
	return e.report
}

func survey(t *testing.T, f func(testing.TB, *fault.Injector), options []Option) *Report {
	t.Helper()
	e := newExplorer(t, options)
	e.runCase = func(name string, c *caseRun) (ok bool) {
		p := newProbe(t, name)
		e.settings.enterFor(p, t, func(*testing.T) {
			p.run(func() { c.run(p, func(inj *fault.Injector) { f(p, inj) }) })
		})
		c.explain(p.Failed())
		if *replayFlag != "" {
			t.Log(p.log.String()) // nobody else has it
		}
		return !p.Failed()
	}
	if *replayFlag != "" {
		e.replay(*replayFlag)
		return e.report
	}
	e.explore()
	fmt.Fprint(t.Output(), e.report)
	if e.report.Broken != "" {
		t.Errorf("faulttest: %s", e.report.Broken)
	}
	return e.report
}

// explore does the whole of it.
func (e *explorer) explore() {
	e.t.Helper()
	requireMachinery(e.t, fault.New(e.settings.service))
	once(e.t)
	if e.baseline() {
		if known := e.load(); known != nil {
			e.runSaved(known)
		} else {
			e.search()
		}
		if e.settings.doubt.on && e.report.Saved != "" {
			e.t.Errorf("faulttest: -faulttest.noreduce has nothing to run, since the cases are those of %s: give -faulttest.update as well, which explores", e.report.Saved)
		} else if e.settings.doubt.on {
			e.doubt(e.settings.doubt)
		}
		e.save()
	}
	for _, c := range e.calls {
		if !c.every {
			e.report.Calls = append(e.report.Calls, c.Call)
		}
	}
	e.report.Unused = unused(e.settings.faultsAt, slices.Concat(e.report.Calls, e.report.Late))
	slices.SortStableFunc(e.planned, func(a, b *result) int { return compareCombinations(a.combination, b.combination) })
	for _, r := range e.planned {
		e.report.Results = append(e.report.Results, *r.Result)
	}
	e.report.Took = time.Since(e.began)
}

// unused returns the places at which none of the calls was made.
func unused(places []string, calls []Call) []string {
	return slices.DeleteFunc(slices.Clone(places), func(place string) bool {
		return slices.ContainsFunc(calls, func(c Call) bool { return place == c.Point || place == c.name || place == c.kind })
	})
}

// enter calls f, in a bubble if that is asked for.
func (s *settings) enter(t *testing.T, f func(t *testing.T)) { s.enterFor(t, t, f) }

// enterFor is enter where whatever is wrong with the bubble itself fails another test.
func (s *settings) enterFor(fails testing.TB, t *testing.T, f func(t *testing.T)) {
	if !s.bubble {
		f(t)
		return
	}
	defer func() {
		if p := recover(); p != nil { // goroutines are left that nothing can wake
			fails.Errorf("faulttest: %v\n%s", p, debug.Stack())
		}
	}()
	synctest.Test(t, f)
}

func (c *caseRun) runTest(t *testing.T, f func(*testing.T, *fault.Injector)) {
	c.run(t, func(inj *fault.Injector) { f(t, inj) })
}
