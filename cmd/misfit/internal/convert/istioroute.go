package convert

import (
	"fmt"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/fault"
)

// A group is the part of a route that one rule, or a few with one target, can
// stand for.
type group struct {
	at cursor
	condition
}

// An earlier group takes calls away from those after it: Istio takes the first
// route that matches.
type earlier struct {
	group
	always bool // rules were made of it that leave none of its calls
}

// maxGroups bounds the conditions of one service, each of which is compared with
// those before.
const maxGroups = 1000

// routes makes the rules of the routes of v.
func (c *converter) routes(v *virtualService, routes cursor) {
	var before []earlier
	for i, route := range routes.each() {
		groups := c.groups(v, route)
		if len(before)+len(groups) > maxGroups {
			c.lose(route, "is one of more than %d conditions in one VirtualService; this and those after it are not converted", maxGroups)
			return
		}
		var d drawn
		faulty, ok := route.field("fault").given(), false
		if faulty {
			d, ok = c.fault(v, route.field("fault"))
		}
		name := route.field("name").text
		if name == "" {
			name = fmt.Sprintf("http%d", i)
		}
		for _, g := range groups {
			e := earlier{group: g}
			if ok && (d.delay != nil || d.abort != nil) {
				e.always = c.build(v, v.name+"-"+name, g, d, before) && d.always()
			}
			if before = append(before, e); c.err != nil {
				return
			}
		}
		if slices.ContainsFunc(groups, func(g group) bool { return g.everything() }) {
			c.unreached(routes, i)
			return
		}
	}
}

// unreached notes the faults of routes after number i, which takes every call.
func (c *converter) unreached(routes cursor, i int) {
	for j, route := range routes.each() {
		if f := route.field("fault"); j > i && f.given() {
			c.note(f, "never happens: spec.http[%d] comes first and takes every call", i)
		}
	}
}

// groups reads the match of a route. Those of its conditions that differ in
// operations alone are one. Conditions that only look at operations come first,
// since others can except them.
func (c *converter) groups(v *virtualService, route cursor) []group {
	match := route.field("match")
	if len(match.items) == 0 {
		if match.given() && match.kind != list {
			c.lose(match, "want a list, got %s", got(match))
			return []group{{match, condition{partial: true}}}
		}
		return []group{{route, condition{}}}
	}
	var groups []group
	for _, m := range match.each() {
		g := group{at: m}
		var ok bool
		if g.condition, ok = c.match(v, m, route.field("fault").given()); !ok {
			continue // for no call of the mesh
		}
		i := slices.IndexFunc(groups, func(h group) bool { return h.sameButOperations(g.condition) })
		switch {
		case i < 0 || !c.step(len(groups)):
			groups = append(groups, g)
		case groups[i].operations == nil || g.operations == nil:
			groups[i].operations = nil
		default:
			groups[i].operations = append(groups[i].operations, g.operations...)
		}
	}
	rank := func(g group) int {
		switch {
		case g.partial:
			return 2 // no rule is made of it, and so the others need not except it
		case g.operationsOnly():
			return 0
		}
		return 1
	}
	slices.SortStableFunc(groups, func(a, b group) int { return rank(a) - rank(b) })
	return groups
}

// build makes the rules of a group, and reports whether it could.
func (c *converter) build(v *virtualService, name string, g group, d drawn, before []earlier) bool {
	if g.partial {
		return false // which has been told
	}
	var except []operation
	for _, b := range before {
		switch {
		case !c.step(1 + len(b.operations)*(1+len(g.operations))):
			return false
		case b.disjoint(g.condition):
			continue
		case b.always:
			continue // its rules have the higher priority, and leave no call
		}
		more, all, ok := g.without(b.condition)
		switch {
		case !ok:
			c.lose(g.at, "is not for the calls that %s takes first, and a rule cannot say that", b.at.path)
			return false
		case all:
			c.note(g.at, "never applies: %s comes first and takes all its calls", b.at.path)
			return false
		}
		except = append(except, more...)
	}
	operations := g.operations
	if v.grpc {
		var none bool
		if operations, none = withoutVerbs(operations); none {
			c.note(g.at, "never applies: calls of gRPC are POST")
			return false
		}
		except, _ = withoutVerbs(except)
	}
	target := fault.Target{Operations: patterns(operations), Services: g.services, Points: v.target()}
	if len(except) > 0 {
		target.Except = &fault.Except{Operations: patterns(except)}
	}
	c.step(len(operations) + len(except))
	for _, p := range d.pieces() {
		who, ok := g.scope(p.percent)
		if !ok {
			c.lose(g.at, "that a header is there at all, and a share of the calls that have it, cannot be said together")
			return false
		}
		r := fault.Rule{ID: name, Target: target, Scope: who, Fault: p.fault, Note: v.origin(g.at, d)}
		if p.name != "" {
			r.ID += "-" + p.name
		}
		v.rules = append(v.rules, located{g.at, r})
	}
	return c.err == nil
}

// target returns the points of the calls.
func (v *virtualService) target() []string {
	kind := "http.client"
	if v.grpc {
		kind = "grpc.client"
	}
	var points []string
	for _, p := range v.points {
		if !strings.Contains(p, ":") { // as Options.Points may say
			p = kind + ":" + p
		}
		points = append(points, p)
	}
	return points
}

// withoutVerbs returns the operations as gRPC has them, whose calls are all POST.
// None is true if there were some and none is left.
func withoutVerbs(operations []operation) (left []operation, none bool) {
	for _, o := range operations {
		if o.verb == "" || o.verb == "POST" {
			o.verb = ""
			left = append(left, o)
		}
	}
	return left, len(operations) > 0 && len(left) == 0
}

// origin says where a rule is from.
func (v *virtualService) origin(at cursor, d drawn) string {
	text := fmt.Sprintf("from Istio: VirtualService %s, %s", v.title, clip(at.path))
	if d.delay != nil && d.abort != nil && d.delayPercent < 100 && d.abortPercent < 100 {
		text += fmt.Sprintf("; delay (%v %%) and abort (%v %%) are drawn independently, hence three rules", d.delayPercent, d.abortPercent)
	}
	return text
}
