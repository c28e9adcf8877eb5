package scope

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Arrive is [Enter] for requests that few will ask about: what the carrier says is
// kept, and read once somebody asks [From], or passes it on with [Inject]. What is
// ignored of it is then reported. It costs one allocation, where Enter costs ten;
// to ask who the request is costs none more where its headers are plain.
//
// Unlike Enter it leaves the trace and the baggage of ctx as they are, which
// OpenTelemetry then passes on without what the carrier says.
func Arrive(ctx context.Context, carrier propagation.TextMapCarrier, report func(ignored error)) context.Context {
	if Has(ctx) || trace.SpanContextFromContext(ctx).IsValid() || baggage.FromContext(ctx).Len() > 0 {
		ctx, ignored := Enter(ctx, carrier, nil)
		report(ignored)
		return ctx
	}
	return &arrival{
		Context: ctx,
		said: saying{
			traceparent: carrier.Get(traceparentHeader),
			tracestate:  carrier.Get(tracestateHeader),
			baggage:     values(carrier, baggageHeader),
		},
		report: report,
	}
}

// An arrival is the context of a request that arrived. Who it is is read when
// somebody asks, and all else that it brought when it is to go on.
type arrival struct {
	context.Context // of the request, which says nothing of who it is
	said            saying
	report          func(error)

	whoOnce sync.Once
	request Request
	plain   bool // what was said of it
	random  bool // its ID

	allOnce sync.Once
	brought *brought

	onwardOnce sync.Once
	next       *saying
}

// brought is all that a request came with.
type brought struct {
	entered context.Context // as Enter would have made it
	span    trace.SpanContext
	bag     baggage.Baggage
	unread  bool
}

// Value implements [context.Context].
func (a *arrival) Value(key any) any {
	if key == any(requestKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// who finds out who the request is.
func (a *arrival) who() *Request {
	a.whoOnce.Do(func() {
		known, plain := a.said.identity()
		switch {
		case !plain:
			a.request = *a.read(nil)
			return
		case known.ID == "":
			known.ID, a.random = randomID(), true
		}
		a.request, a.plain = known, true
	})
	return &a.request
}

// all finds out what else the request brought.
func (a *arrival) all() *brought {
	var identify func() Request
	if who := a.who(); a.random {
		identify = func() Request { return Request{ID: who.ID} }
	}
	a.read(identify)
	return a.brought
}

func (a *arrival) read(identify func() Request) (who *Request) {
	a.allOnce.Do(func() {
		ctx, ignored := Enter(a.Context, &a.said, identify)
		who = From(ctx)
		a.brought = &brought{ctx, trace.SpanContextFromContext(ctx), baggage.FromContext(ctx), isUnread(ctx)}
		a.report(ignored)
	})
	return who
}

// onward returns what goes on to other processes: the very bytes that came, where
// nothing is to be left out of them or added.
func (a *arrival) onward() *saying {
	a.onwardOnce.Do(func() {
		if a.who(); a.plain && !a.random && a.said.goesOn() {
			a.next = &a.said
			return
		}
		entered := a.all().entered
		a.next = new(saying)
		propagation.TraceContext{}.Inject(entered, a.next)
		propagation.Baggage{}.Inject(entered, a.next)
	})
	return a.next
}

// arrivedWith returns the arrival that ctx belongs to, if ctx has come to say
// nothing itself since.
func arrivedWith(ctx context.Context) *arrival {
	a, ok := ctx.Value(requestKey{}).(*arrival)
	if ok && !trace.SpanContextFromContext(ctx).IsValid() && baggage.FromContext(ctx).Len() == 0 {
		return a
	}
	return nil
}

// settled returns ctx with all that is known of its request in its own trace and
// baggage, as if it had been Entered. What ctx has come to say itself meanwhile
// stays.
func settled(ctx context.Context) context.Context {
	a, ok := ctx.Value(requestKey{}).(*arrival)
	if !ok {
		return ctx
	}
	all := a.all()
	if !trace.SpanContextFromContext(ctx).IsValid() && all.span.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, all.span)
	}
	bag := baggage.FromContext(ctx)
	switch {
	case bag.Len() > 0:
		ctx = baggage.ContextWithBaggage(ctx, union(bag, all.bag))
	case all.bag.Len() > 0:
		ctx = baggage.ContextWithBaggage(ctx, all.bag)
	case all.unread:
		ctx = context.WithValue(ctx, unreadKey{}, true)
	}
	ctx = context.WithValue(ctx, requestKey{}, a.who())
	if !all.span.HasTraceID() || trace.SpanContextFromContext(ctx).TraceID() == all.span.TraceID() {
		return ctx
	}
	return With(ctx, *a.who()) // the trace that carried its ID is another one now
}

// union returns a with those members of b that it lacks and has room for.
func union(a, b baggage.Baggage) baggage.Baggage {
	for _, m := range b.Members() {
		if a.Member(m.Key()).Key() == "" && fits(a, m) {
			a, _ = a.SetMember(m) // fails only for an empty member
		}
	}
	return a
}
