package fault

import (
	"sync"
	"time"
)

// A limiter keeps a rule within its [Limits], exactly. Its zero value is
// ready to use.
type limiter struct {
	mu      sync.Mutex
	total   int
	running int
	recent  []time.Time // the newest firings, a ring as long as PerSecond
	oldest  int
}

// acquire takes one firing out of the limits, or says which one forbids it.
// After a success release must be called once.
func (l *limiter) acquire(limits Limits) (SkipReason, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := limits.now() // read under the lock, so that the ring is in order
	if reason := l.forbids(limits, now); reason != "" {
		return reason, false
	}
	if limits.PerSecond > 0 {
		l.record(limits.PerSecond, now)
	}
	l.total++
	l.running++
	return "", true
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
	case limits.Total > 0 && l.total >= limits.Total:
		return SkipTotal
	case limits.Concurrent > 0 && l.running >= limits.Concurrent:
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

func (l *limiter) release() {
	l.mu.Lock()
	l.running--
	l.mu.Unlock()
}
