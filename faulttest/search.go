package faulttest

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"
)

// An explorer searches for the combinations of faults that a test does not survive.
type explorer struct {
	t        *testing.T
	settings settings
	runCase  func(name string, c *caseRun) (ok bool) // in a test of its own
	here     func(c *caseRun)                        // in t itself, which ends if it fails; nil: that is not done
	inParent bool
	report   *Report
	began    time.Time
	until    time.Time // no run begins after; zero: any may
	told     time.Time // when progress was last said

	calls    []*known                // in the order in which they were found
	byID     map[string]int          // of calls
	base     map[string]bool         // IDs of calls made without faults
	erratic  map[string]bool         // IDs of those made in only one of two such runs
	results  map[string]*result      // by key of combination
	planned  []*result               // the same, in the order in which they were planned
	failed   []combination           // minimal ones
	same     map[string]substitution // by key of combination
	sameMost int                     // of faults in one of them
	skipped  []skip
	left     map[string]bool // keys of those that were skipped for want of runs or time
}

// A result is what a run with a combination came to, as the search sees it.
type result struct {
	combination
	*Result
	calls  map[string]bool // IDs
	waited time.Duration
	// How many calls that got a fault went on all the same, and how many were held when
	// the test was over.
	through int
	left    int64
}

// A skip is a combination that was not run, and why.
type skip struct {
	combination
	reason Reason
}

func newExplorer(t *testing.T, options []Option) *explorer {
	settings := newSettings(options)
	e := &explorer{
		t:        t,
		settings: settings,
		report:   &Report{Test: t.Name(), Skipped: make(map[Reason]int)},
		began:    time.Now(),
		byID:     make(map[string]int),
		base:     make(map[string]bool),
		erratic:  make(map[string]bool),
		results:  make(map[string]*result),
		same:     make(map[string]substitution),
		left:     make(map[string]bool),
	}
	if d := settings.limit(timeLeft(t)); d > 0 {
		e.until = e.began.Add(d)
	}
	e.told = e.began
	return e
}

// timeLeft returns what is left of go test -timeout, 0 if it has none.
func timeLeft(t *testing.T) time.Duration {
	t.Helper()
	defer func() {
		if recover() != nil {
			t.Fatal("faulttest: exploration cannot be inside a bubble of testing/synctest, where there are no subtests: it makes one for each run with the option Bubble")
		}
	}()
	if deadline, ok := t.Deadline(); ok {
		return time.Until(deadline)
	}
	return 0
}

// baseline runs the test without faults, twice, and reports whether there is anything
// to explore.
func (e *explorer) baseline() bool {
	first, ok := e.plain("no faults")
	if !ok {
		return false
	}
	second := first
	if !e.inParent {
		if second, ok = e.plain("no faults again"); !ok {
			return false
		}
	}
	e.base = idsOf(first.calls)
	inSecond := idsOf(second.calls)
	for _, c := range append(first.sorted(), second.sorted()...) {
		if !e.base[c.ID] || !inSecond[c.ID] {
			delete(e.base, c.ID)
			e.erratic[c.ID] = true
			e.report.Unrepeatable = append(e.report.Unrepeatable, c)
		}
	}
	e.settings.harmless = first.places
	e.discover(first)
	e.report.Late = first.lateCalls()
	switch {
	case len(first.calls) == 0 && len(e.report.Late) > 0:
		e.report.Broken = "it makes calls only once its function has returned, when no fault is injected any more: wait for what it starts, and leave T.Parallel out of its subtests; calls seen:" + listCalls(e.report.Late)
	case len(first.calls) == 0:
		e.report.Broken = "it reaches no injection point: does what it tests use the injector that it is given?"
	}
	return len(first.calls) > 0
}

