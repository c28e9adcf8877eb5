package scope

import (
	"strings"

	"github.com/misfit-go/misfit/internal/httptoken"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// A saying is what a carrier says, as a carrier.
type saying struct {
	traceparent, tracestate string
	baggage                 []string
}

func (s *saying) Get(key string) string {
	switch key {
	case traceparentHeader:
		return s.traceparent
	case tracestateHeader:
		return s.tracestate
	}
	return ""
}

func (s *saying) Values(key string) []string {
	if key == baggageHeader {
		return s.baggage
	}
	return nil
}

func (s *saying) Set(key, value string) {
	switch key {
	case traceparentHeader:
		s.traceparent = value
	case tracestateHeader:
		s.tracestate = value
	case baggageHeader:
		s.baggage = []string{value}
	}
}

func (*saying) Keys() []string { return []string{traceparentHeader, tracestateHeader, baggageHeader} }

// writeTo does what [Inject] does with a context that says the same.
func (s *saying) writeTo(carrier propagation.TextMapCarrier) bool {
	wrote := false
	if s.traceparent != "" && carrier.Get(traceparentHeader) == "" {
		carrier.Set(traceparentHeader, s.traceparent)
		if s.tracestate != "" {
			carrier.Set(tracestateHeader, s.tracestate)
		}
		wrote = true
	}
	if len(s.baggage) > 0 {
		return addBaggage(carrier, s.baggage[0]) || wrote // plain, and printed, baggage is one line
	}
	return wrote
}

// identity returns who a request is, as [Extract] would, where that can be seen
// without taking everything apart, and whether it can. It allocates nothing but a map
// for attributes. What is in any way out of the ordinary is left to Extract.
func (s *saying) identity() (r Request, plain bool) {
	if len(s.baggage) == 1 {
		if plain = r.readPlainly(s.baggage[0]); !plain {
			return Request{}, false
		}
	} else if len(s.baggage) > 1 {
		return Request{}, false
	}
	if r.ID != "" || s.traceparent == "" {
		return r, true
	}
	r.ID, plain = plainTraceID(s.traceparent)
	return r, plain
}

// goesOn reports whether a trace, if there is one, goes on as its headers say it. Of
// the baggage that is known where its identity was plain.
func (s *saying) goesOn() bool {
	if s.traceparent == "" {
		return true
	}
	if _, plain := plainTraceID(s.traceparent); !plain {
		return false
	}
	if s.tracestate == "" {
		return true
	}
	_, err := trace.ParseTraceState(s.tracestate)
	return err == nil
}

// readPlainly reads our members of a baggage header without escapes, properties,
// spaces or anything else that needs a closer look, and reports whether it is one.
func (r *Request) readPlainly(header string) bool {
	if len(header) > maxBaggageBytes || strings.Count(header, ",") >= maxBaggageMembers {
		return false
	}
	for member := range strings.SplitSeq(header, ",") {
		key, value, found := strings.Cut(member, "=")
		if !found || value == "" || !httptoken.Valid(key) || !isPlain(value) {
			return false
		}
		if isIdentity(key) && !r.take(key, value) {
			return false
		}
	}
	return true
}

// take sets the field for an identity member, unless that is set or is too much.
func (r *Request) take(key, value string) bool {
	switch key {
	case idMember:
		if r.ID != "" || len(value) > MaxIDBytes {
			return false
		}
		r.ID = value
	case customerMember:
		if r.Customer != "" || len(value) > MaxCustomerBytes {
			return false
		}
		r.Customer = value
	default:
		name := strings.TrimPrefix(key, attributePrefix)
		_, known := r.Attributes[name]
		if known || checkAttributeName(name) != "" || len(value) > MaxAttributeValueBytes || len(r.Attributes) == MaxAttributes {
			return false
		}
		if r.Attributes == nil {
			r.Attributes = make(map[string]string)
		}
		r.Attributes[name] = value
	}
	return true
}

// isPlain reports whether a value of baggage stands for itself: all of it are
// baggage-octets of W3C Baggage, section 3.3.1.3, and none is a percent sign.
func isPlain(value string) bool {
	for i := range len(value) {
		switch c := value[i]; {
		case c <= ' ' || c >= 0x7f:
			return false
		case c == '"' || c == ',' || c == ';' || c == '\\' || c == '%':
			return false
		}
	}
	return true
}

// plainTraceID returns the trace ID of a traceparent of version 00, W3C Trace
// Context, section 3.2, and whether it is one with no other flags than sampled and random.
func plainTraceID(traceparent string) (string, bool) {
	const layout = "00-................................-................-0."
	if len(traceparent) != len(layout) || traceparent[:3] != "00-" || traceparent[35] != '-' || traceparent[52:54] != "-0" {
		return "", false
	}
	traceID, spanID, flags := traceparent[3:35], traceparent[36:52], traceparent[54]
	return traceID, isPlainID(traceID) && isPlainID(spanID) && '0' <= flags && flags <= '3'
}

// isPlainID reports whether an ID is lower-case hex, and not zero.
func isPlainID(id string) bool {
	var wrong, bits byte
	for i := range len(id) {
		wrong |= notLowerHex[id[i]]
		bits |= id[i] ^ '0'
	}
	return wrong == 0 && bits != 0
}

var notLowerHex = func() (table [256]byte) {
	for c := range table {
		if !strings.ContainsRune("0123456789abcdef", rune(c)) {
			table[c] = 1
		}
	}
	return table
}()
