package faulttest

import (
	"slices"
)

// Outages has exploration also run the test with each fault in every call at a point,
// for the points at which some run makes more than one: a dependency that is down for
// all attempts, as often as a client makes them. Such a case counts as a single fault,
// is combined with no other, and is left out where one call with the fault fails the
// test already. By default there are none.
func Outages() Option {
	return option(func(s *settings) { s.outages = true })
}

// everyCall is what stands in a plan, and in tokens, for all calls at a point.
func everyCall(point string) string { return digest(point, "every call") }

// runOutages runs what Outages asks for, once the single faults have been.
func (e *explorer) runOutages() {
	var list []combination
	for _, point := range e.busyPoints() {
		every := &known{every: true}
		for _, k := range e.calls {
			if k.Point != point {
				continue
			}
			every.Call = Call{Point: k.Point, kind: k.kind, name: k.name, Nth: 1}
			for _, entry := range k.entries {
				if !slices.ContainsFunc(every.entries, func(other Entry) bool { return other.Name == entry.Name }) {
					every.entries = append(every.entries, entry)
				}
			}
		}
		e.addEvery(every)
		for entry := range every.entries {
			c := combination{{e.byID[every.ID], entry}}
			e.report.Combinations++
			if e.failsInOne(point, every.entries[entry].Name) {
				e.skip(c, ContainsFailure)
			} else {
				list = append(list, c)
			}
		}
	}
	e.runAll(list)
}

// addEvery makes all calls at a point, taken as one, known.
func (e *explorer) addEvery(every *known) {
	every.ID = everyCall(every.Point)
	every.label = every.name + ", every call"
	if e.labelled(every.label) != nil {
		every.label = every.Point + ", every call"
	}
	e.byID[every.ID] = len(e.calls)
	e.calls = append(e.calls, every)
}

// busyPoints returns the points at which one run makes several calls, sorted.
func (e *explorer) busyPoints() []string {
	var busy []string
	look := func(made map[string]bool) {
		counts := make(map[string]int)
		for id := range made {
			if i, ok := e.byID[id]; ok && !e.calls[i].every {
				point := e.calls[i].Point
				if counts[point]++; counts[point] == 2 && !slices.Contains(busy, point) {
					busy = append(busy, point)
				}
			}
		}
	}
	look(e.base)
	for _, r := range e.results {
		look(r.calls)
	}
	slices.Sort(busy)
	return busy
}

// failsInOne reports whether the test fails if a single call at a point gets a fault.
func (e *explorer) failsInOne(point, entry string) bool {
	return slices.ContainsFunc(e.failed, func(c combination) bool {
		return len(c) == 1 && e.calls[c[0].call].Point == point && e.entryOf(c[0]).Name == entry
	})
}
