package fault

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/internal/httptoken"
	"github.com/misfit-go/misfit/internal/problem"
)

// A Fault is what happens to a call: plain data, open for faults to come. At
// most one of Error, BlackHole, Panic, Stream and Duplicate is set; Delay may
// stand alone or beside them and comes first. LostReply stands alone or with
// Error or BlackHole, which then happen in place of the reply.
type Fault struct {
	Delay     *Delay      `json:"delay,omitempty"`
	Error     *ErrorFault `json:"error,omitempty"`
	BlackHole bool        `json:"blackHole,omitempty"` // hold the call until it gives up or the rule ends
	Panic     bool        `json:"panic,omitempty"`     // panic with an *Error

	// Stream acts on what is sent or received, in the middle of it.
	Stream *StreamFault `json:"stream,omitempty"`

	// LostReply has the call carried out and drops its reply: the caller sees
	// Error, or BlackHole, or by default a connection that was reset.
	LostReply bool `json:"lostReply,omitempty"`

	// Duplicate has the call carried out twice, where that is allowed, and
	// drops the first reply.
	Duplicate bool `json:"duplicate,omitempty"`
}

// An ErrorFault says how a call fails; exactly one field is set.
type ErrorFault struct {
	// Class is a neutral kind of failure, which each adapter turns into the
	// error its own calls return when that really happens.
	Class Class `json:"class,omitempty"`

	// HTTP is an exact response.
	HTTP *HTTPStatus `json:"http,omitempty"`

	// GRPC is an exact status.
	GRPC *GRPCStatus `json:"grpc,omitempty"`

	// Name is an error that the service registered with [WithNamedError].
	Name string `json:"name,omitempty"`
}

// HTTPStatus is a complete HTTP response to give in place of the real one.
type HTTPStatus struct {
	Status  int               `json:"status"` // 200 to 599
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"` // at most 64 KiB
}

// A Class is a neutral kind of failure. An adapter lists the classes its points
// can produce ([EffectOf]) and turns each into what its own calls return when
// that really happens. Precise classes exist for what callers tell apart; where
// an adapter lacks one, its rule is not armed, and says so.
type Class string

// A connection that is never made.
const (
	Refused        Class = "refused"        // nobody listens there
	ConnectTimeout Class = "connectTimeout" // nobody answers there
	DNS            Class = "dns"            // the name is not found
	DNSTimeout     Class = "dnsTimeout"     // nobody says in time what the name stands for
	TLS            Class = "tls"            // the peer's certificate does not verify
	TLSTimeout     Class = "tlsTimeout"     // the peer accepts, and never shakes hands
)

// A connection on which no answer comes. The request may have been carried out.
const (
	Timeout       Class = "timeout"       // no answer in time
	HeaderTimeout Class = "headerTimeout" // no response header in time: Timeout as HTTP clients have it
	Reset         Class = "reset"         // the connection broke
	StreamReset   Class = "streamReset"   // the peer reset this call's HTTP/2 stream
	GoAway        Class = "goaway"        // the peer said GOAWAY and closed the HTTP/2 connection
)

// An answer that says no.
const (
	Unavailable    Class = "unavailable"    // the service says it cannot serve
	Overloaded     Class = "overloaded"     // the service says it has too much to do
	Internal       Class = "internal"       // the service says it failed
	BadGateway     Class = "badGateway"     // a proxy says it got no sense out of the service
	GatewayTimeout Class = "gatewayTimeout" // a proxy says the service did not answer in time
)

// Classes lists every class.
func Classes() []Class {
	return []Class{
		Refused, ConnectTimeout, DNS, DNSTimeout, TLS, TLSTimeout,
		Timeout, HeaderTimeout, Reset, StreamReset, GoAway,
		Unavailable, Overloaded, Internal, BadGateway, GatewayTimeout,
	}
}

// An Effect names one thing a fault can do, such as "delay" or
// "error.class.refused". An adapter lists those its points can produce; a rule
// is armed only at points that can produce all of its fault.
type Effect string

const (
	EffectDelay     Effect = "delay"
	EffectPadTo     Effect = "delay.padTo"
	EffectErrorHTTP Effect = "error.http"
	EffectErrorGRPC Effect = "error.grpc"
	EffectErrorName Effect = "error.name"
	EffectBlackHole Effect = "blackHole"
	EffectPanic     Effect = "panic"
	EffectLostReply Effect = "lostReply"
	EffectDuplicate Effect = "duplicate"
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
	if f.Error != nil {
		effects = append(effects, f.Error.effect())
	}
	if f.BlackHole {
		effects = append(effects, EffectBlackHole)
	}
	if f.Panic {
		effects = append(effects, EffectPanic)
	}
	if f.Stream != nil {
		effects = append(effects, f.Stream.effects()...)
	}
	if f.LostReply {
		effects = append(effects, EffectLostReply)
	}
	if f.Duplicate {
		effects = append(effects, EffectDuplicate)
	}
	return effects
}

func (e *ErrorFault) effect() Effect {
	switch {
	case e.HTTP != nil:
		return EffectErrorHTTP
	case e.GRPC != nil:
		return EffectErrorGRPC
	case e.Name != "":
		return EffectErrorName
	}
	return EffectOf(e.Class)
}

// failure is the error that the call, or one of its streams, fails with.
func (f *Fault) failure() *ErrorFault {
	if f.Stream != nil && f.Stream.Error != nil {
		return f.Stream.Error
	}
	return f.Error
}

// Validate reports everything that is wrong with f, each finding with its path.
func (f Fault) Validate() error {
	var problems problem.List
	if f.Delay != nil {
		problems.AddAt("delay", f.Delay.Validate())
	}
	if f.Error != nil {
		problems.AddAt("error", f.Error.validate())
	}
	if f.Stream != nil {
		problems.AddAt("stream", f.Stream.Validate())
	}
	ends := 0
	for _, end := range []bool{f.Error != nil, f.BlackHole, f.Panic, f.Stream != nil, f.Duplicate} {
		if end {
			ends++
		}
	}
	switch {
	case ends == 0 && f.Delay == nil && !f.LostReply:
		problems.Addf("", "does nothing: give a delay, an error, a blackHole, a panic, a stream, a lostReply or a duplicate")
	case ends > 1:
		problems.Addf("", "has %d of error, blackHole, panic, stream and duplicate; a call can end in only one way", ends)
	case f.LostReply && (f.Panic || f.Stream != nil || f.Duplicate):
		problems.Addf("lostReply", "goes with an error or a blackHole, or alone, and with nothing else")
	}
	return problems.Err()
}

// waits reports whether a call may be held by f.
func (f Fault) waits() bool {
	return f.Delay != nil || f.BlackHole || f.Stream != nil && f.Stream.waits()
}

// draws reports whether some of f differs from hit to hit, by their numbers.
func (f Fault) draws() bool {
	return f.Delay != nil && f.Delay.draws() || f.Stream != nil
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
	if e.GRPC != nil {
		given++
		problems.AddAt("grpc", e.GRPC.validate())
	}
	if e.Name != "" {
		given++
	}
	if given != 1 {
		problems.Addf("", "has %d of class, http, grpc and name; give exactly one", given)
	}
	return problems.Err()
}

func (e *ErrorFault) clone() *ErrorFault {
	if e == nil {
		return nil
	}
	copied := *e
	if e.HTTP != nil {
		copied.HTTP = &HTTPStatus{e.HTTP.Status, maps.Clone(e.HTTP.Headers), e.HTTP.Body}
	}
	copied.GRPC = e.GRPC.clone()
	return &copied
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
		case !httptoken.Valid(name):
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
