package grpcint_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
)

// retries is a service config with a retry policy of four attempts.
func retries(code string) rigOption {
	return withDial(grpc.WithDefaultServiceConfig(`{"methodConfig": [{
		"name": [{}],
		"retryPolicy": {"maxAttempts": 4, "initialBackoff": "1s", "maxBackoff": "1s", "backoffMultiplier": 1, "retryableStatusCodes": ["` + code + `"]}
	}]}`))
}

// TestRetryPolicy shows where an injected status is retried by the policy of a
// service config, and where it is not.
func TestRetryPolicy(t *testing.T) {
	twice := func(r *fault.Rule) { r.Scope.Attempts = 2 }
	grpcStatus := func(s fault.GRPCStatus) fault.Fault { return fault.Fault{Error: &fault.ErrorFault{GRPC: &s}} }
	for _, test := range []struct {
		name    string
		options []rigOption
		code    string // that the policy retries
		server  bool   // the rule is for the server
		rule    fault.Rule
		want    codes.Code
		hits    uint64
		handled int
	}{
		{
			name: "what the client's interceptor injects is not retried",
			code: "UNAVAILABLE", rule: rule("r", "*", fail(fault.Unavailable), twice),
			want: codes.Unavailable, hits: 1,
		},
		{
			name: "what the server injects is",
			code: "UNAVAILABLE", server: true, rule: rule("r", serverPoint, fail(fault.Unavailable), twice),
			want: codes.OK, hits: 2, handled: 1,
		},
		{
			name: "until the attempts are used up",
			code: "UNAVAILABLE", server: true, rule: rule("r", serverPoint, fail(fault.Unavailable)),
			want: codes.Unavailable, hits: 4,
		},
		{
			name: "unless the policy is for another code",
			code: "ABORTED", server: true, rule: rule("r", serverPoint, fail(fault.Unavailable)),
			want: codes.Unavailable, hits: 1,
		},
		{
			name: "unless the server pushes back",
			code: "UNAVAILABLE", server: true,
			rule: rule("r", serverPoint, grpcStatus(fault.GRPCStatus{Code: "UNAVAILABLE", Trailers: map[string]string{"grpc-retry-pushback-ms": "-1"}})),
			want: codes.Unavailable, hits: 1,
		},
		{
			name:    "what is injected into an attempt is",
			options: []rigOption{byAttempt},
			code:    "UNAVAILABLE", rule: rule("r", "*", fail(fault.Unavailable), twice),
			want: codes.OK, hits: 2, handled: 1,
		},
		{
			name:    "until the attempts are used up, there too",
			options: []rigOption{byAttempt},
			code:    "UNAVAILABLE", rule: rule("r", "*", fail(fault.Reset)),
			want: codes.Unavailable, hits: 4,
		},
		{
			name:    "unless the policy is for another code, there too",
			options: []rigOption{byAttempt},
			code:    "ABORTED", rule: rule("r", "*", fail(fault.Overloaded)),
			want: codes.ResourceExhausted, hits: 1,
		},
	} {
		for _, r := range rpcs {
			t.Run(test.name+"/"+r.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x := newRig(t, append(test.options, retries(test.code))...)
					inj := x.client
					if test.server {
						inj = x.server
					}
					put(t, inj, test.rule)
					ctx := scope.With(t.Context(), scope.Request{ID: "r-1"})
					s := r.timed(ctx, x)
					require.Equal(t, test.want, status.Code(s.err), "%v", s.err)
					live, _ := inj.Rule("r")
					require.Equal(t, test.hits, live.Hits)
					require.Len(t, x.service.took(), test.handled)
					if s.err != nil {
						mark, ok := grpcint.FromError(s.err)
						require.True(t, ok, "%v", s.err)
						require.Equal(t, "r", mark.Rule)
					}
					if test.hits > 1 {
						require.GreaterOrEqual(t, s.took, time.Duration(test.hits-1)*800*time.Millisecond, "the policy's own pauses, with its jitter")
					}
				})
			})
		}
	}
}

// TestAttemptWaits holds that a delay is one of each attempt, within the
// deadline of the call.
func TestAttemptWaits(t *testing.T) {
	for _, r := range rpcs {
		t.Run(r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newRig(t, byAttempt)
				put(t, x.client, rule("r", "grpc.attempt:backend", fault.Fault{Delay: &fault.Delay{Fixed: 3 * time.Second}}))
				s := r.timed(t.Context(), x)
				require.NoError(t, s.err)
				require.InDelta(t, 3*time.Second, s.took, float64(time.Second))

				put(t, x.client, rule("r", "grpc.attempt:backend", fault.Fault{BlackHole: true}))
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				s = r.timed(ctx, x)
				require.Equal(t, codes.DeadlineExceeded, status.Code(s.err), "%v", s.err)
				require.InDelta(t, 5*time.Second, s.took, float64(time.Second))
				require.Zero(t, x.client.Status().Held)
			})
		})
	}
}

