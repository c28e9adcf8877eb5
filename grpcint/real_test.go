package grpcint_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A situation makes real calls fail in one way, which what injects.
type situation struct {
	name string
	what fault.Fault

	// real returns how to reach something with which each call fails.
	real func(*testing.T) destination

	// injected is where the injected call goes; nil: the same.
	injected func(*testing.T) destination

	only string // the type of call, if not both
	opts []grpc.CallOption
	ctx  func() (context.Context, context.CancelFunc) // nil: one that never ends

	opening bool // the call ends while the connection is still being made
}

// A destination is where a client connects to, and how.
type destination struct {
	target string
	dial   []grpc.DialOption
}

// TestInjectedAgainstReal makes each class of failure really happen on
// loopback, and requires that nothing a caller can ask of a call tells the
// injected one from it but the mark.
func TestInjectedAgainstReal(t *testing.T) {
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.compare(t)
		})
	}
}

func (s situation) compare(t *testing.T) {
	d := s.real(t)
	inj := fault.New("frontend")
	put(t, inj, rule("r", clientPoint, s.what))
	for _, r := range []struct {
		name string
		call func(context.Context, *testing.T, *grpc.ClientConn, ...grpc.CallOption) answers
	}{{"unary", askUnary}, {"bidi", askStream}} {
		if s.only != "" && s.only != r.name {
			continue
		}
		real := s.ask(t, d, r.call)
		require.NotErrorIs(t, real.err, fault.ErrInjected)
		_, marked := grpcint.FromError(real.err)
		require.False(t, marked)

		with := d
		if s.injected != nil {
			with = s.injected(t)
		}
		with.dial = slices.Concat(with.dial, grpcint.DialOptions(inj, "backend"))
		injected := s.ask(t, with, r.call)
		require.ErrorIs(t, injected.err, fault.ErrInjected)
		var mark *fault.Error
		require.ErrorAs(t, injected.err, &mark)
		require.Equal(t, "r", mark.Rule)
		require.Equal(t, clientPoint, mark.Point)
		require.Equal(t, real.withoutMark(), injected.withoutMark(), "%s: real: %v", r.name, real.err)
	}
}

func (s situation) ask(t *testing.T, d destination, call func(context.Context, *testing.T, *grpc.ClientConn, ...grpc.CallOption) answers) answers {
	cc, err := grpc.NewClient(d.target, d.dial...)
	require.NoError(t, err)
	defer cc.Close()
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if s.ctx != nil {
		if !s.opening {
			connect(cc)
		}
		ctx, cancel = s.ctx()
	}
	defer cancel()
	return call(ctx, t, cc, s.opts...)
}

// connect returns when there is a connection, or when there is none to be had: what
// a call says that ends before that depends on how far it was.
func connect(cc *grpc.ClientConn) {
	cc.Connect()
	for state := cc.GetState(); state != connectivity.Ready && state != connectivity.TransientFailure; state = cc.GetState() {
		cc.WaitForStateChange(context.Background(), state)
	}
}

// TestEveryClassIsHeldAgainstReal is the reminder to extend the tables here
// with a new class.
func TestEveryClassIsHeldAgainstReal(t *testing.T) {
	held := make(map[fault.Class]bool)
	for _, s := range situations {
		if s.what.Error != nil {
			held[s.what.Error.Class] = true
		}
	}
	inj := fault.New("frontend")
	grpcint.DialOptions(inj, "backend")
	for _, class := range fault.Classes() {
		put(t, inj, rule("r", clientPoint, fail(class)))
		live, _ := inj.Rule("r")
		require.Equal(t, len(live.Points) > 0, held[class], "no experiment shows what %q really is", class)
	}
}

// answers are all that a caller can learn of a call that failed.
type answers struct {
	err     error
	events  []string // what each method of a stream returned, in order
	header  metadata.MD
	trailer metadata.MD
}

