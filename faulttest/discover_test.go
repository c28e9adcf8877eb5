package faulttest_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

var oneFault = faulttest.Faults("custom", faulttest.Fail(fault.Unavailable))

func ask(ctx context.Context, inj *fault.Injector, name string) error {
	return inj.Point("custom", name).Inject(ctx, fault.Operation{Name: "GET"})
}

func primary(ctx context.Context, inj *fault.Injector) error { return ask(ctx, inj, "store") }
func fallback(ctx context.Context, inj *fault.Injector) error {
	return inj.Point("custom", "store").Inject(ctx, fault.Operation{Name: "GET"})
}

func names(report *faulttest.Report) (names []string) {
	for _, r := range report.Results {
		names = append(names, r.Name)
	}
	return names
}

// Calls that look alike are told apart by where they are made, retries by their number.
func TestCallsAreToldApart(t *testing.T) {
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
		for range 3 {
			if primary(t.Context(), inj) == nil {
				return
			}
		}
		if fallback(t.Context(), inj) != nil {
			t.Error("nothing is left")
		}
	}, oneFault, faulttest.MaxFaults(9))
	require.Equal(t, []string{
		"store_GET_unavailable",
		"store_GET_unavailable_and_store_GET_2_unavailable",
		"store_GET_unavailable_and_store_GET_2_unavailable_and_store_GET_3_unavailable",
		"store_GET_unavailable_and_store_GET_2_unavailable_and_store_GET_3_unavailable_and_store_GET_in_faulttest_test.fallback_unavailable",
	}, names(report))
	require.Len(t, report.Failures(), 1)
	require.Equal(t, 4, len(report.Calls))
	require.Equal(t, 4, report.Combinations, "a call counts from when it is known")
}

// A name that is mistyped would otherwise go unnoticed: other faults take its place.
func TestFaultsForNoCall(t *testing.T) {
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
		_ = ask(t.Context(), inj, "ratings")
	}, oneFault, faulttest.Faults("ratings", faulttest.Fail(fault.Unavailable)), faulttest.Faults("raitngs"), faulttest.Faults("http.client:ratings"))
	require.Equal(t, []string{"raitngs", "http.client:ratings"}, report.Unused)
	require.Contains(t, report.String(), "Faults for raitngs, http.client:ratings are unused: no call was made there; there were calls at custom:ratings\n")
}

// Which goroutine comes first does not matter, in the one run or in many.
func TestGoroutinesInAnyOrder(t *testing.T) {
	var first []string
	for i := range 5 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
				var wg sync.WaitGroup
				for _, name := range []string{"c", "b", "d", "a"} {
					wg.Go(func() { _ = ask(t.Context(), inj, name) })
				}
				wg.Wait()
			}, oneFault, faulttest.Parallel(3))
			require.Empty(t, report.Unrepeatable)
			require.Empty(t, report.Failures())
			require.Len(t, report.Results, 4+6)
			all := names(report)
			for _, c := range report.Calls {
				all = append(all, c.ID)
			}
			if first == nil {
				first = all
			}
			require.Equal(t, first, all)
		})
	}
}

// What only one of two runs calls is left out, and said.
func TestRunsThatDiffer(t *testing.T) {
	var runs atomic.Int32
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
		_ = ask(t.Context(), inj, "a")
		_ = ask(t.Context(), inj, fmt.Sprint("random-", runs.Add(1)))
	}, oneFault)
	require.Len(t, report.Unrepeatable, 2)
	require.Equal(t, "a_GET_unavailable", names(report)[0])
	require.Empty(t, report.Failures())
	for _, r := range report.Results[1:] { // what a run with a fault called was there only once, too
		require.Equal(t, faulttest.NotReached, r.Verdict)
	}
	require.Contains(t, report.String(), "two runs without faults did not make the same calls; these are left out:\n\tcustom:random-1 GET")

	runs.Store(0)
	t.Run("called the same", func(t *testing.T) {
		report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
			_ = inj.Point("custom", "a").Inject(t.Context(), fault.Operation{Name: fmt.Sprint("/orders/", runs.Add(1))})
		}, oneFault, faulttest.Operations(func(fault.Operation) string { return "/orders/{id}" }))
		require.Empty(t, report.Unrepeatable)
		require.Equal(t, []string{"a_orders_id_unavailable"}, names(report))
	})
}

