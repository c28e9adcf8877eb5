package interop_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// The server is told of the client's deadline.
func TestDeadlinesTravel(t *testing.T) {
	rpcUnnoticed(t, func(ctx context.Context, x *rpcExchange) {
		ctx, cancel := context.WithTimeout(x.rpc.caller(context.WithoutCancel(ctx)), 5*time.Hour)
		defer cancel()
		x.callAll(ctx, x.dial(x.serve(x.testService)), 10)
		require.Contains(x, x.noted("handler"), "deadline 5h0m0s")
	})
}

// A deadline that passes ends calls as it does without the library. Whether the
// client's clock or the server's is first shows in the text.
func TestDeadlinesPass(t *testing.T) {
	rpcUnnoticed(t, func(ctx context.Context, x *rpcExchange) {
		conn := x.dial(x.serve(func(*grpc.Server) {}, grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error {
			<-ctx.Done() // of the scenario, which goes on
			return nil
		})))
		for kind, call := range rpcKinds {
			ctx, cancel := context.WithTimeout(x.rpc.caller(ctx), 10*time.Millisecond)
			defer cancel()
			x.note(kind, status.Code(call(ctx, conn)).String())
			require.Equal(x, "DeadlineExceeded", x.noted(kind))
		}
	})
}

// A client that gives up in the middle of a stream is told so, and so is the
// handler.
func TestCancellation(t *testing.T) {
	rpcUnnoticed(t, func(ctx context.Context, x *rpcExchange) {
		conn := x.dial(x.serve(x.testService))
		ctx, cancel := context.WithCancel(x.rpc.caller(ctx))
		stream, err := testgrpc.NewTestServiceClient(conn).FullDuplexCall(ctx)
		require.NoError(x, err)
		require.NoError(x, stream.Send(&testgrpc.StreamingOutputCallRequest{Payload: payload(3)}))
		_, err = stream.Recv()
		require.NoError(x, err)
		cancel()
		_, err = stream.Recv()
		x.note("client", describeStatus(err))
		_, err = stream.Recv()
		x.note("client", describeStatus(err))
		require.Contains(x, x.noted("client"), "Canceled")
	})
}

// What the retry policy of a service config does, beneath all interceptors.
func TestRetriesOfServiceConfig(t *testing.T) {
	const config = `{"methodConfig": [{"name": [{"service": "grpc.testing.TestService"}], "retryPolicy": {
		"maxAttempts": 3, "initialBackoff": "0.001s", "maxBackoff": "0.001s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`
	rpcUnnoticed(t, func(ctx context.Context, x *rpcExchange) {
		attempt := func(ctx context.Context) error {
			previous := fmt.Sprint(metadata.ValueFromIncomingContext(ctx, "grpc-previous-rpc-attempts"))
			x.note("attempts", previous)
			if previous == "[2]" {
				return nil
			}
			return status.Error(codes.Unavailable, "try again, after "+previous)
		}
		addr := x.serve(x.testService,
			grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
				if err := attempt(ctx); err != nil {
					return nil, err
				}
				return handler(ctx, req)
			}),
			grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
				if err := attempt(ss.Context()); err != nil {
					return err
				}
				return handler(srv, ss)
			}))
		conn := x.dial(addr, grpc.WithDefaultServiceConfig(config))
		x.callUnary(x.rpc.caller(ctx), conn, 10, refused)
		x.callCount(x.rpc.caller(ctx), conn, 10, nil)
		require.Equal(x, "[]\n[1]\n[2]\n[]\n[1]\n[2]", x.noted("attempts"))
	})
}
