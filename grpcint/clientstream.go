package grpcint

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"github.com/misfit-go/misfit/fault"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// open is the call where it is a stream.
func (c *faultedCall) open(desc *grpc.StreamDesc, streamer grpc.Streamer) (grpc.ClientStream, error) {
	opts, finish := c.opts.withoutOnFinish()
	failed := c.begin(gaveUpOpening)
	f := c.d.Fault()
	switch {
	case failed != nil && failed.answered:
		c.d.Done()
		return newFailedStream(c.ctx, desc, c.opts, failed, finish), nil
	case failed != nil:
		c.d.Done()
		c.opts.setTrailer(failed.trailer())
		finish(failed)
		return nil, failed
	case f.Stream == nil && !f.LostReply && !pads(f):
		c.d.Done() // nothing is left to do
		return c.client.open(c.ctx, desc, c.cc, c.method, streamer, c.opts)
	}
	ctx, cancel := context.WithCancelCause(c.ctx)
	s := &clientStream{
		call: c, desc: desc, ctx: ctx, cancel: cancel, onFinish: finish, fault: f, named: c.d.Registered(), late: c.d.Fork(),
		request: c.d.Stream(fault.Request), response: c.d.Stream(fault.Response),
	}
	s.losing.Store(f.LostReply)
	real, err := c.client.open(ctx, desc, c.cc, c.method, streamer, append(opts, grpc.OnFinish(s.aborted)))
	if err != nil {
		s.finish(err)
		return nil, err
	}
	s.ClientStream = real
	return s, nil
}

func pads(f fault.Fault) bool { return f.Delay != nil && f.Delay.PadTo > 0 }

// A clientStream is a stream under a fault, as its client sees it. One
// goroutine may send while another one receives.
type clientStream struct {
	grpc.ClientStream
	call              *faultedCall
	desc              *grpc.StreamDesc
	fault             fault.Fault    // as it was when the stream was made
	named             error          // the registered error that it names, if it does
	late              fault.Decision // for the end of the stream, in the goroutine that receives
	request, response *fault.Stream  // nil where that direction is not faulted
	losing            atomic.Bool    // the reply is to be lost

	ctx    context.Context // of the real stream: Recv and Send have none
	cancel context.CancelCauseFunc

	failed   atomic.Pointer[injected] // what the stream ended with, if by the fault
	settled  bool                     // the real stream has ended too, as the goroutine that receives knows
	finished atomic.Bool
	onFinish func(error)
}

// SendMsg implements [grpc.ClientStream].
func (s *clientStream) SendMsg(m any) error {
	if s.failed.Load() != nil {
		return s.sendingFailed()
	}
	if _, err := s.request.Next(s.ctx, 1); err != nil {
		_ = s.fail(s.request, err)
		return s.sendingFailed()
	}
	if err := s.ClientStream.SendMsg(m); err != nil {
		return err
	}
	s.request.Count(1)
	s.breakOff(s.request)
	return nil
}

// sendingFailed is what SendMsg returns of a stream that has ended: the status
// is for RecvMsg to tell.
func (s *clientStream) sendingFailed() error { return sendingFailed(s.desc) }

func sendingFailed(desc *grpc.StreamDesc) error {
	if desc.ClientStreams {
		return io.EOF
	}
	return nil
}

// CloseSend implements [grpc.ClientStream]. What was broken off has no good end:
// the server is not to take what it got for all there is.
func (s *clientStream) CloseSend() error {
	if s.desc.ClientStreams && s.failed.Load() == nil { // others were closed with the message
		if err := s.request.End(s.ctx); err != nil {
			_ = s.fail(s.request, err)
		}
	}
	if s.failed.Load() != nil {
		return nil
	}
	return s.ClientStream.CloseSend()
}

// RecvMsg implements [grpc.ClientStream].
func (s *clientStream) RecvMsg(m any) error {
	err := s.receive(m)
	if failed := s.failed.Load(); failed != nil && err != nil {
		s.settle(m, failed)
		return failed
	}
	if err != nil || !s.desc.ServerStreams { // an only message comes with the status
		s.finish(err)
	}
	return err
}

// settle waits for the real stream, which has been cancelled, to say so: then
// grpc is done with what the call options point to, and the caller may look.
func (s *clientStream) settle(m any, failed *injected) {
	if s.settled {
		return
	}
	for s.ClientStream.RecvMsg(m) == nil { // what had come before
	}
	forget(m)
	s.settled = true
	if s.losing.Load() {
		s.call.opts.clearHeader()
	}
	s.call.opts.setTrailer(failed.trailer())
}

