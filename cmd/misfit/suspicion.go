package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// A suspicion is about a rule that is valid and may not be what was meant.
type suspicion struct {
	rule  string // its path
	field string
	text  string
}

// usualLongestDelay is the longest delay in [fault.Guardrails] that say nothing
// else.
const usualLongestDelay = 5 * time.Minute

// suspicions looks at valid rules, of which paths say where each is.
func suspicions(rules []fault.Rule, paths []string, now time.Time) []suspicion {
	var all []suspicion
	for i, r := range rules {
		suspect := func(field, format string, args ...any) {
			all = append(all, suspicion{paths[i], field, fmt.Sprintf(format, args...)})
		}
		suspectReach(r, suspect)
		suspectTime(r, now, suspect)
		for j, point := range r.Target.Points {
			if text := suspectPoint(point, r.Target.Services); text != "" {
				suspect(fmt.Sprintf("target.points[%d]", j), "%s", text)
			}
		}
	}
	return append(all, shadows(rules, paths)...)
}

func suspectReach(r fault.Rule, suspect func(field, format string, args ...any)) {
	percent := r.Scope.Percent
	switch {
	case percent != nil && *percent == 0:
		suspect("scope.percent", "is 0: the rule is for nobody")
	case r.Limits == (fault.Limits{}) && r.Scope.Attempts == 0 && r.Scope.Share() == 100 && len(r.Scope.Attributes) == 0:
		suspect("scope", "is everyone, and there are no limits: begin with a small percent, or a limit such as {concurrent: 10}")
	}
}

func suspectTime(r fault.Rule, now time.Time, suspect func(field, format string, args ...any)) {
	switch left := r.Expires.Sub(now); {
	case r.TTL > usualLongestRule:
		suspect("ttl", "is %s: services refuse more than %s unless they are set to allow it", inShort(r.TTL), inShort(usualLongestRule))
	case r.Expires.IsZero():
	case left <= 0:
		suspect("expires", "is over: a service passes over the rule")
	case left > usualLongestRule:
		suspect("expires", "is more than %s away: services refuse it unless they are set to allow it", inShort(usualLongestRule))
	}
	for _, d := range []struct {
		field string
		delay *fault.Delay
	}{{"fault.delay", r.Fault.Delay}, {"fault.stream.delay", streamDelay(r.Fault)}} {
		if d.delay != nil && d.delay.Longest() > usualLongestDelay {
			suspect(d.field, "may last %s: services refuse more than %s unless they are set to allow it", inShort(d.delay.Longest()), inShort(usualLongestDelay))
		}
	}
}

func streamDelay(f fault.Fault) *fault.Delay {
	if f.Stream == nil {
		return nil
	}
	return f.Stream.Delay
}

// pointKinds are those of the adapters there are. Others are a service's own.
var pointKinds = []string{"http.client", "http.server", "grpc.client", "grpc.server", "sql"}

// suspectPoint says what a pattern of points may have been meant to be.
func suspectPoint(point string, services []string) string {
	kind, name, found := strings.Cut(point, ":")
	switch {
	case !found && slices.Contains(services, point):
		return fmt.Sprintf("is a dependency named like the service that the rule is for; its entry is %q or %q", "http.server:"+point, "grpc.server:"+point)
	case !found || slices.Contains(pointKinds, kind) || strings.Contains(kind, "*"):
		return ""
	}
	if right := closest(kind, pointKinds); right != "" {
		return fmt.Sprintf("%q is no kind of points that an adapter has; did you mean %q?", kind, right+":"+name)
	}
	for _, half := range []string{"http", "grpc", "client", "server"} {
		if kind == half {
			var right []string
			for _, known := range pointKinds {
				if strings.HasPrefix(known, half+".") || strings.HasSuffix(known, "."+half) {
					right = append(right, fmt.Sprintf("%q", known+":"+name))
				}
			}
			return fmt.Sprintf("%q is no kind of points that an adapter has; did you mean %s?", kind, strings.Join(right, " or "))
		}
	}
	return ""
}

