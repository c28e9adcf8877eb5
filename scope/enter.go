package scope

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"go.opentelemetry.io/otel/propagation"
)

// Enter establishes who an incoming request is and returns a context that
// belongs to it. Adapters call it where requests enter a service.
//
// What ctx says is believed first, then what the carrier says ([Extract]).
// Fields that identify returns go before both; those it leaves empty keep what
// was said. identify may be nil; a panic in it is contained. An error says what
// was ignored; the context is good all the same.
func Enter(ctx context.Context, carrier propagation.TextMapCarrier, identify func() Request) (context.Context, error) {
	if known := From(ctx); known != nil {
		return withIdentified(ctx, *known, nil, identify)
	}
	ctx, who, ignored := Extract(ctx, carrier)
	if identify == nil && ignored == nil && who.ID != "" {
		return context.WithValue(ctx, requestKey{}, &who), nil // its baggage says all of it already
	}
	return withIdentified(ctx, who, ignored, identify)
}

// EnterPublic is [Enter] where strangers' requests enter: who a request is comes
// from ctx and from identify alone. What the carrier and the baggage say of it is
// dropped, whoever put that there. The trace goes on, but whoever picks its ID
// does not pick the request's identity, which is a random one unless identify
// gives another. A token stays in the baggage, for whoever can verify it.
func EnterPublic(ctx context.Context, carrier propagation.TextMapCarrier, identify func() Request) (context.Context, error) {
	ctx, ignored := extractContext(ctx, carrier)
	ctx = StripContext(ctx, TokenMember)
	if known := From(ctx); known != nil {
		return withIdentified(ctx, *known, ignored, identify)
	}
	return withIdentified(ctx, Request{ID: randomID()}, ignored, identify)
}

// ClaimHeaders are the headers, in lower case, by which a caller can say who a
// request is or which trace it belongs to: to this library, or to what services
// behind use for tracing.
func ClaimHeaders() []string {
	return []string{
		traceparentHeader, baggageHeader, "b3", "x-b3-traceid", "uber-trace-id", "x-amzn-trace-id",
		"x-cloud-trace-context", "x-datadog-trace-id", "sw8",
	}
}

func withIdentified(ctx context.Context, who Request, ignored error, identify func() Request) (context.Context, error) {
	if identify != nil {
		said, err := contain(identify)
		ignored = errors.Join(ignored, err)
		who = who.overlaidBy(said)
	}
	return With(ctx, who), ignored
}

func contain(identify func() Request) (said Request, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("scope: the Identify function panicked: %v", v)
		}
	}()
	said = identify()
	return said, said.Validate()
}

// overlaidBy returns r with the fields of said that are not empty.
func (r Request) overlaidBy(said Request) Request {
	if said.ID != "" {
		r.ID = said.ID
	}
	if said.Customer != "" {
		r.Customer = said.Customer
	}
	if len(said.Attributes) > 0 {
		merged := make(map[string]string, len(r.Attributes)+len(said.Attributes))
		maps.Copy(merged, r.Attributes)
		maps.Copy(merged, said.Attributes)
		r.Attributes = merged
	}
	return r
}
