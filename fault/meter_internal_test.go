package fault

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// setBy returns now as it would be after the clock was set by d and no time has
// passed, which cannot be had in a test: in a time with a monotonic reading, the
// clock's seconds are above the lowest 30 bits of the first word.
func setBy(now time.Time, d time.Duration) time.Time {
	*(*int64)(unsafe.Pointer(&now)) += int64(d/time.Second) << 30
	return now
}

func TestAClockThatJumpsChangesNoCounts(t *testing.T) {
	now := time.Now()
	began := now.Add(-3 * time.Second)
	m := newMeter(&watch{began: began, lead: time.Duration(began.Nanosecond())})
	for i := range time.Duration(3) {
		m.second(m.watch.at(began.Add(i * time.Second))).calls.Add(1)
	}
	for _, jump := range []time.Duration{0, time.Hour, -time.Hour, 1000 * time.Hour} {
		set := setBy(now, jump)
		require.Equal(t, jump, set.Round(0).Sub(now.Round(0)))
		require.Zero(t, set.Sub(now))
		var traffic Traffic
		m.show(&traffic, set)
		require.True(t, traffic.Since.Equal(began.Round(0).Add(jump)), "as the clock goes now: %v", traffic.Since)
		require.Len(t, traffic.Seconds, 3)
		for i, s := range traffic.Seconds {
			require.EqualValues(t, 1, s.Calls)
			require.True(t, s.At.Equal(began.Truncate(time.Second).Add(jump+time.Duration(i)*time.Second)), "%v", s.At)
		}
	}
}

func TestBucketsFollowOneAnother(t *testing.T) {
	var last int
	for d := time.Duration(1); d > 0 && d < 100*time.Hour; d += d/64 + 1 {
		bucket, place := bucketOf(d)
		require.Contains(t, []int{last, last + 1}, bucket, "%v", d)
		require.Less(t, place, uint64(1<<placeBits))
		last = bucket
		var h histogram
		h.add(d)
		shown := h.percentile(50)
		switch {
		case d < 1<<firstPower:
			require.EqualValues(t, 1<<firstPower, shown)
		case d < 1<<42:
			require.InEpsilon(t, float64(d), float64(shown), 1e-3, "%v", d)
			require.LessOrEqual(t, shown, d)
		default:
			require.InEpsilon(t, float64(1<<42), float64(shown), 1e-3)
		}
	}
	require.Equal(t, len(histogram{})-1, last, "all are used")
	for _, d := range []time.Duration{math.MinInt64, -1, 0} {
		bucket, place := bucketOf(d)
		require.Zero(t, bucket)
		require.Zero(t, place)
	}
	bucket, _ := bucketOf(math.MaxInt64)
	require.Equal(t, last, bucket)
}

// The percentile of few is one of them: the least that so many are not above.
func TestPercentilesOfFew(t *testing.T) {
	for _, test := range []struct {
		took     []time.Duration
		p50, p99 time.Duration
	}{
		{nil, 0, 0},
		{[]time.Duration{8}, 8, 8},
		{[]time.Duration{8, 100}, 8, 100},
		{[]time.Duration{8, 100, 3000}, 100, 3000},
		{[]time.Duration{8, 8, 8, 100}, 8, 100},
	} {
		var h histogram
		for _, ms := range test.took {
			h.add(ms * time.Millisecond)
		}
		require.Equal(t, test.p50*time.Millisecond, h.percentile(50).Round(time.Millisecond), "%v", test.took)
		require.Equal(t, test.p99*time.Millisecond, h.percentile(99).Round(time.Millisecond), "%v", test.took)
	}
}

// Calls that are the first in a second, all at once, count in the same.
func TestASecondBeginsOnce(t *testing.T) {
	const callers, numbers = 4, 5000
	m := newMeter(&watch{began: time.Now()})
	var got [callers][numbers]*second
	var arrived atomic.Int64
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := range numbers {
				arrived.Add(1)
				for arrived.Load() < int64(callers*(i+1)) {
					runtime.Gosched()
				}
				got[caller][i] = m.second(time.Duration(i) * time.Second)
			}
		})
	}
	wg.Wait()
	for i := range numbers {
		for caller := range callers {
			require.EqualValues(t, i, got[caller][i].number)
			require.Same(t, got[0][i], got[caller][i])
		}
	}

	// One that comes a minute late counts where the others are now.
	require.Same(t, got[0][numbers-1], m.second((numbers-1-secondsKept)*time.Second))
}

// The places in a bucket that is full do not spill into the count.
func TestBucketsHold(t *testing.T) {
	var h histogram
	_, place := bucketOf(math.MaxInt64)
	h[0].Store((1<<24-1)<<countShift | (1<<24-1)*place)
	require.EqualValues(t, 1<<24-1, h[0].Load()>>countShift)
}

