package benchmarks_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// An armedPoint is a point that a rule is aimed at, and the context of a call at it.
type armedPoint struct {
	scenario string
	rule     fault.Rule
	hit      bool
}

var armedPoints = []armedPoint{
	{"other-customer", fault.Rule{Scope: scope.Customers("somebody else")}, false},
	{"percentage-misses", fault.Rule{Scope: scope.Percent(hardlyAny, scope.PerRequest)}, false},
	{"hit", fault.Rule{Scope: scope.Everyone()}, true},
}

// prepare returns n calls, which the caller makes one after the other.
func (a armedPoint) prepare(tb testing.TB) func(n int) {
	tb.Helper()
	inj := fault.New("bench")
	point := inj.Point("test", "armed")
	rule := a.rule
	rule.ID, rule.Target, rule.TTL = "rule", fault.Target{Points: []string{"armed"}}, time.Hour
	rule.Fault = fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}}
	require.NoError(tb, inj.Put(rule))
	tb.Cleanup(func() { inj.Halt() })
	ctx, op := requestOf("42"), fault.Operation{Verb: "GET", Name: "/ratings/7"}
	require.True(tb, point.Armed())
	require.Equal(tb, a.hit, point.Inject(ctx, op) != nil)
	return func(n int) { decideTimes(ctx, point, op, n) }
}

// decideTimes makes n calls; a hit has all of what the library does for one.
func decideTimes(ctx context.Context, point *fault.Point, op fault.Operation, n int) {
	for range n {
		d := point.Decide(ctx, op)
		if d.Hit() {
			_ = d.Before(ctx)
			d.Done()
		}
	}
}

// spin is work that shares nothing: what two processors can do at once, of which the
// library can do no more.
func spin(n int) {
	x := uint64(n) | 1
	for range n * 25 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	runtime.KeepAlive(x)
}

// together has goroutines do the same at once, and returns the time from when all of
// them had a processor until the last one was done.
func together(goroutines int, do func(n int), n int) time.Duration {
	var running atomic.Int64
	times := make([]time.Duration, goroutines)
	var wg sync.WaitGroup
	for i := range goroutines {
		wg.Go(func() {
			running.Add(1)
			for running.Load() < int64(goroutines) { // waking up is not what is measured
			}
			start := time.Now()
			do(n)
			times[i] = time.Since(start)
		})
	}
	wg.Wait()
	return slices.Max(times)
}

// BenchmarkParallelEfficiency is the throughput of the armed path with two goroutines
// on two processors, over twice that with one: 1 is linear. Two processors of a
// machine may be one core, or be shared with others, so that even work that shares
// nothing is not linear: efficiency-to-floor is the ratio to that, by turns. One
// iteration is a turn.
func BenchmarkParallelEfficiency(b *testing.B) {
	if runtime.NumCPU() < 2 {
		b.Skip("needs two processors")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	const slice = time.Millisecond
	for _, a := range armedPoints {
		b.Run(fmt.Sprintf("scenario=%s/rules=1/with=misfit", a.scenario), func(b *testing.B) {
			calls := a.prepare(b)
			n, floor := operations(slice, calls), operations(slice, spin)
			// The efficiency of a turn, where one goroutine comes before and after two.
			efficiency := func(do func(int), n int) float64 {
				alone := together(1, do, n)
				both := together(2, do, n)
				alone += together(1, do, n)
				return float64(alone) / 2 / float64(both)
			}
			var found, floors, ratios []float64
			for b.Loop() {
				f, e := efficiency(spin, floor), efficiency(calls, n)
				found, floors, ratios = append(found, e), append(floors, f), append(ratios, e/f)
			}
			b.ReportMetric(0, "ns/op")
			reportMedian(b, found, "efficiency", "efficiency-ci-low", "efficiency-ci-high")
			reportMedian(b, ratios, "efficiency-to-floor", "ci-low", "ci-high")
			ofFloor, _, _ := median(floors)
			b.ReportMetric(ofFloor, "floor-efficiency")
		})
	}
}
