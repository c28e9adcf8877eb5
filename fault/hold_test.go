package fault_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", fault.Fault{Delay: &fault.Delay{Fixed: 2 * time.Second}}))
		start := time.Now()
		require.NoError(t, db.Inject(context.Background(), fault.Operation{}))
		require.Equal(t, 2*time.Second, time.Since(start))

		put(t, inj, rule("r", fault.Fault{Delay: &fault.Delay{Fixed: time.Minute}, Error: &fault.ErrorFault{Class: fault.Refused}}))
		start = time.Now()
		require.ErrorIs(t, db.Inject(context.Background(), fault.Operation{}), fault.ErrInjected)
		require.Equal(t, time.Minute, time.Since(start), "the delay comes first")
	})
}

func TestPad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", fault.Fault{Delay: &fault.Delay{PadTo: 2 * time.Second}}))
		for work, want := range map[time.Duration]time.Duration{0: 2 * time.Second, time.Second: 2 * time.Second, 5 * time.Second: 5 * time.Second} {
			start := time.Now()
			d := db.Decide(context.Background(), fault.Operation{})
			require.NoError(t, d.Before(context.Background()))
			require.EqualValues(t, 1, inj.Status().Held, "a call that will be padded counts from the start")
			time.Sleep(work)
			require.NoError(t, d.After(context.Background()))
			d.Done()
			require.Equal(t, want, time.Since(start))
		}
		put(t, inj, rule("r", fault.Fault{Delay: &fault.Delay{PadTo: 2 * time.Second}, Error: &fault.ErrorFault{Class: fault.Refused}}))
		start := time.Now()
		require.Error(t, db.Inject(context.Background(), fault.Operation{}))
		require.Equal(t, 2*time.Second, time.Since(start), "a failure is padded too")
		require.Zero(t, inj.Status().Held)
	})
}

func TestWaitsEndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		for _, what := range []fault.Fault{blackHole, {Delay: &fault.Delay{Fixed: time.Minute}}} {
			put(t, inj, rule("r", what))
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			start := time.Now()
			err := db.Inject(ctx, fault.Operation{})
			require.Equal(t, 3*time.Second, time.Since(start))
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, fault.ErrInjected)
			cancel()

			cause := errors.New("the user closed the page")
			ctx, stop := context.WithCancelCause(context.Background())
			time.AfterFunc(time.Second, func() { stop(cause) })
			require.ErrorIs(t, db.Inject(ctx, fault.Operation{}), cause)

			gone, cancel := context.WithCancel(context.Background())
			cancel()
			require.ErrorIs(t, db.Inject(gone, fault.Operation{}), context.Canceled)
			require.Zero(t, inj.Status().Held)
			status, _ := inj.Rule("r")
			require.Zero(t, status.Held)
		}
	})
}

func TestHeldCallsGoOnWhenTheRuleEnds(t *testing.T) {
	for name, end := range map[string]func(*fault.Injector){
		"deleted":  func(inj *fault.Injector) { inj.Delete("r") },
		"halted":   func(inj *fault.Injector) { inj.Halt() },
		"expired":  func(*fault.Injector) { time.Sleep(time.Hour) },
		"narrowed": func(inj *fault.Injector) { _ = inj.Put(rule("r", blackHole, for_(scope.Customers("7")))) },
		"moved":    func(inj *fault.Injector) { _ = inj.Put(rule("r", blackHole, at("cache"))) },
		"changed":  func(inj *fault.Injector) { _ = inj.Put(rule("r", unavailable)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inj := fault.New("svc")
				db := inj.Point("custom", "db")
				put(t, inj, rule("r", blackHole))
				start := time.Now()
				const calls = 100
				var wg sync.WaitGroup
				for range calls {
					wg.Go(func() {
						if err := db.Inject(customer("42"), fault.Operation{}); err != nil {
							t.Error(err)
						}
					})
				}
				synctest.Wait()
				require.EqualValues(t, calls, inj.Status().Held)
				status, _ := inj.Rule("r")
				require.EqualValues(t, calls, status.Held)
				end(inj)
				wg.Wait()
				if name != "expired" {
					require.Equal(t, start, time.Now(), "no time may pass")
				}
				require.Zero(t, inj.Status().Held)
			})
		})
	}
}