// maxCompared is how many earlier rules with a point in common are looked at.
const maxCompared = 500

// shadows finds rules that are never reached.
func shadows(rules []fault.Rule, paths []string) []suspicion {
	order := make([]int, len(rules))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(rules[j].Priority, rules[i].Priority), cmp.Compare(rules[i].ID, rules[j].ID))
	})
	var all []suspicion
	takers := make(map[string][]int) // by point, rules that take every call they are for; "*" is any point
	for _, i := range order {
		r := rules[i]
		candidates := takers["*"]
		if len(r.Target.Points) > 0 {
			candidates = slices.Concat(candidates, takers[r.Target.Points[0]])
		}
		for _, j := range candidates[:min(len(candidates), maxCompared)] {
			if targetCovers(rules[j].Target, r.Target) && scopeCovers(rules[j].Scope, r.Scope) && canWhere(rules[j].Fault, r.Fault) {
				all = append(all, suspicion{paths[i], "", fmt.Sprintf("is never reached while %q lives, which comes first and takes all its calls", rules[j].ID)})
				break
			}
		}
		points := r.Target.Points
		if len(points) == 0 || slices.Contains(points, "*") {
			points = []string{"*"}
		}
		for _, p := range points {
			takers[p] = append(takers[p], i)
		}
	}
	return all
}

// targetCovers reports whether t is surely for every call that u is for.
func targetCovers(t, u fault.Target) bool {
	isServer := func(p string) bool {
		return strings.Contains(p, ".server:") || strings.HasPrefix(p, "*") && strings.Contains(p, ":")
	}
	everywhere := len(t.Points) == 0 || slices.Contains(t.Points, "*")
	switch {
	case !includes(t.Services, u.Services) || !includes(t.Operations, u.Operations):
		return false
	case everywhere && slices.ContainsFunc(u.Points, isServer):
		return false
	case !everywhere && (len(u.Points) == 0 || !includes(t.Points, u.Points)):
		return false
	case t.Except == nil:
		return true
	}
	return u.Except != nil && slices.Equal(t.Except.Points, u.Except.Points) && slices.Equal(t.Except.Operations, u.Except.Operations)
}

// includes reports whether all of b is in a; empty is everything.
func includes(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == 0
	}
	in := make(map[string]bool, len(a))
	for _, s := range a {
		in[s] = true
	}
	return !slices.ContainsFunc(b, func(s string) bool { return !in[s] })
}

// scopeCovers reports whether s surely selects every call that t selects.
func scopeCovers(s, t scope.Scope) bool {
	if s.Attempts > 0 || !includes(s.Requests, t.Requests) || !includes(s.Customers, t.Customers) {
		return false
	}
	for _, name := range slices.Sorted(maps.Keys(s.Attributes)) {
		if values := t.Attributes[name]; len(values) == 0 || !includes(s.Attributes[name], values) {
			return false
		}
	}
	switch {
	case s.Percent == nil:
		return true
	case *s.Percent == 100 && (s.Unit == "" || s.Unit == scope.PerRequest || s.Unit == scope.PerCall):
		return true
	case s.Unit != scope.PerCall && s.Salt != "" && s.Salt == t.Salt && s.Unit == t.Unit && t.Percent != nil:
		return *s.Percent >= *t.Percent // who is in at 1 % is in at 5 %
	}
	return false
}

// canWhere reports whether f can be produced wherever g can. A rule whose fault a
// point cannot produce is not armed there, and takes nothing away.
func canWhere(f, g fault.Fault) bool {
	anywhere := []fault.Effect{fault.EffectDelay, fault.EffectBlackHole, fault.EffectErrorName}
	for _, effect := range f.Effects() {
		if !slices.Contains(anywhere, effect) && !slices.Contains(g.Effects(), effect) {
			return false
		}
	}
	return true
}
