package benchmarks_test

import (
	"testing"
	"time"
)

// The guards here hold on every machine: they compare calls with one another, in
// one run, by factors that a mood of the machine does not reach and a mistake
// such as asking every rule exceeds by far. They are skipped under the race
// detector, which has a price of its own for every access.

const (
	guardCalls    = 500 // in a run, of some microseconds
	guardRuns     = 40
	guardAttempts = 5
)

// fastest returns what each of the calls takes in nanoseconds when nothing comes
// between: the least of n short runs, in which they take turns.
func fastest(tb testing.TB, n int, calls ...func() error) []float64 {
	tb.Helper()
	least := make([]float64, len(calls))
	for range n {
		for i, do := range calls {
			start := time.Now()
			for range guardCalls {
				if err := do(); err != nil {
					tb.Fatal(err)
				}
			}
			took := float64(time.Since(start)) / guardCalls
			if least[i] == 0 || took < least[i] {
				least[i] = took
			}
		}
	}
	return least
}

func skipUnderRace(t *testing.T) {
	t.Helper()
	if underRace {
		t.Skip("the race detector's own costs are in the way")
	}
}

// requireRatio holds that a call takes at most so many times what another takes.
func requireRatio(t *testing.T, most float64, do, reference func() error) {
	t.Helper()
	skipUnderRace(t)
	for attempt := 1; ; attempt++ {
		took := fastest(t, guardRuns, do, reference)
		ratio := took[0] / took[1]
		if ratio <= most {
			t.Logf("%.1f ns / %.1f ns = %.2f, at most %v is allowed", took[0], took[1], ratio, most)
			return
		}
		if attempt == guardAttempts || ratio > 10*most { // that is no mood
			t.Errorf("%.1f ns / %.1f ns = %.2f, more than %v", took[0], took[1], ratio, most)
			return
		}
	}
}

// requireFlat holds that what a call costs does not depend on how many rules are
// live that are not for it, nor is much while none is: at most idle times the
// floor, if that is not 0.
func requireFlat(t *testing.T, idle float64, floor, c contender) {
	t.Helper()
	if idle > 0 {
		s := in(t, "idle", 0)
		t.Run("idle", func(t *testing.T) { requireRatio(t, idle, c.call(t, s), floor.call(t, s)) })
	}
	for _, test := range []struct {
		scenario string
		most     float64
	}{{"elsewhere", 2}, {"other-customer", 3}} {
		t.Run(test.scenario, func(t *testing.T) {
			requireRatio(t, test.most, c.call(t, in(t, test.scenario, 10_000)), c.call(t, in(t, test.scenario, 1)))
		})
	}
}

// requireBudget holds that in every scenario a call allocates at most so many
// times more than the floor: as many as budget says by name, or else none.
func requireBudget(t *testing.T, floor, c contender, budget map[string]int) {
	t.Helper()
	skipUnderRace(t)
	for _, s := range scenarios() {
		if !c.takesPart(s) {
			continue
		}
		tb := &scoped{TB: t}
		added := countAllocs(t, c.call(tb, s)) - countAllocs(t, floor.call(tb, s))
		tb.release()
		t.Logf("%s: %d allocations added", c.row("serial", s), added)
		if most := budget[s.name]; added > most {
			t.Errorf("%s adds %d allocations, more than %d", c.row("serial", s), added, most)
		}
	}
}

// countAllocs counts them once the call is warm.
func countAllocs(t *testing.T, do func() error) int {
	t.Helper()
	checked := func() {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		checked()
	}
	return int(testing.AllocsPerRun(200, checked))
}
