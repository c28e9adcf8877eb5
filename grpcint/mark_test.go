package grpcint_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

var exact = fault.Fault{Error: &fault.ErrorFault{GRPC: &fault.GRPCStatus{
	Code:      "ABORTED",
	Message:   "try again: ünïcödé",
	RetryInfo: &fault.GRPCRetryInfo{RetryDelay: 1500 * time.Millisecond},
	ErrorInfo: &fault.GRPCErrorInfo{Reason: "CONFLICT", Domain: "shop.example", Metadata: map[string]string{"row": "7"}},
	Trailers:  map[string]string{"x-why": "conflict"},
}}}

// TestExactStatus holds that a status is given as the rule says it, on either
// side, with the library's mark behind the rule's own details.
func TestExactStatus(t *testing.T) {
	for _, point := range []string{clientPoint, serverPoint} {
		for _, r := range rpcs {
			t.Run(point+"/"+r.name, func(t *testing.T) {
				x := newRig(t)
				inj := x.client
				if point == serverPoint {
					inj = x.server
				}
				put(t, inj, rule("r", point, exact))
				s := r.timed(t.Context(), x)
				got, ok := status.FromError(s.err)
				require.True(t, ok)
				require.Equal(t, codes.Aborted, got.Code())
				require.Equal(t, "try again: ünïcödé", got.Message())
				want := []proto.Message{
					&errdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)},
					&errdetails.ErrorInfo{Reason: "CONFLICT", Domain: "shop.example", Metadata: map[string]string{"row": "7"}},
					&errdetails.ErrorInfo{Reason: grpcint.InjectedReason, Domain: grpcint.InjectedDomain, Metadata: map[string]string{
						"rule": "r", "point": point, "service": inj.Service(), "operation": r.method,
					}},
				}
				require.Len(t, got.Details(), len(want))
				for i, detail := range got.Details() {
					require.True(t, proto.Equal(want[i], detail.(proto.Message)), "%v", detail)
				}
				require.Equal(t, []string{"conflict"}, s.trailer["x-why"])
			})
		}
	}
}

// TestTold shows how a failure is told from a real one, where it was injected
// and in the process that gets it from there.
func TestTold(t *testing.T) {
	x := newRig(t, withInjector(fault.WithNamedError("quota", errQuota)))
	for _, what := range []fault.Fault{exact, fail(fault.Unavailable), fail(fault.Reset), {Error: &fault.ErrorFault{Name: "quota"}}} {
		for _, r := range rpcs {
			put(t, x.client, rule("here", clientPoint, what))
			here := r.timed(t.Context(), x).err
			require.ErrorIs(t, here, fault.ErrInjected)
			var mark *fault.Error
			require.ErrorAs(t, here, &mark)
			require.Equal(t, fault.Error{Rule: "here", Service: "frontend", Point: clientPoint, Operation: r.method, Err: mark.Err}, *mark)
			require.Contains(t, here.Error(), `(injected by rule "here" at grpc.client:backend)`)
			named := what.Error.Name != ""
			require.Equal(t, named, errors.Is(here, errQuota), "the service's own error is found")
			var own *quotaError
			require.Equal(t, named, errors.As(here, &own), "and by its type")
			x.client.Halt()
			x.client.Resume()

			put(t, x.server, rule("there", serverPoint, what))
			there := r.timed(t.Context(), x).err
			require.NotErrorIs(t, there, fault.ErrInjected, "it is another process's")
			for _, err := range []error{there, fmt.Errorf("page: %w", there)} {
				mark, ok := grpcint.FromError(err)
				require.True(t, ok)
				require.Equal(t, fault.Error{Rule: "there", Service: "backend", Point: serverPoint, Operation: r.method, Err: err}, *mark)
			}
			x.server.Halt()
			x.server.Resume()
		}
	}
}

// TestAHandlerPassesItOn has the failure of a service behind come through a
// handler that returns it as it is.
func TestAHandlerPassesItOn(t *testing.T) {
	behind := newRig(t)
	front := newRig(t)
	front.service.unary = func(ctx context.Context, req *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return behind.UnaryCall(ctx, req)
	}
	for name, inj := range map[string]*fault.Injector{"client's": behind.client, "server's": behind.server} {
		put(t, inj, rule("r", "*", fail(fault.Overloaded)), rule("s", "grpc.server:*", fail(fault.Overloaded)))
		_, err := front.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		require.Equal(t, codes.ResourceExhausted, status.Code(err), name)
		mark, ok := grpcint.FromError(err)
		require.True(t, ok, name)
		require.Contains(t, []string{clientPoint, serverPoint}, mark.Point)
		inj.Halt()
	}
}

func TestFromErrorOfRealFailures(t *testing.T) {
	foreign, err := status.New(codes.Aborted, "x").WithDetails(
		&errdetails.ErrorInfo{Reason: grpcint.InjectedReason, Domain: "elsewhere.example"},
		&errdetails.ErrorInfo{Reason: "OTHER", Domain: grpcint.InjectedDomain},
		&errdetails.RetryInfo{},
	)
	require.NoError(t, err)
	for _, err := range []error{nil, errors.New("x"), context.Canceled, status.Error(codes.OK, ""), status.Error(codes.Internal, "x"), foreign.Err()} {
		mark, ok := grpcint.FromError(err)
		require.False(t, ok, "%v", err)
		require.Nil(t, mark)
	}
}

// TestNamedErrors turns errors of the service's own into statuses as grpc does.
func TestNamedErrors(t *testing.T) {
	wrapped := fmt.Errorf("ledger: %w", status.Error(codes.FailedPrecondition, "closed"))
	x := newRig(t, withInjector(
		fault.WithNamedError("plain", errQuota),
		fault.WithNamedError("status", status.Error(codes.OutOfRange, "page 9 of 3")),
		fault.WithNamedError("wrapped", wrapped),
		fault.WithNamedError("ok", okError{}),
	))
	for name, want := range map[string]*status.Status{
		"plain":   status.New(codes.Unknown, "quota used up"),
		"status":  status.New(codes.OutOfRange, "page 9 of 3"),
		"wrapped": status.New(codes.FailedPrecondition, status.Convert(wrapped).Message()),
		"ok":      status.New(codes.Unknown, "an error whose status is none"),
	} {
		for _, point := range []string{clientPoint, serverPoint} {
			inj := x.client
			if point == serverPoint {
				inj = x.server
			}
			put(t, inj, rule("r", point, fault.Fault{Error: &fault.ErrorFault{Name: name}}))
			for _, r := range rpcs {
				s := r.timed(t.Context(), x)
				require.Equal(t, want.Code(), status.Code(s.err), name)
				require.Equal(t, want.Message(), status.Convert(s.err).Message(), name)
			}
			inj.Delete("r")
		}
	}
}

type okError struct{}

func (okError) Error() string              { return "an error whose status is none" }
func (okError) GRPCStatus() *status.Status { return status.New(codes.OK, "") }
