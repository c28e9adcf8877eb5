package fault

import (
	"slices"
	"time"

	"github.com/misfit-go/misfit/scope"
)

// An Estimate says whom a rule would have hit.
type Estimate struct {
	Since time.Time // the earliest of the calls; zero if there are none

	Calls int // that were noted at the points where the rule would be armed
	Hit   int // of them, those that it is for

	// Requests and customers that made these calls, and those that made some of
	// the calls that would have been hit. A call that belongs to no request counts
	// as a request of its own, and as one without a customer.
	Requests, RequestsHit   int
	Customers, CustomersHit int

	Points []string // where the rule would be armed
}

// Estimate says whom a rule would have hit of the recent calls, had it been live
// alone before them: of each point the latest 1,000 that were noted while somebody
// watches ([Injector.WatchTraffic]). The operations and the scope of the rule are
// asked as they are about real calls, percentages and their salt included:
// requests and customers that are in now are in when the rule is live.
//
// Limits, earlier rules, guardrails but for protected points, and whether the
// rule is paused are not asked. Attempts are counted from the first of the noted
// calls on, though a request may have made some before. Where each call is drawn
// for anew, the draws are those of a rule that nothing was drawn for so far: the
// share is right, and the calls that are hit will be others. Names of operations
// longer than 512 bytes are asked about by how they begin.
//
// It changes nothing. The error is that the rule is not valid, or [ErrDisabled].
func (inj *Injector) Estimate(r Rule) (Estimate, error) {
	if inj.Disabled() {
		return Estimate{}, ErrDisabled
	}
	if err := r.Validate(); err != nil {
		return Estimate{}, err
	}
	now := time.Now()
	l := inj.compile(r.clone(), "", nil, time.Time{})
	e := Estimate{Points: []string{}}
	var calls []callAt
	for _, p := range inj.sortedPoints() {
		if l.arming(inj, p) != armedHere {
			continue
		}
		e.Points = append(e.Points, p.String())
		if m := p.meter(); m != nil {
			w := m.watch
			for _, past := range m.recent.all() {
				calls = append(calls, callAt{p, now.Add(past.at - w.at(now)), past})
			}
		}
	}
	// Attempts are those of a request at all points, in order.
	slices.SortFunc(calls, func(a, b callAt) int { return a.time.Compare(b.time) })
	if len(calls) > 0 {
		e.Since = calls[0].time.UTC().Round(0)
	}
	l.estimate(&e, calls)
	return e, nil
}

// A callAt is a call that was noted at a point.
type callAt struct {
	point *Point
	time  time.Time
	past  pastCall
}

func (l *liveRule) estimate(e *Estimate, calls []callAt) {
	var draws uint64
	attempts := make(map[string]int)   // by request
	requests := make(map[string]bool)  // whether they are hit
	customers := make(map[string]bool) // likewise
	for i := range calls {
		r := calls[i].past.request
		hit := l.wouldHit(&calls[i], &draws, attempts)
		e.Calls++
		if hit {
			e.Hit++
		}
		switch {
		case r == nil:
			e.Requests++
			if hit {
				e.RequestsHit++
			}
			continue
		case r.Customer != "":
			customers[r.Customer] = customers[r.Customer] || hit
		}
		requests[r.ID] = requests[r.ID] || hit
	}
	e.Requests += len(requests)
	e.RequestsHit += count(requests)
	e.Customers += len(customers)
	e.CustomersHit += count(customers)
}

// wouldHit asks what selects and fires ask, and counts for itself.
func (l *liveRule) wouldHit(at *callAt, draws *uint64, attempts map[string]int) bool {
	c := newCall(at.point, at.past.op)
	c.request = at.past.request
	if !l.matchOperation(&c) {
		return false
	}
	var n uint64
	if l.scope.Draws(c.request) {
		n = *draws
		*draws++
	}
	if l.scope.Match(c.request, n) != scope.In {
		return false
	}
	if most := l.rule.Scope.Attempts; most > 0 && c.request != nil {
		attempts[c.request.ID]++
		return attempts[c.request.ID] <= most
	}
	return true
}

func count(of map[string]bool) int {
	n := 0
	for _, is := range of {
		if is {
			n++
		}
	}
	return n
}
