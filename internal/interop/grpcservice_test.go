package interop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/misfit-go/misfit/grpcint"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// An rpcService is a service with a method of each kind, which notes what its
// handlers see.
type rpcService struct {
	testgrpc.UnimplementedTestServiceServer
	x *rpcExchange
}

// testService registers it.
func (x *rpcExchange) testService(s *grpc.Server) {
	testgrpc.RegisterTestServiceServer(s, rpcService{x: x})
}

// entered notes what a handler can find out of its call.
func (s rpcService) entered(ctx context.Context) {
	method, ok := grpc.Method(ctx)
	from, _ := peer.FromContext(ctx)
	md, _ := metadata.FromIncomingContext(ctx)
	deadline := "none"
	if until, ok := ctx.Deadline(); ok {
		deadline = time.Until(until).Round(time.Hour).String()
	}
	s.x.note("handler", fmt.Sprintf("%s %t of %v local %v security %v metadata %s twice %q deadline %s transport %T error %v",
		method, ok, from.Addr, from.LocalAddr, from.AuthInfo, describeMetadata(md), twice(md), deadline,
		grpc.ServerTransportStreamFromContext(ctx), ctx.Err()))
}

// twice returns what stands more than once in the metadata that carry an
// identity.
func twice(md metadata.MD) []string {
	var found []string
	for _, name := range []string{"traceparent", "baggage"} {
		if len(md[name]) > 1 {
			found = append(found, name)
		}
	}
	members := slices.Sorted(strings.SplitSeq(strings.Join(md["baggage"], ","), ","))
	for i, m := range members {
		key, _, _ := strings.Cut(m, "=")
		if i > 0 && strings.HasPrefix(members[i-1], key+"=") {
			found = append(found, key)
		}
	}
	return found
}

// answering is the metadata that a handler answers with.
func answering(ctx context.Context) (header, trailer metadata.MD) {
	md, _ := metadata.FromIncomingContext(ctx)
	header = metadata.Pairs("extra", "1", "echo", fmt.Sprint(md["echo"]))
	return header, metadata.Pairs("after", "2", "after", "3", "after-bin", "\x00\xff")
}

func statusOf(asked *testgrpc.EchoStatus) error {
	if asked == nil {
		return nil
	}
	s, err := status.New(codes.Code(asked.GetCode()), asked.GetMessage()).WithDetails(wrapperspb.String("a detail"))
	if err != nil {
		return err
	}
	return s.Err()
}

func payload(size int) *testgrpc.Payload { return &testgrpc.Payload{Body: make([]byte, size)} }

func (s rpcService) UnaryCall(ctx context.Context, req *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	s.entered(ctx)
	header, trailer := answering(ctx)
	s.x.note("handler", fmt.Sprint(len(req.GetPayload().GetBody()), grpc.SetHeader(ctx, header), grpc.SetTrailer(ctx, trailer)))
	return &testgrpc.SimpleResponse{Payload: payload(int(req.GetResponseSize()))}, statusOf(req.GetResponseStatus())
}

func (s rpcService) StreamingOutputCall(req *testgrpc.StreamingOutputCallRequest, stream testgrpc.TestService_StreamingOutputCallServer) error {
	s.entered(stream.Context())
	header, trailer := answering(stream.Context())
	s.x.note("handler", fmt.Sprint(stream.SendHeader(header)))
	stream.SetTrailer(trailer)
	for _, wanted := range req.GetResponseParameters() {
		if err := stream.Send(&testgrpc.StreamingOutputCallResponse{Payload: payload(int(wanted.GetSize()))}); err != nil {
			s.x.note("handler", describeStatus(err))
			return err
		}
	}
	return statusOf(req.GetResponseStatus())
}

func (s rpcService) StreamingInputCall(stream testgrpc.TestService_StreamingInputCallServer) error {
	s.entered(stream.Context())
	header, trailer := answering(stream.Context())
	s.x.note("handler", fmt.Sprint(stream.SetHeader(header)))
	stream.SetTrailer(trailer)
	var sum int32
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&testgrpc.StreamingInputCallResponse{AggregatedPayloadSize: sum})
		}
		if err != nil {
			s.x.note("handler", describeStatus(err))
			return err
		}
		sum += int32(len(req.GetPayload().GetBody()))
	}
}

func (s rpcService) FullDuplexCall(stream testgrpc.TestService_FullDuplexCallServer) error {
	s.entered(stream.Context())
	header, trailer := answering(stream.Context())
	s.x.note("handler", fmt.Sprint(stream.SetHeader(header)))
	stream.SetTrailer(trailer)
	for {
		req, err := stream.Recv()
		s.x.note("handler", fmt.Sprint(len(req.GetPayload().GetBody()), describeStatus(err)))
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := statusOf(req.GetResponseStatus()); err != nil {
			return err
		}
		if err := stream.Send(&testgrpc.StreamingOutputCallResponse{Payload: req.GetPayload()}); err != nil {
			s.x.note("handler", describeStatus(err))
			return err
		}
	}
}

var refused = &testgrpc.EchoStatus{Code: int32(codes.FailedPrecondition), Message: "not now: ☺"}

