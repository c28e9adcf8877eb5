package convert

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// effect reads what happens, and reports false if that is nothing, or cannot be
// said.
func (c *converter) effect(at cursor, alone bool) (fault.Fault, bool) {
	var f fault.Fault
	if at.kind != object {
		c.lose(at, "want an effect, such as {\"latency\": 2000}, got %s", got(at))
		return f, false
	}
	ok := true
	if latency := at.field("latency"); latency.given() {
		f.Delay, ok = c.latency(latency)
	}
	if exception := at.field("exception"); exception.given() {
		var read bool
		f.Error, read = c.exception(exception)
		ok = ok && read
	}
	if message := at.field("panic"); message.given() {
		ok = c.panics(message, &f) && ok
	}
	if data := at.field("data"); data.given() {
		c.lose(data, "a rule does not change what a call returns, but for whole answers (error) and bytes (stream.corrupt)")
		ok = ok && (f.Delay != nil || f.Error != nil || f.Panic)
	}
	known := effects
	if alone {
		known = append(slices.Concat(effects, passedOver), "name", "failureFlagName", "flag")
	}
	for _, other := range unknown(at, known...) {
		c.lose(other, "is an effect of your own, which a rule does not know")
	}
	if ok && f.Delay == nil && f.Error == nil && !f.Panic {
		c.note(at, "does nothing")
		return f, false
	}
	return f, ok
}

// latency reads a number of milliseconds, the same as text, or an object with the
// least and what is added at random.
func (c *converter) latency(at cursor) (*fault.Delay, bool) {
	var least, jitter float64
	ok := true
	switch at.kind {
	case text:
		ms, err := strconv.ParseUint(at.text, 10, 32)
		if err != nil {
			c.lose(at, "want a whole number of milliseconds, got %s", got(at))
			return nil, false
		}
		least = float64(ms)
	case object:
		for _, f := range unknown(at, "ms", "jitter") {
			c.lose(f, "is not known in a latency; known are ms and jitter")
			ok = false
		}
		for _, part := range []struct {
			name string
			to   *float64
		}{{"ms", &least}, {"jitter", &jitter}} {
			if f := at.field(part.name); f.given() {
				var read bool
				*part.to, read = c.milliseconds(f)
				ok = ok && read
			}
		}
	default:
		least, ok = c.milliseconds(at)
	}
	if !ok || least+jitter == 0 {
		return nil, ok
	}
	if least+jitter > float64(longestDelay/time.Millisecond) {
		c.lose(at, "is longer than a rule can say, which is %v", longestDelay)
		return nil, false
	}
	length := func(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
	if length(least+jitter) > usualMaxDelay {
		c.note(at, "services refuse a delay of more than %v unless they are set to allow it (guardrail MaxDelay)", usualMaxDelay)
	}
	switch {
	case length(least+jitter) == 0:
		return nil, true
	case jitter == 0:
		return &fault.Delay{Fixed: length(least)}, true
	}
	return &fault.Delay{Min: length(least), Max: length(least + jitter)}, true
}

// exceptionClasses are the names of exceptions, and the codes of Node.js, that a
// class stands for.
var exceptionClasses = map[string]fault.Class{
	"ECONNREFUSED":           fault.Refused,
	"ConnectionRefusedError": fault.Refused,
	"ECONNRESET":             fault.Reset,
	"ConnectionResetError":   fault.Reset,
	"EPIPE":                  fault.Reset,
	"BrokenPipeError":        fault.Reset,
	"ETIMEDOUT":              fault.Timeout,
	"TimeoutError":           fault.Timeout,
	"ENOTFOUND":              fault.DNS,
	"gaierror":               fault.DNS,
	"EAI_AGAIN":              fault.DNSTimeout,
}

// exception reads a message, or an object with one and a name. It returns nil if
// there is none after all.
func (c *converter) exception(at cursor) (*fault.ErrorFault, bool) {
	message := at.field("message").text
	switch at.kind {
	case text:
		message = at.text
		if message == "" {
			return nil, true
		}
	case boolean:
		if at.text == "false" {
			return nil, true
		}
		if c.Exception == nil {
			c.lose(at, "Gremlin's SDKs throw nothing for true; say with -exception what it is meant to be, or give a message")
			return nil, false
		}
	case object:
	default:
		c.lose(at, "want a message, or an object with one, got %s", got(at))
		return nil, false
	}
	if c.Exception != nil {
		return c.Exception, true
	}
	for _, name := range []string{"code", "className", "name"} {
		if class, known := exceptionClasses[at.field(name).text]; known {
			c.noteOnce(at, "%s becomes the error class %s, which has no message of its own", at.field(name).text, class)
			return &fault.ErrorFault{Class: class}, true
		}
	}
	const longest = 128
	if message == "" || len(message) > longest {
		c.lose(at, "has no message of 1 to %d bytes to name the error by: say with -exception what it becomes", longest)
		return nil, false
	}
	c.noteOnce(at, "becomes the error that the service has registered by that name: fault.WithNamedError(%q, …); -exception says otherwise", message)
	return &fault.ErrorFault{Name: message}, true
}

// panics reads the message of a panic.
func (c *converter) panics(at cursor, f *fault.Fault) bool {
	switch {
	case at.kind != text:
		c.lose(at, "want a message, got %s: Gremlin's SDK does nothing for it", got(at))
		return false
	case at.text == "":
		return true // does nothing
	}
	if f.Error != nil {
		c.note(at, "comes before the exception, which never happens")
		f.Error = nil
	}
	c.noteOnce(at, "the panic is with a *fault.Error, not with a message of its own")
	f.Panic = true
	return true
}

func sortedNames(m map[string][]string) []string { return slices.Sorted(maps.Keys(m)) }
