package control

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// who says in a few words whom a scope selects.
func who(s scope.Scope) string {
	var conditions []string
	if len(s.Requests) > 0 {
		conditions = append(conditions, "requests "+few(quoted(s.Requests), ""))
	}
	if len(s.Customers) > 0 {
		conditions = append(conditions, "customers "+few(quoted(s.Customers), ""))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Attributes)) {
		conditions = append(conditions, name+" "+few(quoted(s.Attributes[name]), ""))
	}
	if s.Percent != nil {
		conditions = append(conditions, share(*s.Percent, s.Unit))
	}
	if len(conditions) == 0 {
		conditions = append(conditions, "the request that carries it")
	}
	if s.Attempts > 0 {
		conditions = append(conditions, "first "+count(s.Attempts, "call")+" of each request")
	}
	return strings.Join(conditions, " and ")
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
	return strconv.FormatFloat(percent, 'f', -1, 64) + "% " + of
}

// what says in a few words what a fault does.
func what(f fault.Fault) string {
	var steps []string
	for _, step := range []struct {
		set  bool
		text func() string
	}{
		{f.Delay != nil, func() string { return delay(*f.Delay) }},
		{f.Duplicate, func() string { return "duplicate" }},
		{f.LostReply, func() string { return "lost reply" }},
		{f.Error != nil, func() string { return failure(*f.Error) }},
		{f.BlackHole, func() string { return "black hole" }},
		{f.Panic, func() string { return "panic" }},
		{f.Stream != nil, func() string { return stream(*f.Stream) }},
	} {
		if step.set {
			steps = append(steps, step.text())
		}
	}
	return strings.Join(steps, ", then ")
}

func failure(e fault.ErrorFault) string {
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

// stream says what happens in mid-stream, and to which of the two streams.
func stream(s fault.StreamFault) string {
	var does []string
	switch {
	case s.Cut:
		does = append(does, "cut")
	case s.Error != nil:
		does = append(does, failure(*s.Error))
	case s.Stall:
		does = append(does, "stall")
	case s.PerSecond > 0:
		does = append(does, fmt.Sprintf("%d per second", s.PerSecond))
	case s.Delay != nil:
		does = append(does, delay(*s.Delay)+" each")
	}
	if s.Corrupt > 0 {
		does = append(does, "corrupt "+strconv.FormatFloat(100*s.Corrupt, 'f', -1, 64)+"%")
	}
	text := strings.Join(does, " and ") + " in the response"
	if s.Direction == fault.Request {
		text = strings.Join(does, " and ") + " in the request"
	}
	if s.After > 0 {
		text += fmt.Sprintf(" after %d", s.After)
	}
	return text
}

func delay(d fault.Delay) string {
	switch {
	case d.Fixed > 0:
		return fmt.Sprintf("delay %v", d.Fixed)
	case d.PadTo > 0:
		return fmt.Sprintf("pad to %v", d.PadTo)
	case d.P99 > 0:
		return fmt.Sprintf("delay %v, p99 %v", d.Median, d.P99)
	}
	return fmt.Sprintf("delay %v to %v", d.Min, d.Max)
}

// where says at which points a rule is armed, or why at none, and for which
// operations.
func where(status fault.RuleStatus) string {
	var out []string
	if n := len(status.Protected); n > 0 {
		out = append(out, fmt.Sprintf("%d protected", n))
	}
	if n := len(status.Unsupported); n > 0 {
		out = append(out, fmt.Sprintf("%d cannot do this", n))
	}
	text := few(status.Points, "nowhere")
	if len(out) > 0 {
		text += " (" + strings.Join(out, ", ") + ")"
	}
	target := status.Rule.Target
	if len(target.Operations) > 0 {
		text += ", only " + few(target.Operations, "")
	}
	if except := target.Except; except != nil && len(except.Operations) > 0 {
		text += ", not " + few(except.Operations, "")
		if len(except.Points) > 0 {
			text += " at " + few(except.Points, "")
		}
	}
	return text
}

func skips(by map[fault.SkipReason]uint64) string {
	if len(by) == 0 {
		return "0"
	}
	var texts []string
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		texts = append(texts, fmt.Sprintf("%d %s", by[reason], reason))
	}
	return strings.Join(texts, ", ")
}

// few lists the first entries and counts the others.
func few(list []string, none string) string {
	const shown = 3
	switch {
	case len(list) == 0:
		return none
	case len(list) > shown:
		return strings.Join(list[:shown], ", ") + fmt.Sprintf(" and %d more", len(list)-shown)
	}
	return strings.Join(list, ", ")
}

// quoted quotes as many entries as few shows; a scope may have 100,000.
func quoted(list []string) []string {
	texts := slices.Clone(list)
	for i := range min(len(texts), 3) {
		texts[i] = strconv.Quote(texts[i])
	}
	return texts
}
