package fault_test

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// traffic returns what was noted at a point.
func traffic(t testing.TB, inj *fault.Injector, p *fault.Point) fault.Traffic {
	t.Helper()
	for _, of := range inj.Traffic() {
		if of.Point == p.String() {
			return of
		}
	}
	require.Fail(t, "no traffic", "at %s", p)
	return fault.Traffic{}
}

// sum adds up what was noted at a point.
func sum(of fault.Traffic) (total fault.TrafficSecond) {
	for _, s := range of.Seconds {
		total.Calls += s.Calls
		total.Faulted += s.Faulted
		total.Ended += s.Ended
		total.Errors += s.Errors
	}
	return total
}

func TestTrafficIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db, other := inj.Point("custom", "db"), inj.Point("custom", "other")
		put(t, inj, rule("r", unavailable, for_(scope.Customers("in"))))
		inj.WatchTraffic(time.Minute)
		require.Empty(t, traffic(t, inj, db).Seconds, "no second is whole so far")
		const calls = 100
		together(func() { // all at once, time and again, and across the turns of seconds
			for i := range calls {
				who := []string{"in", "out"}[i%2]
				d := db.Decide(customer(who), fault.Operation{Name: "GET"})
				require.Equal(t, who == "in", d.Hit())
				require.True(t, d.Watched())
				time.Sleep(50 * time.Millisecond)
				d.Done()
				d.End(i%4 == 0)
			}
		})
		time.Sleep(time.Second)
		noted := traffic(t, inj, db)
		require.Equal(t, fault.TrafficSecond{
			Calls: workers * calls, Faulted: workers * calls / 2, Ended: workers * calls, Errors: workers * calls / 4,
		}, sum(noted))
		require.Len(t, noted.Seconds, 6)
		for i, s := range noted.Seconds[:5] {
			require.EqualValues(t, workers*20, s.Calls, i)
			require.Equal(t, 50*time.Millisecond, s.P50.Round(time.Millisecond), i)
		}
		require.Zero(t, sum(traffic(t, inj, other)))
	})
}

func TestCallsAndTheirEndsCountWhereTheyHappen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		time.Sleep(300 * time.Millisecond) // watching does not begin with a second
		began := time.Now()
		inj.WatchTraffic(5 * time.Minute)
		d := db.Decide(context.Background(), fault.Operation{})
		time.Sleep(2 * time.Second)
		d.End(true)
		time.Sleep(3 * time.Second)
		noted := traffic(t, inj, db)
		require.True(t, noted.Watching)
		require.True(t, noted.Since.Equal(began))
		require.Len(t, noted.Seconds, 5)
		first := began.Truncate(time.Second)
		for i, s := range noted.Seconds {
			require.True(t, s.At.Equal(first.Add(time.Duration(i)*time.Second)), "%v", s.At)
			want := fault.TrafficSecond{At: s.At}
			switch i {
			case 0:
				want.Calls = 1
			case 2:
				want.Ended, want.Errors, want.P50, want.P99 = 1, 1, s.P50, s.P99
				require.InEpsilon(t, 2*time.Second, s.P50, 1e-4)
				require.Equal(t, s.P50, s.P99)
			}
			require.Equal(t, want, s, "second %d: one without calls is there, with zeros", i)
		}

		time.Sleep(2 * time.Minute)
		noted = traffic(t, inj, db)
		require.Len(t, noted.Seconds, 60)
		require.Zero(t, sum(noted), "too long ago")
		require.True(t, noted.Since.Equal(began))
		require.True(t, noted.Seconds[59].At.Add(time.Second).Equal(time.Now().Truncate(time.Second)), "the last whole one")
	})
}

func TestLatenciesAreThoseOfCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		delay := fault.Fault{Delay: &fault.Delay{Fixed: 200 * time.Millisecond}}
		put(t, inj, rule("r", delay, for_(scope.Customers("slow"))))
		inj.WatchTraffic(time.Minute)
		for range 10 {
			d := db.Decide(customer("slow"), fault.Operation{})
			require.NoError(t, d.Before(context.Background()))
			time.Sleep(10 * time.Millisecond)
			d.Done()
			d.End(false)
		}
		time.Sleep(time.Second)
		noted := sum(traffic(t, inj, db))
		require.EqualValues(t, 10, noted.Ended)
		for _, s := range traffic(t, inj, db).Seconds {
			if s.Ended > 0 {
				require.InEpsilon(t, 210*time.Millisecond, s.P50, 1e-4)
			}
		}
	})
}

