package interop_test

import (
	"context"
	"errors"
	"testing"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

func panicsAt(point string) fault.Rule {
	r := aimed(at(point))[0]
	r.Fault = fault.Fault{Panic: true}
	return r
}

// everyKind makes one call of each kind and returns their errors.
func everyKind(ctx context.Context, conn *grpc.ClientConn) map[string]error {
	client := testgrpc.NewTestServiceClient(conn)
	errs := make(map[string]error)
	_, errs["unary"] = client.EmptyCall(ctx, &testgrpc.Empty{})
	if out, err := client.StreamingOutputCall(ctx, &testgrpc.StreamingOutputCallRequest{ResponseParameters: []*testgrpc.ResponseParameters{{Size: 1}}}); err != nil {
		errs["out"] = err
	} else {
		_, errs["out"] = out.Recv()
	}
	if in, err := client.StreamingInputCall(ctx); err != nil {
		errs["in"] = err
	} else {
		_, errs["in"] = in.CloseAndRecv()
	}
	return errs
}

// Behind the recovery interceptors of go-grpc-middleware a panic is what they
// make of it, and the server lives on.
func TestRecoveredPanics(t *testing.T) {
	needsFaults(t)
	for name, test := range map[string]struct {
		options []recovery.Option
		want    codes.Code
	}{
		"by default": {nil, codes.Unknown},
		"by a handler": {[]recovery.Option{recovery.WithRecoveryHandler(func(p any) error {
			err, ok := p.(error)
			if mark := (*fault.Error)(nil); !ok || !errors.Is(err, fault.ErrInjected) || !errors.As(err, &mark) || mark.Rule != "a" {
				return status.Errorf(codes.DataLoss, "an unexpected panic with %v", p)
			}
			return status.Errorf(codes.Internal, "recovered: %v", p)
		})}, codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			inj := fault.New(dependency)
			options := []grpc.ServerOption{
				grpc.ChainUnaryInterceptor(recovery.UnaryServerInterceptor(test.options...)),
				grpc.ChainStreamInterceptor(recovery.StreamServerInterceptor(test.options...)),
			}
			options = append(options, grpcint.ServerOptions(inj, grpcint.Recovered())...)
			server := grpc.NewServer(options...)
			testgrpc.RegisterTestServiceServer(server, interop.NewTestServer())
			conn := connectTo(t, listen(t, server, t.Cleanup), t.Cleanup)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()

			require.NoError(t, inj.Put(panicsAt(rpcServerPoint)))
			for range 2 {
				for kind, err := range everyKind(ctx, conn) {
					require.Equal(t, test.want, status.Code(err), "%s: %v", kind, err)
					require.ErrorContains(t, err, `fault: injected panic (injected by rule "a" at grpc.server:ratings)`, kind)
				}
			}
			live, _ := inj.Rule("a")
			require.EqualValues(t, 6, live.Hits)
			require.Zero(t, inj.Status().Held)
			inj.Delete("a")
			for kind, err := range everyKind(ctx, conn) {
				require.NoError(t, err, kind)
			}
		})
	}
}

// Without them no rule that panics is armed, and its status says so.
func TestPanicsThatNobodyRecovers(t *testing.T) {
	needsFaults(t)
	inj := fault.New(dependency)
	server := grpc.NewServer(grpcint.ServerOptions(inj)...)
	testgrpc.RegisterTestServiceServer(server, interop.NewTestServer())
	conn := connectTo(t, listen(t, server, t.Cleanup), t.Cleanup)
	require.NoError(t, inj.Put(panicsAt(rpcServerPoint)))
	live, _ := inj.Rule("a")
	require.Equal(t, []string{rpcServerPoint}, live.Unsupported)
	require.Empty(t, live.Points)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for kind, err := range everyKind(ctx, conn) {
		require.NoError(t, err, kind)
	}
}
