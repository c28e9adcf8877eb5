package grpcint

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/misfit-go/misfit/fault"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// An identifiedStream is a stream whose request has an identity, which grpc has
// no other place for than the stream's context.
type identifiedStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements [grpc.ServerStream].
func (s identifiedStream) Context() context.Context { return s.ctx }

// faultStream handles a stream under a fault.
func (s *server) faultStream(ss grpc.ServerStream, d fault.Decision, handle func(grpc.ServerStream) error) (*injected, error) {
	ctx := ss.Context()
	if failed := s.begin(ctx, d); failed != nil {
		return failed, nil
	}
	f := d.Fault()
	if f.Stream == nil && !f.LostReply {
		err := handle(ss)
		return end(ctx, d), err
	}
	streamCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	faulty := &serverStream{
		ServerStream: ss, ctx: streamCtx, cancel: cancel,
		request: d.Stream(fault.Request), response: d.Stream(fault.Response),
		losing: f.LostReply, sending: d.Fork(),
	}
	named := d.Registered()
	err := handle(faulty)
	switch failed := faulty.failed.Load(); {
	case failed != nil:
		return failed, nil
	case faulty.dropped && d.After(ctx) == nil: // whatever became of the rule, the client must not take this for all
		return lostReply(d.Mark(nil), f, named, target{}), nil
	}
	if failed := end(ctx, d); failed != nil {
		return failed, nil
	}
	if err == nil {
		if broken := faulty.response.End(ctx); broken != nil {
			return streamFailure(ctx, faulty.response, broken, target{}), nil
		}
	}
	return nil, err
}

// A serverStream is a stream under a fault, as its handler sees it. One
// goroutine may send while another one receives.
type serverStream struct {
	grpc.ServerStream
	request, response *fault.Stream // nil where that direction is not faulted

	ctx    context.Context // ends, as it does when a connection is lost: Send and Recv have none
	cancel context.CancelFunc
	failed atomic.Pointer[injected] // what the client is to see

	losing  bool           // the reply is to be lost, as long as the rule has the call
	sending fault.Decision // the answer to that, in the goroutine that sends
	dropped bool           // some of the reply is lost
}

// What grpc's own streams return on a connection that was lost.
var (
	errTransportClosing = status.Error(codes.Unavailable, "transport is closing")
	errStreamCanceled   = status.Error(codes.Canceled, context.Canceled.Error())
)

// Context implements [grpc.ServerStream].
func (s *serverStream) Context() context.Context { return s.ctx }

// SendMsg implements [grpc.ServerStream].
func (s *serverStream) SendMsg(m any) error {
	if s.failed.Load() != nil {
		return errTransportClosing
	}
	if s.losing && (s.dropped || s.sending.InForce()) {
		s.dropped = true
		return nil
	}
	if _, err := s.response.Next(s.ctx, 1); err != nil {
		s.fail(s.response, err)
		return errTransportClosing
	}
	if err := s.interruptible(s.request, func() error { return s.ServerStream.SendMsg(m) }); err != nil {
		return err
	}
	s.response.Count(1)
	s.breakOff(s.response)
	return nil
}

// RecvMsg implements [grpc.ServerStream].
func (s *serverStream) RecvMsg(m any) error {
	if s.failed.Load() != nil {
		return errStreamCanceled
	}
	if err := s.request.Broken(); err != nil {
		s.fail(s.request, err)
		return errStreamCanceled
	}
	err := s.interruptible(s.response, func() error { return s.ServerStream.RecvMsg(m) })
	switch {
	case s.failed.Load() != nil:
		return errStreamCanceled // the other direction broke it off
	case err == nil:
		if _, broken := s.request.Next(s.ctx, 1); broken != nil {
			s.fail(s.request, broken)
			return errStreamCanceled
		}
		s.request.Count(1)
		s.breakOff(s.request)
	case err == io.EOF:
		if broken := s.request.End(s.ctx); broken != nil {
			s.fail(s.request, broken)
			return errStreamCanceled
		}
	}
	return err
}

// interruptible sends or receives. Where the other direction may be broken off
// it does not wait longer than that, as it would not on a connection that is
// lost: grpc lets go of op only once the handler has returned.
func (s *serverStream) interruptible(other *fault.Stream, op func() error) error {
	if other == nil {
		return op()
	}
	type outcome struct {
		err      error
		panicked any
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			o.panicked = recover()
			done <- o
		}()
		o.err = op()
	}()
	var o outcome
	select {
	case o = <-done:
	case <-s.ctx.Done():
		if s.failed.Load() != nil {
			return errTransportClosing
		}
		o = <-done // the call itself has ended
	}
	if o.panicked != nil {
		panic(o.panicked)
	}
	return o.err
}

// fail ends the stream with what one of its directions said.
func (s *serverStream) fail(direction *fault.Stream, err error) {
	s.failed.CompareAndSwap(nil, streamFailure(s.ctx, direction, err, target{}))
	s.cancel()
}

// breakOff ends the stream as soon as the last message before a cut has passed,
// so that the other direction learns of it.
func (s *serverStream) breakOff(direction *fault.Stream) {
	if err := direction.Broken(); err != nil {
		s.fail(direction, err)
	}
}