// What takes always the same is shown as it is, and what does not, within a
// bucket.
func TestPercentiles(t *testing.T) {
	always := func(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }
	random := rand.New(rand.NewPCG(1, 2))
	for _, test := range []struct {
		name    string
		latency func(i int) time.Duration
		within  float64 // a factor
	}{
		{"2 µs", always(2 * time.Microsecond), 1.001},
		{"250 µs", always(250 * time.Microsecond), 1.001},
		{"3 ms", always(3 * time.Millisecond), 1.001},
		{"100 ms", always(100 * time.Millisecond), 1.001},
		{"a minute", always(time.Minute), 1.001},
		{"one in fifty is slow", func(i int) time.Duration {
			if i%50 == 0 {
				return 2 * time.Second
			}
			return 5 * time.Millisecond
		}, 1.001},
		{"one in two hundred is slow", func(i int) time.Duration {
			if i%200 == 0 {
				return 2 * time.Second
			}
			return 5 * time.Millisecond
		}, 1.001},
		{"uniform", func(int) time.Duration { return time.Duration(random.IntN(int(time.Second))) }, 1.5},
		{"long tail", func(int) time.Duration {
			return time.Duration(float64(10*time.Millisecond) * (1 + random.ExpFloat64()*random.ExpFloat64()))
		}, 1.5},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inj := fault.New("svc")
				db := inj.Point("custom", "db")
				inj.WatchTraffic(10 * time.Minute)
				const calls = 1000
				latencies := make([]time.Duration, calls)
				for i := range latencies {
					latencies[i] = test.latency(i)
				}
				end := slices.Max(latencies) + time.Second/2
				var wg sync.WaitGroup
				for _, latency := range latencies {
					wg.Go(func() { // all end at the same time
						time.Sleep(end - latency)
						d := db.Decide(context.Background(), fault.Operation{})
						time.Sleep(latency)
						d.End(false)
					})
				}
				wg.Wait()
				time.Sleep(time.Second)
				slices.Sort(latencies)
				last := slices.MaxFunc(traffic(t, inj, db).Seconds, func(a, b fault.TrafficSecond) int { return cmp.Compare(a.Ended, b.Ended) })
				require.EqualValues(t, calls, last.Ended)
				for _, percentile := range []struct {
					true, shown time.Duration
				}{{latencies[calls/2-1], last.P50}, {latencies[calls*99/100-1], last.P99}} {
					require.Less(t, float64(percentile.shown), float64(percentile.true)*test.within)
					require.Greater(t, float64(percentile.shown), float64(percentile.true)/test.within)
				}
			})
		})
	}
}

func TestTheEndOfACustomPointsCallIsNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", unavailable, for_(scope.Customers("in"))))
		inj.WatchTraffic(time.Minute)
		require.Error(t, db.Inject(customer("in"), fault.Operation{}))
		require.NoError(t, db.Inject(customer("out"), fault.Operation{}))
		time.Sleep(time.Second)
		require.Equal(t, fault.TrafficSecond{Calls: 2, Faulted: 1}, sum(traffic(t, inj, db)))
	})
}

func TestTrafficOfNobody(t *testing.T) {
	var none *fault.Injector
	none.WatchTraffic(time.Minute)
	require.Empty(t, none.Traffic())
	var nowhere *fault.Point
	d := nowhere.Decide(context.Background(), fault.Operation{})
	require.False(t, d.Watched())
	d.End(true)
	_, err := none.Estimate(rule("r", unavailable))
	require.ErrorIs(t, err, fault.ErrDisabled)

	t.Setenv("MISFIT_DISABLED", "1")
	disabled := fault.New("svc")
	db := disabled.Point("custom", "db")
	disabled.WatchTraffic(time.Minute)
	require.False(t, db.Armed())
	require.True(t, disabled.Idle())
	require.Empty(t, disabled.Traffic())
	_, err = disabled.Estimate(rule("r", unavailable))
	require.ErrorIs(t, err, fault.ErrDisabled)
}

func TestWatchingAllocatesNothingPerCall(t *testing.T) {
	inj := fault.New("svc")
	db := inj.Point("custom", "db")
	inj.WatchTraffic(time.Minute)
	ctx, op := benchCall()
	call := func() { db.Decide(ctx, op).End(false) }
	for range 2000 { // until there is a buffer for each call that is kept
		call()
	}
	require.Less(t, testing.AllocsPerRun(10_000, call), 0.1, "all but a second's counters")
}

func benchCall() (context.Context, fault.Operation) {
	ctx := scope.With(context.Background(), scope.Request{
		ID: "4bf92f3577b34da6a3ce929d0e0e4736", Customer: "customer-42", Attributes: map[string]string{"plan": "gold"},
	})
	return ctx, fault.Operation{Verb: "GET", Name: "/ratings/7"}
}

// BenchmarkWatched is a decision and the end of the call, with nobody watching,
// somebody watching, and somebody watching where a rule is for somebody else.
func BenchmarkWatched(b *testing.B) {
	ctx, op := benchCall()
	someoneElse := rule("r", unavailable, for_(scope.Customers("someone")))
	for _, state := range []struct {
		name  string
		watch time.Duration
		rules []fault.Rule
	}{
		{name: "idle"},
		{name: "other-customer", rules: []fault.Rule{someoneElse}},
		{name: "watched", watch: 10 * time.Minute},
		{name: "watched-other-customer", watch: 10 * time.Minute, rules: []fault.Rule{someoneElse}},
	} {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		put(b, inj, state.rules...)
		inj.WatchTraffic(state.watch)
		b.Run(state.name+"/serial", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				db.Decide(ctx, op).End(false)
			}
		})
		b.Run(state.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					db.Decide(ctx, op).End(false)
				}
			})
		})
	}
}