// plain runs the test without faults, and reports whether it passes.
func (e *explorer) plain(name string) (*caseRun, bool) {
	c := newCaseRun(&e.settings, nil)
	e.report.Runs++
	ok := e.runCase(name, c)
	if !c.executed && e.here != nil { // go test -run is for single cases, which need it all the same
		e.inParent = true
		e.here(c)
		ok = !e.t.Failed()
	}
	switch v := c.verdict(ok); {
	case c.executed && !c.finished:
		e.report.Broken = "it calls T.Parallel, which has it wait until exploration is over: leave that out, and see the option Parallel"
	case c.skipped:
		e.report.Broken = "it skips itself"
	case v != Masked:
		e.report.Broken = fmt.Sprintf("it fails without any fault (%s): %s", v, cmp.Or(c.why, "see its log"))
	}
	return c, e.report.Broken == ""
}

func idsOf(calls []Call) map[string]bool {
	ids := make(map[string]bool, len(calls))
	for _, c := range calls {
		ids[c.ID] = true
	}
	return ids
}

// discover gets to know the calls of a run. Those that look alike are told apart, for
// people, by the kinds of their points, or else by the functions they are made in.
func (e *explorer) discover(c *caseRun) {
	for _, call := range c.sorted() {
		if _, seen := e.byID[call.ID]; seen || e.erratic[call.ID] {
			continue
		}
		call.label = call.text()
		if other := e.labelled(call.label); other != nil && other.Point != call.Point {
			call.label = call.kind + ":" + call.label
		}
		if e.labelled(call.label) != nil {
			call.label += " in " + call.In
		}
		for n, label := 2, call.label; e.labelled(call.label) != nil; n++ {
			call.label = fmt.Sprintf("%s (%d)", label, n)
		}
		e.byID[call.ID] = len(e.calls)
		e.calls = append(e.calls, &known{Call: call, entries: c.entries[call.ID]})
	}
}

func (e *explorer) labelled(label string) *known {
	if i := slices.IndexFunc(e.calls, func(k *known) bool { return k.label == label }); i >= 0 {
		return e.calls[i]
	}
	return nil
}

// search runs what is to be run, level by level: all combinations of n faults before
// those of n+1.
func (e *explorer) search() {
	for n := 1; n <= e.settings.maxFaults; n++ {
		entries := make([]int, len(e.calls))
		for i, c := range e.calls {
			entries[i] = len(c.entries)
			if n == 1 && !e.base[c.ID] || c.every {
				entries[i] = 0
			}
		}
		total := combinations(entries, n, math.MaxInt/1024)
		e.report.Combinations += total
		var candidates []combination
		if n == 1 || total <= e.settings.enumerated {
			candidates = enumerate(entries, n)
		} else {
			var whole bool
			candidates, whole = e.frontier(n)
			reason := NeverTogether
			if !whole {
				reason = LeftOut
			}
			e.report.Skipped[reason] += total - len(candidates)
		}
		var chosen []combination
		for _, c := range candidates {
			if reason := e.skips(c); reason != "" {
				e.skip(c, reason)
			} else {
				chosen = append(chosen, c)
			}
		}
		// Those that take long come last, so that it is them that time runs out for.
		slices.SortStableFunc(chosen, func(a, b combination) int { return e.waits(a) - e.waits(b) })
		e.runAll(chosen)
		e.admit(n)
		e.compare(n)
		if n == 1 && e.settings.outages {
			e.runOutages()
		}
	}
}

// enumerate returns all combinations of n faults in calls with so many entries each.
func enumerate(entries []int, n int) []combination {
	var all []combination
	after := make([]int, len(entries)+1) // of the calls from one on, how many have entries
	for i := len(entries) - 1; i >= 0; i-- {
		after[i] = after[i+1] + min(entries[i], 1)
	}
	var extend func(c combination, from int)
	extend = func(c combination, from int) {
		if len(c) == n {
			all = append(all, slices.Clone(c))
			return
		}
		for call := from; after[call] >= n-len(c); call++ { // the others are too few
			for entry := range entries[call] {
				extend(append(c, pick{call, entry}), call+1)
			}
		}
	}
	extend(make(combination, 0, n), 0)
	return all
}

