package benchmarks_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// A waiter is something that can be asked for delays.
type waiter struct {
	name string

	// prepare returns what makes call i take as long as delays[i], and an error if the
	// call did not do what it should.
	prepare func(tb testing.TB, delays []time.Duration) func(i int) error
}

// misfitWaits has a rule for the customer of each delay there is.
var misfitWaits = waiter{"misfit", func(tb testing.TB, delays []time.Duration) func(int) error {
	inj := fault.New("bench")
	point := inj.Point("test", "slow")
	contexts := make(map[time.Duration]context.Context)
	for _, d := range delays {
		if contexts[d] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(scope.With(context.Background(), scope.Request{Customer: d.String()}))
		tb.Cleanup(cancel)
		contexts[d] = ctx
		require.NoError(tb, inj.Put(fault.Rule{
			ID:     fmt.Sprintf("delay-of-%dns", d.Nanoseconds()),
			Target: fault.Target{Points: []string{"slow"}},
			Scope:  scope.Customers(d.String()),
			Fault:  fault.Fault{Delay: &fault.Delay{Fixed: d}},
			TTL:    time.Hour,
		}))
	}
	tb.Cleanup(func() { inj.Halt() })
	return func(i int) error { return point.Inject(contexts[delays[i]], fault.Operation{Name: "GET"}) }
}}

// sleeps is the floor of what the runtime can do, and timers what can be cancelled.
var (
	sleeps = waiter{"sleep", func(_ testing.TB, delays []time.Duration) func(int) error {
		return func(i int) error {
			time.Sleep(delays[i])
			return nil
		}
	}}
	timers = waiter{"timer", func(tb testing.TB, delays []time.Duration) func(int) error {
		ctx, cancel := context.WithCancel(context.Background())
		tb.Cleanup(cancel)
		return func(i int) error {
			timer := time.NewTimer(delays[i])
			defer timer.Stop()
			select {
			case <-timer.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}}
)

// A wave is so many calls at once, with the delays they ask for in turn.
type wave struct {
	delay   string
	waiting int
	delays  []time.Duration
}

func newWave(name string, waiting int, steps ...time.Duration) wave {
	w := wave{name, waiting, make([]time.Duration, waiting)}
	for i := range w.delays {
		w.delays[i] = steps[i%len(steps)]
	}
	return w
}

func spread() (steps []time.Duration) {
	for d := 10 * time.Millisecond; d <= 190*time.Millisecond; d += 20 * time.Millisecond {
		steps = append(steps, d)
	}
	return steps
}

// run makes all calls at once, and returns by how much each was later than asked.
func (w wave) run(tb testing.TB, call func(i int) error) []time.Duration {
	tb.Helper()
	late := make([]time.Duration, w.waiting)
	failed := make([]error, w.waiting)
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i := range late {
		wg.Go(func() {
			<-begin
			start := time.Now()
			failed[i] = call(i)
			late[i] = time.Since(start) - w.delays[i]
		})
	}
	close(begin)
	wg.Wait()
	require.NoError(tb, errors.Join(failed...))
	return late
}

// BenchmarkDelayAccuracy is by how much calls are later than was asked, with so many
// waiting at once: all of them for as long (delay=10ms, delay=100ms), so that they
// have to be woken at the same time, or for one of ten delays from 10 to 190 ms
// (delay=spread). One iteration is one wave. A network proxy can delay connections
// only: each call has one of its own, and with the delay comes the way through the
// proxy. The quantiles are those of all calls, but for the typical one, which is the
// median of what the waves have: a wave that the machine disturbed does not show in it.
func BenchmarkDelayAccuracy(b *testing.B) {
	short, long := 10*time.Millisecond, 100*time.Millisecond
	for _, w := range []wave{
		newWave("10ms", 1, short),
		newWave("100ms", 1, long),
		newWave("10ms", 300, short),
		newWave("10ms", 1_000, short),
		newWave("100ms", 1_000, long),
		newWave("spread", 1_000, spread()...),
		newWave("100ms", 20_000, long), // in 10 ms, not as many can be made to wait
		newWave("spread", 20_000, spread()...),
	} {
		waiters := []waiter{misfitWaits, timers, sleeps}
		if w.waiting <= 300 {
			waiters = append(waiters, proxyWaits)
		}
		for _, with := range waiters {
			b.Run(fmt.Sprintf("delay=%s/waiting=%d/with=%s", w.delay, w.waiting, with.name), func(b *testing.B) {
				call := with.prepare(b, w.delays)
				var late []time.Duration // of all waves
				var p99s []float64       // of each wave
				for b.Loop() {
					of := w.run(b, call)
					late = append(late, of...)
					slices.Sort(of)
					p99s = append(p99s, float64(quantile(of, 0.99)))
				}
				slices.Sort(late)
				early, _ := slices.BinarySearch(late, 0)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(quantile(late, 0.5)), "p50-late-ns")
				b.ReportMetric(float64(quantile(late, 0.99)), "p99-late-ns")
				b.ReportMetric(float64(late[len(late)-1]), "max-late-ns")
				b.ReportMetric(float64(early), "early")
				if w.waiting > 1 {
					typical, _, _ := median(p99s)
					b.ReportMetric(typical, "typical-p99-late-ns")
				}
			})
		}
	}
}

// TestNoCallIsEarly holds that no call goes on before its delay is over, whatever
// form the delay has.
func TestNoCallIsEarly(t *testing.T) {
	steps := []time.Duration{1, time.Microsecond, time.Millisecond, 3*time.Millisecond + 1, 20 * time.Millisecond}
	w := newWave("several", 1_000, steps...)
	for i, late := range w.run(t, misfitWaits.prepare(t, w.delays)) {
		if late < 0 {
			t.Errorf("a call that is to be delayed by %v goes on %v early", w.delays[i], -late)
		}
	}

	least := 5 * time.Millisecond
	for name, delay := range map[string]fault.Delay{
		"uniform": {Min: least, Max: 3 * least},
		"pad":     {PadTo: least},
	} {
		inj := fault.New("test")
		require.NoError(t, inj.Put(fault.Rule{
			ID: name, Target: fault.Target{Points: []string{"slow"}}, Scope: scope.Everyone(),
			Fault: fault.Fault{Delay: &delay}, TTL: time.Hour,
		}))
		point := inj.Point("test", "slow")
		w := newWave(name, 200, least)
		for _, late := range w.run(t, func(int) error {
			d := point.Decide(t.Context(), fault.Operation{})
			defer d.Done()
			return errors.Join(d.Before(t.Context()), d.After(t.Context()))
		}) {
			if late < 0 {
				t.Errorf("%s: a call that is to take %v goes on %v early", name, least, -late)
			}
		}
	}
}
