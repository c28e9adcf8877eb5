package criticality_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/internal/criticality"
	"github.com/stretchr/testify/require"
)

// A system has points, and fails when all of one of the sets do.
type system struct {
	points []string
	sets   [][]string
	tries  int
}

func (s *system) try(f criticality.Failing) (criticality.Outcome, error) {
	s.tries++
	o := criticality.Outcome{Passed: true}
	for _, p := range s.points {
		if f.Includes(p) {
			o.Applied, o.Hit = true, append(o.Hit, p)
		}
	}
	for _, set := range s.sets {
		if !slices.ContainsFunc(set, func(p string) bool { return !f.Includes(p) }) {
			o.Passed, o.Why = false, strings.Join(set, "+")
		}
	}
	return o, nil
}

func (s *system) examine(t *testing.T, allowed ...string) *criticality.Result {
	t.Helper()
	r, err := criticality.Examination{Reached: s.points, Allowed: allowed, MaxSets: 1000, Try: s.try}.Run()
	require.NoError(t, err)
	require.Equal(t, s.tries, r.Tries)
	return r
}

func points(names string) []string {
	var list []string
	for _, name := range strings.Fields(names) {
		list = append(list, "x:"+name)
	}
	return list
}

func TestExamine(t *testing.T) {
	for _, test := range []struct {
		name, points, sets, allowed string
		critical, together          string
		tries                       int
	}{
		{"nothing is critical", "a b c", "", "", "", "", 4},
		{"one is", "a b c", "b", "", "x:b", "", 5},
		{"one is, and is allowed", "a b c", "b", "b", "x:b", "", 4},
		{"all are", "a b", "a,b", "", "x:a x:b", "", 4},
		{"two together", "a b c d", "b d", "", "", "x:b x:d", 11},
		{"one, and two together", "a b c d", "a,b d", "a", "x:a", "x:b x:d", 9},
		{"a set with what is allowed in it", "a b c", "a b", "a", "", "", 4},
		{"several sets", "a b c d e", "a b,b c,c d e", "", "", "x:a x:b|x:b x:c|x:c x:d x:e", 21},
		{"a set within another", "a b c", "a b c,a b", "", "", "x:a x:b", 8},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := system{points: points(test.points)}
			for set := range strings.SplitSeq(test.sets, ",") {
				if set != "" {
					s.sets = append(s.sets, points(set))
				}
			}
			r := s.examine(t, strings.Fields(test.allowed)...)
			require.Equal(t, strings.Fields(test.critical), append([]string{}, r.With(criticality.Critical)...))
			var together []string
			for _, set := range r.Together {
				together = append(together, strings.Join(set, " "))
			}
			require.Equal(t, test.together, strings.Join(together, "|"))
			require.Equal(t, test.tries, r.Tries)
			require.True(t, r.Complete)
			require.False(t, r.Unexplained)
			for _, d := range r.Dependencies {
				require.Equal(t, slices.Contains(strings.Fields(test.allowed), strings.TrimPrefix(d.Point, "x:")), d.Allowed)
			}
		})
	}
}

// The sets that are found are those that trying every set finds.
func TestSetsAreAllThereAre(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := system{points: points("a b c d e f")}
		for range r.IntN(5) {
			var set []string
			for _, p := range s.points {
				if r.IntN(3) == 0 {
					set = append(set, p)
				}
			}
			if len(set) > 0 {
				s.sets = append(s.sets, set)
			}
		}
		var want []string
		for _, set := range s.sets {
			lesser := slices.ContainsFunc(s.sets, func(other []string) bool {
				return len(other) < len(set) && !slices.ContainsFunc(other, func(p string) bool { return !slices.Contains(set, p) })
			})
			if text := fmt.Sprint(set); len(set) > 1 && !lesser && !slices.Contains(want, text) {
				want = append(want, text)
			}
		}
		result := s.examine(t)
		var got []string
		for _, set := range result.Together {
			got = append(got, fmt.Sprint(set))
		}
		require.ElementsMatch(t, want, got, "seed %d: %v", seed, s.sets)
		require.Less(t, s.tries, 1<<len(s.points), "brute force")
	}
}

func TestVerdicts(t *testing.T) {
	try := func(f criticality.Failing) (criticality.Outcome, error) {
		switch {
		case f.All:
			return criticality.Outcome{Passed: true, Applied: true, Hit: points("b fallback")}, nil
		case f.Points[0] == "x:a": // flaky
			return criticality.Outcome{Why: "down"}, nil
		case f.Points[0] == "x:b":
			return criticality.Outcome{Passed: true, Lack: "protected"}, nil
		}
		return criticality.Outcome{Passed: true, Applied: true}, nil
	}
	r, err := criticality.Examination{Reached: points("c b a"), MaxSets: 10, Try: try}.Run()
	require.NoError(t, err)
	require.Equal(t, []criticality.Dependency{
		{Point: "x:a", Verdict: criticality.Unclear, Why: "down"},
		{Point: "x:b", Verdict: criticality.NotReached, Why: "protected"},
		{Point: "x:c", Verdict: criticality.Tolerated},
		{Point: "x:fallback", Verdict: criticality.NotReached, Why: "called only when others fail"},
	}, r.Dependencies)
}