// TestAttemptsCannot names what is not armed at attempts.
func TestAttemptsCannot(t *testing.T) {
	inj := fault.New("frontend", fault.WithNamedError("quota", errQuota))
	grpcint.AttemptDialOptions(inj, "backend")
	for name, what := range map[string]fault.Fault{
		"no connection": fail(fault.Refused),
		"exact status":  {Error: &fault.ErrorFault{GRPC: &fault.GRPCStatus{Code: "ABORTED"}}},
		"by name":       {Error: &fault.ErrorFault{Name: "quota"}},
		"lost reply":    {LostReply: true},
		"stream":        {Stream: &fault.StreamFault{Cut: true}},
		"panic":         {Panic: true},
		"pad":           {Delay: &fault.Delay{PadTo: time.Second}},
	} {
		put(t, inj, rule("r", "backend", what))
		live, _ := inj.Rule("r")
		require.Equal(t, []string{"grpc.attempt:backend"}, live.Unsupported, name)
	}
}

// TestHedgingPolicyIsIgnored holds what the documentation says of grpc-go: a
// hedging policy in a service config sends no call twice.
func TestHedgingPolicyIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		x := newRig(t, withDial(grpc.WithDefaultServiceConfig(`{"methodConfig": [{
			"name": [{}],
			"hedgingPolicy": {"maxAttempts": 3, "hedgingDelay": "0.1s", "nonFatalStatusCodes": ["UNAVAILABLE"]}
		}]}`)))
		x.service.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			calls.Add(1)
			pauseFor(ctx, time.Second) // ten times the delay after which a hedge would be sent
			return &testpb.SimpleResponse{}, nil
		}
		_, err := x.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		require.NoError(t, err)
		require.EqualValues(t, 1, calls.Load())
	})
}

// TestHedgesOfOnesOwn shows that hedges which an interceptor further out sends
// are calls of their own to the injection point.
func TestHedgesOfOnesOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hedge := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			answers := make(chan error, 2)
			for i := range 2 {
				go func() {
					pauseFor(ctx, time.Duration(i)*100*time.Millisecond)
					answers <- invoker(ctx, method, req, &testpb.SimpleResponse{}, cc, opts...)
				}()
			}
			return <-answers
		}
		x := newRig(t, withDial(grpc.WithChainUnaryInterceptor(hedge)))
		put(t, x.client, rule("r", clientPoint, fault.Fault{BlackHole: true}, func(r *fault.Rule) { r.Scope.Attempts = 1 }))
		start := time.Now()
		_, err := x.UnaryCall(scope.With(t.Context(), scope.Request{ID: "r-1"}), &testpb.SimpleRequest{})
		require.NoError(t, err)
		require.Equal(t, 100*time.Millisecond, time.Since(start), "the hedge came through")
		live, _ := x.client.Rule("r")
		require.EqualValues(t, 1, live.Hits)
		synctest.Wait()
		require.Zero(t, x.client.Status().Held)
	})
}

// TestWaitForReady holds that what keeps a call from a connection does not fail
// one that waits for it, and that the call goes on when the rule ends.
func TestWaitForReady(t *testing.T) {
	for _, class := range []fault.Class{fault.Refused, fault.ConnectTimeout, fault.DNS, fault.DNSTimeout, fault.TLS, fault.TLSTimeout} {
		for _, r := range rpcs {
			t.Run(string(class)+"/"+r.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x := newRig(t)
					put(t, x.client, rule("r", clientPoint, fail(class)))
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					s := r.timed(ctx, x, grpc.WaitForReady(true))
					require.Equal(t, codes.DeadlineExceeded, status.Code(s.err))
					require.ErrorContains(t, s.err, "latest balancer error: ")
					require.ErrorIs(t, s.err, fault.ErrInjected)
					require.Equal(t, patience, s.took)

					time.AfterFunc(time.Hour/2, func() { x.client.Delete("r") })
					s = r.timed(t.Context(), x, grpc.WaitForReady(true))
					require.NoError(t, s.err, "there is a connection after all")
					require.InDelta(t, time.Hour/2, s.took, float64(time.Second))

					put(t, x.client, rule("r", clientPoint, fail(class)))
					s = r.timed(t.Context(), x, grpc.WaitForReady(true), grpc.WaitForReady(false))
					require.Equal(t, codes.Unavailable, status.Code(s.err), "the last option counts")
				})
			})
		}
	}
}
