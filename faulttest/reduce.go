package faulttest

import (
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// skips returns why a combination is not to be run, or "". It is asked once all
// smaller ones have been.
func (e *explorer) skips(c combination) Reason {
	if len(c) == 1 || e.settings.brute {
		return ""
	}
	for _, failed := range e.failed {
		if c.contains(failed) {
			return ContainsFailure
		}
	}
	// Before its last fault a run with c is one with all the others, so that one has to
	// make the call. It is not known which is the last; but what a run does before any
	// one fault does not depend on that one, so that each call has to be made in the run
	// with all the others.
	ran, unknown, left := false, false, false
	for i, p := range c {
		part := c.without(i)
		r := e.results[part.key()]
		switch {
		case r == nil:
			left = left || e.left[part.key()]
		case r.Verdict == NotRun:
			unknown = true
		case r.Verdict == Masked && !r.calls[e.calls[p.call].ID]:
			return NeverTogether
		case r.Verdict == Masked:
			ran = true
		}
	}
	if e.substitute(c) != nil {
		return SameAsAnother
	}
	switch {
	case ran:
		return ""
	case unknown && e.inBase(c): // go test -run wants some only: perhaps this one
		return ""
	case left || unknown:
		return LeftOut
	}
	return NeverTogether
}

func (e *explorer) inBase(c combination) bool {
	return !slices.ContainsFunc(c, func(p pick) bool { return !e.base[e.calls[p.call].ID] })
}

// A substitution says which fault of a combination could be replaced by which.
type substitution struct {
	index int
	to    pick
}

// substitute returns the combination that c is the same as, for all that is known of
// smaller ones, or nil.
func (e *explorer) substitute(c combination) combination {
	var other combination
	c.parts(e.sameMost, func(part combination) bool {
		key := part.key()
		same, ok := e.same[key]
		if !ok {
			return true
		}
		other = slices.Clone(c)
		other[slices.Index(c, part[same.index])] = same.to
		return false
	})
	return other
}

// root returns the combination that stands for c and all that are the same.
func (e *explorer) root(c combination) combination {
	for next := c; next != nil; next = e.substitute(next) {
		c = next
	}
	return c
}

// admit has no combination of n faults count as the same as another that was left out.
func (e *explorer) admit(n int) {
	if len(e.left) == 0 {
		return
	}
	for i, s := range e.skipped {
		if s.reason == SameAsAnother && len(s.combination) == n && e.left[e.root(s.combination).key()] {
			e.report.Skipped[SameAsAnother]--
			e.report.Skipped[LeftOut]++
			e.skipped[i].reason = LeftOut
			e.left[s.key()] = true
		}
	}
	if e.report.Skipped[SameAsAnother] == 0 {
		delete(e.report.Skipped, SameAsAnother)
	}
}

// compare finds the runs with n faults that differ from an earlier one only in what
// one call got, and came to the same.
func (e *explorer) compare(n int) {
	type group struct {
		others string // the key of the other faults
		call   int
	}
	first := make(map[group][]*result)
	for _, r := range e.inOrder(n) {
		if r.Verdict != Masked {
			continue
		}
		for i, p := range r.combination {
			g := group{r.without(i).key(), p.call}
			j := slices.IndexFunc(first[g], func(other *result) bool { return e.alike(other, r, i) })
			if j < 0 {
				first[g] = append(first[g], r)
				continue
			}
			if _, done := e.same[r.key()]; !done {
				e.same[r.key()] = substitution{i, first[g][j].combination[i]}
				e.sameMost = n
			}
		}
	}
}

// inOrder returns the results of runs with n faults, as enumerate has them.
func (e *explorer) inOrder(n int) []*result {
	var list []*result
	for _, r := range e.results {
		if len(r.combination) == n {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *result) int {
		return compareCombinations(a.combination, b.combination)
	})
	return list
}

// alike reports whether two runs that were masked, and differ in their fault i only,
// leave the code and its dependencies in the same state, for all that can be seen:
// they made the same calls, were held for the same time, left as many of them behind,
// and the call succeeded, and the dependency was asked, in both or in neither.
func (e *explorer) alike(a, b *result, i int) bool {
	if len(a.calls) != len(b.calls) {
		return false
	}
	for id := range a.calls {
		if !b.calls[id] {
			return false
		}
	}
	p, q := a.combination[i], b.combination[i]
	if !e.calls[p.call].reads() && e.entryOf(p).carriesOut() != e.entryOf(q).carriesOut() {
		return false
	}
	return a.through == b.through && a.left == b.left && sameTime(a.waited, b.waited) && (!e.settings.bubble || sameTime(a.Took, b.Took))
}

// sameTime reports whether two times differ by no more than the runtime's timers and a
// busy machine may make of one.
func sameTime(a, b time.Duration) bool {
	return (a - b).Abs() <= max(20*time.Millisecond, max(a, b)/10)
}

// reads reports whether a call, by the name of its operation, changes nothing at the
// dependency.
func (c *Call) reads() bool {
	verb, _, _ := strings.Cut(c.Operation, " ")
	return slices.Contains([]string{"GET", "HEAD", "OPTIONS", "SELECT"}, verb)
}

// doubt runs what was skipped, or some of it, and takes note of what came to another
// end than reduction took for granted.
func (e *explorer) doubt(s sample) {
	var list []skip
	for _, skipped := range e.skipped {
		if skipped.reason != LeftOut {
			list = append(list, skipped)
		}
	}
	if s.most > 0 && s.most < len(list) {
		random := rand.New(rand.NewPCG(*seedFlag, 0))
		random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		list = list[:s.most]
	}
	for _, skipped := range list {
		if !e.until.IsZero() && time.Now().After(e.until) {
			break
		}
		e.report.Runs++
		e.progress(len(list))
		run := newCaseRun(&e.settings, e.planOf(skipped.combination))
		run.single, run.doubted = false, true
		run.replay = replayLine(e.report.Test, e.tokenOf(skipped.combination))
		v := run.verdict(e.runCase(e.nameOf(skipped.combination), run))
		if v == NotRun {
			continue
		}
		e.report.Doubted++
		if text := e.contradicts(skipped, run, v); text != "" {
			e.report.Wrong = append(e.report.Wrong, e.describe(skipped.combination)+": "+text)
			e.report.wrongReplays = append(e.report.wrongReplays, run.replay)
		}
	}
}

// contradicts returns how a run contradicts why it was skipped, or "".
func (e *explorer) contradicts(s skip, run *caseRun, v Verdict) string {
	switch s.reason {
	case NeverTogether:
		if !run.missed && !run.hung {
			return "all of its calls were reached together (" + string(v) + ")"
		}
		reached := run.reached
		part := slices.DeleteFunc(slices.Clone(s.combination), func(p pick) bool { return !reached[e.calls[p.call].ID] })
		alone := e.results[part.key()]
		if len(part) == 0 || alone == nil {
			return ""
		}
		if alone.Verdict.bad() != v.bad() {
			return "it " + string(v) + ", where those of its faults that were reached alone were " + string(alone.Verdict)
		}
	case SameAsAnother:
		other := e.root(s.combination)
		if want, known := e.outcomeOf(other); known && want != v.bad() {
			return "it " + string(v) + ", where " + e.describe(other) + " did not come to the same"
		}
	}
	return ""
}

// outcomeOf returns whether a combination fails, and whether that is known.
func (e *explorer) outcomeOf(c combination) (bad, known bool) {
	if r := e.results[c.key()]; r != nil {
		return r.Verdict.bad(), r.Verdict != NotRun && r.Verdict != NotReached
	}
	return false, false
}

func (e *explorer) describe(c combination) string {
	var parts []string
	for _, i := range e.injectionsOf(c) {
		parts = append(parts, i.String())
	}
	return strings.Join(parts, " + ")
}
