package grpcint_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/test/bufconn"
)

// rule returns a rule for everyone, changed by edits.
func rule(id, point string, what fault.Fault, edits ...func(*fault.Rule)) fault.Rule {
	r := fault.Rule{
		ID:     id,
		Target: fault.Target{Points: []string{point}},
		Scope:  scope.Everyone(),
		Fault:  what,
		TTL:    time.Hour,
	}
	for _, edit := range edits {
		edit(&r)
	}
	return r
}

func fail(class fault.Class) fault.Fault {
	return fault.Fault{Error: &fault.ErrorFault{Class: class}}
}

func only(s scope.Scope) func(*fault.Rule) { return func(r *fault.Rule) { r.Scope = s } }
func operations(ops ...string) func(*fault.Rule) {
	return func(r *fault.Rule) { r.Target.Operations = ops }
}

func put(t testing.TB, inj *fault.Injector, rules ...fault.Rule) {
	t.Helper()
	require.NoError(t, inj.Put(rules...))
}

const (
	clientPoint = "grpc.client:backend"
	serverPoint = "grpc.server:backend"
)

// A rig is a client and a server on a connection in memory, each with an
// injector of its own, as in two processes.
type rig struct {
	client, server *fault.Injector
	service        *service
	inner          func(srv any, ss grpc.ServerStream) // sees the streams that handlers get; may be nil
	conn           *grpc.ClientConn
	testpb.TestServiceClient

	grpcServer *grpc.Server
	listener   *bufconn.Listener
}

// A rigOption changes how a rig is put together.
type rigOption func(*rigConfig)

type rigConfig struct {
	client  []fault.Option
	dial    []grpc.DialOption
	attempt bool
	server  []grpc.ServerOption
	options []grpcint.Option
	service testpb.TestServiceServer // nil: the rig's own
}

func withDial(o ...grpc.DialOption) rigOption {
	return func(c *rigConfig) { c.dial = append(c.dial, o...) }
}

func withServer(o ...grpc.ServerOption) rigOption {
	return func(c *rigConfig) { c.server = append(c.server, o...) }
}

func withOptions(o ...grpcint.Option) rigOption {
	return func(c *rigConfig) { c.options = append(c.options, o...) }
}

func withService(s testpb.TestServiceServer) rigOption { return func(c *rigConfig) { c.service = s } }

func byAttempt(c *rigConfig) { c.attempt = true }

func withInjector(o ...fault.Option) rigOption {
	return func(c *rigConfig) { c.client = append(c.client, o...) }
}

func newRig(t testing.TB, options ...rigOption) *rig {
	t.Helper()
	var config rigConfig
	for _, o := range options {
		o(&config)
	}
	r := &rig{
		client:   fault.New("frontend", config.client...),
		server:   fault.New("backend", config.client...),
		service:  &service{},
		listener: bufconn.Listen(1 << 20),
	}
	serverOptions := append(config.server, grpcint.ServerOptions(r.server, config.options...)...)
	r.grpcServer = grpc.NewServer(append(serverOptions, grpc.ChainStreamInterceptor(
		func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if r.inner != nil {
				r.inner(srv, ss)
			}
			return handler(srv, ss)
		},
	))...)
	var service testpb.TestServiceServer = r.service
	if config.service != nil {
		service = config.service
	}
	testpb.RegisterTestServiceServer(r.grpcServer, service)
	served := make(chan error, 1)
	go func() { served <- r.grpcServer.Serve(r.listener) }()

	dial := append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return r.listener.DialContext(ctx) }),
	}, config.dial...)
	if config.attempt {
		dial = append(dial, grpcint.AttemptDialOptions(r.client, "backend")...)
	} else {
		dial = append(dial, grpcint.DialOptions(r.client, "backend")...)
	}
	conn, err := grpc.NewClient("passthrough:///backend:50051", dial...)
	require.NoError(t, err)
	r.conn = conn
	r.TestServiceClient = testpb.NewTestServiceClient(conn)
	t.Cleanup(func() {
		_ = conn.Close()
		r.grpcServer.Stop()
		if err := <-served; !errors.Is(err, grpc.ErrServerStopped) { // by a test that was over before the server was up
			require.NoError(t, err)
		}
	})
	return r
}

// dialed returns another client of the rig's server, of another process.
func dialed(t testing.TB, r *rig, inj *fault.Injector) *grpc.ClientConn {
	conn, err := grpc.NewClient("passthrough:///backend:50051", append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return r.listener.DialContext(ctx) }),
	}, grpcint.DialOptions(inj, "backend")...)...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// A service answers calls, and keeps what it saw of them.
type service struct {
	testpb.UnimplementedTestServiceServer

	unary func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) // nil: an empty answer
	pause time.Duration                                                                // before each message sent

	mu    sync.Mutex
	calls []*handled
}

// handled is what a handler saw of a call.
type handled struct {
	mu   sync.Mutex
	who  *scope.Request
	got  int   // messages
	over bool  // the handler has returned
	err  error // of the first Send or Recv that failed
	ctx  context.Context
}

func (s *service) begin(ctx context.Context) *handled {
	h := &handled{who: scope.From(ctx), ctx: ctx}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, h)
	return h
}

// took returns the calls handled since it was last asked.
func (s *service) took() []*handled {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

func (h *handled) message() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got++
}

func (h *handled) end(err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.over, h.err = true, err
	return err
}

func (*service) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, nil // and keeps nothing, for benchmarks
}

func (s *service) UnaryCall(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	h := s.begin(ctx)
	h.message()
	if s.unary != nil {
		resp, err := s.unary(ctx, req)
		return resp, h.end(err)
	}
	return &testpb.SimpleResponse{Username: "answer"}, h.end(nil)
}

// pauseFor waits, but for no longer than the call.
func pauseFor(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (s *service) StreamingOutputCall(req *testpb.StreamingOutputCallRequest, stream testpb.TestService_StreamingOutputCallServer) error {
	h := s.begin(stream.Context())
	h.message()
	for range req.GetResponseParameters() {
		pauseFor(stream.Context(), s.pause)
		if err := stream.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
			return h.end(err)
		}
	}
	return h.end(nil)
}

func (s *service) StreamingInputCall(stream testpb.TestService_StreamingInputCallServer) error {
	h := s.begin(stream.Context())
	for {
		_, err := stream.Recv()
		if isEOF(err) {
			return h.end(stream.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(h.got)}))
		}
		if err != nil {
			return h.end(err)
		}
		h.message()
	}
}

func (s *service) FullDuplexCall(stream testpb.TestService_FullDuplexCallServer) error {
	h := s.begin(stream.Context())
	for {
		_, err := stream.Recv()
		if isEOF(err) {
			return h.end(nil)
		}
		if err != nil {
			return h.end(err)
		}
		h.message()
		if err := stream.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
			return h.end(err)
		}
	}
}
