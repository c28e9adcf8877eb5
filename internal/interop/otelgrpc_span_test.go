package interop_test

import (
	"context"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
)

// Where a hit is recorded. A client's interceptors come before otelgrpc's span
// of the call, so that a hit there is an event of the span that the caller is
// in, and a call that never leaves has no span of its own; without a caller's
// span no span shows it. The span of an attempt, and a server's, are there
// first, and the event is theirs, whether the call is unary or a stream.
func TestSpansOfFaultedRPCs(t *testing.T) {
	needsFaults(t)
	delayed := fault.Fault{Delay: &fault.Delay{Fixed: time.Millisecond}}
	cut := fault.Fault{Stream: &fault.StreamFault{Cut: true}}
	for name, test := range map[string]struct {
		point    string
		fault    fault.Fault
		fails    bool
		orphaned bool             // the caller is in no span
		spans    []trace.SpanKind // those there are
		shows    trace.SpanKind   // the one that shows the hit; none if zero
	}{
		"failed call":           {point: rpcClientPoint, fault: unavailable, fails: true, spans: kinds(trace.SpanKindInternal), shows: trace.SpanKindInternal},
		"failed call, orphaned": {point: rpcClientPoint, fault: unavailable, fails: true, orphaned: true},
		"delayed call":          {point: rpcClientPoint, fault: delayed, spans: kinds(trace.SpanKindInternal, trace.SpanKindClient, trace.SpanKindServer), shows: trace.SpanKindInternal},
		"cut call":              {point: rpcClientPoint, fault: cut, fails: true, shows: trace.SpanKindInternal},
		"failed attempt":        {point: rpcAttemptPoint, fault: unavailable, fails: true, spans: kinds(trace.SpanKindInternal, trace.SpanKindClient), shows: trace.SpanKindClient},
		"delayed attempt":       {point: rpcAttemptPoint, fault: delayed, spans: kinds(trace.SpanKindInternal, trace.SpanKindClient, trace.SpanKindServer), shows: trace.SpanKindClient},
		"failed at the server":  {point: rpcServerPoint, fault: unavailable, fails: true, spans: kinds(trace.SpanKindInternal, trace.SpanKindClient, trace.SpanKindServer), shows: trace.SpanKindServer},
		"delayed at the server": {point: rpcServerPoint, fault: delayed, spans: kinds(trace.SpanKindInternal, trace.SpanKindClient, trace.SpanKindServer), shows: trace.SpanKindServer},
		"cut at the server":     {point: rpcServerPoint, fault: cut, fails: true, spans: kinds(trace.SpanKindInternal, trace.SpanKindClient, trace.SpanKindServer), shows: trace.SpanKindServer},
	} {
		for kind, call := range rpcKinds {
			t.Run(name+"/"+kind, func(t *testing.T) {
				tel := newTelemetry(t, sdktrace.AlwaysSample())
				inj := fault.New(dependency)
				b := newRPCBackend(t, append(grpcint.ServerOptions(inj), tel.server(tracesAndBaggage))...)
				dial := grpcint.DialOptions
				if test.point == rpcAttemptPoint {
					dial = grpcint.AttemptDialOptions
				}
				conn := connectTo(t, b.addr, t.Cleanup, append(dial(inj, dependency), tel.client(tracesAndBaggage))...)
				r := aimed(at(test.point))[0]
				r.Fault = test.fault
				require.NoError(t, inj.Put(r))

				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				ctx, span := ctx, trace.SpanFromContext(ctx)
				if !test.orphaned {
					ctx, span = tel.provider.Tracer("test").Start(ctx, "caller")
				}
				err := call(ctx, conn)
				span.End()
				b.stop()
				_, injected := grpcint.FromError(err)
				require.Equal(t, test.fails, injected, "%v", err)

				shown := 0
				var present []trace.SpanKind
				for _, s := range tel.spans.Ended() {
					present = append(present, s.SpanKind())
					for _, e := range s.Events() {
						require.Equal(t, "misfit.fault", e.Name)
						require.Equal(t, test.shows, s.SpanKind())
						require.Contains(t, e.Attributes, attribute.String("misfit.point", test.point))
						require.Contains(t, s.Attributes(), attribute.String("misfit.rule.id", "a"))
						shown++
					}
				}
				if test.spans != nil || test.orphaned {
					require.ElementsMatch(t, test.spans, present)
				}
				if test.orphaned {
					require.Zero(t, shown)
				} else {
					require.Equal(t, 1, shown)
				}
			})
		}
	}
}

func kinds(k ...trace.SpanKind) []trace.SpanKind { return k }

// Of attempts that the retry policy of a service config makes, each has a span,
// and the one that was failed shows the hit.
func TestSpansOfRetriedRPCs(t *testing.T) {
	needsFaults(t)
	const config = `{"methodConfig": [{"name": [{}], "retryPolicy": {
		"maxAttempts": 2, "initialBackoff": "0.001s", "maxBackoff": "0.001s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`
	for kind, call := range rpcKinds {
		t.Run(kind, func(t *testing.T) {
			tel := newTelemetry(t, sdktrace.AlwaysSample())
			inj := fault.New(service)
			b := newRPCBackend(t)
			options := append(grpcint.AttemptDialOptions(inj, dependency), tel.client(tracesAndBaggage), grpc.WithDefaultServiceConfig(config))
			conn := connectTo(t, b.addr, t.Cleanup, options...)
			first := scope.Everyone()
			first.Attempts = 1
			require.NoError(t, inj.Put(aimed(func(r *fault.Rule) { at(rpcAttemptPoint)(r); who(first)(r) })...))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			require.NoError(t, call(scope.With(ctx, scope.Request{ID: "r-1"}), conn))
			spans := tel.spans.Ended()
			require.Len(t, spans, 2)
			require.Len(t, spans[0].Events(), 1)
			require.Equal(t, codes.Error, spans[0].Status().Code)
			require.Empty(t, spans[1].Events())
			require.Equal(t, codes.Unset, spans[1].Status().Code)
		})
	}
}
