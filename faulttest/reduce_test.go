package faulttest_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/stretchr/testify/require"
)

// A node is a call of a program made up at random, and what it does next.
type node struct {
	name              string
	ok, fail, refused *node
	bad               bool // of an end: the test fails
}

// program returns one whose calls lie no deeper than depth.
func program(random *rand.Rand, depth int, name string) *node {
	if depth == 0 || random.IntN(6) == 0 && depth < 4 {
		return &node{bad: random.IntN(3) == 0}
	}
	n := &node{
		name: "c" + name,
		ok:   program(random, depth-1, name+"y"),
		fail: program(random, depth-1, name+"n"),
	}
	if n.refused = n.fail; random.IntN(3) == 0 {
		n.refused = program(random, depth-1, name+"r")
	}
	return n
}

// tame makes the way without faults one that passes.
func (n *node) tame() *node {
	for at := n; ; at = at.ok {
		if at.name == "" {
			at.bad = false
			return n
		}
	}
}

func (n *node) run(t testing.TB, inj *fault.Injector) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for n.name != "" {
		switch err := inj.Point("custom", n.name).Inject(ctx, fault.Operation{Name: "GET"}); {
		case errors.Is(err, syscall.ECONNREFUSED):
			n = n.refused
		case err != nil:
			n = n.fail
		default:
			n = n.ok
		}
	}
	if n.bad {
		t.Error("a bad end")
	}
}

// calls is the set of calls that a failure is about.
func calls(r faulttest.Result) string {
	var names []string
	for _, i := range r.Injections {
		names = append(names, i.Call.String())
	}
	return fmt.Sprint(names)
}

var twoFaults = faulttest.Faults("custom", faulttest.Fail(fault.Unavailable), faulttest.Fail(fault.Refused))

// What brute force finds, reduction finds too, in the same calls: programs whose
// behaviour depends on the outcome of their calls only.
func TestReductionLosesNothing(t *testing.T) {
	ran, of, bugs := 0, 0, 0
	for seed := range uint64(16) {
		p := program(rand.New(rand.NewPCG(seed, 0)), 3, "").tame()
		if p.name == "" {
			continue
		}
		test := func(t testing.TB, inj *fault.Injector) { p.run(t, inj) }
		options := []faulttest.Option{faulttest.Bubble(), faulttest.MaxFaults(3), faulttest.MaxRuns(1 << 20), twoFaults}
		var reduced, led, brute *faulttest.Report
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Run("reduced", func(t *testing.T) {
				reduced = faulttest.Survey(t, test, append(options, faulttest.Doubting())...)
			})
			t.Run("led", func(t *testing.T) { led = faulttest.Survey(t, test, append(options, faulttest.Led())...) })
			t.Run("brute", func(t *testing.T) { brute = faulttest.Survey(t, test, append(options, faulttest.Brute())...) })
		})
		require.Empty(t, reduced.Wrong, "seed %d", seed)
		require.Equal(t, names(reduced), names(led), "seed %d", seed)
		found := make(map[string]bool)
		for _, f := range reduced.Failures() {
			found[calls(f)] = true
		}
		for _, f := range minimal(brute.Failures()) {
			require.True(t, found[calls(f)], "seed %d: %s is not found", seed, f.Faults())
			bugs++
		}
		for _, f := range reduced.Failures() {
			require.True(t, slices.ContainsFunc(brute.Failures(), func(b faulttest.Result) bool { return b.Faults() == f.Faults() }),
				"seed %d: %s is found, and is no failure", seed, f.Faults())
		}
		ran += reduced.Runs - reduced.Doubted
		of += brute.Runs
		require.Equal(t, brute.Combinations, len(brute.Results)+brute.Skipped[faulttest.LeftOut])
		require.Equal(t, reduced.Combinations, len(reduced.Results)+skippedOf(reduced), "every combination is accounted for")
		require.Equal(t, led.Combinations, len(led.Results)+skippedOf(led), "every combination is accounted for")
	}
	t.Logf("%d runs, reduced from %d; %d failures in sets of calls", ran, of, bugs)
	require.Greater(t, bugs, 10)
	require.Less(t, ran*3, of)
}

