package benchmarks_test

import (
	"context"
	"net"
	"slices"
	"testing"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/scope"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/emptypb"
)

// The points that the calls are made at.
var (
	atGRPCClient = fault.Target{Points: []string{"grpc.client:ratings"}}
	atGRPCServer = fault.Target{Points: []string{"grpc.server:bench"}}
)

const grpcMethod = "/shop.v1.Ratings/Get"

// Calls come to a server with one of these sets of metadata.
const (
	usualMetadata = "metadata=usual" // what grpc-go's own client sends
	traceMetadata = "metadata=trace" // that, and the trace and the baggage of a customer's request
)

// outgoing returns the context of calls that a client makes for a request, which
// is customer's, or nobody's.
func outgoing(whose string, customers context.Context) context.Context {
	if whose == carried {
		md := metadata.MD{}
		scope.Inject(customers, metadataCarrier(md))
		return metadata.NewOutgoingContext(customers, md)
	}
	return whoseContext(whose, customers)
}

// incoming returns the context of a call that has come to a server, for the
// request of a client's context.
func incoming(sent string, client context.Context) context.Context {
	md := metadata.Pairs(":authority", "ratings:50051", "content-type", "application/grpc",
		"user-agent", "grpc-go/1.85.0", "grpc-accept-encoding", "gzip")
	if sent == traceMetadata {
		md.Set("traceparent", "00-"+requestID+"-00f067aa0ba902b7-01")
		md.Set("baggage", "misfit.customer="+customer)
	}
	if text := scope.TokenMember.Of(client); text != "" {
		md.Set(grpcint.TokenKey, text)
	}
	return metadata.NewIncomingContext(context.Background(), md)
}

// metadataCarrier lets OpenTelemetry's propagators read and write metadata.
type metadataCarrier metadata.MD

func (md metadataCarrier) Set(key, value string) { metadata.MD(md).Set(key, value) }

func (md metadataCarrier) Get(key string) string {
	if values := metadata.MD(md).Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

func (md metadataCarrier) Keys() []string {
	keys := make([]string, 0, len(md))
	for key := range md {
		keys = append(keys, key)
	}
	return keys
}

// Calls end in what does nothing, which is variable lest the compiler sees that.
var (
	nullInvoker grpc.UnaryInvoker = func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return nil }
	nullUnary   grpc.UnaryHandler = func(context.Context, any) (any, error) { return nil, nil }
)

// The interceptors that pass through do no more than any interceptor has to.

func passThroughClient(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoker(ctx, method, req, reply, cc, opts...)
}

func passThroughServer(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	return handler(ctx, req)
}

// The interceptors that propagate pass on, or take up, the trace and the baggage
// of a request by OpenTelemetry's propagators: what it costs that the library
// knows whose a request is, if nothing else did.

var propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

func propagatingClient(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	md, ok := metadata.FromOutgoingContext(ctx)
	if !ok {
		md = make(metadata.MD, 2)
	}
	propagator.Inject(ctx, metadataCarrier(md))
	return invoker(metadata.NewOutgoingContext(ctx, md), method, req, reply, cc, opts...)
}

func propagatingServer(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	return handler(propagator.Extract(ctx, metadataCarrier(md)), req)
}

// throughClient returns a call through a client's interceptor; without one if it
// is nil.
func throughClient(ctx context.Context, interceptor grpc.UnaryClientInterceptor) func() error {
	req, reply := new(emptypb.Empty), new(emptypb.Empty)
	if interceptor == nil {
		return func() error { return nullInvoker(ctx, grpcMethod, req, reply, nil) }
	}
	return func() error { return interceptor(ctx, grpcMethod, req, reply, nil, nullInvoker) }
}

// throughServer is the same at a server.
func throughServer(ctx context.Context, interceptor grpc.UnaryServerInterceptor) func() error {
	req, info := new(emptypb.Empty), &grpc.UnaryServerInfo{FullMethod: grpcMethod}
	if interceptor == nil {
		return func() error {
			_, err := nullUnary(ctx, req)
			return err
		}
	}
	return func() error {
		_, err := interceptor(ctx, req, info, nullUnary)
		return err
	}
}

// unaryClient is a contender that is always the same, whatever the library does.
func unaryClient(name, whose string, interceptor grpc.UnaryClientInterceptor) contender {
	return contender{name: name, variant: whose, prepare: func(tb testing.TB, _ scenario) func() error {
		_, ctx := scenario{}.injector(tb, atGRPCClient)
		return throughClient(outgoing(whose, ctx), interceptor)
	}}
}

func unaryServer(name, sent string, interceptor grpc.UnaryServerInterceptor) contender {
	return contender{name: name, variant: sent, prepare: func(testing.TB, scenario) func() error {
		return throughServer(incoming(sent, context.Background()), interceptor)
	}}
}

func misfitUnaryClient(whose string) contender {
	return contender{name: "misfit", variant: whose, prepare: func(tb testing.TB, s scenario) func() error {
		inj, ctx := s.injector(tb, atGRPCClient)
		return throughClient(outgoing(whose, ctx), grpcint.UnaryClientInterceptor(inj, "ratings"))
	}}
}

func misfitUnaryServer(sent string) contender {
	return contender{name: "misfit", variant: sent, prepare: func(tb testing.TB, s scenario) func() error {
		inj, ctx := s.injector(tb, atGRPCServer)
		return throughServer(incoming(sent, ctx), grpcint.UnaryServerInterceptor(inj))
	}}
}

