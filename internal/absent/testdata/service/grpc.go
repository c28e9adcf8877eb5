package main

import (
	"context"
	"net"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/scope"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

type backend struct {
	testpb.UnimplementedTestServiceServer
}

func (backend) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return new(testpb.Empty), nil
}

func (backend) FullDuplexCall(grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	return nil
}

// callGRPC starts a server with all that the interceptors can do.
func callGRPC(inj *fault.Injector) ([]call, func(), error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	options := []grpcint.Option{
		grpcint.PublicEndpointFn(func(context.Context, string) bool { return false }),
		grpcint.Identify(func(context.Context, string) scope.Request { return scope.Request{} }),
		grpcint.UnsafeRequestRules(),
		grpcint.EnvoyHeaders(fault.EnvoyHeaders{}),
		grpcint.Recovered(),
	}
	server := grpc.NewServer(append(grpcint.ServerOptions(inj, options...),
		grpc.ChainUnaryInterceptor(grpcint.UnaryServerInterceptor(inj, options...)),
		grpc.ChainStreamInterceptor(grpcint.StreamServerInterceptor(inj, options...)),
	)...)
	testpb.RegisterTestServiceServer(server, backend{})
	go server.Serve(listener) // until it is stopped

	dial := func(options ...grpc.DialOption) (testpb.TestServiceClient, error) {
		conn, err := grpc.NewClient(listener.Addr().String(), append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
		return testpb.NewTestServiceClient(conn), err
	}
	calls, err := []call(nil), error(nil)
	for _, client := range []struct {
		point   string
		options []grpc.DialOption
	}{
		{"grpc.client:backend", grpcint.DialOptions(inj, "backend")},
		{"grpc.client:foreign", grpcint.DialOptions(inj, "foreign", grpcint.ThirdParty())},
		{"grpc.attempt:backend", grpcint.AttemptDialOptions(inj, "backend")},
		{"grpc.attempt:foreign", grpcint.AttemptDialOptions(inj, "foreign", grpcint.ThirdParty())},
		{"grpc.server:shop", []grpc.DialOption{
			grpc.WithUnaryInterceptor(grpcint.UnaryClientInterceptor(inj, "by-hand")),
			grpc.WithStreamInterceptor(grpcint.StreamClientInterceptor(inj, "by-hand")),
		}},
	} {
		var made testpb.TestServiceClient
		if made, err = dial(client.options...); err != nil {
			break
		}
		calls = append(calls, call{client.point, func(ctx context.Context) error {
			_, err := made.EmptyCall(ctx, new(testpb.Empty))
			return err
		}})
	}
	return calls, server.Stop, err
}
