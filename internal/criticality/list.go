package criticality

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/internal/strictjson"
)

// A List is what is known to be critical: the file that is checked in.
type List struct {
	Version   int        `json:"version"`
	Of        string     `json:"of"`        // a test, or a journey
	Critical  []string   `json:"critical"`  // points
	Together  [][]string `json:"together"`  // sets of them, each tolerated alone
	Tolerated []string   `json:"tolerated"` // points
}

const listVersion = 1

// NewList returns the list of a result. Points that were not reached this time keep
// their place in old, which may be nil.
func NewList(of string, r *Result, old *List) *List {
	l := &List{Version: listVersion, Of: of, Critical: r.With(Critical), Together: slices.Clone(r.Together), Tolerated: r.With(Tolerated)}
	if old != nil {
		reached := slices.Concat(l.Critical, l.Tolerated)
		known := func(p string) bool {
			return !slices.Contains(reached, p) && slices.ContainsFunc(r.Dependencies, func(d Dependency) bool { return d.Point == p })
		}
		for _, p := range old.Critical {
			if known(p) {
				l.Critical = append(l.Critical, p)
			}
		}
		for _, p := range old.Tolerated {
			if known(p) {
				l.Tolerated = append(l.Tolerated, p)
			}
		}
	}
	l.Critical, l.Tolerated = sorted(present(l.Critical)), sorted(present(l.Tolerated))
	if l.Together == nil {
		l.Together = [][]string{}
	}
	return l
}

// present keeps an empty list from becoming null.
func present(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// ParseList reads a list, and reports everything that is wrong with it.
func ParseList(data []byte) (*List, error) {
	var l List
	if err := strictjson.Unmarshal(data, &l); err != nil {
		return nil, err
	}
	if err := l.validate(); err != nil {
		return nil, err
	}
	return &l, nil
}

func (l *List) validate() error {
	var problems problem.List
	if l.Version != listVersion {
		problems.Addf("version", "is %d; this version of misfit reads %d", l.Version, listVersion)
		return problems.Err()
	}
	seen := make(map[string]string)
	for _, part := range []struct {
		name   string
		points []string
	}{{"critical", l.Critical}, {"tolerated", l.Tolerated}} {
		for i, p := range part.points {
			path := problem.Index(part.name, i)
			checkPoint(&problems, path, p)
			if where, twice := seen[p]; twice {
				problems.Addf(path, "%q is in the list already, at %s", p, where)
			}
			seen[p] = path
		}
	}
	for i, set := range l.Together {
		path := problem.Index("together", i)
		if len(set) < 2 || len(sorted(slices.Clone(set))) != len(set) {
			problems.Addf(path, "is no set of two points or more; one alone is critical")
		}
		for j, p := range set {
			checkPoint(&problems, path+problem.Index("", j), p)
		}
	}
	return problems.Err()
}

func checkPoint(problems *problem.List, path, point string) {
	kind, name, found := strings.Cut(point, ":")
	if !found || kind == "" || name == "" {
		problems.Addf(path, "%q is no kind and name, such as %q", point, "http.client:ratings")
	}
}

// Encode returns the list as [ParseList] reads it, with a line for each point so that
// changes can be reviewed.
func (l *List) Encode() []byte {
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil { // there are only texts in it
		panic(err)
	}
	return append(data, '\n')
}

// A Difference is what a result and what is known do not have in common.
type Difference struct {
	Critical  []string   // critical now, and not known to be
	Together  [][]string // likewise of sets
	Tolerated []string   // known to be critical, and tolerated now
	Apart     [][]string // sets that were too much and are not any more
	Missing   []string   // known or allowed, and not reached: what is true of them is not known
}

// New reports whether something is critical that is not known to be.
func (d *Difference) New() bool { return len(d.Critical)+len(d.Together) > 0 }

// Stale reports whether something is known to be critical that is not.
func (d *Difference) Stale() bool { return len(d.Tolerated)+len(d.Apart) > 0 }

// Compare returns what differs between a result and what is known: the patterns of
// what is allowed, and a list, which may be nil.
func Compare(r *Result, allowed []string, list *List) *Difference {
	if list == nil {
		list = &List{}
	}
	known := func(p string) bool { return MatchesAny(allowed, p) || slices.Contains(list.Critical, p) }
	d := &Difference{}
	critical := r.With(Critical)
	for _, p := range critical {
		if !known(p) {
			d.Critical = append(d.Critical, p)
		}
	}
	for _, p := range r.With(Tolerated) {
		if known(p) {
			d.Tolerated = append(d.Tolerated, p)
		}
	}
	for _, set := range r.Together {
		if !slices.ContainsFunc(list.Together, func(k []string) bool { return subset(k, set) }) {
			d.Together = append(d.Together, set)
		}
	}
	for _, set := range list.Together {
		holds := slices.ContainsFunc(r.Together, func(now []string) bool { return subset(now, set) }) ||
			slices.ContainsFunc(set, func(p string) bool { return slices.Contains(critical, p) })
		if !holds && r.Complete {
			d.Apart = append(d.Apart, set)
		}
	}
	reached := slices.Concat(critical, r.With(Tolerated))
	for _, p := range slices.Concat(allowed, list.Critical) {
		if !slices.ContainsFunc(reached, func(at string) bool { return Matches(p, at) }) {
			d.Missing = append(d.Missing, p)
		}
	}
	d.Missing = sorted(d.Missing)
	return d
}