// callAll makes calls of each kind, some of which fail, and notes all that
// their caller can find out. Messages of one of them have the size.
func (x *rpcExchange) callAll(ctx context.Context, conn grpc.ClientConnInterface, size int, options ...grpc.CallOption) {
	for _, asked := range []*testgrpc.EchoStatus{nil, refused} {
		x.callUnary(ctx, conn, size, asked, options...)
		x.callCount(ctx, conn, size, asked, options...)
		x.callChat(ctx, conn, size, asked, options...)
	}
	x.callCollect(ctx, conn, size, options...)
	x.asking("unimplemented", options, func(options []grpc.CallOption) {
		_, err := testgrpc.NewTestServiceClient(conn).CacheableUnaryCall(ctx, &testgrpc.SimpleRequest{}, options...)
		x.note("unimplemented", describeStatus(err))
	})
}

// asking makes a call with everything asked for that call options can give.
func (x *rpcExchange) asking(who string, options []grpc.CallOption, call func([]grpc.CallOption)) {
	var header, trailer metadata.MD
	var answered peer.Peer
	call(append([]grpc.CallOption{
		grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&answered),
		grpc.OnFinish(func(err error) { x.note(who, "finished: "+describeStatus(err)) }),
	}, options...))
	x.settle()
	if !x.cutShort {
		x.carried.hear(trailer[grpcint.StatusKey], false)
	}
	x.note(who, fmt.Sprintf("options: %s %s %v local %v security %v", describeMetadata(header), x.describeTrailer(trailer),
		answered.Addr, answered.LocalAddr, answered.AuthInfo))
}

func (x *rpcExchange) callUnary(ctx context.Context, conn grpc.ClientConnInterface, size int, asked *testgrpc.EchoStatus, options ...grpc.CallOption) {
	x.asking("unary", options, func(options []grpc.CallOption) {
		reply, err := testgrpc.NewTestServiceClient(conn).UnaryCall(ctx,
			&testgrpc.SimpleRequest{Payload: payload(size), ResponseSize: int32(size), ResponseStatus: asked}, options...)
		x.note("unary", fmt.Sprint(len(reply.GetPayload().GetBody()), describeStatus(err)))
	})
}

func (x *rpcExchange) callCount(ctx context.Context, conn grpc.ClientConnInterface, size int, asked *testgrpc.EchoStatus, options ...grpc.CallOption) {
	x.asking("count", options, func(options []grpc.CallOption) {
		stream, err := testgrpc.NewTestServiceClient(conn).StreamingOutputCall(ctx, &testgrpc.StreamingOutputCallRequest{
			ResponseParameters: []*testgrpc.ResponseParameters{{Size: 1}, {Size: int32(size)}, {Size: 3}},
			Payload:            payload(size), ResponseStatus: asked,
		}, options...)
		x.note("count", describeStatus(err))
		if err == nil {
			x.drain("count", stream)
		}
	})
}

// drain receives until there is no more.
func (x *rpcExchange) drain(who string, stream grpc.ServerStreamingClient[testgrpc.StreamingOutputCallResponse]) {
	for {
		reply, err := stream.Recv()
		x.note(who, fmt.Sprint(len(reply.GetPayload().GetBody()), describeStatus(err)))
		if err != nil {
			break
		}
	}
	header, err := stream.Header()
	x.note(who, fmt.Sprint(describeMetadata(header), describeStatus(err), x.describeTrailer(stream.Trailer())))
}

func (x *rpcExchange) callCollect(ctx context.Context, conn grpc.ClientConnInterface, size int, options ...grpc.CallOption) {
	x.asking("collect", options, func(options []grpc.CallOption) {
		stream, err := testgrpc.NewTestServiceClient(conn).StreamingInputCall(ctx, options...)
		x.note("collect", describeStatus(err))
		if err != nil {
			return
		}
		for _, n := range []int{1, 2, size} { // the last one, which may be too large, after which no send is sure to fail
			x.note("collect", describeStatus(stream.Send(&testgrpc.StreamingInputCallRequest{Payload: payload(n)})))
		}
		reply, err := stream.CloseAndRecv()
		x.note("collect", fmt.Sprint(reply.GetAggregatedPayloadSize(), describeStatus(err), x.describeTrailer(stream.Trailer())))
	})
}

func (x *rpcExchange) callChat(ctx context.Context, conn grpc.ClientConnInterface, size int, asked *testgrpc.EchoStatus, options ...grpc.CallOption) {
	x.asking("chat", options, func(options []grpc.CallOption) {
		stream, err := testgrpc.NewTestServiceClient(conn).FullDuplexCall(ctx, options...)
		x.note("chat", describeStatus(err))
		if err != nil {
			return
		}
		for _, n := range []int{1, size} {
			x.note("chat", describeStatus(stream.Send(&testgrpc.StreamingOutputCallRequest{Payload: payload(n)})))
			reply, err := stream.Recv()
			x.note("chat", fmt.Sprint(len(reply.GetPayload().GetBody()), describeStatus(err)))
			if err != nil {
				return
			}
		}
		if asked != nil {
			x.note("chat", describeStatus(stream.Send(&testgrpc.StreamingOutputCallRequest{ResponseStatus: asked})))
		} else {
			require.NoError(x, stream.CloseSend())
		}
		x.drain("chat", stream)
	})
}