func TestWideningKeepsHolding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", blackHole, for_(scope.Customers("42"))))
		released := make(chan error, 1)
		go func() { released <- db.Inject(customer("42"), fault.Operation{}) }()
		synctest.Wait()
		for _, wider := range []scope.Scope{scope.Customers("42", "43"), scope.Everyone()} {
			put(t, inj, rule("r", blackHole, for_(wider)))
			synctest.Wait()
			require.EqualValues(t, 1, inj.Status().Held)
		}
		status, _ := inj.Rule("r")
		require.EqualValues(t, 1, status.Hits, "holding on is not another hit")
		inj.Delete("r")
		require.NoError(t, <-released)
	})
}

func TestADelayThatEndsEarlyInjectsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", fault.Fault{Delay: &fault.Delay{Fixed: time.Minute}, Panic: true}))
		time.AfterFunc(time.Second, func() { inj.Delete("r") })
		start := time.Now()
		require.NoError(t, db.Inject(context.Background(), fault.Operation{}))
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", unavailable, ttl(10*time.Minute)))
		status, _ := inj.Rule("r")
		require.Equal(t, 10*time.Minute, status.Left)
		require.Zero(t, status.Rule.TTL)
		time.Sleep(10*time.Minute - 1)
		require.Equal(t, "r", hitBy(db, context.Background(), ""))
		time.Sleep(time.Nanosecond)
		require.Empty(t, hitBy(db, context.Background(), ""))
		synctest.Wait()
		require.Empty(t, inj.Rules(), "and it is cleaned up")
		require.False(t, db.Armed())
		require.True(t, inj.Idle())

		at := time.Now().Add(time.Hour)
		put(t, inj, rule("r", unavailable, ttl(0), func(r *fault.Rule) { r.Expires = at }))
		time.Sleep(time.Hour - 1)
		require.Equal(t, "r", hitBy(db, context.Background(), ""))
		time.Sleep(2 * time.Nanosecond)
		require.Empty(t, hitBy(db, context.Background(), ""))

		put(t, inj, rule("r", unavailable, ttl(time.Minute)))
		time.Sleep(30 * time.Second)
		put(t, inj, rule("r", unavailable, ttl(time.Minute)))
		time.Sleep(45 * time.Second)
		require.Equal(t, "r", hitBy(db, context.Background(), ""), "an edit sets a new deadline")
	})
}

func TestMaxHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc", fault.WithGuardrails(fault.Guardrails{MaxHeld: 3}))
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", blackHole))
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { _ = db.Inject(context.Background(), fault.Operation{}) })
		}
		synctest.Wait()
		status, _ := inj.Rule("r")
		require.EqualValues(t, 3, status.Held)
		require.Equal(t, map[fault.SkipReason]uint64{fault.SkipHeld: 7}, status.Skips)
		inj.Halt()
		wg.Wait()
		inj.Resume()
		put(t, inj, rule("r", blackHole))
		go func() { _ = db.Inject(context.Background(), fault.Operation{}) }()
		synctest.Wait()
		status, _ = inj.Rule("r")
		require.EqualValues(t, 1, status.Held, "the places are free again")
		inj.Halt()
	})
}

func hold(db *fault.Point, calls int) *sync.WaitGroup {
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() { _ = db.Inject(context.Background(), fault.Operation{}) })
	}
	return &wg
}

