package scope

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"

	"github.com/misfit-go/misfit/internal/httptoken"
	"github.com/misfit-go/misfit/internal/problem"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
)

// Limits on what a [Request] may hold. They bound what a header from outside
// can cost; values beyond them are not carried to other processes.
const (
	MaxIDBytes             = 128
	MaxCustomerBytes       = 256
	MaxAttributes          = 16
	MaxAttributeNameBytes  = 64
	MaxAttributeValueBytes = 256
)

// A Request says who a request is. Its fields are read-only once it is in a
// context.
type Request struct {
	// ID is the request's identity: the same in every process the request
	// reaches and for every retry inside it. [With] fills it in when empty:
	// the trace ID if the context has one, else 32 random hex digits.
	ID string `json:"id,omitempty"`

	// Customer is on whose behalf the request is made; empty if unknown.
	Customer string `json:"customer,omitempty"`

	// Attributes are further facts to select requests by, for instance
	// "plan" or "region". A name is an RFC 9110 token.
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Validate reports every field that breaks a limit, each with its path.
func (r Request) Validate() error {
	var problems problem.List
	if len(r.ID) > MaxIDBytes {
		problems.Addf("id", "has %d bytes; at most %d are allowed", len(r.ID), MaxIDBytes)
	}
	if len(r.Customer) > MaxCustomerBytes {
		problems.Addf("customer", "has %d bytes; at most %d are allowed", len(r.Customer), MaxCustomerBytes)
	}
	if len(r.Attributes) > MaxAttributes {
		problems.Addf("attributes", "has %d entries; at most %d are allowed", len(r.Attributes), MaxAttributes)
	}
	for name, value := range r.Attributes {
		if err := checkAttributeName(name); err != "" {
			problems.Addf("attributes", "%s", err)
		} else if len(value) > MaxAttributeValueBytes {
			problems.Addf("attributes."+name, "has %d bytes; at most %d are allowed", len(value), MaxAttributeValueBytes)
		}
	}
	return problems.Err()
}

// Attribute returns the value of the named attribute and whether it is set.
// It is safe on a nil Request.
func (r *Request) Attribute(name string) (string, bool) {
	if r == nil {
		return "", false
	}
	value, ok := r.Attributes[name]
	return value, ok
}

type requestKey struct{}

// From returns the identity of the request that ctx belongs to, or nil when
// it has none.
func From(ctx context.Context) *Request {
	if ctx == nil {
		return nil
	}
	switch known := ctx.Value(requestKey{}).(type) {
	case *Request:
		return known
	case *arrival:
		return known.who()
	}
	return nil
}

// Has reports whether ctx, which is not nil, belongs to a request with an
// identity: From without the details, for paths where every nanosecond counts.
func Has(ctx context.Context) bool { return ctx.Value(requestKey{}) != nil }

// With returns a context that belongs to request r, in place of whatever
// request ctx belonged to. The same identity is set on the context's
// OpenTelemetry baggage, from which it travels to other processes; a field
// that breaks a limit, or does not fit beside the members already there,
// counts in this process only.
func With(ctx context.Context, r Request) context.Context {
	ctx = settled(ctx)
	if r.ID == "" {
		r.ID = newID(ctx)
	}
	r.Attributes = maps.Clone(r.Attributes)
	if carried, changed := withIdentity(baggage.FromContext(ctx), r, traceID(ctx)); changed && !isUnread(ctx) {
		ctx = baggage.ContextWithBaggage(ctx, carried)
	}
	return context.WithValue(ctx, requestKey{}, &r)
}

func newID(ctx context.Context) string {
	if id := traceID(ctx); id != "" {
		return id
	}
	return randomID()
}

func randomID() string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], rand.Uint64())
	binary.BigEndian.PutUint64(raw[8:], rand.Uint64())
	return hex.EncodeToString(raw[:])
}

// HasTrace reports whether ctx belongs to a trace, from whose ID a request's
// identity would be taken.
func HasTrace(ctx context.Context) bool { return traceID(settled(ctx)) != "" }

func traceID(ctx context.Context) string {
	span := trace.SpanContextFromContext(ctx)
	if !span.HasTraceID() {
		return ""
	}
	return span.TraceID().String()
}

// checkAttributeName returns what is wrong with name, or "".
func checkAttributeName(name string) string {
	switch {
	case len(name) > MaxAttributeNameBytes:
		return fmt.Sprintf("name %s has %d bytes; at most %d are allowed", quote(name), len(name), MaxAttributeNameBytes)
	case !httptoken.Valid(name):
		return "name " + quote(name) + " is not a token: use letters, digits and !#$%&'*+-.^_`|~"
	}
	return ""
}

func quote(s string) string {
	const longest = 64
	if len(s) > longest {
		return strconv.Quote(s[:longest]) + "…"
	}
	return strconv.Quote(s)
}