func TestRecentCallsAreKeptAsTheyWere(t *testing.T) {
	w := &watch{}
	for name, call := range map[string]pastCall{
		"no request":       {op: Operation{Verb: "GET", Name: "/ratings/{id}", Raw: "/ratings/7"}},
		"nothing at all":   {},
		"an empty request": {request: &scope.Request{}},
		"no attributes":    {op: Operation{Name: "PING"}, request: &scope.Request{ID: "r-1", Customer: "42"}},
		"attributes": {op: Operation{Name: "PING"}, request: &scope.Request{
			ID: "r-1", Attributes: map[string]string{"plan": "gold", "empty": "", "long": strings.Repeat("v", scope.MaxAttributeValueBytes)},
		}},
		"two bytes of length": {op: Operation{Name: strings.Repeat("n", maxNotedBytes)}, request: &scope.Request{ID: strings.Repeat("i", scope.MaxIDBytes)}},
	} {
		var kept recentCall
		kept.set(w, 7, &call.op, call.request)
		call.at = 7
		got, ok := kept.get()
		require.True(t, ok, name)
		require.Equal(t, call, got, name)
	}
	_, ok := new(recentCall).get()
	require.False(t, ok)
}

func TestWhatIsTooLongIsCut(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	r := &scope.Request{ID: long, Customer: long, Attributes: map[string]string{"a": long, long: "b"}}
	for i := range 40 {
		r.Attributes[fmt.Sprint(i)] = long
	}
	var kept recentCall
	kept.set(&watch{}, 0, &Operation{long, long, long}, r)
	got, _ := kept.get()
	cut := long[:maxNotedBytes]
	require.Equal(t, Operation{cut, cut, cut}, got.op)
	require.Len(t, got.request.ID, scope.MaxIDBytes)
	require.Len(t, got.request.Customer, scope.MaxCustomerBytes)
	require.Len(t, got.request.Attributes, scope.MaxAttributes)
	for name, value := range got.request.Attributes {
		require.LessOrEqual(t, len(name), scope.MaxAttributeNameBytes)
		require.LessOrEqual(t, len(value), scope.MaxAttributeValueBytes)
	}
}

// What recent calls take up is bounded at all points together, and given back
// when shorter ones follow.
func TestRecentCallsAreBounded(t *testing.T) {
	inj := New("svc")
	inj.WatchTraffic(time.Minute)
	w := inj.watch
	long := strings.Repeat("x", maxNotedBytes)
	huge := scope.Request{ID: "r", Customer: "c", Attributes: map[string]string{}}
	for i := range scope.MaxAttributes {
		huge.Attributes[fmt.Sprint(i)] = long[:scope.MaxAttributeValueBytes]
	}
	taken := func() (bytes int64) {
		for _, p := range inj.points.all() {
			ring := p.meter().recent.ring.Load()
			for i := range ring {
				bytes += int64(cap(ring[i].text))
			}
		}
		return bytes
	}
	ctx := scope.With(context.Background(), huge)
	points := make([]*Point, 8)
	for i := range points {
		points[i] = inj.Point("custom", fmt.Sprint("db-", i))
		for range recentKept + 1 {
			points[i].Decide(ctx, Operation{long, long, long})
		}
		require.LessOrEqual(t, taken(), int64(maxRecentKept))
		require.Equal(t, w.kept.Load(), taken())
	}
	require.Greater(t, taken(), int64(maxRecentKept-10_000), "there is no room for another")
	require.Less(t, len(points[7].meter().recent.all()), recentKept)
	for _, p := range points {
		for range recentKept {
			p.Decide(context.Background(), Operation{Name: "GET"})
		}
		require.Equal(t, w.kept.Load(), taken())
	}
	require.Less(t, taken(), int64(maxRecentKept/10))
	for _, p := range points {
		require.Len(t, p.meter().recent.all(), recentKept)
		for _, c := range p.meter().recent.all() {
			require.Equal(t, "GET", c.op.Name)
		}
	}
}

func TestTheLatestCallsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := New("svc")
		db := inj.Point("custom", "db")
		inj.WatchTraffic(10 * time.Minute)
		for i := range 3*recentKept + 7 {
			db.Decide(context.Background(), Operation{Name: fmt.Sprint(i)})
			time.Sleep(time.Millisecond)
		}
		calls := db.meter().recent.all()
		require.Len(t, calls, recentKept)
		names := make(map[string]bool)
		for _, c := range calls {
			names[c.op.Name] = true
		}
		for i := 2*recentKept + 7; i < 3*recentKept+7; i++ {
			require.True(t, names[fmt.Sprint(i)], "%d", i)
		}

		// One that was slow to be kept does not take the place of a later one.
		ring := db.meter().recent.ring.Load()
		before, _ := ring[0].get()
		ring[0].set(inj.watch, before.at-1, &Operation{Name: "slow"}, nil)
		after, _ := ring[0].get()
		require.Equal(t, before, after)
	})
}

// A call that goes on for hours keeps its meter, and is not to keep what was
// noted.
func TestWhatWasNotedIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := New("svc")
		db := inj.Point("custom", "db")
		inj.WatchTraffic(time.Minute)
		d := db.Decide(context.Background(), Operation{})
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Nil(t, inj.watch)
		require.Nil(t, db.meter())
		d.End(true)
		require.Nil(t, d.noted.meter.recent.ring.Load())
		for i := range d.noted.meter.seconds {
			require.Nil(t, d.noted.meter.seconds[i].Load())
		}
	})
}
