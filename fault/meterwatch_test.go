package fault_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

func TestNothingIsNotedWhileNobodyWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		idle := func() {
			t.Helper()
			require.True(t, inj.Idle())
			require.False(t, db.Armed())
			require.Equal(t, fault.Traffic{Point: "custom:db"}, traffic(t, inj, db))
			d := db.Decide(customer("42"), fault.Operation{})
			require.Equal(t, fault.Decision{}, d)
			require.False(t, d.Watched())
			d.End(true) // nobody is told
		}
		idle()
		inj.WatchTraffic(0)
		inj.WatchTraffic(-time.Second)
		idle()
		inj.WatchTraffic(2 * time.Minute)
		require.False(t, inj.Idle(), "whom a request is for is of use")
		require.False(t, inj.NeedsIdentity(), "but none has to be made up")
		require.True(t, db.Armed())
		late := db.Decide(customer("42"), fault.Operation{})
		require.False(t, late.Hit())
		time.Sleep(2*time.Minute - 1)
		require.True(t, traffic(t, inj, db).Watching)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		idle()
		late.End(true) // began while somebody watched
		idle()
		estimate, err := inj.Estimate(rule("r", unavailable))
		require.NoError(t, err)
		require.Equal(t, fault.Estimate{Points: []string{"custom:db"}}, estimate, "it is forgotten")

		inj.WatchTraffic(time.Minute)
		late.End(true)
		time.Sleep(time.Second)
		require.Zero(t, sum(traffic(t, inj, db)), "and is no part of what comes later")
	})
}

func TestWatchingIsProlonged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		watched := func() bool { synctest.Wait(); return traffic(t, inj, db).Watching }
		inj.WatchTraffic(time.Minute)
		began := time.Now()
		for range 5 {
			time.Sleep(50 * time.Second)
			inj.WatchTraffic(time.Minute)
			inj.WatchTraffic(time.Second) // shortens nothing
		}
		require.True(t, traffic(t, inj, db).Since.Equal(began), "it is the same watch")
		time.Sleep(time.Minute - 1)
		require.True(t, watched())
		time.Sleep(time.Nanosecond)
		require.False(t, watched())

		inj.WatchTraffic(24 * time.Hour)
		time.Sleep(10*time.Minute - 1)
		require.True(t, watched())
		time.Sleep(time.Nanosecond)
		require.False(t, watched(), "10 minutes are the most")
	})
}

// Whatever is published meanwhile, the points are watched.
func TestRulesComeAndGoWhileSomebodyWatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		put(t, inj, rule("before", unavailable, for_(scope.Customers("1"))))
		inj.WatchTraffic(5 * time.Minute)
		var calls, faulted uint64
		call := func(ctx context.Context, hit string) {
			t.Helper()
			d := db.Decide(ctx, fault.Operation{})
			require.True(t, d.Watched())
			require.Equal(t, hit, d.Rule())
			d.Done()
			d.End(d.Hit())
			calls++
			if d.Hit() {
				faulted++
			}
		}
		call(customer("1"), "before")
		put(t, inj, rule("meanwhile", unavailable, for_(scope.Customers("2"))))
		call(customer("2"), "meanwhile")
		inj.Delete("before")
		call(customer("1"), "")
		carrying, err := inj.WithRequestRule(customer("3"), `{"target":{"points":["db"]},"fault":{"error":{"class":"refused"}},"ttl":"30s"}`)
		require.NoError(t, err)
		d := db.Decide(carrying, fault.Operation{})
		require.True(t, d.Hit())
		d.Done()
		d.End(true)
		calls, faulted = calls+1, faulted+1
		inj.Delete("meanwhile")
		time.Sleep(time.Minute)
		synctest.Wait() // the carried rule has expired
		call(carrying, "")
		require.NoError(t, inj.Put(rule("held", blackHole, for_(scope.Customers("4")))))
		inj.Halt()
		call(customer("4"), "")
		inj.Resume()
		put(t, inj, rule("after", unavailable))
		call(customer("5"), "after")
		require.True(t, inj.Delete("after"))

		late := inj.Point("custom", "late")
		late.Decide(context.Background(), fault.Operation{}).End(false)
		time.Sleep(time.Second)
		require.EqualValues(t, 1, sum(traffic(t, inj, late)).Calls)
		noted := sum(traffic(t, inj, db))
		require.EqualValues(t, 3, noted.Calls, "in the last 60 seconds")
		require.EqualValues(t, 1, noted.Faulted)
		estimate, err := inj.Estimate(rule("r", unavailable, at("custom:db")))
		require.NoError(t, err)
		require.EqualValues(t, calls, estimate.Calls)

		put(t, inj, rule("stays", unavailable, for_(scope.Customers("1"))))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		require.False(t, traffic(t, inj, db).Watching)
		require.True(t, db.Armed(), "for the rule's sake")
		require.Equal(t, "stays", hitBy(db, customer("1"), "GET"))
		require.False(t, inj.Idle())
		require.True(t, inj.Delete("stays"))
		require.True(t, inj.Idle())
		require.False(t, db.Armed())
	})
}

// Watching begins and ends in the middle of calls, at points that come up
// meanwhile, under rules that come and go. That it does no harm is for the race
// detector to see, too.
func TestWatchingBeginsAndEndsWhileCallsRun(t *testing.T) {
	inj := fault.New("svc", fault.WithMaxPoints(1<<20))
	db := inj.Point("custom", "db")
	var stop atomic.Bool
	var calls atomic.Int64
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; !stop.Load(); i++ {
				p := db
				if i%100 == 0 {
					p = inj.Point("custom", fmt.Sprint("db-", w, "-", i%1000))
				}
				d := p.Decide(customer(fmt.Sprint(w)), fault.Operation{Name: "GET"})
				d.Done()
				d.End(d.Hit())
				calls.Add(1)
			}
		})
	}
	wg.Go(func() {
		for !stop.Load() {
			put(t, inj, rule("r", unavailable, for_(scope.Customers("1"))))
			_, err := inj.Estimate(rule("e", unavailable, for_(scope.Percent(10, scope.PerCustomer))))
			require.NoError(t, err)
			inj.Delete("r")
		}
	})
	watched := 0
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		inj.WatchTraffic(time.Millisecond)
		if noted := traffic(t, inj, db); noted.Watching {
			watched++
			require.LessOrEqual(t, sum(noted).Calls, uint64(calls.Load()+8))
		}
		time.Sleep(2 * time.Millisecond)
	}
	stop.Store(true)
	wg.Wait()
	require.Positive(t, watched)
	require.Eventually(t, func() bool { return inj.Idle() && !db.Armed() }, 10*time.Second, time.Millisecond)
}
