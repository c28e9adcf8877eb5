package criticality

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// errBudget ends a search that has tried as much as it may.
var errBudget = errors.New("criticality: out of tries")

// A search finds the smallest sets that are too much. It takes it that what is too
// much stays so when more is added, and so needs to try few of all the sets there are.
type search struct {
	try    func(set []string) (passes bool, err error)
	budget int
	passed [][]string
	failed [][]string
}

// knows returns what is known of a set from those tried.
func (s *search) knows(set []string) (passes, known bool) {
	switch {
	case slices.ContainsFunc(s.passed, func(p []string) bool { return subset(set, p) }):
		return true, true
	case slices.ContainsFunc(s.failed, func(f []string) bool { return subset(f, set) }):
		return false, true
	}
	return false, false
}

func (s *search) passes(set []string) (bool, error) {
	if passes, known := s.knows(set); known {
		return passes, nil
	}
	if s.budget <= 0 {
		return false, errBudget
	}
	s.budget--
	passes, err := s.try(set)
	if err != nil {
		return false, err
	}
	if passes {
		s.passed = append(s.passed, set)
	} else {
		s.failed = append(s.failed, set)
	}
	return passes, nil
}

// shrink leaves out of a set that is too much whatever it is too much without.
func (s *search) shrink(set []string) ([]string, error) {
	for i := 0; i < len(set); {
		smaller := without(set, set[i])
		if len(smaller) == 0 {
			break
		}
		passes, err := s.passes(smaller)
		if err != nil {
			return nil, err
		}
		if passes {
			i++
		} else {
			set = smaller
		}
	}
	return set, nil
}

// minimal returns all minimal sets within items that are too much. What is left
// when one member of each of those known is taken out is either fine, or has
// another in it.
func (s *search) minimal(items []string) (sets [][]string, complete bool, err error) {
	known := make(map[string][]string)
	seen := make(map[string]bool)
	queue := [][]string{nil} // what to take out
	for len(queue) > 0 && err == nil {
		out := queue[0]
		queue = queue[1:]
		if key := strings.Join(out, "\x00"); seen[key] {
			continue
		} else {
			seen[key] = true
		}
		rest := without(items, out...)
		if len(rest) == 0 {
			continue
		}
		var passes bool
		if passes, err = s.passes(rest); err != nil || passes {
			continue
		}
		var found []string
		for _, set := range known {
			if subset(set, rest) && (found == nil || slices.Compare(set, found) < 0) {
				found = set
			}
		}
		if found == nil {
			if found, err = s.shrink(rest); err != nil {
				continue
			}
			known[strings.Join(found, "\x00")] = found
		}
		for _, member := range found {
			queue = append(queue, sorted(append(slices.Clone(out), member)))
		}
	}
	sets = slices.SortedFunc(maps.Values(known), func(a, b []string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return slices.Compare(a, b)
	})
	if errors.Is(err, errBudget) {
		return sets, false, nil
	}
	return sets, err == nil, err
}

// subset reports whether everything in a is in b.
func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(x string) bool { return !slices.Contains(b, x) })
}

// without returns the members of set that are none of those.
func without(set []string, those ...string) []string {
	rest := make([]string, 0, len(set))
	for _, x := range set {
		if !slices.Contains(those, x) {
			rest = append(rest, x)
		}
	}
	return rest
}

func sorted(set []string) []string {
	slices.Sort(set)
	return slices.Compact(set)
}
