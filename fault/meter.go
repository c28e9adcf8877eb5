package fault

import (
	"sync/atomic"
	"time"

	"github.com/misfit-go/misfit/internal/absent"
)

// Traffic is what was noted of the calls at a point. Nothing is noted while
// nobody watches: see [Injector.WatchTraffic].
type Traffic struct {
	Point    string    // "http.client:ratings"
	Watching bool      // if not, there is nothing else
	Since    time.Time // when watching began

	// Seconds are the last 60 whole seconds since then, oldest first. Those
	// without a call are there too.
	Seconds []TrafficSecond
}

// TrafficSecond is what was noted in one second. Calls count in the second in
// which they are decided, and as ended in the one in which they end. Of calls
// whose end nothing tells, such as those of [Point.Inject] and the attempts of gRPC
// calls, no errors and latencies are known.
type TrafficSecond struct {
	At      time.Time
	Calls   uint64
	Faulted uint64 // calls to which a rule applied
	Ended   uint64
	Errors  uint64 // calls that ended as failed, injected failures included

	// P50 and P99 are of the calls that ended, as their callers saw them: injected
	// delays included. They are the mean of the calls within a factor of 1.5, and 0
	// where none ended.
	P50, P99 time.Duration
}

const (
	longestWatch = 10 * time.Minute
	shownSeconds = 60
)

// WatchTraffic has every point note its calls for d from now on, for
// [Injector.Traffic] and [Injector.Estimate]. Calling it again prolongs that, and
// never to more than 10 minutes from now. What was noted is forgotten when the time
// is over.
//
// To watch costs every call as much as a rule does that is for somebody else, and
// a little more. Who a request is is then found out as if a rule were live.
func (inj *Injector) WatchTraffic(d time.Duration) {
	if inj.Disabled() || d <= 0 {
		return
	}
	now := time.Now()
	d = min(d, longestWatch)
	inj.mu.Lock()
	defer inj.mu.Unlock()
	if w := inj.watch; w != nil {
		if until := now.Add(d); until.After(w.until) {
			w.until = until
		}
		return
	}
	w := &watch{began: now, lead: time.Duration(now.Nanosecond()), until: now.Add(d)}
	w.timer = time.AfterFunc(d, func() { inj.endWatch(w) })
	inj.watch = w
	inj.updateUses()
	for _, p := range inj.points.all() {
		p.change(func(s *snapshot) { s.meter = newMeter(w) })
	}
}

// endWatch ends w unless it was prolonged.
func (inj *Injector) endWatch(w *watch) {
	inj.mu.Lock()
	defer inj.mu.Unlock()
	if left := time.Until(w.until); left > 0 {
		w.timer.Reset(left)
		return
	}
	w.over.Store(true)
	inj.watch = nil
	inj.updateUses()
	for _, p := range inj.points.all() {
		p.meter().forget()
		p.change(func(s *snapshot) { s.meter = nil })
	}
}

// Traffic returns what was noted at every point, sorted by kind and name.
func (inj *Injector) Traffic() []Traffic {
	if inj.Disabled() {
		return nil
	}
	now := time.Now()
	points := inj.sortedPoints()
	traffic := make([]Traffic, len(points))
	for i, p := range points {
		traffic[i] = Traffic{Point: p.String()}
		if m := p.meter(); m != nil {
			m.show(&traffic[i], now)
		}
	}
	return traffic
}

// A watch is one time during which somebody watches.
type watch struct {
	began time.Time     // has a monotonic reading, and is all that is counted from
	lead  time.Duration // from the beginning of a second by the clock until then
	until time.Time     // guarded by Injector.mu
	timer *time.Timer
	over  atomic.Bool
	kept  atomic.Int64 // bytes that recent calls take up at all points
}

// at is how long after the beginning of its first second the watch is at now. A
// clock that jumps does not change it.
func (w *watch) at(now time.Time) time.Duration { return w.lead + now.Sub(w.began) }

func (w *watch) now() time.Duration { return w.lead + time.Since(w.began) }

// A meter notes the calls at a point. A nil meter notes nothing. Noting takes no
// lock that two calls have to wait for, but where one of them is a thousand calls
// behind.
type meter struct {
	watch   *watch
	seconds [secondsKept]atomic.Pointer[second] // by their numbers, modulo
	recent  recentCalls
}

func newMeter(w *watch) *meter {
	if w == nil {
		return nil
	}
	return &meter{watch: w}
}

// meter returns what notes the calls at the point, or nil.
func (p *Point) meter() *meter {
	if s := p.snapshot.Load(); s != nil {
		return s.meter
	}
	return nil
}

// noted is what a meter has noted of a call that has not ended. Its zero value
// means nothing.
type noted struct {
	meter *meter
	at    time.Duration // when the call was decided
}

// begin notes a call.
func (m *meter) begin(c *call) noted {
	if m == nil || m.watch.over.Load() {
		return noted{}
	}
	at := m.watch.now()
	m.second(at).calls.Add(1)
	m.recent.add(m.watch, at, c.operation(), c.request)
	return noted{m, at}
}

// faulted notes that a rule applies to the call.
func (n noted) faulted() {
	if n.meter != nil {
		n.meter.second(n.at).faulted.Add(1)
	}
}

// end notes that the call has ended.
func (n noted) end(failed bool) {
	w := n.meter.watch
	if w.over.Load() {
		return
	}
	at := w.now()
	n.meter.second(at).end(at-n.at, failed)
}

// Watched reports whether somebody watches the point, so that it is worth finding
// out how the call ends.
func (d Decision) Watched() bool { return !absent.Machinery && d.noted.meter != nil }

// End tells whoever watches that the call has ended, and whether it failed. It is
// to be called once, whether a rule applies or not, and costs a nil check while
// nobody watches. A point that cannot tell when its calls end leaves it out.
func (d Decision) End(failed bool) {
	if d.Watched() {
		d.noted.end(failed)
	}
}

// second returns the one that at is in.
func (m *meter) second(at time.Duration) *second {
	number := int64(at / time.Second)
	slot := &m.seconds[number%secondsKept]
	for {
		s := slot.Load()
		if s != nil && s.number >= number { // later only for who slept through a minute
			return s
		}
		next := &second{number: number}
		if slot.CompareAndSwap(s, next) {
			return next
		}
	}
}

// forget lets go of all that was noted: calls that go on for long keep the meter.
func (m *meter) forget() {
	if m == nil {
		return
	}
	for i := range m.seconds {
		m.seconds[i].Store(nil)
	}
	m.recent.ring.Store(nil)
}

// show fills in what the meter has noted, in times of the clock as it goes at now.
func (m *meter) show(t *Traffic, now time.Time) {
	w := m.watch
	at := w.at(now)
	wall := now.UTC().Round(0)
	t.Watching = true
	t.Since = wall.Add(w.lead - at)
	current := int64(at / time.Second)
	first := max(0, current-shownSeconds)
	start := wall.Add(-(at % time.Second)).Round(time.Second) // of the current second
	t.Seconds = make([]TrafficSecond, current-first)
	for i := range t.Seconds {
		number := first + int64(i)
		t.Seconds[i].At = start.Add(time.Duration(number-current) * time.Second)
		if s := m.seconds[number%secondsKept].Load(); s != nil && s.number == number {
			s.show(&t.Seconds[i])
		}
	}
}
