package grpcint_test

import (
	"context"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// relay answers unary calls and streams by asking a service of its own.
type relay struct {
	testpb.UnimplementedTestServiceServer
	behind testpb.TestServiceClient
	after  func(ctx context.Context, err error) error // makes of a failure what the caller sees
}

func (r *relay) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	_, err := r.behind.EmptyCall(ctx, &testpb.Empty{})
	return &testpb.SimpleResponse{}, r.after(ctx, err)
}

func (r *relay) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	_, err := r.behind.EmptyCall(stream.Context(), &testpb.Empty{})
	if err := stream.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
		return err
	}
	return r.after(stream.Context(), err)
}

const (
	unaryMethod  = "/grpc.testing.TestService/UnaryCall"
	streamMethod = "/grpc.testing.TestService/StreamingOutputCall"
)

func byCustomerKey() grpcint.Option {
	return grpcint.Identify(func(ctx context.Context, _ string) scope.Request {
		md, _ := metadata.FromIncomingContext(ctx)
		if values := md["x-customer"]; len(values) > 0 {
			return scope.Request{Customer: values[0]}
		}
		return scope.Request{}
	})
}

func verdictRow(t *testing.T, report fault.VerdictReport, endpoint string) fault.VerdictRow {
	t.Helper()
	for _, r := range report.Rows {
		if r.Endpoint == endpoint {
			return r
		}
	}
	require.Fail(t, "no such row", "%s in %+v", endpoint, report)
	return fault.VerdictRow{}
}

func TestVerdicts(t *testing.T) {
	behind := newRig(t)
	for name, test := range map[string]struct {
		after func(ctx context.Context, err error) error
		want  [3]uint64 // masked, degraded, surfaced
	}{
		"fallback": {func(context.Context, error) error { return nil }, [3]uint64{1, 0, 0}},
		"degraded": {func(ctx context.Context, err error) error { fault.Degraded(ctx, "nothing behind"); return nil }, [3]uint64{0, 1, 0}},
		"surfaced": {func(_ context.Context, err error) error { return err }, [3]uint64{0, 0, 1}},
		"refused":  {func(context.Context, error) error { return status.Error(codes.NotFound, "no such thing") }, [3]uint64{1, 0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			service := &relay{after: func(ctx context.Context, err error) error {
				if err == nil {
					return nil
				}
				return test.after(ctx, err)
			}}
			judges := fault.WithVerdicts(fault.VerdictSettings{MinBaseline: 1, MinAdded: time.Hour}) // by what comes of requests alone
			front := newRig(t, withService(service), withInjector(judges), withOptions(byCustomerKey()))
			service.behind = testpb.NewTestServiceClient(dialed(t, behind, front.server))
			put(t, front.server, rule("r", "grpc.client:backend", fail(fault.Unavailable), only(scope.Customers("7"))))
			call := func(ctx context.Context) {
				_, _ = front.UnaryCall(ctx, &testpb.SimpleRequest{})
				stream, err := front.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{})
				require.NoError(t, err)
				for err == nil {
					_, err = stream.Recv()
				}
			}
			call(t.Context())
			call(metadata.AppendToOutgoingContext(t.Context(), "x-customer", "7"))
			front.grpcServer.GracefulStop() // once the handlers' ends are noted

			report := front.server.Verdicts()
			for _, endpoint := range []string{unaryMethod, streamMethod} {
				got := verdictRow(t, report, endpoint)
				require.Equal(t, test.want, [3]uint64{got.Masked, got.Degraded, got.Surfaced}, "%+v", got)
				require.Equal(t, "/grpc.testing.TestService/EmptyCall", got.Operation)
				require.Equal(t, "grpc.client:backend", got.Point)
				require.Equal(t, endpoint == unaryMethod, got.Compared, "how long a stream takes says nothing")
				require.EqualValues(t, got.Masked > 0 && endpoint == streamMethod, got.Unmeasured == 1)
				if got.Degraded > 0 {
					require.Equal(t, "nothing behind", got.Reason)
				}
			}
			for _, e := range report.Endpoints {
				require.EqualValues(t, 1, e.Requests)
				require.Zero(t, e.Failed)
			}
		})
	}
}

// TestVerdictAtTheEntry: what the server itself is made to answer surfaces.
func TestVerdictAtTheEntry(t *testing.T) {
	rig := newRig(t, withInjector(fault.WithVerdicts(fault.VerdictSettings{})))
	put(t, rig.server, rule("r", serverPoint, fail(fault.Unavailable)))
	_, err := rig.UnaryCall(t.Context(), &testpb.SimpleRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err))
	stream, err := rig.StreamingOutputCall(t.Context(), &testpb.StreamingOutputCallRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, codes.Unavailable, status.Code(err))
	rig.grpcServer.GracefulStop()
	for _, endpoint := range []string{unaryMethod, streamMethod} {
		require.EqualValues(t, 1, verdictRow(t, rig.server.Verdicts(), endpoint).Surfaced)
	}
}

// TestVerdictOfWhoGivesUpWaiting: a unary call whose caller is gone has surfaced; a
// stream that he calls off has not.
func TestVerdictOfWhoGivesUpWaiting(t *testing.T) {
	behind := newRig(t)
	service := &relay{after: func(ctx context.Context, _ error) error { <-ctx.Done(); return nil }}
	front := newRig(t, withService(service), withInjector(fault.WithVerdicts(fault.VerdictSettings{})))
	service.behind = testpb.NewTestServiceClient(dialed(t, behind, front.server))
	put(t, front.server, rule("r", "grpc.client:backend", fail(fault.Unavailable)))
	hit := make(chan struct{}, 2)
	defer front.server.Observe(fault.ObserverFunc(func(e fault.Event) {
		if e.Kind == fault.Hit {
			hit <- struct{}{}
		}
	}))()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-hit; cancel() }()
	_, err := front.UnaryCall(ctx, &testpb.SimpleRequest{})
	require.Equal(t, codes.Canceled, status.Code(err))
	ctx, cancel = context.WithCancel(t.Context())
	stream, err := front.StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	cancel()
	require.Eventually(t, func() bool { return len(front.server.Verdicts().Rows) == 2 }, 10*time.Second, time.Millisecond)
	require.EqualValues(t, 1, verdictRow(t, front.server.Verdicts(), unaryMethod).Surfaced)
	require.EqualValues(t, 1, verdictRow(t, front.server.Verdicts(), streamMethod).Masked)
}