// Calls that are made when the test's function has returned get no faults, and that is
// said of those that are made at no other time.
func TestLateCalls(t *testing.T) {
	report := faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) {
		t.Cleanup(func() { _, _ = ask(t.Context(), inj, "a"), ask(t.Context(), inj, "never") })
		_ = ask(t.Context(), inj, "a")
		t.Run("part", func(t *testing.T) {
			t.Parallel()
			_ = ask(t.Context(), inj, "a")
			require.NoError(t, ask(t.Context(), inj, "late"))
		})
	}, oneFault, faulttest.Faults("never"))
	var late []string
	for _, c := range report.Late {
		late = append(late, c.String())
	}
	// Calls of a are made from the other places only then, which makes them others.
	require.Equal(t, []string{"late GET"}, slices.DeleteFunc(late, func(s string) bool { return s == "a GET" }))
	require.Equal(t, []string{"a_GET_unavailable"}, names(report))
	require.Contains(t, report.String(), "made once the test's function had returned, and left out (parallel subtests, clean-up, what nobody waits for):\n\tcustom:")
}

// A call that a fault was planned for and that is not made proves nothing.
func TestWhatIsNotReachedIsNotMasked(t *testing.T) {
	var runs atomic.Int32
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
		if runs.Add(1) <= 2 {
			_ = ask(t.Context(), inj, "a")
		}
		_ = ask(t.Context(), inj, "b")
	}, oneFault)
	require.Equal(t, faulttest.Failed, report.Results[0].Verdict)
	require.Contains(t, report.Results[0].Why, "1 of the calls that were to get a fault were not made: the test does not do the same in each run")
	require.Equal(t, faulttest.Masked, report.Results[1].Verdict)
}

// What there is no time or no run for is said, and it is what takes longest.
func TestBounds(t *testing.T) {
	test := func(t testing.TB, inj *fault.Injector) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		for _, name := range []string{"a", "b", "c"} {
			_ = ask(ctx, inj, name)
		}
	}
	faults := faulttest.Faults("custom", faulttest.Delay(time.Second), faulttest.Fail(fault.Unavailable))
	report := faulttest.Survey(t, test, faults, faulttest.Bubble(), faulttest.MaxRuns(6))
	require.Equal(t, 6, report.Runs)
	require.Equal(t, 6+12, report.Combinations)
	require.Equal(t, map[faulttest.Reason]int{faulttest.LeftOut: 14}, report.Skipped)
	require.Equal(t, []string{"a_GET_delay_1s", "a_GET_unavailable", "b_GET_unavailable", "c_GET_unavailable"}, names(report))
	require.Contains(t, report.String(), "not run: 14 left out for want of runs or time")

	t.Run("time", func(t *testing.T) {
		report := faulttest.Survey(t, test, faults, faulttest.Bubble(), faulttest.Timeout(time.Nanosecond))
		require.Equal(t, 2, report.Runs)
		require.Equal(t, 18, report.Skipped[faulttest.LeftOut])
	})
}

// The last run that is begun may hang, and the test binary has time for that.
func TestTimeIsLeftForAHang(t *testing.T) {
	for _, test := range []struct {
		rest, want time.Duration
		options    []faulttest.Option
	}{
		{10 * time.Minute, 9*time.Minute - 10*time.Second, nil},
		{30 * time.Second, 17 * time.Second, nil},
		{10 * time.Second, 5 * time.Second, nil},
		{time.Minute, 52 * time.Second, []faulttest.Option{faulttest.CaseLimit(2 * time.Second)}},
		{time.Minute, 54 * time.Second, []faulttest.Option{faulttest.Bubble()}},
		{time.Minute, time.Hour, []faulttest.Option{faulttest.Timeout(time.Hour)}},
		{0, 0, nil},
	} {
		require.Equal(t, test.want, faulttest.Limit(test.rest, test.options...))
	}
}

// What a test logs is not why it failed.
func TestWhyIsNotWhatIsLogged(t *testing.T) {
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
		t.Log("starts")
		if ask(t.Context(), inj, "a") != nil {
			t.Log("is about to fail")
			t.Error("no answer")
		}
	}, oneFault)
	require.Equal(t, "no answer", report.Failures()[0].Why)
}

