package fault

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/internal/token"
)

// A Fault is what happens to a call: plain data, open for faults to come. At
// most one of Error, BlackHole and Panic is set; Delay may stand alone or
// beside them and comes first.
type Fault struct {
	Delay     *Delay      `json:"delay,omitempty"`
	Error     *ErrorFault `json:"error,omitempty"`
	BlackHole bool        `json:"blackHole,omitempty"` // hold the call until it gives up or the rule ends
	Panic     bool        `json:"panic,omitempty"`     // panic with an *Error
}

// An ErrorFault says how a call fails; exactly one field is set.
type ErrorFault struct {
	// Class is a neutral kind of failure, which each adapter turns into the
	// error its own calls return when that really happens.
	Class Class `json:"class,omitempty"`

	// HTTP is an exact response.
	HTTP *HTTPStatus `json:"http,omitempty"`

	// Name is an error that the service registered with [WithNamedError].
	Name string `json:"name,omitempty"`
}

// HTTPStatus is a complete HTTP response to give in place of the real one.
type HTTPStatus struct {
	Status  int               `json:"status"` // 200 to 599
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"` // at most 64 KiB
}

// A Class is a neutral kind of failure.
type Class string

const (
	Refused     Class = "refused"     // nobody listens there
	Reset       Class = "reset"       // the connection broke
	Timeout     Class = "timeout"     // no answer in time
	DNS         Class = "dns"         // the name is not found
	TLS         Class = "tls"         // the peer's certificate does not verify
	Unavailable Class = "unavailable" // the service says it cannot serve
	Overloaded  Class = "overloaded"  // the service says it has too much to do
	Internal    Class = "internal"    // the service says it failed
)

// Classes lists every class.
func Classes() []Class {
	return []Class{Refused, Reset, Timeout, DNS, TLS, Unavailable, Overloaded, Internal}
}

// An Effect names one thing a fault can do, such as "delay" or
// "error.class.refused". An adapter lists those its points can produce; a rule
// is armed only at points that can produce all of its fault.
type Effect string

const (
	EffectDelay     Effect = "delay"
	EffectPadTo     Effect = "delay.padTo"
	EffectErrorHTTP Effect = "error.http"
	EffectErrorName Effect = "error.name"
	EffectBlackHole Effect = "blackHole"
	EffectPanic     Effect = "panic"
)

// EffectOf is the effect of failing with class c.
func EffectOf(c Class) Effect { return Effect("error.class." + string(c)) }

// Effects lists what f does.
func (f Fault) Effects() []Effect {
	var effects []Effect
	if f.Delay != nil {
		if f.Delay.PadTo > 0 {
			effects = append(effects, EffectPadTo)
		} else {
			effects = append(effects, EffectDelay)
		}
	}
	switch {
	case f.Error == nil:
	case f.Error.HTTP != nil:
		effects = append(effects, EffectErrorHTTP)
	case f.Error.Name != "":
		effects = append(effects, EffectErrorName)
	default:
		effects = append(effects, EffectOf(f.Error.Class))
	}
	if f.BlackHole {
		effects = append(effects, EffectBlackHole)
	}
	if f.Panic {
		effects = append(effects, EffectPanic)
	}
	return effects
}

// Validate reports everything that is wrong with f, each finding with its path.
func (f Fault) Validate() error {
	var problems problem.List
	if f.Delay != nil {
		problems.AddAt("delay", f.Delay.Validate())
	}
	ends := 0
	if f.Error != nil {
		ends++
		problems.AddAt("error", f.Error.validate())
	}
	if f.BlackHole {
		ends++
	}
	if f.Panic {
		ends++
	}
	switch {
	case ends == 0 && f.Delay == nil:
		problems.Addf("", "does nothing: give a delay, an error, a blackHole or a panic")
	case ends > 1:
		problems.Addf("", "has %d of error, blackHole and panic; a call can end in only one way", ends)
	}
	return problems.Err()
}

func (e ErrorFault) validate() error {
	var problems problem.List
	given := 0
	if e.Class != "" {
		given++
		if !slices.Contains(Classes(), e.Class) {
			problems.Addf("class", "%s is unknown; use one of %s", quote(string(e.Class)), list(Classes()))
		}
	}
	if e.HTTP != nil {
		given++
		problems.AddAt("http", e.HTTP.validate())
	}
	if e.Name != "" {
		given++
	}
	if given != 1 {
		problems.Addf("", "has %d of class, http and name; give exactly one", given)
	}
	return problems.Err()
}

const maxBodyBytes = 64 << 10

func (s HTTPStatus) validate() error {
	var problems problem.List
	if s.Status < 200 || s.Status > 599 {
		problems.Addf("status", "%d is outside 200 to 599", s.Status)
	}
	if s.Body != "" && (s.Status == http.StatusNoContent || s.Status == http.StatusNotModified) {
		problems.Addf("body", "a response with status %d has no body", s.Status)
	}
	if len(s.Body) > maxBodyBytes {
		problems.Addf("body", "has %d bytes; at most %d are allowed", len(s.Body), maxBodyBytes)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		switch canonical := http.CanonicalHeaderKey(name); {
		case !token.Valid(name):
			problems.Addf("headers", "name %s is not a token: use letters, digits and !#$%%&'*+-.^_`|~", quote(name))
		case canonical == "Content-Length", canonical == "Transfer-Encoding", canonical == "Connection", canonical == "Trailer":
			problems.Addf("headers."+name, "is set by HTTP itself; leave it out")
		case strings.ContainsFunc(s.Headers[name], isControl):
			problems.Addf("headers."+name, "has a control character")
		}
	}
	return problems.Err()
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }
