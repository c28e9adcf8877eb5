package interop_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

// onlyTraces is what a service has that never heard of baggage.
var (
	onlyTraces       = propagation.TraceContext{}
	tracesAndBaggage = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
)

// client and server are the options by which both ends trace with otelgrpc.
func (tel telemetry) client(p propagation.TextMapPropagator) grpc.DialOption {
	return grpc.WithStatsHandler(otelgrpc.NewClientHandler(otelgrpc.WithTracerProvider(tel.provider), otelgrpc.WithPropagators(p)))
}

func (tel telemetry) server(p propagation.TextMapPropagator) grpc.ServerOption {
	return grpc.StatsHandler(otelgrpc.NewServerHandler(otelgrpc.WithTracerProvider(tel.provider), otelgrpc.WithPropagators(p)))
}

// spanOf returns the only span of a kind that has ended.
func (tel telemetry) spanOf(t *testing.T, kind trace.SpanKind) sdktrace.ReadOnlySpan {
	t.Helper()
	var found []sdktrace.ReadOnlySpan
	for _, span := range tel.spans.Ended() {
		if span.SpanKind() == kind {
			found = append(found, span)
		}
	}
	require.Len(t, found, 1, "%v", kind)
	return found[0]
}

// An rpcBackend keeps what each call came with.
type rpcBackend struct {
	testgrpc.UnimplementedTestServiceServer
	addr string
	stop func() // waits for handlers and their spans

	mu      sync.Mutex
	arrived []arrival
}

type arrival struct {
	metadata metadata.MD
	request  *scope.Request
	team     string // a baggage member of others
	span     trace.SpanContext
}

func newRPCBackend(t *testing.T, options ...grpc.ServerOption) *rpcBackend {
	b := &rpcBackend{}
	server := grpc.NewServer(append(options, grpc.WaitForHandlers(true))...)
	testgrpc.RegisterTestServiceServer(server, b)
	b.addr = listen(t, server, func(f func()) { b.stop = sync.OnceFunc(f) })
	t.Cleanup(b.stop)
	return b
}

func (b *rpcBackend) keep(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrived = append(b.arrived, arrival{
		md, scope.From(ctx), baggage.FromContext(ctx).Member("team").Value(), trace.SpanContextFromContext(ctx),
	})
}

// latest returns the latest arrival.
func (b *rpcBackend) latest(t *testing.T) arrival {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.NotEmpty(t, b.arrived)
	return b.arrived[len(b.arrived)-1]
}

func (b *rpcBackend) EmptyCall(ctx context.Context, _ *testgrpc.Empty) (*testgrpc.Empty, error) {
	b.keep(ctx)
	return &testgrpc.Empty{}, nil
}

func (b *rpcBackend) FullDuplexCall(stream testgrpc.TestService_FullDuplexCallServer) error {
	b.keep(stream.Context())
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.Send(&testgrpc.StreamingOutputCallResponse{}); err != nil {
			return err
		}
	}
}

// rpcKinds make a call of either kind.
var rpcKinds = map[string]func(context.Context, *grpc.ClientConn) error{
	"unary": func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := testgrpc.NewTestServiceClient(conn).EmptyCall(ctx, &testgrpc.Empty{})
		return err
	},
	"stream": func(ctx context.Context, conn *grpc.ClientConn) error {
		stream, err := testgrpc.NewTestServiceClient(conn).FullDuplexCall(ctx)
		if err != nil {
			return err
		}
		_ = stream.Send(&testgrpc.StreamingOutputCallRequest{}) // why not is for Recv to tell
		_ = stream.CloseSend()
		for {
			if _, err := stream.Recv(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
	},
}

// dialings are the two ways to have a client faulted.
var dialings = map[string]func(*fault.Injector, string, ...grpcint.ClientOption) []grpc.DialOption{
	"calls":    grpcint.DialOptions,
	"attempts": grpcint.AttemptDialOptions,
}

// passingOn is a process that has a use for identities: it has a client.
func passingOn(name string) *fault.Injector {
	inj := fault.New(name)
	grpcint.DialOptions(inj, "behind")
	return inj
}

func teamBlue(t *testing.T, ctx context.Context) context.Context {
	theirs, err := baggage.NewMemberRaw("team", "blue")
	require.NoError(t, err)
	bag, err := baggage.New(theirs)
	require.NoError(t, err)
	return baggage.ContextWithBaggage(ctx, bag)
}

func membersOf(md metadata.MD) []string { return strings.Split(strings.Join(md["baggage"], ","), ",") }

// Beside otelgrpc there is one traceparent, the one of otelgrpc's span, and
// each baggage member stands there once; where its propagator knows no baggage,
// or there is no OpenTelemetry, our members travel all the same, and those of
// others with them.
func TestNothingIsWrittenTwiceOverRPC(t *testing.T) {
	needsFaults(t)
	for name, p := range map[string]propagation.TextMapPropagator{"traces and baggage": tracesAndBaggage, "traces": onlyTraces, "nothing": nil} {
		for dialing, dial := range dialings {
			for kind, call := range rpcKinds {
				t.Run(name+"/"+dialing+"/"+kind, func(t *testing.T) {
					tel := newTelemetry(t, sdktrace.AlwaysSample())
					serverOptions := grpcint.ServerOptions(passingOn(dependency))
					clientOptions := dial(fault.New(service), dependency)
					ctx, cancel := context.WithTimeout(teamBlue(t, t.Context()), patience)
					defer cancel()
					if p != nil {
						serverOptions = append(serverOptions, newTelemetry(t, sdktrace.AlwaysSample()).server(p))
						clientOptions = append(clientOptions, tel.client(p))
						var span trace.Span
						ctx, span = tel.provider.Tracer("test").Start(ctx, "caller")
						defer span.End()
					}
					b := newRPCBackend(t, serverOptions...)
					who := scope.Request{ID: "r-1", Customer: "42", Attributes: map[string]string{"plan": "gold"}}
					require.NoError(t, call(scope.With(ctx, who), connectTo(t, b.addr, t.Cleanup, clientOptions...)))

					got := b.latest(t)
					require.Equal(t, &who, got.request)
					if p == nil {
						require.Empty(t, got.team, "OpenTelemetry's context is left to OpenTelemetry")
					} else {
						require.Equal(t, "blue", got.team)
					}
					require.Len(t, got.metadata["baggage"], 1)
					require.ElementsMatch(t, []string{"team=blue", "misfit.id=r-1", "misfit.customer=42", "misfit.attr.plan=gold"}, membersOf(got.metadata))
					require.Empty(t, got.metadata["tracestate"])
					if p == nil {
						require.Empty(t, got.metadata["traceparent"], "no trace is started here")
						return
					}
					span := tel.spanOf(t, trace.SpanKindClient).SpanContext()
					require.Equal(t, []string{"00-" + span.TraceID().String() + "-" + span.SpanID().String() + "-01"}, got.metadata["traceparent"])
				})
			}
		}
	}
}

// What others wrote into the metadata themselves stays, and a trace that
// arrived goes on as it came through a service without OpenTelemetry.
func TestMetadataOfOthersPassThrough(t *testing.T) {
	needsFaults(t)
	b := newRPCBackend(t, grpcint.ServerOptions(passingOn(dependency))...)
	middle := fault.New("middle")
	conn := connectTo(t, b.addr, t.Cleanup, grpcint.DialOptions(middle, dependency)...)
	relay := grpc.NewServer(append(grpcint.ServerOptions(middle), grpc.UnknownServiceHandler(func(_ any, ss grpc.ServerStream) error {
		ctx := metadata.AppendToOutgoingContext(ss.Context(), "baggage", "shop=1", "baggage", "basket=2;ttl=3")
		if err := rpcKinds["unary"](ctx, conn); err != nil {
			return err
		}
		return ss.SendMsg(&testgrpc.Empty{})
	}))...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", callersTrace, "tracestate", "vendor=1")
	for m := range strings.SplitSeq(callersBaggage, ",") {
		ctx = metadata.AppendToOutgoingContext(ctx, "baggage", m)
	}
	require.NoError(t, rpcKinds["unary"](ctx, connectTo(t, listen(t, relay, t.Cleanup), t.Cleanup)))
	got := b.latest(t)
	require.Equal(t, []string{callersTrace}, got.metadata["traceparent"])
	require.Equal(t, []string{"vendor=1"}, got.metadata["tracestate"])
	require.ElementsMatch(t, []string{"shop=1", "basket=2;ttl=3", "misfit.id=r-1", "misfit.customer=42"}, membersOf(got.metadata))
	require.Equal(t, &scope.Request{ID: "r-1", Customer: "42"}, got.request)
}

// The trace that the caller, or the server, has started is the identity of the
// request.
func TestTraceIsTheIdentityOverRPC(t *testing.T) {
	needsFaults(t)
	for kind, call := range rpcKinds {
		t.Run(kind, func(t *testing.T) {
			tel := newTelemetry(t, sdktrace.AlwaysSample())
			inj := fault.New(dependency)
			require.NoError(t, inj.Put(rule(scope.Percent(50, scope.PerRequest)))) // for a client that there is not
			b := newRPCBackend(t, append(grpcint.ServerOptions(inj), tel.server(onlyTraces))...)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			require.NoError(t, call(ctx, connectTo(t, b.addr, t.Cleanup)))
			got := b.latest(t)
			require.Equal(t, got.span.TraceID().String(), got.request.ID)

			caller := newTelemetry(t, sdktrace.NeverSample())
			ctx, span := caller.provider.Tracer("test").Start(ctx, "caller")
			defer span.End()
			ctx = scope.With(ctx, scope.Request{Customer: "42"})
			require.NoError(t, call(ctx, connectTo(t, b.addr, t.Cleanup, append(grpcint.DialOptions(fault.New(service), dependency), caller.client(onlyTraces))...)))
			got = b.latest(t)
			require.Equal(t, &scope.Request{ID: span.SpanContext().TraceID().String(), Customer: "42"}, got.request)
			require.Equal(t, []string{"misfit.customer=42"}, membersOf(got.metadata))
			require.True(t, strings.HasSuffix(got.metadata["traceparent"][0], "-00"), "not sampled, and not by us")
			require.Equal(t, span.SpanContext().TraceID(), got.span.TraceID())
		})
	}
}