// More faults than there are calls, and more combinations than can be looked at, take
// no more time than the runs do.
func TestBoundsOfCombinations(t *testing.T) {
	entries := faulttest.Faults("custom", faulttest.Fail(fault.Unavailable), faulttest.Fail(fault.Refused), faulttest.Fail(fault.Timeout), faulttest.Fail(fault.Reset))
	each := func(n int) func(testing.TB, *fault.Injector) {
		return func(t testing.TB, inj *fault.Injector) {
			for i := range n {
				_ = ask(t.Context(), inj, fmt.Sprint("c", i))
			}
		}
	}
	report := faulttest.Survey(t, each(15), entries, faulttest.MaxFaults(99), faulttest.MaxRuns(60))
	require.Equal(t, 60, report.Runs)
	require.Equal(t, 30517578124, report.Combinations)
	require.Equal(t, report.Combinations, len(report.Results)+skippedOf(report), "every combination is accounted for")
	require.NotContains(t, report.Skipped, faulttest.NeverTogether, "all calls are made in each run")

	t.Run("many calls", func(t *testing.T) {
		report := faulttest.Survey(t, each(400), entries, faulttest.MaxRuns(20))
		require.Equal(t, map[faulttest.Reason]int{faulttest.LeftOut: report.Combinations - 18}, report.Skipped)
	})
	t.Run("one has no fault", func(t *testing.T) {
		report := faulttest.Survey(t, each(5), oneFault, faulttest.Faults("c4"), faulttest.MaxFaults(5))
		require.Equal(t, 4+6+4+1, len(report.Results))
	})
}

// What is the same as something that there was no run for was left out as well.
func TestSameAsWhatIsLeftOut(t *testing.T) {
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
		_, _ = ask(t.Context(), inj, "a"), ask(t.Context(), inj, "b")
	}, faulttest.MaxRuns(6), twoFaults)
	require.Len(t, report.Results, 4)
	require.Equal(t, map[faulttest.Reason]int{faulttest.LeftOut: 4}, report.Skipped)
}

// In real time a hang is ended, and what was held goes on.
func TestHangInRealTime(t *testing.T) {
	var ended atomic.Int32
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
		_ = ask(context.Background(), inj, "a")
		ended.Add(1)
	}, faulttest.CaseLimit(time.Second), faulttest.Faults("a", faulttest.BlackHole()))
	require.EqualValues(t, 3, ended.Load())
	require.Len(t, report.Failures(), 1)
	require.Equal(t, faulttest.Hung, report.Failures()[0].Verdict)
	require.Regexp(t, `^took 1s \(no timeout on this call: a GET, in faulttest_test\.ask, discover_test\.go:\d+\)$`, report.Failures()[0].Why)

	t.Run("a timeout that is too long", func(t *testing.T) {
		report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			_ = ask(ctx, inj, "a")
		}, faulttest.Bubble(), faulttest.Faults("a", faulttest.BlackHole()))
		require.Contains(t, report.Failures()[0].Why, "took 10m (its timeout is 1h: a GET, in ")
	})
	t.Run("by a rule of the test's own", func(t *testing.T) {
		report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
			if ask(t.Context(), inj, "a") != nil {
				require.NoError(t, inj.Put(fault.Rule{
					ID: "own", Target: fault.Target{Points: []string{"b"}}, Scope: scope.Everyone(), Fault: faulttest.BlackHole().Fault, TTL: time.Hour,
				}))
				_ = ask(context.Background(), inj, "b")
			}
		}, faulttest.Bubble(), faulttest.Faults("a", faulttest.Fail(fault.Refused)))
		require.Equal(t, "took 10m (no timeout on this call: b GET)", report.Failures()[0].Why)
	})
	t.Run("of its own", func(t *testing.T) {
		report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
			if ask(t.Context(), inj, "a") != nil {
				time.Sleep(time.Hour)
			}
		}, faulttest.Bubble(), faulttest.Faults("a", faulttest.Fail(fault.Refused)))
		require.Equal(t, "took 10m, and no fault holds a call: what was tested waits for something of its own", report.Failures()[0].Why)
	})
}

// The test's own subtests, and what it cleans up with, know what was injected.
func TestInjectedInParts(t *testing.T) {
	var seen sync.Map
	faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) {
		name := t.Name()
		t.Cleanup(func() { seen.Store(name+" cleanup", faulttest.Injected(t, "a")) })
		err := ask(t.Context(), inj, "a")
		t.Run("part", func(t *testing.T) {
			require.Equal(t, err != nil, faulttest.Injected(t, "a"))
			require.False(t, faulttest.Injected(t, "b"))
			seen.Store(t.Name(), faulttest.Injected(t, "a"))
		})
	}, oneFault)
	var found []string
	seen.Range(func(name, injected any) bool {
		found = append(found, fmt.Sprint(name, " ", injected))
		return true
	})
	slices.Sort(found)
	require.Equal(t, []string{
		"TestInjectedInParts/a_GET_unavailable cleanup true",
		"TestInjectedInParts/a_GET_unavailable/part true",
		"TestInjectedInParts/no_faults cleanup false",
		"TestInjectedInParts/no_faults/part false",
		"TestInjectedInParts/no_faults_again cleanup false",
		"TestInjectedInParts/no_faults_again/part false",
	}, found)
}

