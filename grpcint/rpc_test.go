package grpcint_test

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

// messages is how many messages a stream has, each way that it streams.
const messages = 5

// between is the time between two messages of a stream, so that what happens
// at one has reached the other end by the next.
const between = 10 * time.Millisecond

// seen is what the client saw of a call.
type seen struct {
	sent, received int
	opened         bool
	err            error // nil: it came to a good end
	header         metadata.MD
	trailer        metadata.MD
	took           time.Duration
}

// An rpc is a type of call.
type rpc struct {
	name   string
	method string
	call   func(context.Context, testpb.TestServiceClient, ...grpc.CallOption) seen
}

// rpcs are all four of them.
var rpcs = []rpc{
	{"unary", testpb.TestService_UnaryCall_FullMethodName, callUnary},
	{"server stream", testpb.TestService_StreamingOutputCall_FullMethodName, callServerStream},
	{"client stream", testpb.TestService_StreamingInputCall_FullMethodName, callClientStream},
	{"bidi", testpb.TestService_FullDuplexCall_FullMethodName, callBidi},
}

// timed makes the call and says how long it took.
func (r rpc) timed(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) seen {
	start := time.Now()
	s := r.call(ctx, c, opts...)
	s.took = time.Since(start)
	return s
}

func callUnary(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) (s seen) {
	s.opened = true
	s.sent = 1
	opts = append(opts, grpc.Header(&s.header), grpc.Trailer(&s.trailer))
	resp, err := c.UnaryCall(ctx, &testpb.SimpleRequest{}, opts...)
	if s.err = err; err == nil && resp.GetUsername() == "answer" {
		s.received = 1
	}
	return s
}

func callServerStream(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) (s seen) {
	req := &testpb.StreamingOutputCallRequest{ResponseParameters: make([]*testpb.ResponseParameters, messages)}
	stream, err := c.StreamingOutputCall(ctx, req, opts...)
	if err != nil {
		s.err = err
		return s
	}
	s.opened, s.sent = true, 1
	pauseFor(ctx, between/2)
	s.receive(stream, func() error { _, err := stream.Recv(); return err })
	return s
}

func callClientStream(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) (s seen) {
	stream, err := c.StreamingInputCall(ctx, opts...)
	if err != nil {
		s.err = err
		return s
	}
	s.opened = true
	for range messages {
		pauseFor(ctx, between)
		if stream.Send(&testpb.StreamingInputCallRequest{}) != nil {
			break
		}
		s.sent++
	}
	_ = stream.CloseSend()
	pauseFor(ctx, between/2)
	if _, s.err = stream.CloseAndRecv(); s.err == nil {
		s.received = 1
	}
	s.trailer = stream.Trailer()
	return s
}

// callBidi sends a message, waits for its echo, and sends the next.
func callBidi(ctx context.Context, c testpb.TestServiceClient, opts ...grpc.CallOption) (s seen) {
	stream, err := c.FullDuplexCall(ctx, opts...)
	if err != nil {
		s.err = err
		return s
	}
	s.opened = true
	for range messages {
		pauseFor(ctx, between)
		if stream.Send(&testpb.StreamingOutputCallRequest{}) != nil {
			break
		}
		s.sent++
		if _, err := stream.Recv(); err != nil {
			s.err = err
			s.trailer = stream.Trailer()
			return s
		}
		s.received++
	}
	_ = stream.CloseSend()
	s.receive(stream, func() error { _, err := stream.Recv(); return err })
	return s
}

// receive receives until the end.
func (s *seen) receive(stream grpc.ClientStream, recv func() error) {
	for {
		err := recv()
		if err == nil {
			s.received++
			continue
		}
		if !isEOF(err) {
			s.err = err
		}
		s.trailer = stream.Trailer()
		return
	}
}