func TestTenThousandHeldCallsAreReleased(t *testing.T) {
	const calls = 10_000
	synctest.Test(t, func(t *testing.T) { // no time passes and no goroutine is left
		inj := fault.New("svc")
		put(t, inj, rule("r", blackHole))
		wg := hold(inj.Point("custom", "db"), calls)
		synctest.Wait()
		require.EqualValues(t, calls, inj.Status().Held)
		start := time.Now()
		require.True(t, inj.Delete("r"))
		wg.Wait()
		require.Zero(t, time.Since(start))
	})

	inj := fault.New("svc") // and once with the real clock, for the memory
	db := inj.Point("custom", "db")
	put(t, inj, rule("r", blackHole))
	goroutines, before := runtime.NumGoroutine(), heap()
	wg := hold(db, calls)
	for inj.Status().Held < calls {
		runtime.Gosched()
	}
	during := heap()
	start := time.Now()
	inj.Delete("r")
	wg.Wait()
	took := time.Since(start)
	require.Less(t, took, 5*time.Second)
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+10 }, time.Minute, time.Millisecond,
		"once those at their last instructions are done")
	after := heap()
	t.Logf("released in %v; heap %d KiB before, %d KiB held, %d KiB after", took, before>>10, during>>10, after>>10)
	require.Less(t, int64(after)-int64(before), int64(1<<20))
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkRelease10000(b *testing.B) {
	const calls = 10_000
	inj := fault.New("svc")
	db := inj.Point("custom", "db")
	for b.Loop() {
		b.StopTimer()
		put(b, inj, rule("r", blackHole))
		wg := hold(db, calls)
		for inj.Status().Held < calls {
			time.Sleep(time.Millisecond)
		}
		b.StartTimer()
		inj.Delete("r")
		wg.Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/release")
}

func TestHeavyTailAndUniform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		sample := func(d fault.Delay) []time.Duration {
			put(t, inj, rule("r", fault.Fault{Delay: &d}))
			inj.Delete("r")
			put(t, inj, rule("r", fault.Fault{Delay: &d}, ttl(24*time.Hour)))
			waits := make([]time.Duration, 2000)
			for i := range waits {
				start := time.Now()
				require.NoError(t, db.Inject(context.Background(), fault.Operation{}))
				waits[i] = time.Since(start)
			}
			return waits
		}
		share := func(waits []time.Duration, below time.Duration) float64 {
			n := 0
			for _, w := range waits {
				if w < below {
					n++
				}
			}
			return float64(n) / float64(len(waits))
		}
		uniform := sample(fault.Delay{Min: 100 * time.Millisecond, Max: 300 * time.Millisecond})
		require.Zero(t, share(uniform, 100*time.Millisecond))
		require.EqualValues(t, 1, share(uniform, 300*time.Millisecond+1))
		require.InDelta(t, 0.5, share(uniform, 200*time.Millisecond), 0.05)
		require.InDelta(t, 0.1, share(uniform, 120*time.Millisecond), 0.03)

		tail := sample(fault.Delay{Median: 100 * time.Millisecond, P99: 2 * time.Second})
		require.InDelta(t, 0.5, share(tail, 100*time.Millisecond), 0.05)
		require.InDelta(t, 0.99, share(tail, 2*time.Second), 0.01)
		require.EqualValues(t, 1, share(tail, 20*time.Second+1), "capped at ten times P99")
		require.Equal(t, tail, sample(fault.Delay{Median: 100 * time.Millisecond, P99: 2 * time.Second}), "the same sequence each time")

		capped := sample(fault.Delay{Median: 100 * time.Millisecond, P99: 2 * time.Second, Max: 500 * time.Millisecond})
		require.EqualValues(t, 1, share(capped, 500*time.Millisecond+1))
	})
}

func ExampleInjector_Point() {
	inj := fault.New("worker")
	queue := inj.Point("queue", "jobs") // a dependency that no adapter covers
	_ = inj.Put(fault.Rule{
		ID:     "jobs-refused",
		Target: fault.Target{Points: []string{"jobs"}},
		Scope:  scope.Everyone(),
		Fault:  fault.Fault{Error: &fault.ErrorFault{Class: fault.Refused}},
		TTL:    time.Minute,
	})
	err := queue.Inject(context.Background(), fault.Operation{Name: "PUBLISH"})
	fmt.Println(err)
	fmt.Println(errors.Is(err, fault.ErrInjected))
	inj.Halt()
	fmt.Println(queue.Inject(context.Background(), fault.Operation{Name: "PUBLISH"}))
	// Output:
	// connect: connection refused (injected by rule "jobs-refused" at queue:jobs)
	// true
	// <nil>
}

// TestARuleThatEndsDuringTheCall is taken back when there is nothing left to
// wait for.
func TestARuleThatEndsDuringTheCall(t *testing.T) {
	inj := fault.New("svc")
	p := inj.PointOf(fault.Kind{Name: "calls", Effects: []fault.Effect{fault.EffectLostReply}}, "db")
	put(t, inj, rule("r", fault.Fault{LostReply: true}))
	d := p.Decide(context.Background(), fault.Operation{})
	defer d.Done()
	require.NoError(t, d.Before(context.Background()))
	require.True(t, d.InForce())
	inj.Delete("r") // while the call is being carried out
	require.NoError(t, d.After(context.Background()))
	require.False(t, d.Fault().LostReply)
	require.False(t, d.InForce())
}
