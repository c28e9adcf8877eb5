package benchmarks_test

import (
	"context"
	"io"
	"sync"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Messages are sent and received at one of the ends of a stream.
const (
	clientEnd = "end=client"
	serverEnd = "end=server"
)

// A messenger is what both ends of a stream have.
type messenger interface {
	SendMsg(m any) error
	RecvMsg(m any) error
}

// A nullStream takes every message, and always has another one.
type nullStream struct{ ctx context.Context }

func (s nullStream) Context() context.Context { return s.ctx }
func (nullStream) SendMsg(any) error          { return nil }
func (nullStream) RecvMsg(any) error          { return nil }

type nullClientStream struct{ nullStream }

func (nullClientStream) Header() (metadata.MD, error) { return nil, nil }
func (nullClientStream) Trailer() metadata.MD         { return nil }
func (nullClientStream) CloseSend() error             { return nil }

type nullServerStream struct{ nullStream }

func (nullServerStream) SetHeader(metadata.MD) error  { return nil }
func (nullServerStream) SendHeader(metadata.MD) error { return nil }
func (nullServerStream) SetTrailer(metadata.MD)       {}

var bidirectional = &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}

// openClient returns a client's stream.
func openClient(ctx context.Context, interceptor grpc.StreamClientInterceptor) (messenger, error) {
	return interceptor(ctx, bidirectional, nil, grpcMethod,
		func(ctx context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
			return &nullClientStream{nullStream{ctx}}, nil
		})
}

// A streamServer has handlers that are at their streams until it is stopped.
type streamServer struct {
	interceptor grpc.StreamServerInterceptor
	over        chan struct{}
	handlers    sync.WaitGroup
}

func newStreamServer(tb testing.TB, interceptor grpc.StreamServerInterceptor) *streamServer {
	s := &streamServer{interceptor: interceptor, over: make(chan struct{})}
	tb.Cleanup(func() {
		close(s.over)
		s.handlers.Wait()
	})
	return s
}

// open returns the stream that a handler gets.
func (s *streamServer) open(ctx context.Context) (messenger, error) {
	got, served := make(chan grpc.ServerStream), make(chan error, 1)
	s.handlers.Go(func() {
		served <- s.interceptor(nil, &nullServerStream{nullStream{ctx}}, &grpc.StreamServerInfo{FullMethod: grpcMethod},
			func(_ any, ss grpc.ServerStream) error {
				got <- ss
				<-s.over
				return nil
			})
	})
	select {
	case err := <-served:
		return nil, err
	case ss := <-got:
		return ss, nil
	}
}

// messages returns what is measured: a message is sent and another one received. A
// stream may be failed as it is opened, or by what its first messages meet.
func messages(s messenger, err error) func() error {
	if err != nil {
		return func() error { return err }
	}
	sent, received := new(emptypb.Empty), new(emptypb.Empty)
	return func() error {
		if err := s.SendMsg(sent); err != nil && err != io.EOF { // which sends to RecvMsg for the reason
			return err
		}
		return s.RecvMsg(received)
	}
}

// A passThroughClientStream is the least that wraps a stream.
type passThroughClientStream struct{ grpc.ClientStream }

func (s *passThroughClientStream) SendMsg(m any) error { return s.ClientStream.SendMsg(m) }
func (s *passThroughClientStream) RecvMsg(m any) error { return s.ClientStream.RecvMsg(m) }

type passThroughServerStream struct{ grpc.ServerStream }

func (s *passThroughServerStream) SendMsg(m any) error { return s.ServerStream.SendMsg(m) }
func (s *passThroughServerStream) RecvMsg(m any) error { return s.ServerStream.RecvMsg(m) }

// streams is a contender that is always the same, whatever the library does.
func streams(name, end string, wrapped bool) contender {
	client := func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		s, err := streamer(ctx, desc, cc, method, opts...)
		if wrapped {
			s = &passThroughClientStream{s}
		}
		return s, err
	}
	server := func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if wrapped {
			ss = &passThroughServerStream{ss}
		}
		return handler(srv, ss)
	}
	return contender{name: name, variant: end, each: func(tb testing.TB, _ scenario) func() func() error {
		if end == clientEnd {
			return func() func() error { return messages(openClient(context.Background(), client)) }
		}
		s := newStreamServer(tb, server)
		return func() func() error { return messages(s.open(incoming(traceMetadata, context.Background()))) }
	}}
}

// misfitStreams has the library at one end of a stream, of a customer's request.
func misfitStreams(end string) contender {
	return contender{name: "misfit", variant: end, each: func(tb testing.TB, s scenario) func() func() error {
		if end == clientEnd {
			inj, ctx := s.injector(tb, atGRPCClient)
			interceptor := grpcint.StreamClientInterceptor(inj, "ratings")
			return func() func() error { return messages(openClient(ctx, interceptor)) }
		}
		inj, ctx := s.injector(tb, atGRPCServer)
		server := newStreamServer(tb, grpcint.StreamServerInterceptor(inj))
		return func() func() error { return messages(server.open(incoming(traceMetadata, ctx))) }
	}}
}

// misfitCutStreams has the library count the messages of a stream that it will cut
// some day.
func misfitCutStreams(end string) contender {
	c := misfitStreams(end)
	each := c.each
	c.name, c.in, c.serial = "misfit-cut-later", []string{"hit"}, true
	c.each = func(tb testing.TB, s scenario) func() func() error {
		rule := s.rule
		s.rule = func(i int, here fault.Target) fault.Rule {
			r := rule(i, here)
			r.Fault.Stream = &fault.StreamFault{Cut: true, After: 1 << 62}
			return r
		}
		return each(tb, s)
	}
	return c
}

// BenchmarkGRPCStreamMessage measures what it costs to send one message and to
// receive another one on a stream that is open. Whether a rule is for a stream
// is decided when it is opened.
func BenchmarkGRPCStreamMessage(b *testing.B) {
	var contenders []contender
	for _, end := range []string{clientEnd, serverEnd} {
		contenders = append(contenders, streams("bare", end, false), misfitStreams(end), misfitCutStreams(end))
		contenders = append(contenders, peersOf(streams("pass-through", end, true))...)
	}
	measure(b, contenders)
}
