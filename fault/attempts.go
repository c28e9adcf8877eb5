package fault

import (
	"sync"
	"time"
)

// attempts counts the calls of each request, to select the first few. It
// remembers a request for at least one lifetime after its latest call, and no
// more than maxRequests of them: beyond that it declines rather than forget,
// since forgetting would fault a request again. Its zero value is ready.
type attempts struct {
	mu       sync.Mutex
	current  map[string]int // seen in this lifetime
	previous map[string]int // seen in the one before
	turned   time.Time
}

const (
	attemptsLifetime    = time.Minute
	maxAttemptsRequests = 100_000
)

// take counts a call of the request and reports whether it is among the first
// most. known is false if the request could not be counted.
func (a *attempts) take(request string, most int, now time.Time) (first, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	current, previous := a.at(now)
	if current == nil {
		current = make(map[string]int)
		a.current, a.previous, a.turned = current, previous, now
	}
	count, known := countOf(request, current, previous)
	if !known {
		return false, false
	}
	count = min(count+1, most+1)
	current[request] = count
	return count <= most, true
}

// peek returns what take would, and counts nothing.
func (a *attempts) peek(request string, most int, now time.Time) (first, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	current, previous := a.at(now)
	count, known := countOf(request, current, previous)
	return known && count < most, known
}

// at returns the lifetime that now is in, nil if it begins just now, and the
// one before.
func (a *attempts) at(now time.Time) (current, previous map[string]int) {
	switch age := now.Sub(a.turned); {
	case a.current == nil || age >= 2*attemptsLifetime:
		return nil, nil
	case age >= attemptsLifetime:
		return nil, a.current
	}
	return a.current, a.previous
}

func countOf(request string, current, previous map[string]int) (count int, known bool) {
	count, seen := current[request]
	if seen {
		return count, true
	}
	if len(current)+len(previous) >= maxAttemptsRequests {
		return 0, false
	}
	return previous[request], true
}
