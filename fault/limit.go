package fault

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A limiter keeps a rule within its [Limits], exactly, and counts its firings. Its
// zero value is ready to use.
type limiter struct {
	inOrder atomic.Uint64           // the firings that were numbered
	running atomic.Int64            // those under limits that are not over
	free    atomic.Pointer[stripes] // the firings without limits; nil before the first

	mu     sync.Mutex
	recent []time.Time // the newest firings, a ring as long as PerSecond
	oldest int
}

// acquire takes one firing out of the limits, or says which one forbids it. It
// returns the number of the firing, from 1 on, and a count that has to be taken
// down by one when the firing is over. A firing that is under no limits and need not
// be numbered has no number: then calls that fire at the same time wait for nothing
// that they share.
func (l *limiter) acquire(limits Limits, numbered bool) (number uint64, running *atomic.Int64, forbidden SkipReason) {
	if limits == (Limits{}) {
		s := l.stripe()
		s.running.Add(1)
		if numbered {
			return l.inOrder.Add(1), &s.running, ""
		}
		s.fired.Add(1)
		return 0, &s.running, ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := limits.now() // read under the lock, so that the ring is in order
	if forbidden = l.forbids(limits, now); forbidden != "" {
		return 0, nil, forbidden
	}
	if limits.PerSecond > 0 {
		l.record(limits.PerSecond, now)
	}
	l.running.Add(1)
	return l.inOrder.Add(1), &l.running, ""
}

// stripe returns one of the counts of firings without limits.
func (l *limiter) stripe() *stripe {
	s := l.free.Load()
	if s == nil {
		l.free.CompareAndSwap(nil, new(stripes))
		s = l.free.Load()
	}
	return &s[rand.Uint32()%uint32(len(s))]
}

// stripes are counts that share no cache line.
type stripes [8]stripe

type stripe struct {
	fired   atomic.Uint64 // without a number
	running atomic.Int64
	_       [48]byte
}

// fired counts the firings.
func (l *limiter) fired() uint64 {
	n := l.inOrder.Load()
	if s := l.free.Load(); s != nil {
		for i := range s {
			n += s[i].fired.Load()
		}
	}
	return n
}

// concurrent counts the firings that are not over.
func (l *limiter) concurrent() int64 {
	n := l.running.Load()
	if s := l.free.Load(); s != nil {
		for i := range s {
			n += s[i].running.Load()
		}
	}
	return n
}

// peek returns which limit would forbid a firing, or "", and takes none.
func (l *limiter) peek(limits Limits) SkipReason {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.forbids(limits, limits.now())
}

// now spares rules without a limit on time a look at the clock.
func (l Limits) now() time.Time {
	if l.PerSecond == 0 {
		return time.Time{}
	}
	return time.Now()
}

func (l *limiter) forbids(limits Limits, now time.Time) SkipReason {
	switch {
	case limits.Total > 0 && l.fired() >= uint64(limits.Total):
		return SkipTotal
	case limits.Concurrent > 0 && l.concurrent() >= int64(limits.Concurrent):
		return SkipConcurrent
	case limits.PerSecond > 0 && l.full(limits.PerSecond, now):
		return SkipPerSecond
	}
	return ""
}

// full reports whether limit firings lie within the second before. The ring
// may be one for another limit, before an edit.
func (l *limiter) full(limit int, now time.Time) bool {
	n := len(l.recent)
	return n >= limit && now.Sub(l.recent[(l.oldest+n-limit)%n]) < time.Second
}

func (l *limiter) record(limit int, now time.Time) {
	if cap(l.recent) != limit {
		l.resize(limit)
	}
	if len(l.recent) < limit {
		l.recent = append(l.recent, now)
		return
	}
	l.recent[l.oldest] = now
	l.oldest = (l.oldest + 1) % limit
}

// resize keeps the newest firings when an edit changes the limit.
func (l *limiter) resize(limit int) {
	inOrder := append(append([]time.Time{}, l.recent[l.oldest:]...), l.recent[:l.oldest]...)
	if len(inOrder) > limit {
		inOrder = inOrder[len(inOrder)-limit:]
	}
	l.recent = append(make([]time.Time, 0, limit), inOrder...)
	l.oldest = 0
}