// frontier returns what can come of one more fault in the runs with n-1. It is not the
// whole of it where some of those were not made, or there are more than can be run.
func (e *explorer) frontier(n int) (all []combination, whole bool) {
	if e.spent() {
		return nil, false
	}
	whole = len(e.left) == 0 && !slices.ContainsFunc(e.planned, func(r *result) bool { return r.Verdict == NotRun })
	seen := make(map[string]bool)
	for _, key := range e.keys() {
		r := e.results[key]
		if len(r.combination) != n-1 || r.Verdict != Masked || e.calls[r.combination[0].call].every {
			continue
		}
		for call, k := range e.calls {
			if !r.calls[k.ID] || slices.ContainsFunc(r.combination, func(p pick) bool { return p.call == call }) {
				continue
			}
			for entry := range k.entries {
				c := r.with(pick{call, entry})
				if key := c.key(); !seen[key] {
					if len(all) == mostEnumerated {
						return all, false
					}
					seen[key] = true
					all = append(all, c)
				}
			}
		}
	}
	return all, whole
}

// keys returns those of results in a fixed order.
func (e *explorer) keys() []string {
	keys := make([]string, 0, len(e.results))
	for key := range e.results {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (e *explorer) waits(c combination) int {
	n := 0
	for _, p := range c {
		if e.entryOf(p).waits() {
			n++
		}
	}
	return n
}

func (e *explorer) skip(c combination, reason Reason) {
	e.report.Skipped[reason]++
	e.skipped = append(e.skipped, skip{c, reason})
	if reason == LeftOut {
		e.left[c.key()] = true
	}
}

// spent reports whether no more runs are to be begun.
func (e *explorer) spent() bool {
	return e.report.Runs >= e.settings.maxRuns || !e.until.IsZero() && time.Now().After(e.until)
}

// runAll runs combinations, as many at once as is set, and takes note of what they
// came to in their order.
func (e *explorer) runAll(list []combination) {
	runs := make([]*caseRun, len(list))
	verdicts := make([]Verdict, len(list))
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := 0
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		if next == len(list) || e.spent() {
			return -1
		}
		e.report.Runs++
		e.progress(len(list) - next)
		next++
		return next - 1
	}
	for range min(e.settings.parallel, len(list)) {
		wg.Go(func() {
			for i := take(); i >= 0; i = take() {
				c := newCaseRun(&e.settings, e.planOf(list[i]))
				c.replay = replayLine(e.report.Test, e.tokenOf(list[i]))
				first := e.calls[list[i][0].call]
				c.single = c.single && (e.base[first.ID] || first.every)
				verdicts[i] = c.verdict(e.runCase(e.nameOf(list[i]), c))
				runs[i] = c
			}
		})
	}
	wg.Wait()
	for i, c := range list {
		if runs[i] == nil {
			e.skip(c, LeftOut)
			continue
		}
		if verdicts[i] == NotRun {
			e.report.Runs--
		}
		e.discover(runs[i])
		e.note(c, runs[i], verdicts[i])
	}
}

// note takes note of what a run came to.
func (e *explorer) note(c combination, run *caseRun, v Verdict) *result {
	r := &result{combination: c, calls: idsOf(run.calls), waited: run.waited, through: run.through, left: run.left, Result: &Result{
		Name: e.nameOf(c), Injections: e.injectionsOf(c), Verdict: v, Why: run.why, Took: run.took, Token: e.tokenOf(c),
	}}
	for _, call := range run.sorted() {
		if i, ok := e.byID[call.ID]; ok {
			call.label = e.calls[i].label
		}
		r.Calls = append(r.Calls, call)
	}
	switch {
	case v == NotReached && run.missed:
		r.Why = "a call that was to get a fault was not made"
	case v == NotReached:
		r.Why = "it skips itself"
	}
	e.results[c.key()] = r
	e.planned = append(e.planned, r)
	if v.bad() {
		e.failed = append(e.failed, c)
	}
	return r
}

// progressEvery is how often progress is said.
const progressEvery = 5 * time.Second

func (e *explorer) progress(left int) {
	if time.Since(e.told) < progressEvery {
		return
	}
	e.told = time.Now()
	fmt.Fprintf(e.t.Output(), "faulttest: %d runs in %v, %d more of this size\n", e.report.Runs-1, time.Since(e.began).Round(time.Second), left)
}
