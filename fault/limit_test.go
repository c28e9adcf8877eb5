package fault_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

const workers = 64

func together(work func()) {
	var wg sync.WaitGroup
	for range workers {
		wg.Go(work)
	}
	wg.Wait()
}

func TestTotalIsExact(t *testing.T) {
	inj := fault.New("svc")
	db := inj.Point("custom", "db")
	put(t, inj, rule("r", unavailable, limits(fault.Limits{Total: 1000})))
	var failed, passed atomic.Int64
	together(func() {
		for range 100 {
			if db.Inject(context.Background(), fault.Operation{}) != nil {
				failed.Add(1)
			} else {
				passed.Add(1)
			}
		}
	})
	require.EqualValues(t, 1000, failed.Load())
	require.EqualValues(t, workers*100-1000, passed.Load())
	status, _ := inj.Rule("r")
	require.EqualValues(t, 1000, status.Hits)
	require.Equal(t, map[fault.SkipReason]uint64{fault.SkipTotal: workers*100 - 1000}, status.Skips)

	put(t, inj, rule("r", unavailable, limits(fault.Limits{Total: 1001})))
	require.Error(t, db.Inject(context.Background(), fault.Operation{}), "an edit goes on counting")
	require.NoError(t, db.Inject(context.Background(), fault.Operation{}))
}

func TestConcurrentIsNeverExceeded(t *testing.T) {
	inj := fault.New("svc")
	db := inj.Point("custom", "db")
	const most = 7
	put(t, inj, rule("r", unavailable, limits(fault.Limits{Concurrent: most})))
	var running, peak, hits atomic.Int64
	together(func() {
		for i := range 200 {
			d := db.Decide(context.Background(), fault.Operation{})
			if !d.Hit() {
				continue
			}
			hits.Add(1)
			n := running.Add(1)
			for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
			}
			if i%16 == 0 {
				time.Sleep(time.Microsecond)
			}
			running.Add(-1)
			d.Done()
			d.Done() // once is enough, twice does no harm
		}
	})
	require.LessOrEqual(t, peak.Load(), int64(most))
	require.Positive(t, hits.Load())
	status, _ := inj.Rule("r")
	require.EqualValues(t, hits.Load(), status.Hits)
	require.EqualValues(t, workers*200-hits.Load(), status.Skips[fault.SkipConcurrent])
}

func TestSlotsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		one := limits(fault.Limits{Concurrent: 1})
		hits := func() bool {
			d := db.Decide(context.Background(), fault.Operation{})
			defer d.Done()
			return d.Hit()
		}

		put(t, inj, rule("r", blackHole, one))
		ctx, cancel := context.WithCancel(context.Background())
		held := make(chan error)
		go func() { held <- db.Inject(ctx, fault.Operation{}) }()
		synctest.Wait()
		require.False(t, hits())
		cancel()
		require.Error(t, <-held)
		require.True(t, hits(), "after a cancellation")

		put(t, inj, rule("r", fault.Fault{Panic: true}, one))
		require.Panics(t, func() { _ = db.Inject(context.Background(), fault.Operation{}) })
		require.True(t, hits(), "after a panic")
	})
}

func TestPerSecondHoldsForAnySecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		const most = 10
		put(t, inj, rule("r", unavailable, limits(fault.Limits{PerSecond: most})))
		var fired []time.Time
		for range 400 {
			if db.Inject(context.Background(), fault.Operation{}) != nil {
				fired = append(fired, time.Now())
			}
			time.Sleep(7 * time.Millisecond)
		}
		for i := most; i < len(fired); i++ {
			require.GreaterOrEqual(t, fired[i].Sub(fired[i-most]), time.Second)
		}
		require.InDelta(t, 2.8*most, len(fired), most, "and no fewer than can be")

		put(t, inj, rule("r", unavailable, limits(fault.Limits{PerSecond: 2})))
		time.Sleep(time.Hour / 2)
		for i, want := range []bool{true, true, false, false} {
			require.Equal(t, want, db.Inject(context.Background(), fault.Operation{}) != nil, "call %d after the edit", i)
		}
		put(t, inj, rule("r", unavailable, limits(fault.Limits{PerSecond: 3})))
		require.Error(t, db.Inject(context.Background(), fault.Operation{}), "one more is allowed now")
		require.NoError(t, db.Inject(context.Background(), fault.Operation{}))
	})
}

func TestPerSecondUnderContention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", unavailable, limits(fault.Limits{PerSecond: 50})))
		for range 3 {
			var failed atomic.Int64
			together(func() {
				for range 20 {
					if db.Inject(context.Background(), fault.Operation{}) != nil {
						failed.Add(1)
					}
				}
			})
			require.EqualValues(t, 50, failed.Load())
			time.Sleep(time.Second)
		}
	})
}

func TestAttemptsAreExactUnderContention(t *testing.T) {
	inj := fault.New("svc")
	db := inj.Point("custom", "db")
	put(t, inj, rule("r", unavailable, func(r *fault.Rule) { r.Scope.Attempts = 5 }))
	ctx := customer("42")
	var failed atomic.Int64
	together(func() {
		for range 10 {
			if db.Inject(ctx, fault.Operation{}) != nil {
				failed.Add(1)
			}
		}
	})
	require.EqualValues(t, 5, failed.Load())
}

func TestAttemptsForgetWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", unavailable, func(r *fault.Rule) { r.Scope.Attempts = 1 }))
		require.Equal(t, "r", hitBy(db, customer("a"), ""))
		time.Sleep(59 * time.Second)
		require.Empty(t, hitBy(db, customer("a"), ""))
		time.Sleep(59 * time.Second)
		require.Empty(t, hitBy(db, customer("a"), ""), "a call renews the memory")
		time.Sleep(2 * time.Minute)
		require.Equal(t, "r", hitBy(db, customer("a"), ""))
	})
}

// The ring of a limit must stay in order when the limit comes back to a size
// it has had.
func TestPerSecondAfterEdits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		began := time.Now()
		fire := func(at time.Duration, limit, want int) {
			t.Helper()
			time.Sleep(time.Until(began.Add(at)))
			put(t, inj, rule("r", unavailable, limits(fault.Limits{PerSecond: limit})))
			for i := range want {
				require.Equal(t, "r", hitBy(db, context.Background(), ""), "%d of %d", i, want)
			}
		}
		for i := range 5 {
			fire(time.Duration(i)*100*time.Millisecond, 10, 1)
		}
		fire(1050*time.Millisecond, 5, 1)
		fire(1150*time.Millisecond, 5, 1)
		fire(1200*time.Millisecond, 10, 5)
		fire(1350*time.Millisecond, 10, 2)
		fire(1500*time.Millisecond, 10, 1)
		require.Empty(t, hitBy(db, context.Background(), ""))
		fire(2060*time.Millisecond, 10, 1)
		require.Empty(t, hitBy(db, context.Background(), ""))

		fire(4*time.Second, 10, 5)
		fire(4500*time.Millisecond, 10, 5)
		fire(5200*time.Millisecond, 3, 0)
		require.Empty(t, hitBy(db, context.Background(), ""), "a smaller limit counts the newest")
		inj.Halt()
	})
}
