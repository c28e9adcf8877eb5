package convert

import (
	"maps"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// A condition says which calls something is for, as far as a rule can say that.
// Its zero value is all of them.
type condition struct {
	operations []operation         // any one; nil: all
	services   []string            // that call; nil: all
	customers  []string            // any one; nil: everybody
	attributes map[string][]string // all names, each with one of its values
	present    []string            // attributes that have a value

	// partial says that there is more to it than the fields above can say: it is
	// for some of the calls that they select, and for no others.
	partial bool
}

// An operation is a verb, "" for any, and a path.
type operation struct {
	verb string
	path path
}

// A path is what a call's path has to be like; the zero value is anything.
type path struct {
	text string
	form pathForm
}

type pathForm int

const (
	anyPath pathForm = iota
	exactPath
	prefixPath
	patternPath // as rules have them
)

// pattern is the operation as rules have it.
func (o operation) pattern() string {
	name := o.path.text
	switch o.path.form {
	case anyPath:
		name = "*"
	case prefixPath:
		name += "*"
	}
	if o.verb == "" {
		return name
	}
	return o.verb + " " + name
}

// literal is what each path begins with, and whether that is all of it.
func (p path) literal() (begin string, whole bool) {
	switch p.form {
	case exactPath:
		return p.text, true
	case patternPath:
		if i := strings.IndexAny(p.text, "*{"); i >= 0 {
			return p.text[:i], false
		}
		return p.text, true
	}
	return p.text, false
}

// disjoint reports whether surely no path is like both.
func (p path) disjoint(q path) bool {
	begin, whole := p.literal()
	other, otherWhole := q.literal()
	switch {
	case whole && otherWhole:
		return begin != other
	case whole:
		return !strings.HasPrefix(begin, other)
	case otherWhole:
		return !strings.HasPrefix(other, begin)
	}
	return !strings.HasPrefix(begin, other) && !strings.HasPrefix(other, begin)
}

// covers reports whether surely every path like q is like p.
func (p path) covers(q path) bool {
	begin, _ := q.literal()
	return p.form == anyPath || p == q || p.form == prefixPath && strings.HasPrefix(begin, p.text)
}

func (o operation) disjoint(p operation) bool {
	return o.verb != "" && p.verb != "" && o.verb != p.verb || o.path.disjoint(p.path)
}

func (o operation) covers(p operation) bool {
	return (o.verb == "" || o.verb == p.verb) && o.path.covers(p.path)
}

// disjoint reports whether surely no call meets both conditions.
func (c condition) disjoint(d condition) bool {
	if apart(c.services, d.services) || apart(c.customers, d.customers) {
		return true
	}
	for name, values := range c.attributes {
		if apart(values, d.attributes[name]) {
			return true
		}
	}
	if c.operations == nil || d.operations == nil {
		return false
	}
	for _, o := range c.operations {
		for _, p := range d.operations {
			if !o.disjoint(p) {
				return false
			}
		}
	}
	return true
}

// apart reports whether two lists, of which nil is everything, have nothing in
// common.
func apart(a, b []string) bool {
	if a == nil || b == nil {
		return false
	}
	return !slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// within reports whether all of b is in a; nil is everything.
func within(a, b []string) bool {
	if a == nil || b == nil {
		return a == nil
	}
	return !slices.ContainsFunc(b, func(s string) bool { return !slices.Contains(a, s) })
}

// without returns what a rule for the calls of d has to except so that it has
// none of the calls of c. It reports false if no rule can say that. All is true
// if nothing would be left.
func (d condition) without(c condition) (except []operation, all, ok bool) {
	if c.partial || !within(c.services, d.services) || !within(c.customers, d.customers) {
		return nil, false, false
	}
	for name, values := range c.attributes {
		if !within(values, d.attributes[name]) {
			return nil, false, false
		}
	}
	for _, name := range c.present {
		if d.attributes[name] == nil && !slices.Contains(d.present, name) {
			return nil, false, false
		}
	}
	if c.operations == nil {
		return nil, true, true
	}
	left := d.operations
	if left == nil {
		left = []operation{{}}
	}
	for _, o := range c.operations {
		if slices.ContainsFunc(left, func(p operation) bool { return !p.disjoint(o) }) {
			except = append(except, o)
		}
	}
	covered := func(p operation) bool {
		return slices.ContainsFunc(except, func(o operation) bool { return o.covers(p) })
	}
	all = !slices.ContainsFunc(left, func(p operation) bool { return !covered(p) })
	return except, all, true
}

// everything reports whether every call meets the condition.
func (c condition) everything() bool { return !c.partial && c.operations == nil && c.operationsOnly() }

// operationsOnly reports whether the condition, but for being partial, looks at
// nothing but operations.
func (c condition) operationsOnly() bool {
	return c.services == nil && c.customers == nil && len(c.attributes) == 0 && len(c.present) == 0
}

// sameButOperations reports whether two conditions differ in operations alone.
func (c condition) sameButOperations(d condition) bool {
	return !c.partial && !d.partial && slices.Equal(c.services, d.services) && slices.Equal(c.customers, d.customers) &&
		maps.EqualFunc(c.attributes, d.attributes, slices.Equal) && slices.Equal(c.present, d.present)
}

// patterns are the operations as rules have them, each once.
func patterns(operations []operation) []string {
	var all []string
	seen := make(map[string]bool, len(operations))
	for _, o := range operations {
		if text := o.pattern(); !seen[text] {
			seen[text] = true
			all = append(all, text)
		}
	}
	return all
}

// scope is that of a rule for a share of the calls that meet the condition. It
// reports false if that cannot be said.
func (c condition) scope(percent float64) (scope.Scope, bool) {
	s := scope.Scope{Customers: c.customers, Attributes: c.attributes}
	switch {
	case len(c.present) > 1 || len(c.present) == 1 && percent < 100:
		return s, false
	case len(c.present) == 1:
		// A share of the values of an attribute leaves out those without one.
		s.Percent, s.Unit = &percent, scope.PerAttribute(c.present[0])
	case percent < 100:
		s.Percent, s.Unit = &percent, scope.PerCall
	case !s.Selects():
		s.Percent = &percent
	}
	return s, true
}

// A piece is one of the rules that stand for a fault.
type piece struct {
	name    string // "" if it is the only one
	percent float64
	fault   fault.Fault
}