// Nor is anything lost where a program makes all of its calls, with timeouts near the
// delay of the catalogue, and fails or not by which of them have succeeded.
func TestReductionKnowsSuccess(t *testing.T) {
	bugs := 0
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 1))
		n := 2 + random.IntN(3)
		timeouts, verbs, bad := make([]time.Duration, n), make([]string, n), make([]bool, 1<<n)
		for i := range n {
			timeouts[i] = []time.Duration{time.Second, 1900 * time.Millisecond, 2100 * time.Millisecond, 5 * time.Second}[random.IntN(4)]
			verbs[i] = []string{"GET", "POST"}[random.IntN(2)]
		}
		for i := range len(bad) - 1 { // the last is that all have succeeded
			bad[i] = random.IntN(3) == 0
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
				succeeded := 0
				for i := range n {
					ctx, cancel := context.WithTimeout(t.Context(), timeouts[i])
					if inj.Point("custom", fmt.Sprint("c", i)).Inject(ctx, fault.Operation{Verb: verbs[i], Name: "/x"}) == nil {
						succeeded |= 1 << i
					}
					cancel()
				}
				if bad[succeeded] {
					t.Error("a bad end")
				}
			}, faulttest.Bubble(), faulttest.Doubting(), faulttest.MaxFaults(3))
			require.Empty(t, report.Wrong)
			bugs += len(report.Failures())
		})
	}
	require.Greater(t, bugs, 100)
}

// minimal leaves out the failures that contain another one.
func minimal(failures []faulttest.Result) []faulttest.Result {
	return slices.DeleteFunc(slices.Clone(failures), func(f faulttest.Result) bool {
		return slices.ContainsFunc(failures, func(other faulttest.Result) bool {
			return len(other.Injections) < len(f.Injections) && !slices.ContainsFunc(other.Injections, func(i faulttest.Injection) bool {
				return !slices.Contains(f.Injections, i)
			})
		})
	})
}

// A program against what reduction takes for granted: what it does about the second
// failure depends on what kind the first was, and no call shows it. -faulttest.noreduce
// says so.
func TestNoReduceShowsWhatReductionLoses(t *testing.T) {
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
		first := inj.Point("custom", "first").Inject(t.Context(), fault.Operation{Name: "GET"})
		second := inj.Point("custom", "second").Inject(t.Context(), fault.Operation{Name: "GET"})
		if errors.Is(first, errRefused) && second != nil {
			t.Error("a bad end")
		}
	}, faulttest.Bubble(), faulttest.Doubting(), faulttest.Injector(fault.WithNamedError("refused", errRefused)),
		faulttest.Faults("first", faulttest.Fail(fault.Unavailable), faulttest.Named("refused")),
		faulttest.Faults("second", faulttest.Fail(fault.Unavailable)))
	require.Equal(t, 1, report.Skipped[faulttest.SameAsAnother])
	require.Equal(t, []string{
		"first GET: refused + second GET: unavailable: it failed, where first GET: unavailable + second GET: unavailable did not come to the same",
	}, report.Wrong)
	require.Regexp(t, `WRONGLY SKIPPED: .*\n\t\tgo test -run '.*' -faulttest\.replay=1\S+\n`, report.String())
}

var errRefused = errors.New("refused")

// Two faults in a call are not the same if one of them leads to a call more.
func TestFallbackOfOneFaultIsExplored(t *testing.T) {
	p := &node{
		name: "first", ok: &node{}, fail: &node{},
		refused: &node{name: "fallback", ok: &node{}, fail: &node{bad: true}, refused: &node{}},
	}
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) { p.run(t, inj) }, faulttest.Bubble(), twoFaults)
	require.Len(t, report.Failures(), 1)
	require.Equal(t, "first GET: refused + fallback GET: unavailable", report.Failures()[0].Faults())
	require.Equal(t, map[faulttest.Reason]int{faulttest.NeverTogether: 2}, report.Skipped)
}

