package fault

import (
	"maps"

	"github.com/misfit-go/misfit/scope"
)

// A snapshot is what a point knows: the rules armed there, in order, and
// indexes so that rules for other customers or requests cost nothing. It is
// immutable; one that follows shares with it what did not change.
type snapshot struct {
	rules      []*liveRule
	scan       []*liveRule            // those of them that every call must ask
	byCustomer map[string][]*liveRule // those for a customer
	byRequest  map[string][]*liveRule // those for a request
	carried    bool                   // some request carries a rule of its own
	meter      *meter                 // nil: nobody watches
	chooser    Chooser                // nil: nobody is asked but the rules
}

// orIdle returns s, or nil, the idle state, if there is nobody to ask and nobody
// watches.
func (s snapshot) orIdle() *snapshot {
	if len(s.rules) == 0 && !s.carried && s.meter == nil && s.chooser == nil {
		return nil
	}
	return &s
}

// after returns what follows when the rules of c that are armed here change.
func (s snapshot) after(c ruleChange) snapshot {
	if len(c.gone)+len(c.come) > len(s.rules) {
		return s.anew(c.of(s.rules))
	}
	var scan ruleChange
	customers, requests := make(map[string]*ruleChange), make(map[string]*ruleChange)
	each := func(l *liveRule, add func(*ruleChange)) {
		switch sc := &l.rule.Scope; {
		case len(sc.Requests) > 0:
			changeEach(requests, sc.Requests, add)
		case len(sc.Customers) > 0:
			changeEach(customers, sc.Customers, add)
		default:
			add(&scan)
		}
	}
	for _, l := range c.gone {
		each(l, func(c *ruleChange) { c.gone = append(c.gone, l) })
	}
	for _, l := range c.come {
		each(l, func(c *ruleChange) { c.come = append(c.come, l) })
	}
	s.rules = c.of(s.rules)
	s.scan = scan.of(s.scan)
	s.byCustomer = reindexed(s.byCustomer, customers)
	s.byRequest = reindexed(s.byRequest, requests)
	return s
}

// anew is after where most rules change, or all: it indexes them from scratch.
func (s snapshot) anew(rules []*liveRule) snapshot {
	s.rules, s.scan, s.byCustomer, s.byRequest = rules, nil, nil, nil
	add := func(index *map[string][]*liveRule, keys []string, l *liveRule) {
		if *index == nil {
			*index = make(map[string][]*liveRule, len(rules))
		}
		for _, key := range keys {
			(*index)[key] = append((*index)[key], l)
		}
	}
	for _, l := range rules {
		switch sc := &l.rule.Scope; {
		case len(sc.Requests) > 0:
			add(&s.byRequest, sc.Requests, l)
		case len(sc.Customers) > 0:
			add(&s.byCustomer, sc.Customers, l)
		default:
			s.scan = append(s.scan, l)
		}
	}
	return s
}

func changeEach(changes map[string]*ruleChange, keys []string, add func(*ruleChange)) {
	for _, key := range keys {
		c := changes[key]
		if c == nil {
			c = new(ruleChange)
			changes[key] = c
		}
		add(c)
	}
}

func reindexed(index map[string][]*liveRule, changes map[string]*ruleChange) map[string][]*liveRule {
	if len(changes) == 0 {
		return index
	}
	index = maps.Clone(index)
	if index == nil {
		index = make(map[string][]*liveRule, len(changes))
	}
	for key, c := range changes {
		if list := c.of(index[key]); len(list) > 0 {
			index[key] = list
		} else {
			delete(index, key)
		}
	}
	return index
}

// change puts in place what change makes of the present snapshot. The caller
// holds Injector.mu.
func (p *Point) change(change func(*snapshot)) {
	var next snapshot
	if s := p.snapshot.Load(); s != nil {
		next = *s
	}
	change(&next)
	p.snapshot.Store(next.orIdle())
}

// find returns the first rule that selects the call, or nil.
func (s *snapshot) find(c *call) *liveRule {
	var customer, request []*liveRule
	if c.request != nil {
		if s.byCustomer != nil {
			customer = s.byCustomer[c.request.Customer]
		}
		if s.byRequest != nil {
			request = s.byRequest[c.request.ID]
		}
	}
	if len(customer) == 0 && len(request) == 0 {
		for _, l := range s.scan {
			if l.selects(c) {
				return l
			}
		}
		return nil
	}
	lists := [3][]*liveRule{s.scan, customer, request}
	for {
		nearest := -1
		for i, list := range lists {
			if len(list) > 0 && (nearest < 0 || compareOrder(list[0], lists[nearest][0]) < 0) {
				nearest = i
			}
		}
		if nearest < 0 {
			return nil
		}
		if l := lists[nearest][0]; l.selects(c) {
			return l
		}
		lists[nearest] = lists[nearest][1:]
	}
}

// selects reports whether the rule is for the call, and counts the attempt if
// the scope asks for it. The operation comes last where it may: it can cost
// something to find out.
func (l *liveRule) selects(c *call) bool {
	if l.scope.Draws(c.request) {
		if !l.matchOperation(c) {
			return false
		}
		n := l.state.calls.Add(1) - 1
		return l.scope.Match(c.request, n) == scope.In && l.fires(c, n)
	}
	return l.scope.Match(c.request, 0) == scope.In && l.matchOperation(c) && l.fires(c, 0)
}