func askUnary(ctx context.Context, t *testing.T, cc *grpc.ClientConn, opts ...grpc.CallOption) (a answers) {
	opts = append(opts, grpc.Header(&a.header), grpc.Trailer(&a.trailer))
	resp, err := testpb.NewTestServiceClient(cc).UnaryCall(ctx, &testpb.SimpleRequest{}, opts...)
	require.Error(t, err)
	require.Nil(t, resp)
	a.err = err
	return a
}

func askStream(ctx context.Context, t *testing.T, cc *grpc.ClientConn, opts ...grpc.CallOption) (a answers) {
	note := func(what string, result any) { a.events = append(a.events, fmt.Sprintf("%s: %v", what, result)) }
	stream, err := testpb.NewTestServiceClient(cc).FullDuplexCall(ctx, opts...)
	if err != nil {
		note("opened", false)
		a.err = err
		return a
	}
	_ = stream.Send(&testpb.StreamingOutputCallRequest{}) // of a real failure it may find the stream still there
	header, err := stream.Header()
	note("header", len(header))
	note("header failed", err)
	_, a.err = stream.Recv()
	require.Error(t, a.err)
	_, again := stream.Recv()
	note("the same once more", status.Convert(again).Message() == status.Convert(a.err).Message())
	note("send", stream.Send(&testpb.StreamingOutputCallRequest{}))
	note("close", stream.CloseSend())
	a.trailer = stream.Trailer()
	return a
}

var (
	addresses   = regexp.MustCompile(`(127\.0\.0\.1|\[::1\]|localhost):[0-9]+(->[0-9.]+:[0-9]+)?`)
	nameServers = regexp.MustCompile(` on [0-9.:\[\]]+:[0-9]+|read udp HOST: `)
)

// text leaves out what differs from call to call: ports, and whom a name was
// asked of.
func text(s string) string {
	return nameServers.ReplaceAllString(addresses.ReplaceAllString(s, "HOST"), "")
}

// withoutMark describes the answers as far as they are not the library's mark,
// which is an ErrorInfo and a trailer.
func (a answers) withoutMark() []string {
	s, ok := status.FromError(a.err)
	said := append([]string{
		fmt.Sprint("a status: ", ok),
		"code: " + s.Code().String(),
		"text: " + text(s.Message()),
		fmt.Sprint("unwraps: ", errors.Unwrap(a.err)),
		fmt.Sprint("deadline: ", errors.Is(a.err, context.DeadlineExceeded)),
		fmt.Sprint("canceled: ", errors.Is(a.err, context.Canceled)),
		fmt.Sprint("its own status: ", errors.Is(a.err, s.Err())),
		fmt.Sprint("header: ", a.header.Len()),
	}, a.events...)
	var netErr net.Error
	said = append(said, fmt.Sprint("net.Error: ", errors.As(a.err, &netErr)))
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); !ok || info.GetDomain() != grpcint.InjectedDomain {
			said = append(said, fmt.Sprintf("detail: %v", detail))
		}
	}
	for key, values := range a.trailer {
		switch key {
		case grpcint.StatusKey, "content-type":
		case "grpc-status-details-bin": // the details, which are compared above, as they were encoded
		default:
			said = append(said, fmt.Sprintf("trailer %s: %v", key, values))
		}
	}
	return said
}

// statusService answers every call with a status.
type statusService struct {
	testpb.UnimplementedTestServiceServer
	status *status.Status
}

func (s statusService) UnaryCall(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return nil, s.status.Err()
}

func (s statusService) FullDuplexCall(testpb.TestService_FullDuplexCallServer) error {
	return s.status.Err()
}

// answering is a situation in which a server answers with a status.
func answering(class fault.Class, code codes.Code, text string, details ...*errdetails.RetryInfo) situation {
	s := status.New(code, text)
	for _, d := range details {
		s, _ = s.WithDetails(d)
	}
	return situation{name: string(class), what: fail(class), real: func(t *testing.T) destination {
		return serverOf(t, statusService{status: s})
	}}
}
