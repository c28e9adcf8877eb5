package benchmarks_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

// What a publication does to the calls that are made meanwhile is told by three
// windows of time, taken by turns. In the first rules are published, with a pause
// after each. In the second a goroutine burns the processor for as long each time
// and publishes nothing: what the machine and the scheduler do to a program that has
// something else to do. In the third the calls are alone.

const (
	windowLength = 60 * time.Millisecond
	windowPause  = 3 * time.Millisecond
	longDelay    = int64(time.Millisecond)
)

// tails is what is known of the calls in all windows of a kind.
type tails struct {
	calls   histogram
	largest []float64 // of each window, in nanoseconds
}

// watch makes calls for as long as other takes, and notes how long each took, with
// all that came between it and the one before.
func (t *tails) watch(point *fault.Point, ctx context.Context, other func()) {
	var calls histogram
	var over atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		last := time.Now()
		for !over.Load() {
			_ = point.Inject(ctx, fault.Operation{Name: "GET"})
			now := time.Now()
			calls.add(int64(now.Sub(last)))
			last = now
		}
	})
	other()
	over.Store(true)
	wg.Wait()
	t.calls.merge(&calls)
	t.largest = append(t.largest, float64(calls.largest))
}

func (t *tails) report(b *testing.B, prefix string, publications int) {
	b.Helper()
	typical, _, _ := median(t.largest)
	b.ReportMetric(float64(t.calls.quantile(0.5)), prefix+"p50-ns")
	b.ReportMetric(float64(t.calls.quantile(0.999)), prefix+"p99.9-ns")
	b.ReportMetric(typical, prefix+"typical-max-ns")
	b.ReportMetric(float64(t.calls.largest), prefix+"max-ns")
	b.ReportMetric(float64(t.calls.over(longDelay))/float64(publications), prefix+"over-1ms/publication")
}

// publishing publishes again and again for a window of time, and returns how long each
// publication took.
func publishing(tb testing.TB, publish func() error) (took []time.Duration) {
	for start := time.Now(); time.Since(start) < windowLength; time.Sleep(windowPause) {
		begin := time.Now()
		require.NoError(tb, publish())
		took = append(took, time.Since(begin))
	}
	return took
}

// burning takes as long as the publications did, and does nothing.
func burning(took []time.Duration) {
	for _, d := range took {
		for start := time.Now(); time.Since(start) < d; {
		}
		time.Sleep(windowPause)
	}
}

// BenchmarkPublishTail is how long calls take while rules are published at a point
// that has 10,000 of them, to which the calls go (point=armed), or another one
// (point=idle). One iteration is the three windows. The metrics with burning- and
// alone- are of the other two.
func BenchmarkPublishTail(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0))))
	p := newPublisher(b, 10_000)
	e := newEndpoint(b, p.inj)
	ctx := requestOf("42")
	for _, target := range []struct {
		name  string
		point *fault.Point
	}{{"idle", p.inj.Point("test", "idle")}, {"armed", p.point}} {
		for _, row := range []struct {
			name    string
			publish func() error
		}{
			{"one-by-code", p.editOne},
			{"one-by-http", func() error { return p.put(e) }},
			{"all-by-code", p.editAll},
		} {
			b.Run(fmt.Sprintf("point=%s/rules=10000/publishing=%s", target.name, row.name), func(b *testing.B) {
				var meanwhile, beside, alone tails
				var publications int
				var busy time.Duration
				for b.Loop() {
					var took []time.Duration
					meanwhile.watch(target.point, ctx, func() { took = publishing(b, row.publish) })
					beside.watch(target.point, ctx, func() { burning(took) })
					alone.watch(target.point, ctx, func() { time.Sleep(windowLength) })
					publications += len(took)
					for _, d := range took {
						busy += d
					}
				}
				b.ReportMetric(0, "ns/op")
				meanwhile.report(b, "", publications)
				beside.report(b, "burning-", publications)
				alone.report(b, "alone-", publications)
				b.ReportMetric(float64(busy)/float64(publications), "ns/publication")
			})
		}
	}
}
