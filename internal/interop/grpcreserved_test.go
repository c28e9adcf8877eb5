package interop_test

import (
	"context"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/reflection"
	reflectiongrpc "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
)

// maintained is a server with what keeps it alive and what people look at it
// with, besides its service.
func maintained(t *testing.T, options ...grpc.ServerOption) string {
	server := grpc.NewServer(options...)
	testgrpc.RegisterTestServiceServer(server, interop.NewTestServer())
	healthgrpc.RegisterHealthServer(server, health.NewServer())
	reflection.Register(server)
	return listen(t, server, t.Cleanup)
}

// reservedCalls are the ways to reach the services that only rules for them are
// for, each with a pattern of such a rule.
var reservedCalls = map[string]struct {
	operation string
	call      func(context.Context, *grpc.ClientConn) error
}{
	"health check": {"/grpc.health.v1.Health/Check", func(ctx context.Context, conn *grpc.ClientConn) error {
		resp, err := healthgrpc.NewHealthClient(conn).Check(ctx, &healthgrpc.HealthCheckRequest{})
		if err == nil && resp.GetStatus() != healthgrpc.HealthCheckResponse_SERVING {
			return status.Error(codes.FailedPrecondition, resp.String())
		}
		return err
	}},
	"health watch": {"/grpc.health.v1.Health/*", func(ctx context.Context, conn *grpc.ClientConn) error {
		stream, err := healthgrpc.NewHealthClient(conn).Watch(ctx, &healthgrpc.HealthCheckRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}},
	"reflection":         {"/grpc.reflection.v1.ServerReflection/*", reflects("/grpc.reflection.v1.ServerReflection")},
	"reflection v1alpha": {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", reflects("/grpc.reflection.v1alpha.ServerReflection")},
}

// reflects asks a reflection service, of either version, what there is.
func reflects(service string) func(context.Context, *grpc.ClientConn) error {
	return func(ctx context.Context, conn *grpc.ClientConn) error {
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, service+"/ServerReflectionInfo")
		if err != nil {
			return err
		}
		_ = stream.SendMsg(&reflectiongrpc.ServerReflectionRequest{MessageRequest: &reflectiongrpc.ServerReflectionRequest_ListServices{}}) // why not is for RecvMsg to tell
		return stream.RecvMsg(&reflectiongrpc.ServerReflectionResponse{})
	}
}

// A rule for everything at a point spares health checks and reflection, at
// either end, and a rule that names them does not.
func TestReservedServices(t *testing.T) {
	needsFaults(t)
	for _, point := range []string{"grpc.server:*", "grpc.client:*"} {
		t.Run(point, func(t *testing.T) {
			inj := fault.New(dependency)
			conn := connectTo(t, maintained(t, grpcint.ServerOptions(inj)...), t.Cleanup, grpcint.DialOptions(inj, dependency)...)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for _, operations := range [][]string{nil, {"*"}, {"/grpc.*"}} {
				require.NoError(t, inj.Put(aimed(func(r *fault.Rule) { at(point)(r); r.Target.Operations = operations })...))
				_, err := testgrpc.NewTestServiceClient(conn).EmptyCall(ctx, &testgrpc.Empty{})
				_, injected := grpcint.FromError(err)
				require.True(t, injected, "operations %q", operations)
				for name, reserved := range reservedCalls {
					require.NoError(t, reserved.call(ctx, conn), "%s, operations %q", name, operations)
				}
			}
			for name, reserved := range reservedCalls {
				require.NoError(t, inj.Put(aimed(func(r *fault.Rule) { at(point)(r); r.Target.Operations = []string{reserved.operation} })...))
				err := reserved.call(ctx, conn)
				mark, injected := grpcint.FromError(err)
				require.True(t, injected, "%s: %v", name, err)
				require.Equal(t, codes.Unavailable, status.Code(err))
				require.Contains(t, mark.Operation, "/grpc.")
				_, err = testgrpc.NewTestServiceClient(conn).EmptyCall(ctx, &testgrpc.Empty{})
				require.NoError(t, err, "%s", name)
			}
		})
	}
}

// A client that balances by health keeps its server while everything else
// there fails, and loses it when a rule names the health service.
func TestHealthCheckingClient(t *testing.T) {
	needsFaults(t)
	const config = `{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}`
	for name, test := range map[string]struct {
		operation string
		want      connectivity.State
	}{
		"everything":         {"*", connectivity.Ready},
		"the health service": {"/grpc.health.v1.Health/*", connectivity.TransientFailure},
	} {
		t.Run(name, func(t *testing.T) {
			inj := fault.New(dependency)
			addr := maintained(t, grpcint.ServerOptions(inj)...)
			options := append(grpcint.DialOptions(inj, dependency), grpc.WithDefaultServiceConfig(config))
			conn := connectTo(t, addr, t.Cleanup, options...)
			require.NoError(t, inj.Put(aimed(func(r *fault.Rule) { everywhere(r); r.Target.Operations = []string{test.operation} })...))
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			conn.Connect()
			for state := conn.GetState(); state != test.want; state = conn.GetState() {
				require.True(t, conn.WaitForStateChange(ctx, state), "it is %v", state)
				require.NotEqual(t, connectivity.Shutdown, state)
			}
		})
	}
}
