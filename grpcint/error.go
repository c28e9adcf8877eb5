package grpcint

import (
	"context"
	"errors"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/faultstatus"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// StatusKey is the key of the trailer in which the library says what it did, with
// every status that it made itself, and at the end of calls that carried a token
// or a rule. Its value is a structured field, RFC 9651: a list of
//
//   - applied, for each rule and point;
//   - skipped, if a limit held the rule back there, with the reason;
//   - missed, if calls were made there, none of them one that the rule is for;
//   - not-reached, if no such call is known of;
//   - refused, if what was sent is not taken, with the reason;
//   - not-carried, if it is taken and does not go on to the services behind.
//
// What services behind say is passed on. Those that lack the library say nothing.
const StatusKey = "fault-status"

// The google.rpc.ErrorInfo by which a process can tell an injected status that
// comes from another.
const (
	InjectedReason = "FAULT_INJECTED"
	InjectedDomain = "github.com/misfit-go/misfit"

	ruleField      = "rule"
	pointField     = "point"
	serviceField   = "service"
	operationField = "operation"
)

// FromError returns the mark of an injected failure, whether it was injected in
// this process or in one behind, and whether err is one. Of one behind the
// cause is err itself.
func FromError(err error) (*fault.Error, bool) {
	var mark *fault.Error
	if errors.As(err, &mark) {
		return mark, true
	}
	s, ok := status.FromError(err)
	if err == nil || !ok {
		return nil, false
	}
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == InjectedDomain && info.GetReason() == InjectedReason {
			fields := info.GetMetadata()
			return &fault.Error{Rule: fields[ruleField], Point: fields[pointField], Service: fields[serviceField], Operation: fields[operationField], Err: err}, true
		}
	}
	return nil, false
}

// injected is the error of a call that the library failed. It answers as
// grpc-go's own status errors do, which wrap nothing, but for the mark, and for
// the service's own error where the fault names one.
type injected struct {
	mark     *fault.Error // its cause is the error as the caller would see it of a real failure
	status   *status.Status
	trailers map[string]string
	answered bool // as by a server, so that there is a stream first
}

// newInjected puts a mark on a status. named is the service's own error, or nil.
func newInjected(mark fault.Error, s *status.Status, named error) *injected {
	s = withDetails(s, &errdetails.ErrorInfo{
		Reason:   InjectedReason,
		Domain:   InjectedDomain,
		Metadata: map[string]string{ruleField: mark.Rule, pointField: mark.Point, serviceField: mark.Service, operationField: mark.Operation},
	})
	if mark.Err = named; named == nil {
		mark.Err = s.Err()
	}
	return &injected{mark: &mark, status: s}
}

// fail is the error that a call to t fails with. named is the registered error
// if e is one by name.
func fail(mark *fault.Error, e *fault.ErrorFault, named error, t target) *injected {
	if e.Name != "" {
		s := status.Convert(named)
		if s.Code() == codes.OK { // an error whose status is none is no success
			s = status.New(codes.Unknown, named.Error())
		}
		failed := newInjected(*mark, s, named)
		failed.answered = true
		return failed
	}
	failed := newInjected(*mark, statusOf(e, t), nil)
	failed.answered = !failures[e.Class].connecting
	if e.GRPC != nil {
		failed.trailers = e.GRPC.Trailers
	}
	return failed
}

// lost is the error of a connection that broke.
func lost(mark *fault.Error) *injected {
	return fail(mark, &fault.ErrorFault{Class: fault.Reset}, nil, target{})
}

// gaveUp is the error of a call whose context ended while it was held.
func gaveUp(mark *fault.Error, ctx context.Context) *injected {
	return newInjected(*mark, status.FromContextError(ctx.Err()), nil)
}

// gaveUpOpening is gaveUp for a stream that was not made: grpc holds its caller
// only for want of a connection.
func gaveUpOpening(mark *fault.Error, ctx context.Context) *injected {
	code := status.FromContextError(ctx.Err()).Code()
	return newInjected(*mark, status.New(code, ctx.Err().Error()+" while waiting for connections to become ready"), nil)
}

// stillConnecting is the error of a call that waits for ready, whose context
// ended before there was a connection. failed is what keeps it from one.
func stillConnecting(ctx context.Context, failed *injected) *injected {
	code := status.FromContextError(ctx.Err()).Code()
	return newInjected(*failed.mark, status.New(code, "latest balancer error: "+failed.status.Message()), nil)
}

func (e *injected) Error() string { return e.mark.Error() }

// GRPCStatus is how package status finds the status.
func (e *injected) GRPCStatus() *status.Status { return e.status }

func (e *injected) Is(target error) bool {
	return target == fault.ErrInjected || errors.Is(e.mark.Err, target)
}

func (e *injected) As(target any) bool {
	if mark, ok := target.(**fault.Error); ok {
		*mark = e.mark
		return true
	}
	return errors.As(e.mark.Err, target)
}

// trailer is the metadata that comes with the status.
func (e *injected) trailer() metadata.MD {
	md := appliedTrailer(e.mark)
	for name, value := range e.trailers {
		md.Set(name, value)
	}
	return md
}

func appliedTrailer(mark *fault.Error) metadata.MD {
	return metadata.Pairs(StatusKey, faultstatus.OfCall(mark.Rule, mark.Point, mark.Service))
}
