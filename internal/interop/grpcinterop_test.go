package interop_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/orca"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// interopCases are grpc-go's own interoperability cases, as its client has
// them. Left out are those that need credentials of Google's, and orca_oob,
// whose reports every second need what grpc-go exports to itself only.
var interopCases = []struct {
	name string
	run  func(ctx context.Context, c *interopClient)
}{
	{"empty_unary", onService(interop.DoEmptyUnaryCall)},
	{"large_unary", onService(interop.DoLargeUnaryCall)},
	{"client_streaming", onService(interop.DoClientStreaming)},
	{"server_streaming", onService(interop.DoServerStreaming)},
	{"ping_pong", onService(interop.DoPingPong)},
	{"empty_stream", onService(interop.DoEmptyStream)},
	{"timeout_on_sleeping_server", onService(interop.DoTimeoutOnSleepingServer)},
	{"cancel_after_begin", onService(interop.DoCancelAfterBegin)},
	{"cancel_after_first_response", onService(interop.DoCancelAfterFirstResponse)},
	{"custom_metadata", onService(interop.DoCustomMetadata)},
	{"status_code_and_message", onService(interop.DoStatusCodeAndMessage)},
	{"special_status_message", onService(interop.DoSpecialStatusMessage)},
	{"unimplemented_service", func(ctx context.Context, c *interopClient) {
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(c.conn))
	}},
	{"unimplemented_method", func(ctx context.Context, c *interopClient) { interop.DoUnimplementedMethod(ctx, c.conn) }},
	{"pick_first_unary", func(ctx context.Context, c *interopClient) {
		interop.DoPickFirstUnary(ctx, testgrpc.NewTestServiceClient(c.conn))
	}},
	{"orca_per_rpc", func(ctx context.Context, c *interopClient) {
		conn := c.dial(grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"test_backend_metrics_load_balancer": {}}]}`))
		defer conn.Close()
		interop.DoORCAPerRPCTest(ctx, testgrpc.NewTestServiceClient(conn))
	}},
	{"rpc_soak", func(ctx context.Context, c *interopClient) {
		interop.DoSoakTest(ctx, soak(func() (*grpc.ClientConn, func()) { return c.conn, func() {} }))
	}},
	{"channel_soak", func(ctx context.Context, c *interopClient) {
		interop.DoSoakTest(ctx, soak(func() (*grpc.ClientConn, func()) {
			conn := c.dial()
			return conn, func() { _ = conn.Close() }
		}))
	}},
}

func onService(run func(context.Context, testgrpc.TestServiceClient, ...grpc.CallOption)) func(context.Context, *interopClient) {
	return func(ctx context.Context, c *interopClient) { run(ctx, testgrpc.NewTestServiceClient(c.conn)) }
}

// soak is the soak test that is bounded by its number of calls.
func soak(channel func() (*grpc.ClientConn, func())) interop.SoakTestConfig {
	return interop.SoakTestConfig{
		RequestSize: 271828, ResponseSize: 314159,
		Iterations: 8, NumWorkers: 2,
		PerIterationMaxAcceptableLatency: patience, OverallTimeout: patience,
		ChannelForTest: channel,
	}
}

// interopServer is grpc-go's test server, which knows its name in addition.
type interopServer struct {
	testgrpc.TestServiceServer
	name string
}

func (s interopServer) UnaryCall(ctx context.Context, req *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	resp, err := s.TestServiceServer.UnaryCall(ctx, req)
	if req.GetFillServerId() && err == nil {
		resp.ServerId = s.name
	}
	return resp, err
}

// StreamingInputCall does not answer the call of cancel_after_begin, which would
// be a matter of luck otherwise: the answer may be there before the client looks
// whether it has given up.
func (s interopServer) StreamingInputCall(stream testgrpc.TestService_StreamingInputCallServer) error {
	ctx := stream.Context()
	if metadata.ValueFromIncomingContext(ctx, "key1") != nil { // no other case sends it
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(patience):
		}
	}
	return s.TestServiceServer.StreamingInputCall(stream)
}

// interopClient is what the cases run on: a client of two servers.
type interopClient struct {
	*testing.T
	wired    rpcWired
	security transportSecurity
	backends []resolver.Endpoint
	conn     *grpc.ClientConn
}

// newInteropClient starts two servers and connects to them over TCP.
func newInteropClient(t *testing.T, wired rpcWired, security transportSecurity) *interopClient {
	c := &interopClient{T: t, wired: wired, security: security}
	for _, name := range []string{"a", "b"} {
		options := slices.Concat(wired.serverOptions(), wired.known(), []grpc.ServerOption{grpc.Creds(security.server), orca.CallMetricsServerOption(nil)})
		server := grpc.NewServer(options...)
		testgrpc.RegisterTestServiceServer(server, interopServer{interop.NewTestServer(), name})
		require.NoError(t, orca.Register(server, orca.ServiceOptions{ServerMetricsProvider: orca.NewServerMetricsRecorder()}))
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		go func() { _ = server.Serve(listener) }()
		t.Cleanup(server.Stop)
		c.backends = append(c.backends, resolver.Endpoint{Addresses: []resolver.Address{{Addr: listener.Addr().String()}}})
	}
	c.conn = c.dial()
	t.Cleanup(func() { _ = c.conn.Close() })
	return c
}

func (c *interopClient) dial(more ...grpc.DialOption) *grpc.ClientConn {
	backends := manual.NewBuilderWithScheme("backends")
	backends.InitialState(resolver.State{Endpoints: c.backends})
	options := append([]grpc.DialOption{grpc.WithResolvers(backends), grpc.WithTransportCredentials(c.security.client)}, more...)
	conn, err := grpc.NewClient("backends:///127.0.0.1", append(options, c.wired.dialOptions()...)...)
	require.NoError(c, err)
	return conn
}

// run runs a case and returns how it failed, or "".
func (c *interopClient) run(run func(context.Context, *interopClient)) string {
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	defer cancel()
	return fatalityOf(func() { run(c.wired.caller(ctx), c) })
}

// transportSecurity is what the two sides of a connection need for it.
type transportSecurity struct {
	client, server credentials.TransportCredentials
}

var plaintext = transportSecurity{insecure.NewCredentials(), insecure.NewCredentials()}

// newTLS returns TLS with a certificate for the loopback address.
func newTLS(t *testing.T) transportSecurity {
	borrowed := httptest.NewTLSServer(http.NotFoundHandler())
	defer borrowed.Close()
	roots := x509.NewCertPool()
	roots.AddCert(borrowed.Certificate())
	return transportSecurity{
		credentials.NewTLS(&tls.Config{RootCAs: roots}),
		credentials.NewTLS(&tls.Config{Certificates: borrowed.TLS.Certificates}),
	}
}

// Every case runs bare, which shows that it can, and beside the library.
func TestInterop(t *testing.T) {
	for _, w := range append([]rpcWiring{{}}, rpcWirings...) {
		t.Run("wiring="+w.name, func(t *testing.T) { runInterop(t, w, plaintext) })
	}
}

func TestInteropOverTLS(t *testing.T) {
	security := newTLS(t)
	for _, w := range []rpcWiring{
		{},
		{name: "another customer", identified: true, here: true, rules: everyFault(who(scope.Customers("nobody")))},
		{name: "attempts, another operation", attempts: true, here: true, rules: everyFault(otherOperation)},
	} {
		t.Run("wiring="+w.name, func(t *testing.T) { runInterop(t, w, security) })
	}
}

func runInterop(t *testing.T, w rpcWiring, security transportSecurity) {
	wired := w.build(t)
	c := newInteropClient(t, wired, security)
	for _, test := range interopCases {
		t.Run(test.name, func(t *testing.T) { require.Empty(t, c.run(test.run)) })
	}
	wired.verify(t)
}

// Every case fails where a rule does apply: to the call, to each attempt of it,
// or at the server.
func TestInteropNoticesFaults(t *testing.T) {
	needsFaults(t)
	for _, w := range []struct {
		rpcWiring
		spared []string // cases that may be over before the fault shows, or that it does not reach
	}{
		{rpcWiring{name: "calls", rules: aimed(at(rpcClientPoint))}, nil},
		{rpcWiring{name: "attempts", attempts: true, rules: aimed(at(rpcAttemptPoint))}, []string{"timeout_on_sleeping_server"}},
		{rpcWiring{name: "server", rules: aimed(at(rpcServerPoint))}, []string{
			"timeout_on_sleeping_server", "cancel_after_begin", "unimplemented_service", // no interceptor is asked for that
		}},
		{rpcWiring{name: "customer", identified: true, rules: aimed(func(r *fault.Rule) { everywhere(r); who(scope.Customers("42"))(r) })}, nil},
	} {
		t.Run(w.name, func(t *testing.T) {
			c := newInteropClient(t, w.build(t), plaintext)
			for _, test := range interopCases {
				t.Run(test.name, func(t *testing.T) {
					if failure := c.run(test.run); !slices.Contains(w.spared, test.name) {
						require.NotEmpty(t, failure)
					}
				})
			}
		})
	}
}