// A call that is late has succeeded, and one that fails has not: where the test makes
// both calls anyway, and needs one of them, only failures show it.
func TestLateIsNotFailed(t *testing.T) {
	for name, faults := range map[string]faulttest.Option{
		"short":                         faulttest.Faults("custom", faulttest.Delay(10*time.Millisecond), faulttest.Fail(fault.Unavailable)),
		"nearly as long as the timeout": faulttest.Faults("custom", faulttest.Delay(2*time.Second), faulttest.BlackHole()),
	} {
		t.Run(name, func(t *testing.T) {
			report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
				failed := 0
				for _, name := range []string{"a", "b"} {
					ctx, cancel := context.WithTimeout(t.Context(), 2100*time.Millisecond)
					if ask(ctx, inj, name) != nil {
						failed++
					}
					cancel()
				}
				if failed == 2 {
					t.Error("neither has answered")
				}
			}, faulttest.Bubble(), faulttest.Doubting(), faults)
			require.Len(t, report.Failures(), 1)
			require.Empty(t, report.Wrong)
		})
	}
}

// Nor are they if a call that got one of them is left behind.
func TestFaultsThatLeaveCallsBehind(t *testing.T) {
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = ask(context.Background(), inj, "a")
		}()
		for left := false; !left && inj.Status().Held == 0; {
			select {
			case <-done:
				left = true
			case <-time.After(time.Millisecond): // in real time, which is not looked at
			}
		}
		_ = ask(t.Context(), inj, "b")
	}, faulttest.Faults("a", faulttest.Fail(fault.Unavailable), faulttest.BlackHole()), faulttest.Faults("b", faulttest.Fail(fault.Unavailable)))
	require.Empty(t, report.Failures())
	require.Zero(t, report.Skipped[faulttest.SameAsAnother])
	require.Len(t, report.Results, 3+2)
}

// Nor are they if one takes time, which is short later, or has the dependency carry
// the call out, which is to be undone later, or has the call succeed in the end.
func TestFaultsThatDifferInMoreThanCalls(t *testing.T) {
	delay, lost := faulttest.Delay(time.Second), faulttest.Fail(fault.Unavailable)
	for name, test := range map[string]struct {
		faults []faulttest.Entry
		same   int
		verb   string        // PUT if empty
		real   bool          // in real time
		wait   time.Duration // of the caller, for one call; without end if 0
	}{
		"time":              {[]faulttest.Entry{lost, delay}, 0, "", false, 0},
		"the same time":     {[]faulttest.Entry{delay, delay.As("again")}, 3, "", false, 0},
		"nearly the same":   {[]faulttest.Entry{delay, faulttest.Delay(1001 * time.Millisecond)}, 3, "", false, 0},
		"carried out":       {[]faulttest.Entry{lost, faulttest.Delay(time.Nanosecond)}, 0, "", false, 0},
		"neither":           {[]faulttest.Entry{lost, faulttest.Fail(fault.Reset)}, 3, "", false, 0},
		"carried out, read": {[]faulttest.Entry{faulttest.BlackHole(), faulttest.Delay(time.Minute)}, 3, "GET", false, time.Second},
		"given up":          {[]faulttest.Entry{delay, faulttest.BlackHole()}, 0, "GET", false, 1050 * time.Millisecond},
		"succeeds":          {[]faulttest.Entry{faulttest.Delay(time.Nanosecond), lost}, 0, "GET", false, 0},
		"really time":       {[]faulttest.Entry{lost, faulttest.Delay(80 * time.Millisecond)}, 0, "GET", true, 0},
		"only one is left":  {[]faulttest.Entry{lost}, 0, "", false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			options := []faulttest.Option{faulttest.Faults("custom", test.faults...)}
			if !test.real {
				options = append(options, faulttest.Bubble())
			}
			report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
				for _, name := range []string{"a", "b"} {
					ctx, cancel := context.WithTimeout(t.Context(), cmp.Or(test.wait, 24*time.Hour))
					_ = inj.Point("custom", name).Inject(ctx, fault.Operation{Verb: cmp.Or(test.verb, "PUT"), Name: "/x"})
					cancel()
				}
			}, options...)
			require.Empty(t, report.Failures())
			require.Equal(t, test.same, report.Skipped[faulttest.SameAsAnother])
		})
	}
}
