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
	if age := now.Sub(a.turned); a.current == nil || age >= attemptsLifetime {
		a.previous = a.current
		if age >= 2*attemptsLifetime {
			a.previous = nil
		}
		a.current = make(map[string]int)
		a.turned = now
	}
	count, seen := a.current[request]
	if !seen {
		if len(a.current)+len(a.previous) >= maxAttemptsRequests {
			return false, false
		}
		count = a.previous[request]
	}
	count = min(count+1, most+1)
	a.current[request] = count
	return count <= most, true
}
