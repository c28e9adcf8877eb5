package grpcint_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/scope"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// ratings is a service for the examples.
type ratings struct {
	testpb.UnimplementedTestServiceServer
}

func (ratings) UnaryCall(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if who := scope.From(ctx); who != nil {
		return &testpb.SimpleResponse{Username: who.Customer}, nil
	}
	return &testpb.SimpleResponse{Username: "somebody"}, nil
}

// serveRatings serves the service on loopback until stop is called.
func serveRatings(options ...grpc.ServerOption) (address string, stop func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer(options...)
	testpb.RegisterTestServiceServer(server, ratings{})
	healthpb.RegisterHealthServer(server, health.NewServer())
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), server.Stop
}

func ask(ctx context.Context, conn *grpc.ClientConn) {
	resp, err := testpb.NewTestServiceClient(conn).UnaryCall(ctx, &testpb.SimpleRequest{})
	if err != nil {
		fmt.Println(status.Code(err))
		if mark, ok := grpcint.FromError(err); ok {
			fmt.Printf("  injected by %q at %s, %s\n", mark.Rule, mark.Point, mark.Operation)
		}
		return
	}
	fmt.Printf("for %s\n", resp.GetUsername())
}

func ExampleDialOptions() {
	address, stop := serveRatings()
	defer stop()

	inj := fault.New("storefront")
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	conn, err := grpc.NewClient(address, append(options, grpcint.DialOptions(inj, "ratings")...)...)
	if err != nil {
		panic(err)
	}
	defer conn.Close()

	ctx := context.Background() // or that of the request being served
	ask(ctx, conn)
	_ = inj.Put(fault.Rule{
		ID:     "ratings-full",
		Target: fault.Target{Points: []string{"ratings"}},
		Scope:  scope.Everyone(),
		Fault:  fault.Fault{Error: &fault.ErrorFault{Class: fault.Overloaded}},
		TTL:    time.Minute,
	})
	ask(ctx, conn)
	inj.Halt()
	ask(ctx, conn)
	// Output:
	// for somebody
	// ResourceExhausted
	//   injected by "ratings-full" at grpc.client:ratings, /grpc.testing.TestService/UnaryCall
	// for somebody
}

func ExampleServerOptions() {
	inj := fault.New("ratings")
	address, stop := serveRatings(grpcint.ServerOptions(inj)...)
	defer stop()
	_ = inj.Put(fault.Rule{
		ID:     "locked-out",
		Target: fault.Target{Points: []string{"grpc.server:ratings"}},
		Scope:  scope.Customers("7"),
		Fault: fault.Fault{Error: &fault.ErrorFault{GRPC: &fault.GRPCStatus{
			Code: "PERMISSION_DENIED", Message: "no such account",
		}}},
		TTL: time.Minute,
	})

	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	conn, err := grpc.NewClient(address, append(options, grpcint.DialOptions(fault.New("storefront"), "ratings")...)...)
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	for _, customer := range []string{"42", "7"} {
		ask(scope.With(context.Background(), scope.Request{Customer: customer}), conn)
	}
	checked, err := healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{})
	fmt.Println(checked.GetStatus(), err)
	// Output:
	// for 42
	// PermissionDenied
	//   injected by "locked-out" at grpc.server:ratings, /grpc.testing.TestService/UnaryCall
	// SERVING <nil>
}

// The retry policy of a service config makes good what is injected into the
// first two attempts of each request.
func ExampleAttemptDialOptions() {
	address, stop := serveRatings()
	defer stop()

	inj := fault.New("storefront")
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"methodConfig": [{
			"name": [{}],
			"retryPolicy": {
				"maxAttempts": 3, "initialBackoff": "0.01s", "maxBackoff": "0.1s", "backoffMultiplier": 2,
				"retryableStatusCodes": ["UNAVAILABLE"]
			}
		}]}`),
	}
	conn, err := grpc.NewClient(address, append(options, grpcint.AttemptDialOptions(inj, "ratings")...)...)
	if err != nil {
		panic(err)
	}
	defer conn.Close()

	twice := scope.Everyone()
	twice.Attempts = 2
	_ = inj.Put(fault.Rule{
		ID:     "flaky-ratings",
		Target: fault.Target{Points: []string{"ratings"}},
		Scope:  twice,
		Fault:  fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}},
		TTL:    time.Minute,
	})
	ask(scope.With(context.Background(), scope.Request{Customer: "42"}), conn)
	rule, _ := inj.Rule("flaky-ratings")
	fmt.Println(rule.Hits, "attempts failed")
	// Output:
	// for somebody
	// 2 attempts failed
}

// The interceptors of chains of one's own: the client's innermost, the server's
// inside of what recovers panics and writes logs.
func Example_interceptors() {
	inj := fault.New("ratings")
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor( /* recovery, logs, */ grpcint.UnaryServerInterceptor(inj) /*, authentication */),
		grpc.ChainStreamInterceptor(grpcint.StreamServerInterceptor(inj)),
	)
	defer server.Stop()
	conn, err := grpc.NewClient("dns:///inventory:50051",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor( /* retries, timeouts, */ grpcint.UnaryClientInterceptor(inj, "inventory")),
		grpc.WithChainStreamInterceptor(grpcint.StreamClientInterceptor(inj, "inventory")),
	)
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	for _, p := range inj.Points() {
		fmt.Println(p.Kind + ":" + p.Name)
	}
	// Output:
	// grpc.client:inventory
	// grpc.server:ratings
}

// A service looks at its own failures as at real ones.
func ExampleFromError() {
	err := status.Error(codes.Unavailable, "no healthy upstream")
	_, injected := grpcint.FromError(err)
	fmt.Println(injected)
	// Output:
	// false
}
