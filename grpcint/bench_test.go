package grpcint_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

// The benchmarks compare with /no-op, an interceptor that does nothing.

// setUp names a state of the injector.
type setUp struct {
	name  string
	rules []fault.Rule
}

func setUps() []setUp {
	rules := func(n int, build func(i int) fault.Rule) []fault.Rule {
		list := make([]fault.Rule, n)
		for i := range list {
			list[i] = build(i)
			list[i].ID = fmt.Sprintf("rule-%d", i)
			list[i].Fault = fail(fault.Unavailable)
			list[i].TTL = time.Hour
		}
		return list
	}
	elsewhere := func(int) fault.Rule {
		return fault.Rule{Target: fault.Target{Points: []string{"other"}}, Scope: scope.Everyone()}
	}
	here := fault.Target{Points: []string{clientPoint, serverPoint}}
	someone := func(i int) fault.Rule {
		return fault.Rule{Target: here, Scope: scope.Customers(fmt.Sprint("someone-", i))}
	}
	return []setUp{
		{"idle", nil},
		{"elsewhere-1", rules(1, elsewhere)},
		{"elsewhere-10000", rules(10_000, elsewhere)},
		{"other-operation", rules(1, func(int) fault.Rule {
			return fault.Rule{Target: fault.Target{Points: here.Points, Operations: []string{"/shop.v1.Orders/*"}}, Scope: scope.Everyone()}
		})},
		{"other-customer", rules(1, someone)},
		{"other-customer-10000", rules(10_000, someone)},
		{"percentage-of-customers-misses", rules(1, func(int) fault.Rule {
			return fault.Rule{Target: here, Scope: scope.Percent(0, scope.PerCustomer)}
		})},
	}
}

func (s setUp) injector(b testing.TB) *fault.Injector {
	inj := fault.New("backend")
	inj.Point("test", "other")
	if err := inj.Put(s.rules...); err != nil {
		b.Fatal(err)
	}
	return inj
}

const benchMethod = "/shop.v1.Ratings/Get"

// incomingContext is that of a call with the metadata that grpc-go's own client
// sends.
func incomingContext(more ...string) context.Context {
	md := metadata.Pairs(":authority", "backend:50051", "content-type", "application/grpc",
		"user-agent", "grpc-go/1.85.0", "grpc-accept-encoding", "gzip")
	return metadata.NewIncomingContext(context.Background(), metadata.Join(md, metadata.Pairs(more...)))
}

// Each ends below in what it would call.
func noInvoker(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error {
	return nil
}

func noStreamer(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, nil
}
func noHandler(context.Context, any) (any, error)  { return nil, nil }
func noStreamHandler(any, grpc.ServerStream) error { return nil }
func noOpUnaryClient(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoker(ctx, method, req, reply, cc, opts...)
}

func noOpStreamClient(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return streamer(ctx, desc, cc, method, opts...)
}

func noOpUnaryServer(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	return handler(ctx, req)
}

func noOpStreamServer(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return handler(srv, ss)
}

// interceptors are the four, and what calls each.
type interceptors struct {
	unaryClient  grpc.UnaryClientInterceptor
	streamClient grpc.StreamClientInterceptor
	unaryServer  grpc.UnaryServerInterceptor
	streamServer grpc.StreamServerInterceptor
}

var noOps = interceptors{noOpUnaryClient, noOpStreamClient, noOpUnaryServer, noOpStreamServer}

func interceptorsOf(client, server *fault.Injector) interceptors {
	return interceptors{
		grpcint.UnaryClientInterceptor(client, "backend"), grpcint.StreamClientInterceptor(client, "backend"),
		grpcint.UnaryServerInterceptor(server), grpcint.StreamServerInterceptor(server),
	}
}

// calls returns a call through each of the four, by name.
func (i interceptors) calls() map[string]func() {
	client, server := context.Background(), incomingContext()
	req, reply := &testpb.SimpleRequest{}, &testpb.SimpleResponse{}
	unary, stream := &grpc.UnaryServerInfo{FullMethod: benchMethod}, &grpc.StreamServerInfo{FullMethod: benchMethod}
	desc := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	var ss grpc.ServerStream = contextStream{ctx: server}
	return map[string]func(){
		"unary-client":  func() { _ = i.unaryClient(client, benchMethod, req, reply, nil, noInvoker) },
		"stream-client": func() { _, _ = i.streamClient(client, desc, nil, benchMethod, noStreamer) },
		"unary-server":  func() { _, _ = i.unaryServer(server, req, unary, noHandler) },
		"stream-server": func() { _ = i.streamServer(nil, ss, stream, noStreamHandler) },
	}
}

// TestNothingIsAllocated holds that a call which no rule selects costs no
// memory, whatever rules there are.
func TestNothingIsAllocated(t *testing.T) {
	for _, s := range setUps() {
		calls := interceptorsOf(s.injector(t), s.injector(t)).calls()
		for _, name := range interceptorNames {
			require.Zero(t, testing.AllocsPerRun(100, calls[name]), "%s, %s", name, s.name)
		}
	}
}

var interceptorNames = []string{"unary-client", "stream-client", "unary-server", "stream-server"}

func BenchmarkInterceptors(b *testing.B) {
	run := func(call func()) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		}
	}
	for _, name := range interceptorNames {
		b.Run(name+"/no-op", run(noOps.calls()[name]))
		for _, s := range setUps() {
			inj := s.injector(b)
			b.Run(name+"/"+s.name, run(interceptorsOf(inj, s.injector(b)).calls()[name]))
		}
	}
}

// BenchmarkIdentity is what it costs to pass a request's identity on, and to
// take it up.
func BenchmarkIdentity(b *testing.B) {
	inj := fault.New("backend")
	i := interceptorsOf(inj, inj)
	ctx := scope.With(context.Background(), scope.Request{ID: "r-1", Customer: "42"})
	b.Run("passing-it-on", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = i.unaryClient(ctx, benchMethod, nil, nil, nil, noInvoker)
		}
	})
	incoming := incomingContext("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "baggage", "misfit.customer=42")
	info := &grpc.UnaryServerInfo{FullMethod: benchMethod}
	b.Run("taking-it-up", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = i.unaryServer(incoming, nil, info, noHandler)
		}
	})
}

// BenchmarkCall is a whole unary call over a connection in memory, bare and
// with the interceptors on both sides and rules live elsewhere.
func BenchmarkCall(b *testing.B) {
	run := func(x *rig) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := x.EmptyCall(b.Context(), &testpb.Empty{}); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.Setenv("MISFIT_DISABLED", "1")
	bare := newRig(b)
	b.Setenv("MISFIT_DISABLED", "")
	x := newRig(b)
	for _, inj := range []*fault.Injector{x.client, x.server} {
		inj.Point("test", "other")
		put(b, inj, rule("r", "other", fail(fault.Refused)))
	}
	b.Run("bare", run(bare))
	b.Run("rules-elsewhere", run(x))
}
