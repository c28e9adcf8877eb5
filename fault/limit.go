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
	switch {
	case limits.Total > 0 && l.total >= limits.Total:
		return SkipTotal, false
	case limits.Concurrent > 0 && l.running >= limits.Concurrent:
		return SkipConcurrent, false
	case limits.PerSecond > 0 && !l.withinSecond(limits.PerSecond):
		return SkipPerSecond, false
	}
	l.total++
	l.running++
	return "", true
}

// withinSecond records a firing unless limit of them lie within the second
// before.
func (l *limiter) withinSecond(limit int) bool {
	now := time.Now() // read under the lock, so that the ring is in order
	if len(l.recent) != limit && cap(l.recent) != limit {
		l.resize(limit)
	}
	if len(l.recent) < limit {
		l.recent = append(l.recent, now)
		return true
	}
	if now.Sub(l.recent[l.oldest]) < time.Second {
		return false
	}
	l.recent[l.oldest] = now
	l.oldest = (l.oldest + 1) % limit
	return true
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
