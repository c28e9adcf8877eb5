package inwords

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// Rule says what r does, where, to whom and how often.
func Rule(r fault.Rule) string {
	text := Fault(r.Fault) + " at " + Target(r.Target) + ", for " + Scope(r.Scope)
	for _, limit := range []struct {
		n    int
		unit string
	}{{r.Limits.Concurrent, "at once"}, {r.Limits.PerSecond, "a second"}, {r.Limits.Total, "in all"}} {
		if limit.n > 0 {
			text += fmt.Sprintf(", at most %d %s", limit.n, limit.unit)
		}
	}
	return text
}

// Target says where a rule is to be armed.
func Target(t fault.Target) string {
	text := Few(t.Points)
	if len(t.Points) == 0 || slices.Contains(t.Points, "*") {
		text = "every dependency"
	}
	if len(t.Operations) > 0 {
		text += " in " + Few(t.Operations)
	}
	if e := t.Except; e != nil {
		text += " but not "
		switch {
		case len(e.Points) > 0 && len(e.Operations) > 0:
			text += Few(e.Points) + " in " + Few(e.Operations)
		default:
			text += Few(append(slices.Clone(e.Points), e.Operations...))
		}
	}
	if len(t.Services) > 0 {
		text += " of " + Few(t.Services)
	}
	return text
}

// Scope says whom a scope selects.
func Scope(s scope.Scope) string {
	var conditions []string
	if len(s.Requests) > 0 {
		conditions = append(conditions, noun("request", len(s.Requests))+" "+fewQuoted(s.Requests))
	}
	if len(s.Customers) > 0 {
		conditions = append(conditions, noun("customer", len(s.Customers))+" "+fewQuoted(s.Customers))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Attributes)) {
		conditions = append(conditions, name+" "+fewQuoted(s.Attributes[name]))
	}
	if s.Percent != nil {
		conditions = append(conditions, share(*s.Percent, s.Unit))
	}
	if len(conditions) == 0 {
		conditions = append(conditions, "every request that carries it")
	}
	text := strings.Join(conditions, " and ")
	switch {
	case s.Attempts == 1:
		text += ", the first call of each request"
	case s.Attempts > 1:
		text += fmt.Sprintf(", the first %d calls of each request", s.Attempts)
	}
	return text
}

func share(percent float64, unit scope.Unit) string {
	of := "of requests"
	switch unit {
	case "", scope.PerRequest, scope.PerCall:
		if percent == 100 {
			return "everyone"
		}
		if unit == scope.PerCall {
			of = "of calls"
		}
	case scope.PerCustomer:
		of = "of customers"
	default:
		of = "by " + strings.TrimPrefix(string(unit), string(scope.PerAttribute("")))
	}
	return number(percent) + "% " + of
}

// shown is how many entries of a list are named.
const shown = 3

// Few names the first entries of a list and counts the others.
func Few(list []string) string {
	if n := len(list) - shown; n > 0 {
		return strings.Join(list[:shown], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(list, ", ")
}

// fewQuoted quotes no more than it names: a scope may have 100,000.
func fewQuoted(list []string) string {
	texts := slices.Clone(list)
	for i := range min(len(texts), shown) {
		texts[i] = strconv.Quote(texts[i])
	}
	return Few(texts)
}

func noun(one string, n int) string {
	if n == 1 {
		return one
	}
	return one + "s"
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
