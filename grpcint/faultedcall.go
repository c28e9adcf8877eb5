package grpcint

import (
	"context"
	"errors"
	"reflect"

	"github.com/misfit-go/misfit/fault"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// A faultedCall is a client's call that a rule applies to.
type faultedCall struct {
	client *client
	ctx    context.Context
	method string
	cc     *grpc.ClientConn
	opts   callOptions
	d      fault.Decision
}

func newFaultedCall(c *client, ctx context.Context, method string, cc *grpc.ClientConn, opts []grpc.CallOption, d fault.Decision) *faultedCall {
	return &faultedCall{client: c, ctx: ctx, method: method, cc: cc, opts: opts, d: d}
}

// invoke is the call where it is a unary one, which is a stream of one message
// each way.
func (c *faultedCall) invoke(req, reply any, invoker grpc.UnaryInvoker) (err error) {
	defer c.d.Done()
	opts, finish := c.opts.withoutOnFinish()
	defer func() { finish(err) }()
	if failed := c.begin(gaveUp); failed != nil {
		return c.answer(reply, failed)
	}
	if failed := passMessage(c.ctx, c.d.Stream(fault.Request), c.target()); failed != nil {
		return c.answer(reply, failed)
	}
	err = c.client.invoke(c.ctx, c.method, req, reply, c.cc, invoker, opts)
	if failed := c.end(err); failed != nil {
		return c.answer(reply, failed)
	}
	return err
}

// begin waits, and fails the call if that is the fault. onGivingUp makes the
// error of a call whose context ends while it waits.
func (c *faultedCall) begin(onGivingUp func(*fault.Error, context.Context) *injected) *injected {
	if c.d.Before(c.ctx) != nil {
		return onGivingUp(c.d.Mark(nil), c.ctx)
	}
	e := c.d.Fault().Error
	if e == nil || c.d.Fault().LostReply {
		return nil
	}
	failed := fail(c.d.Mark(nil), e, c.d.Registered(), c.target())
	if failed.answered || !c.opts.waitsForReady() {
		return failed
	}
	if c.d.Hold(c.ctx) == nil {
		return nil // there is a connection after all
	}
	return stillConnecting(c.ctx, failed)
}

// end acts on the answer to a unary call, err being its error.
func (c *faultedCall) end(err error) *injected {
	if c.d.After(c.ctx) != nil {
		return gaveUp(c.d.Mark(nil), c.ctx)
	}
	if err != nil {
		return nil
	}
	if f := c.d.Fault(); f.LostReply {
		return lostReply(c.d.Mark(nil), f, c.d.Registered(), c.target())
	}
	return passMessage(c.ctx, c.d.Stream(fault.Response), c.target())
}

// answer fails a unary call so that nothing of a real answer shows.
func (c *faultedCall) answer(reply any, failed *injected) error {
	forget(reply)
	c.opts.clearHeader()
	c.opts.setTrailer(failed.trailer())
	return failed
}

// target is where the call was to go.
func (c *faultedCall) target() target { return targetOf(c.cc) }

// lostReply is the error of a call whose answer is dropped. named is the
// registered error if the fault names one.
func lostReply(mark *fault.Error, f fault.Fault, named error, t target) *injected {
	if f.Error == nil {
		return lost(mark)
	}
	return fail(mark, f.Error, named, t)
}

// passMessage lets the only message of a stream pass, and its end.
func passMessage(ctx context.Context, s *fault.Stream, t target) *injected {
	_, err := s.Next(ctx, 1)
	if err == nil {
		s.Count(1)
		err = s.End(ctx)
	}
	if err == nil {
		return nil
	}
	return streamFailure(ctx, s, err, t)
}

// streamFailure turns what a stream said into the error of the call.
func streamFailure(ctx context.Context, s *fault.Stream, err error, t target) *injected {
	mark := new(fault.Error)
	errors.As(err, &mark)
	switch e := s.Failure(); {
	case e != nil:
		return fail(mark, e, mark.Err, t)
	case errors.Is(err, fault.ErrCut) || ctx.Err() == nil:
		return lost(mark)
	}
	return gaveUp(mark, ctx)
}

// forget empties a reply that the caller was not to see. Callers who look at a
// reply beside an error are wrong, but would find nothing if it were real.
func forget(reply any) {
	switch v := reflect.ValueOf(reply); {
	case v.Kind() != reflect.Pointer || v.IsNil():
	case isProto(reply):
		proto.Reset(reply.(proto.Message))
	default:
		v.Elem().SetZero()
	}
}

func isProto(m any) bool {
	_, ok := m.(proto.Message)
	return ok
}