// peersOf marks contenders that have no rules: what they cost is the same in every
// scenario.
func peersOf(contenders ...contender) []contender {
	for i := range contenders {
		contenders[i].in, contenders[i].serial = []string{"idle"}, true
	}
	return contenders
}

// BenchmarkGRPCUnaryClient measures what an interceptor adds to a client's call.
func BenchmarkGRPCUnaryClient(b *testing.B) {
	var contenders []contender
	for _, whose := range clientsOf {
		for _, c := range []contender{unaryClient("bare", whose, nil), misfitUnaryClient(whose)} {
			c.in, c.serial = scenariosOf[whose], whose == carried || whose == arrived
			contenders = append(contenders, c)
		}
		contenders = append(contenders, peersOf(unaryClient("pass-through", whose, passThroughClient))...)
	}
	contenders = append(contenders, peersOf(unaryClient("propagation", identified, propagatingClient))...)
	measure(b, contenders)
}

// BenchmarkGRPCUnaryServer measures what an interceptor adds to a server's call.
func BenchmarkGRPCUnaryServer(b *testing.B) {
	var contenders []contender
	for _, sent := range []string{usualMetadata, traceMetadata} {
		contenders = append(contenders, unaryServer("bare", sent, nil), misfitUnaryServer(sent))
		contenders = append(contenders, peersOf(
			unaryServer("pass-through", sent, passThroughServer),
			unaryServer("recovery", sent, recovery.UnaryServerInterceptor()),
		)...)
	}
	contenders = append(contenders, peersOf(unaryServer("propagation", traceMetadata, propagatingServer))...)
	measure(b, contenders)
}

// ratings is a service of one method, which does nothing.
var ratings = grpc.ServiceDesc{
	ServiceName: "shop.v1.Ratings",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Get", Handler: handleGet}},
}

func handleGet(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	req := new(emptypb.Empty)
	if err := decode(req); err != nil {
		return nil, err
	}
	handle := func(context.Context, any) (any, error) { return new(emptypb.Empty), nil }
	if interceptor == nil {
		return handle(ctx, req)
	}
	return interceptor(ctx, req, &grpc.UnaryServerInfo{FullMethod: grpcMethod}, handle)
}

// wholeCall returns a call over a connection in memory.
func wholeCall(tb testing.TB, ctx context.Context, client []grpc.DialOption, server []grpc.ServerOption) func() error {
	tb.Helper()
	listener := bufconn.Listen(1 << 20)
	s := grpc.NewServer(server...)
	s.RegisterService(&ratings, nil)
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///ratings:50051", append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
	}, client...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = conn.Close()
		s.Stop()
		if err := <-served; err != nil {
			tb.Error(err)
		}
	})
	req := new(emptypb.Empty)
	call := func() error { return conn.Invoke(ctx, grpcMethod, req, new(emptypb.Empty)) }
	_ = call() // to connect
	return call
}

// wholeCalls is a contender that is always the same, whatever the library does.
func wholeCalls(name, whose string, client []grpc.DialOption, server []grpc.ServerOption) contender {
	return contender{name: name, variant: whose, prepare: func(tb testing.TB, _ scenario) func() error {
		_, ctx := scenario{}.injector(tb, fault.Target{})
		return wholeCall(tb, outgoing(whose, ctx), client, server)
	}}
}

// misfitWholeCalls has the library at both ends.
func misfitWholeCalls(whose string) contender {
	here := fault.Target{Points: slices.Concat(atGRPCClient.Points, atGRPCServer.Points)}
	return contender{name: "misfit", variant: whose, prepare: func(tb testing.TB, s scenario) func() error {
		inj, ctx := s.injector(tb, here)
		return wholeCall(tb, outgoing(whose, ctx), grpcint.DialOptions(inj, "ratings"), grpcint.ServerOptions(inj))
	}}
}

// BenchmarkGRPCCall measures whole calls over a connection in memory, of which
// both ends are in this process.
func BenchmarkGRPCCall(b *testing.B) {
	scenarios := map[string][]string{anonymous: {"idle", "elsewhere"}, identified: {"other-customer"}}
	var contenders []contender
	for _, whose := range []string{anonymous, identified} {
		for _, c := range []contender{wholeCalls("bare", whose, nil, nil), misfitWholeCalls(whose)} {
			c.in = scenarios[whose]
			contenders = append(contenders, c)
		}
	}
	noTraces, noMetrics := otelgrpc.WithTracerProvider(tracenoop.NewTracerProvider()), otelgrpc.WithMeterProvider(metricnoop.NewMeterProvider())
	measure(b, append(contenders, peersOf(
		wholeCalls("pass-through", anonymous, []grpc.DialOption{grpc.WithChainUnaryInterceptor(passThroughClient)},
			[]grpc.ServerOption{grpc.ChainUnaryInterceptor(passThroughServer)}),
		wholeCalls("otelgrpc", anonymous, []grpc.DialOption{grpc.WithStatsHandler(otelgrpc.NewClientHandler(noTraces, noMetrics))},
			[]grpc.ServerOption{grpc.StatsHandler(otelgrpc.NewServerHandler(noTraces, noMetrics))}),
	)...))
}
