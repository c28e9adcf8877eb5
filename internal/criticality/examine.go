package criticality

import (
	"slices"
	"strings"
	"time"
)

// A Failing says which calls fail in a try: those at Points, or all but those that a
// pattern of Except stands for.
type Failing struct {
	Points []string
	Except []string
	All    bool // everything but Except; Points is empty then
}

// Includes reports whether calls at a point fail.
func (f Failing) Includes(point string) bool {
	if f.All {
		return !MatchesAny(f.Except, point)
	}
	return slices.Contains(f.Points, point)
}

// An Outcome is what a try came to.
type Outcome struct {
	Passed  bool
	Why     string   // it did not pass
	Applied bool     // a call was made to fail
	Hit     []string // at these points, as far as that is known
	Lack    string   // why none was made to fail, if that is known
	Took    time.Duration
}

// A Verdict is what is known of a dependency.
type Verdict string

const (
	Critical   Verdict = "critical"    // it cannot be done without
	Tolerated  Verdict = "tolerated"   // it can
	NotReached Verdict = "not reached" // no call to it was made to fail, which proves nothing
	Unclear    Verdict = "unclear"     // it failed though nothing was made to fail
)

// A Dependency is a point and what is known of it when it fails alone.
type Dependency struct {
	Point   string
	Verdict Verdict
	Allowed bool // it is one of those that need not fail together with the others
	Why     string
	Took    time.Duration
}

// A Result is what was found out.
type Result struct {
	Dependencies []Dependency // sorted by point
	Rest         Outcome      // with everything failing but what is allowed

	// Together are the smallest sets of dependencies, each tolerated alone, that
	// cannot be done without together. They are all there are if Complete.
	Together [][]string
	Complete bool

	// Unexplained is that everything but what is allowed is too much, and no set of
	// the dependencies that are known was found to be, or one is without being called.
	Unexplained bool

	Tries int
}

// An Examination says what is examined.
type Examination struct {
	Reached []string // points at which calls are made when nothing fails
	Allowed []string // patterns of those that may be critical
	MaxSets int      // how many tries there may be for sets of several dependencies
	Try     func(Failing) (Outcome, error)
}

// Run has everything fail but what is allowed, then each dependency alone, and if that
// does not explain it all, sets of them. An error is one of Try, and ends it.
func (e Examination) Run() (*Result, error) {
	r := &Result{Complete: true}
	try := func(f Failing) (Outcome, error) {
		r.Tries++
		return e.Try(f)
	}
	var err error
	if r.Rest, err = try(Failing{All: true, Except: e.Allowed}); err != nil {
		return nil, err
	}
	search := search{budget: e.MaxSets, try: func(set []string) (bool, error) {
		o, err := try(Failing{Points: set})
		if !o.Passed && !o.Applied { // it is not the set's doing
			r.Unexplained = true
			return true, err
		}
		return o.Passed, err
	}}
	var suspects []string // that only fail together, if any
	for _, point := range sorted(slices.Clone(e.Reached)) {
		o, err := try(Failing{Points: []string{point}})
		if err != nil {
			return nil, err
		}
		d := Dependency{Point: point, Allowed: MatchesAny(e.Allowed, point), Why: o.Why, Took: o.Took}
		switch {
		case o.Applied && !o.Passed:
			d.Verdict = Critical
		case o.Applied:
			d.Verdict = Tolerated
		case o.Passed:
			d.Verdict, d.Why = NotReached, o.Lack
		default:
			d.Verdict = Unclear
		}
		r.Dependencies = append(r.Dependencies, d)
		if !d.Allowed && d.Verdict != Critical {
			suspects = append(suspects, point)
			if o.Passed {
				search.passed = append(search.passed, []string{point})
			}
		}
	}
	// What is critical by itself can keep the rest from being tried, and from being
	// found: it is left out.
	rest := r.Rest
	if critical := r.unallowed(); len(critical) > 0 && !rest.Passed {
		except := append(slices.Clone(e.Allowed), critical...)
		if rest, err = try(Failing{All: true, Except: except}); err != nil {
			return nil, err
		}
	}
	// What is called only when something fails, such as a fallback, is not reached by
	// itself. It may have its part in a set.
	for _, point := range sorted(slices.Concat(r.Rest.Hit, rest.Hit)) {
		if !slices.Contains(e.Reached, point) {
			r.Dependencies = append(r.Dependencies, Dependency{
				Point: point, Verdict: NotReached, Allowed: MatchesAny(e.Allowed, point), Why: "called only when others fail",
			})
			suspects = append(suspects, point)
			search.passed = append(search.passed, []string{point})
		}
	}
	slices.SortFunc(r.Dependencies, func(a, b Dependency) int { return strings.Compare(a.Point, b.Point) })
	if rest.Passed || !rest.Applied {
		return r, nil
	}
	r.Together, r.Complete, err = search.minimal(sorted(suspects))
	if err != nil {
		return nil, err
	}
	r.Unexplained = r.Unexplained || len(r.Together) == 0
	return r, nil
}

// unallowed returns what is critical and not allowed to be.
func (r *Result) unallowed() []string {
	var points []string
	for _, d := range r.Dependencies {
		if d.Verdict == Critical && !d.Allowed {
			points = append(points, d.Point)
		}
	}
	return points
}

// With returns the points that a verdict was come to about.
func (r *Result) With(v Verdict) []string {
	var points []string
	for _, d := range r.Dependencies {
		if d.Verdict == v {
			points = append(points, d.Point)
		}
	}
	return points
}
