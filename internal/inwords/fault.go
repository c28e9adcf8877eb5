package inwords

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/misfit-go/misfit/fault"
)

// Fault says what a fault does, in the order in which it happens.
func Fault(f fault.Fault) string {
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
		does = append(does, "corrupt "+number(100*s.Corrupt)+"%")
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
