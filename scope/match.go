package scope

import (
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/misfit-go/misfit/internal/absent"
)

// A Verdict is the answer to "is this request in scope?": [In], or the first
// condition that ruled it out.
type Verdict uint8

const (
	In Verdict = iota
	OutByRequest
	OutByCustomer
	OutByAttribute
	OutByPercent
	OutForLackOfUnit // the percentage counts customers or attributes and the request has none
)

func (v Verdict) String() string {
	switch v {
	case In:
		return "in scope"
	case OutByRequest:
		return "not one of the requests"
	case OutByCustomer:
		return "not one of the customers"
	case OutByAttribute:
		return "an attribute does not match"
	case OutByPercent:
		return "outside the percentage"
	case OutForLackOfUnit:
		return "has nothing to draw the percentage by"
	}
	return "unknown verdict"
}

// A Matcher is a [Scope] made ready to be asked on the call path. It does not
// count attempts: those need memory, which its user has.
type Matcher struct {
	requests   allowed
	customers  allowed
	attributes []attributeCondition
	percentage bool
	threshold  uint64
	seed       uint64
	unit       Unit   // never empty
	attribute  string // the attribute that is the unit, if one is
}

type attributeCondition struct {
	name   string
	values allowed
}

// allowed are the values that a condition allows. One, as most rules have, is not worth
// a map.
type allowed struct {
	given bool // there is a condition
	one   string
	many  map[string]struct{} // nil if there is one, or none
}

func newAllowed(list []string) allowed {
	switch len(list) {
	case 0:
		return allowed{}
	case 1:
		return allowed{given: true, one: list[0]}
	}
	many := make(map[string]struct{}, len(list))
	for _, value := range list {
		many[value] = struct{}{}
	}
	return allowed{given: true, many: many}
}

func (a *allowed) has(value string) bool {
	if a.many == nil {
		return value == a.one
	}
	_, ok := a.many[value]
	return ok
}

// Matcher compiles a valid scope. The salt stands in for an empty
// [Scope.Salt].
func (s Scope) Matcher(salt string) *Matcher {
	if absent.Machinery {
		return new(Matcher)
	}
	m := &Matcher{requests: newAllowed(s.Requests), customers: newAllowed(s.Customers), unit: s.Unit}
	for name, values := range s.Attributes {
		m.attributes = append(m.attributes, attributeCondition{name, newAllowed(values)})
	}
	if s.Percent == nil {
		return m
	}
	if s.Salt != "" {
		salt = s.Salt
	}
	m.percentage = true
	m.threshold = Threshold(*s.Percent)
	m.seed = xxhash.Sum64String(salt)
	if m.unit == "" {
		m.unit = PerRequest
	}
	m.attribute, _ = strings.CutPrefix(string(m.unit), attributeUnit)
	return m
}

// Draws reports whether the verdict on a call of request r, nil if there is
// none, is drawn for that call alone. The call then needs a number of its own.
func (m *Matcher) Draws(r *Request) bool {
	return m.percentage && (m.unit == PerCall || m.unit == PerRequest && r == nil)
}

// DrawsByRequest reports whether some verdicts depend on the identity of the
// request, so that one without should be given one.
func (m *Matcher) DrawsByRequest() bool {
	return m.percentage && m.threshold > 0 && m.threshold < buckets && (m.unit == PerRequest || m.unit == PerCall)
}

// Match says whether call number n of request r, nil if there is none, is in
// scope. The number counts only where [Matcher.Draws] says so. Match
// allocates nothing and is safe for concurrent use. In a binary that is built with
// the tag misfit_off nobody is in scope.
func (m *Matcher) Match(r *Request, n uint64) Verdict {
	if absent.Machinery {
		return OutByRequest
	}
	if m.requests.given {
		if r == nil {
			return OutByRequest
		}
		if !m.requests.has(r.ID) {
			return OutByRequest
		}
	}
	if m.customers.given {
		if r == nil {
			return OutByCustomer
		}
		if !m.customers.has(r.Customer) {
			return OutByCustomer
		}
	}
	for i := range m.attributes {
		value, ok := r.Attribute(m.attributes[i].name)
		if !ok {
			return OutByAttribute
		}
		if !m.attributes[i].values.has(value) {
			return OutByAttribute
		}
	}
	if m.percentage {
		return m.draw(r, n)
	}
	return In
}

func (m *Matcher) draw(r *Request, n uint64) Verdict {
	var drawn uint64
	switch {
	case m.threshold >= buckets && (m.unit == PerRequest || m.unit == PerCall):
		return In // whatever is drawn
	case m.Draws(r):
		id := ""
		if r != nil {
			id = r.ID
		}
		drawn = callBucket(m.seed, id, n)
	case m.unit == PerRequest:
		drawn = bucket(m.seed, r.ID)
	case m.unit == PerCustomer:
		if r == nil || r.Customer == "" {
			return OutForLackOfUnit
		}
		drawn = bucket(m.seed, r.Customer)
	default:
		value, ok := r.Attribute(m.attribute)
		if !ok {
			return OutForLackOfUnit
		}
		drawn = bucket(m.seed, value)
	}
	if drawn < m.threshold {
		return In
	}
	return OutByPercent
}