func (s *clientStream) receive(m any) error {
	if failed := s.failed.Load(); failed != nil {
		return failed
	}
	if err := s.response.Broken(); err != nil {
		return s.fail(s.response, err)
	}
	if s.losing.Load() {
		return s.receiveLost(m)
	}
	err := s.ClientStream.RecvMsg(m)
	if failed := s.failed.Load(); failed != nil {
		return failed // the other direction broke it off
	}
	if over := err != nil || !s.desc.ServerStreams; over {
		if late := s.late.After(s.ctx); late != nil {
			return s.fail(nil, late)
		}
	}
	switch {
	case err == nil:
		if err := s.arrived(); err != nil {
			return s.fail(s.response, err)
		}
	case err == io.EOF:
		if err := s.response.End(s.ctx); err != nil {
			return s.fail(s.response, err)
		}
	}
	return err
}

// arrived lets a message pass that has come.
func (s *clientStream) arrived() error {
	if _, err := s.response.Next(s.ctx, 1); err != nil {
		return err
	}
	s.response.Count(1)
	if !s.desc.ServerStreams {
		return s.response.End(s.ctx)
	}
	s.breakOff(s.response)
	return nil
}

// receiveLost lets the call be carried out, drops what comes of it, and fails.
// In a black hole what comes is kept as long as the caller waits for it, for
// the rule may end.
func (s *clientStream) receiveLost(m any) error {
	if s.fault.BlackHole {
		if late := s.late.After(s.ctx); late != nil {
			return s.fail(nil, late)
		}
		s.losing.Store(false) // the rule is over
		return s.ClientStream.RecvMsg(m)
	}
	var err error
	for dropped := false; err == nil; {
		err = s.ClientStream.RecvMsg(m)
		if !dropped && !s.late.InForce() { // taken back before anything was lost
			s.losing.Store(false)
			return err
		}
		if code := status.Code(err); dropped && (code == codes.DeadlineExceeded || code == codes.Canceled) {
			return s.end(newInjected(*s.late.Mark(nil), status.Convert(err), nil)) // it waited for what was dropped
		}
		if err == nil {
			dropped = true
			forget(m)
			if !s.desc.ServerStreams {
				err = io.EOF
			}
		}
	}
	if err != io.EOF {
		return err
	}
	if late := s.late.After(s.ctx); late != nil {
		return s.fail(nil, late)
	}
	return s.end(lostReply(s.late.Mark(nil), s.fault, s.named, s.call.target()))
}

// Header implements [grpc.ClientStream].
func (s *clientStream) Header() (metadata.MD, error) {
	md, err := s.ClientStream.Header()
	if s.losing.Load() {
		return nil, nil // as of a stream that ended without one
	}
	return md, err
}

// Trailer implements [grpc.ClientStream].
func (s *clientStream) Trailer() metadata.MD {
	if failed := s.failed.Load(); failed != nil {
		return failed.trailer()
	}
	return s.ClientStream.Trailer()
}

// fail ends the stream with what one of its directions, or the end of the
// context, said. It returns what the stream ended with.
func (s *clientStream) fail(direction *fault.Stream, err error) error {
	c := s.call
	var finished *streamFinished
	switch {
	case !errors.As(err, &finished):
		return s.end(streamFailure(c.ctx, direction, err, c.target()))
	case finished.err == nil: // it had come to a good end before
		return io.EOF
	}
	return finished.err // the connection was closed, or something beneath ended the stream
}

func (s *clientStream) end(failed *injected) error {
	s.failed.CompareAndSwap(nil, failed)
	failed = s.failed.Load()
	s.finish(failed)
	return failed
}

// breakOff ends the stream as soon as the last message before a cut has passed,
// so that the other direction learns of it.
func (s *clientStream) breakOff(direction *fault.Stream) {
	if err := direction.Broken(); err != nil {
		_ = s.fail(direction, err)
	}
}

// aborted is called by grpc when the real stream has ended. One that ended well
// has more to come here.
func (s *clientStream) aborted(err error) {
	if err != nil {
		s.finish(err)
	}
}

// finish gives back what the stream took.
func (s *clientStream) finish(err error) {
	if s.finished.Swap(true) {
		return
	}
	if err == io.EOF {
		err = nil
	}
	s.cancel(&streamFinished{err})
	s.call.d.Done()
	if failed := s.failed.Load(); failed != nil {
		err = failed
	}
	s.onFinish(err)
}

// streamFinished is why the context of a stream ends when it is done with.
type streamFinished struct{ err error }

func (*streamFinished) Error() string { return "grpcint: stream finished" }
