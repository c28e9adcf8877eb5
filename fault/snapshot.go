package fault

import (
	"github.com/misfit-go/misfit/scope"
)

// A snapshot is what a point knows: the rules armed there, in order, and
// indexes so that rules for other customers or requests cost nothing. It is
// immutable.
type snapshot struct {
	rules      []*liveRule
	scan       []int32            // positions of the rules every call must ask
	byCustomer map[string][]int32 // positions of the rules for a customer
	byRequest  map[string][]int32 // positions of the rules for a request
	carried    bool               // some request carries a rule of its own
	meter      *meter             // nil: nobody watches
}

// newSnapshot indexes rules, which are in order. It returns nil, the idle
// state, if there is nothing to ask and nobody watches.
func newSnapshot(rules []*liveRule, carried bool, m *meter) *snapshot {
	if len(rules) == 0 && !carried && m == nil {
		return nil
	}
	s := &snapshot{rules: rules, carried: carried, meter: m}
	for i, l := range rules {
		position := int32(i)
		switch sc := &l.rule.Scope; {
		case len(sc.Requests) > 0:
			s.byRequest = index(s.byRequest, sc.Requests, position)
		case len(sc.Customers) > 0:
			s.byCustomer = index(s.byCustomer, sc.Customers, position)
		default:
			s.scan = append(s.scan, position)
		}
	}
	return s
}

// setMeter changes who notes the calls at the point: nobody if m is nil. The
// caller holds Injector.mu.
func (p *Point) setMeter(m *meter) {
	p.meter = m
	s := p.snapshot.Load()
	if s == nil || len(s.rules) == 0 {
		p.snapshot.Store(p.newSnapshot(nil, s != nil && s.carried))
		return
	}
	next := *s
	next.meter = m
	p.snapshot.Store(&next)
}

func index(m map[string][]int32, keys []string, position int32) map[string][]int32 {
	if m == nil {
		m = make(map[string][]int32, len(keys))
	}
	for _, key := range keys {
		m[key] = append(m[key], position)
	}
	return m
}

// find returns the first rule that selects the call, or nil.
func (s *snapshot) find(c *call) *liveRule {
	var customer, request []int32
	if c.request != nil {
		if s.byCustomer != nil {
			customer = s.byCustomer[c.request.Customer]
		}
		if s.byRequest != nil {
			request = s.byRequest[c.request.ID]
		}
	}
	if len(customer) == 0 && len(request) == 0 {
		for _, position := range s.scan {
			if l := s.rules[position]; l.selects(c) {
				return l
			}
		}
		return nil
	}
	lists := [3][]int32{s.scan, customer, request}
	for {
		nearest := -1
		for i, list := range lists {
			if len(list) > 0 && (nearest < 0 || list[0] < lists[nearest][0]) {
				nearest = i
			}
		}
		if nearest < 0 {
			return nil
		}
		if l := s.rules[lists[nearest][0]]; l.selects(c) {
			return l
		}
		lists[nearest] = lists[nearest][1:]
	}
}

// selects reports whether the rule is for the call, and counts the attempt if
// the scope asks for it.
func (l *liveRule) selects(c *call) bool {
	if !l.matchOperation(c) {
		return false
	}
	var n uint64
	if l.scope.Draws(c.request) {
		n = l.state.calls.Add(1) - 1
	}
	if l.scope.Match(c.request, n) != scope.In {
		return false
	}
	return l.fires(c, n)
}