// A fallback that is called only when another fails may have its part in a set.
func TestFallbacks(t *testing.T) {
	try := func(f criticality.Failing) (criticality.Outcome, error) {
		o := criticality.Outcome{Passed: true, Applied: f.Includes("x:a")}
		if o.Applied {
			o.Hit = []string{"x:a"}
			if f.Includes("x:b") {
				o.Hit, o.Passed = points("a b"), false
			}
		}
		return o, nil
	}
	r, err := criticality.Examination{Reached: points("a"), MaxSets: 10, Try: try}.Run()
	require.NoError(t, err)
	require.Equal(t, [][]string{points("a b")}, r.Together)
	require.Equal(t, points("b"), r.With(criticality.NotReached))
}

func TestTooMuchToTry(t *testing.T) {
	s := system{points: points("a b c d e f"), sets: [][]string{points("a b"), points("c d"), points("e f")}}
	r, err := criticality.Examination{Reached: s.points, MaxSets: 6, Try: s.try}.Run()
	require.NoError(t, err)
	require.False(t, r.Complete)
	require.NotEmpty(t, r.Together)
	require.Less(t, len(r.Together), 3)
	require.False(t, r.Unexplained)
	require.LessOrEqual(t, r.Tries, 13)

	r, err = criticality.Examination{Reached: s.points, MaxSets: 2, Try: s.try}.Run()
	require.NoError(t, err)
	require.Empty(t, r.Together)
	require.True(t, r.Unexplained, "which is not to be taken for a pass")
}

// What is critical alone keeps others from being called; they are found all the same.
func TestCriticalHidesOthers(t *testing.T) {
	try := func(f criticality.Failing) (criticality.Outcome, error) {
		o := criticality.Outcome{Passed: true}
		call := func(p string) bool {
			if f.Includes(p) {
				o.Applied, o.Hit = true, append(o.Hit, p)
				return false
			}
			return true
		}
		o.Passed = call("x:first") && (call("x:a") || call("x:b"))
		return o, nil
	}
	r, err := criticality.Examination{Reached: points("first a"), MaxSets: 10, Try: try}.Run()
	require.NoError(t, err)
	require.Equal(t, points("first"), r.With(criticality.Critical))
	require.Equal(t, [][]string{points("a b")}, r.Together)
}

// Something fails that nobody knows of.
func TestUnexplained(t *testing.T) {
	s := system{points: points("a hidden"), sets: [][]string{points("hidden")}}
	r, err := criticality.Examination{Reached: points("a"), MaxSets: 10, Try: func(f criticality.Failing) (criticality.Outcome, error) {
		o, err := s.try(f)
		o.Hit = nil
		return o, err
	}}.Run()
	require.NoError(t, err)
	require.True(t, r.Unexplained)
}

// A try that fails by itself is no proof against the set that was to fail.
func TestMoodyTries(t *testing.T) {
	s := system{points: points("a b c"), sets: [][]string{points("a b c")}}
	r, err := criticality.Examination{Reached: s.points, MaxSets: 10, Try: func(f criticality.Failing) (criticality.Outcome, error) {
		o, err := s.try(f)
		if len(f.Points) == 2 {
			o = criticality.Outcome{}
		}
		return o, err
	}}.Run()
	require.NoError(t, err)
	require.Equal(t, [][]string{points("a b c")}, r.Together)
	require.True(t, r.Unexplained)
}

func TestErrorsEndIt(t *testing.T) {
	for failing := 1; failing <= 6; failing++ {
		s := system{points: points("a b c"), sets: [][]string{points("a b")}}
		broken := errors.New("broken")
		_, err := criticality.Examination{Reached: s.points, MaxSets: 10, Try: func(f criticality.Failing) (criticality.Outcome, error) {
			if s.tries == failing-1 {
				return criticality.Outcome{}, broken
			}
			return s.try(f)
		}}.Run()
		require.ErrorIs(t, err, broken)
	}
}

func TestMatches(t *testing.T) {
	for _, test := range []struct {
		pattern, point string
		want           bool
	}{
		{"ratings", "http.client:ratings", true},
		{"ratings", "sql:ratings", true},
		{"ratings", "http.server:ratings", false},
		{"http.server:ratings", "http.server:ratings", true},
		{"http.client:ratings", "grpc.client:ratings", false},
		{"rat*", "http.client:ratings", true},
		{"*", "http.client:a/b", true},
		{"*:shop", "http.server:shop", true},
		{"rating", "http.client:ratings", false},
		{"r.tings", "http.client:ratings", false},
		{"r.t*", "http.client:ratings", false},
	} {
		require.Equal(t, test.want, criticality.Matches(test.pattern, test.point), "%s, %s", test.pattern, test.point)
	}
	for _, bad := range []string{"", " ", "a ", ":a", "http.client:"} {
		require.Error(t, criticality.CheckPattern(bad), bad)
	}
	require.NoError(t, criticality.CheckPattern("http.client:ratings"))
}
