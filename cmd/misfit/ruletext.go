package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// ruleInWords says what r does, where, to whom and how often. Beside it the rule
// itself is shown, which is why it may pass over details of streams and replies.
func ruleInWords(r fault.Rule) string {
	text := whatInWords(r.Fault) + " at " + whereInWords(r.Target) + ", for " + whoInWords(r.Scope)
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

func whereInWords(t fault.Target) string {
	text := listed(t.Points)
	if len(t.Points) == 0 || slices.Contains(t.Points, "*") {
		text = "every dependency"
	}
	if len(t.Operations) > 0 {
		text += " in " + listed(t.Operations)
	}
	if e := t.Except; e != nil {
		text += " but not "
		switch {
		case len(e.Points) > 0 && len(e.Operations) > 0:
			text += listed(e.Points) + " in " + listed(e.Operations)
		default:
			text += listed(append(slices.Clone(e.Points), e.Operations...))
		}
	}
	if len(t.Services) > 0 {
		text += " of " + listed(t.Services)
	}
	return text
}

func whatInWords(f fault.Fault) string {
	var steps []string
	step := func(set bool, text string) {
		if set {
			steps = append(steps, text)
		}
	}
	if f.Delay != nil {
		step(true, delayInWords(*f.Delay))
	}
	step(f.LostReply, "lost reply")
	if f.Error != nil {
		step(true, failureInWords(*f.Error))
	}
	step(f.BlackHole, "black hole")
	step(f.Panic, "panic")
	step(f.Stream != nil, "fault in mid-stream")
	step(f.Duplicate, "duplicate")
	return strings.Join(steps, ", then ")
}

func failureInWords(e fault.ErrorFault) string {
	switch {
	case e.HTTP != nil:
		return "HTTP " + strconv.Itoa(e.HTTP.Status)
	case e.GRPC != nil:
		return "gRPC " + string(e.GRPC.Code)
	case e.Name != "":
		return "error " + strconv.Quote(e.Name)
	}
	return "error " + string(e.Class)
}

func delayInWords(d fault.Delay) string {
	switch {
	case d.Fixed > 0:
		return fmt.Sprintf("delay of %v", d.Fixed)
	case d.PadTo > 0:
		return fmt.Sprintf("padding to %v", d.PadTo)
	case d.P99 > 0:
		return fmt.Sprintf("delay of %v, p99 %v", d.Median, d.P99)
	}
	return fmt.Sprintf("delay of %v to %v", d.Min, d.Max)
}

func whoInWords(s scope.Scope) string {
	var conditions []string
	if len(s.Requests) > 0 {
		conditions = append(conditions, "request "+listed(s.Requests))
	}
	if len(s.Customers) > 0 {
		conditions = append(conditions, "customer "+listed(s.Customers))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Attributes)) {
		conditions = append(conditions, name+" "+listed(s.Attributes[name]))
	}
	if p := s.Percent; p != nil {
		unit := string(s.Unit)
		if unit == "" {
			unit = string(scope.PerRequest)
		}
		conditions = append(conditions, fmt.Sprintf("%v%% by %s", *p, unit))
	}
	text := strings.Join(conditions, " and ")
	if text == "" {
		text = "every request with the token"
	}
	if s.Attempts > 0 {
		text += ", the first " + strconv.Itoa(s.Attempts) + " calls of each"
	}
	return text
}

// listed names the first few and counts the rest.
func listed(values []string) string {
	const shown = 5
	if n := len(values); n > shown {
		return strings.Join(values[:shown], ", ") + fmt.Sprintf(" and %d more", n-shown)
	}
	return strings.Join(values, ", ")
}