// Faults are set by point before name, and by name before kind; servers get none by
// default.
func TestFaultsByPlace(t *testing.T) {
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
		for _, p := range []*fault.Point{
			inj.Point("custom", "a"), inj.Point("other", "a"), inj.Point("custom", "b"), inj.Point("other", "b"),
			inj.Point("third", "c"), inj.Point("my.server", "d"), inj.Point("custom", "never"),
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_ = p.Inject(ctx, fault.Operation{Name: "GET"})
			cancel()
		}
	}, faulttest.Bubble(), faulttest.MaxFaults(1),
		faulttest.Faults("custom", faulttest.Fail(fault.Refused).As("kind"), faulttest.Fail(fault.Reset).As("of PUT").At("PUT*")),
		faulttest.Faults("a", faulttest.Fail(fault.Refused).As("name")),
		faulttest.Faults("other:a", faulttest.Fail(fault.Refused).As("point")),
		faulttest.Faults("never"))
	var found []string
	for _, r := range report.Results {
		found = append(found, r.Injections[0].Call.Point+" "+r.Injections[0].Fault)
	}
	require.Equal(t, []string{
		"custom:a name", "custom:b kind", "other:a point",
		"other:b delay 2s", "other:b error", "other:b black hole",
		"third:c delay 2s", "third:c error", "third:c black hole",
	}, found)
}

// What a run leaves held when it is over is let go of.
func TestNothingIsHeldAfterARun(t *testing.T) {
	var left sync.WaitGroup
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
		var passed atomic.Bool
		left.Go(func() {
			_ = ask(context.Background(), inj, "a")
			passed.Store(true)
		})
		for !passed.Load() && inj.Status().Held == 0 {
			runtime.Gosched()
		}
	}, faulttest.Faults("a", faulttest.BlackHole()))
	require.Len(t, report.Results, 1)
	require.Equal(t, faulttest.Masked, report.Results[0].Verdict, "the test itself went on")
	left.Wait()
}

// The example tests something, and passes.
func TestExample(t *testing.T) {
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
		if _, err := lookUp(t.Context(), inj); err != nil && !faulttest.Injected(t, "store:profiles") {
			t.Error(err)
		}
	}, faulttest.Bubble())
	require.Empty(t, report.Failures())
	require.Equal(t, "cache_profiles_GET_delay_2s_and_store_profiles_GET_delay_2s", strings.Replace(names(report)[3], "profiles", "cache_profiles", 1),
		"points of one name are told apart by their kinds")
}

// Points are called what they are called: a fault is injected all the same.
func TestNamesThatRulesMayNotHave(t *testing.T) {
	for _, name := range []string{"token", "request", "_", "注文", strings.Repeat("long", 30), "a b/c", "..."} {
		t.Run(name, func(t *testing.T) {
			report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
				require.NoError(t, ask(t.Context(), inj, name))
			}, faulttest.Faults("custom", faulttest.Fail(fault.Refused).As("拒否"), faulttest.Fail(fault.Reset).As("503")))
			require.Len(t, report.Failures(), 2)
			_, failed := faulttest.Probe(t, func(t testing.TB) {
				r := faulttest.New(t)
				id := r.Inject("custom:"+name, faulttest.Fail(fault.Reset).As("503"))
				require.Error(t, ask(t.Context(), r.Injector(), name))
				r.RequireFired(id)
			})
			require.False(t, failed)
		})
	}
}

// A fault that a guardrail keeps from a call is not masked.
func TestWhatIsHeldBackIsNotMasked(t *testing.T) {
	report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
		var wg sync.WaitGroup
		for _, name := range []string{"a", "b"} {
			wg.Go(func() { _ = ask(t.Context(), inj, name) })
		}
		wg.Wait()
	}, faulttest.Injector(fault.WithGuardrails(fault.Guardrails{MaxHeld: 1})), faulttest.Bubble(),
		faulttest.Faults("custom", faulttest.Delay(time.Second)))
	last := report.Results[len(report.Results)-1]
	require.Len(t, last.Injections, 2)
	require.Equal(t, faulttest.Failed, last.Verdict)
	require.Contains(t, last.Why, `was not injected into `)
	require.Contains(t, last.Why, `held back: held`)
}
