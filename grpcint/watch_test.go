package grpcint_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// noted adds up what was noted at a point. Of the latencies it returns the
// longest.
func noted(inj *fault.Injector, point string) (total fault.TrafficSecond) {
	for _, of := range inj.Traffic() {
		if of.Point != point {
			continue
		}
		for _, s := range of.Seconds {
			total.Calls += s.Calls
			total.Faulted += s.Faulted
			total.Ended += s.Ended
			total.Errors += s.Errors
			total.P99 = max(total.P99, s.P99)
		}
	}
	return total
}

// endsWith is a service whose calls end with err, after a message if they are
// streams.
type endsWith struct {
	testpb.UnimplementedTestServiceServer
	err error
}

func (e endsWith) UnaryCall(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{}, e.err
}

func (e endsWith) FullDuplexCall(stream testpb.TestService_FullDuplexCallServer) error {
	if err := stream.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
		return err
	}
	return e.err
}

// callOnce makes a unary call.
func callOnce(x *rig, ctx context.Context) error {
	_, err := x.UnaryCall(ctx, &testpb.SimpleRequest{})
	return err
}

// readStream makes a streaming call and reads it to its end.
func readStream(x *rig, ctx context.Context) error {
	stream, err := x.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		if _, err := stream.Recv(); err != nil {
			return err
		}
	}
}

func TestTrafficByStatus(t *testing.T) {
	type end struct {
		name string
		err  error
		code codes.Code // as the client sees it
	}
	ends := []end{
		{"an error without a status", errors.New("plain"), codes.Unknown},
		{"a deadline without a status", fmt.Errorf("query: %w", context.DeadlineExceeded), codes.DeadlineExceeded},
		{"a cancellation without a status", context.Canceled, codes.Canceled},
		{"a wrapped status", fmt.Errorf("wrapped: %w", status.Error(codes.NotFound, "no")), codes.NotFound},
	}
	for code := codes.OK; code <= codes.Unauthenticated; code++ {
		ends = append(ends, end{code.String(), status.Error(code, "said"), code})
	}
	faults := map[codes.Code]bool{
		codes.Unknown: true, codes.DeadlineExceeded: true, codes.Unimplemented: true, codes.Internal: true, codes.Unavailable: true, codes.DataLoss: true,
	}
	for _, e := range ends {
		for kind, call := range map[string]func(*rig, context.Context) error{"unary": callOnce, "stream": readStream} {
			t.Run(e.name+"/"+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x := newRig(t, withService(endsWith{err: e.err}))
					_ = call(x, t.Context()) // while nobody watches
					x.client.WatchTraffic(time.Minute)
					x.server.WatchTraffic(time.Minute)
					err := call(x, t.Context())
					if err == io.EOF {
						err = nil
					}
					require.Equal(t, e.code, status.Code(err))
					time.Sleep(time.Second)
					want := fault.TrafficSecond{Calls: 1, Ended: 1}
					if faults[e.code] {
						want.Errors = 1
					}
					for inj, point := range map[*fault.Injector]string{x.client: clientPoint, x.server: serverPoint} {
						got := noted(inj, point)
						got.P99 = 0
						require.Equal(t, want, got, point)
					}
				})
			})
		}
	}
}

func TestTrafficUnderFaults(t *testing.T) {
	slow := 700 * time.Millisecond
	patient := func(ctx context.Context) context.Context { return ctx }
	calledOff := func(ctx context.Context) context.Context {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(slow, cancel)
		return ctx
	}
	dueSoon := func(ctx context.Context) context.Context {
		ctx, cancel := context.WithTimeout(ctx, slow)
		context.AfterFunc(ctx, cancel)
		return ctx
	}
	for name, test := range map[string]struct {
		what           fault.Fault
		give           func(context.Context) context.Context
		client, server bool // at which end the fault is
		failed         bool
		least          time.Duration
	}{
		"a refusal":                {what: fail(fault.Refused), client: true, failed: true},
		"an answer":                {what: fail(fault.Unavailable), client: true, failed: true},
		"too many":                 {what: fail(fault.Overloaded), client: true},
		"a delay":                  {what: fault.Fault{Delay: &fault.Delay{Fixed: slow}}, client: true, least: slow},
		"a pad":                    {what: fault.Fault{Delay: &fault.Delay{PadTo: slow}}, client: true, least: slow},
		"held, called off":         {what: fault.Fault{BlackHole: true}, give: calledOff, client: true, least: slow},
		"held, overdue":            {what: fault.Fault{BlackHole: true}, give: dueSoon, client: true, failed: true, least: slow},
		"a lost reply":             {what: fault.Fault{LostReply: true}, client: true, failed: true},
		"cut":                      {what: fault.Fault{Stream: &fault.StreamFault{Cut: true}}, client: true, failed: true},
		"at the server":            {what: fail(fault.Unavailable), server: true, failed: true},
		"too many, at the server":  {what: fail(fault.Overloaded), server: true},
		"a delay at the server":    {what: fault.Fault{Delay: &fault.Delay{Fixed: slow}}, server: true, least: slow},
		"a panic":                  {what: fault.Fault{Panic: true}, server: true, failed: true},
		"a lost reply, the server": {what: fault.Fault{LostReply: true}, server: true, failed: true},
		"cut, at the server":       {what: fault.Fault{Stream: &fault.StreamFault{Cut: true}}, server: true, failed: true},
	} {
		for kind, call := range map[string]func(*rig, context.Context) error{"unary": callOnce, "stream": readStream} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x := newRig(t, withService(endsWith{}), withOptions(grpcint.Recovered()),
						withServer(grpc.ChainUnaryInterceptor(recoverUnary), grpc.ChainStreamInterceptor(recoverStream)))
					if test.client {
						put(t, x.client, rule("r", clientPoint, test.what))
					}
					if test.server {
						put(t, x.server, rule("r", serverPoint, test.what))
					}
					x.client.WatchTraffic(time.Minute)
					x.server.WatchTraffic(time.Minute)
					if test.give == nil {
						test.give = patient
					}
					_ = call(x, test.give(t.Context()))
					time.Sleep(time.Second)
					at := func(inj *fault.Injector, point string, faulted bool) {
						got := noted(inj, point)
						require.EqualValues(t, 1, got.Calls, point)
						require.EqualValues(t, 1, got.Ended, point)
						require.Equal(t, faulted, got.Faulted == 1, point)
						require.Equal(t, test.failed, got.Errors == 1, point)
						require.GreaterOrEqual(t, got.P99, test.least*99/100, point)
					}
					at(x.client, clientPoint, test.client)
					if test.server {
						at(x.server, serverPoint, true)
					}
				})
			})
		}
	}
}

// A stream takes as long as it goes on.
func TestLatencyOfAStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newRig(t)
		x.client.WatchTraffic(time.Minute)
		x.server.WatchTraffic(time.Minute)
		finished := 0
		stream, err := x.FullDuplexCall(t.Context(), grpc.OnFinish(func(error) { finished++ }))
		require.NoError(t, err)
		for range 3 {
			time.Sleep(2 * time.Second)
			require.NoError(t, stream.Send(&testpb.StreamingOutputCallRequest{}))
			_, err := stream.Recv()
			require.NoError(t, err)
		}
		require.Equal(t, fault.TrafficSecond{Calls: 1}, noted(x.client, clientPoint), "it goes on")
		require.NoError(t, stream.CloseSend())
		_, err = stream.Recv()
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 1, finished, "the caller's own option counts")
		time.Sleep(time.Second)
		for inj, point := range map[*fault.Injector]string{x.client: clientPoint, x.server: serverPoint} {
			got := noted(inj, point)
			require.EqualValues(t, 1, got.Ended, point)
			require.Zero(t, got.Errors, point)
			require.InEpsilon(t, 6*time.Second, got.P99, 1e-3, point)
		}
	})
}

// Streams are handed on as they are, watched or not.
func TestWatchedStreamsAreGRPCsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := make(chan string, 1), make(chan string, 1) // the two ends are made at the same time
		x := newRig(t, withDial(grpc.WithChainStreamInterceptor(
			func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				stream, err := streamer(ctx, desc, cc, method, opts...)
				client <- fmt.Sprintf("%T", stream)
				return stream, err
			},
		)))
		x.inner = func(_ any, ss grpc.ServerStream) { server <- fmt.Sprintf("%T", ss) }
		require.ErrorIs(t, readStream(x, t.Context()), io.EOF)
		idleClient, idleServer := <-client, <-server
		x.client.WatchTraffic(time.Minute)
		x.server.WatchTraffic(time.Minute)
		require.ErrorIs(t, readStream(x, t.Context()), io.EOF)
		require.Equal(t, idleClient, <-client)
		require.Equal(t, idleServer, <-server)
	})
}

// What is beneath may fail a stream before grpc knows of it.
func TestTrafficOfStreamsThatAreNotMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("frontend")
		inj.WatchTraffic(time.Minute)
		beneath := errors.New("beneath")
		open := grpcint.StreamClientInterceptor(inj, "backend")
		_, err := open(t.Context(), &grpc.StreamDesc{}, nil, "/s/m", func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
			return nil, beneath
		})
		require.ErrorIs(t, err, beneath)

		x := newRig(t)
		x.client.WatchTraffic(time.Minute)
		require.NoError(t, x.conn.Close())
		_, err = x.FullDuplexCall(t.Context()) // here grpc tells the end, too
		require.Equal(t, codes.Canceled, status.Code(err))
		time.Sleep(time.Second)
		require.Equal(t, fault.TrafficSecond{Calls: 1, Ended: 1, Errors: 1}, clipped(noted(inj, clientPoint)))
		require.Equal(t, fault.TrafficSecond{Calls: 1, Ended: 1}, clipped(noted(x.client, clientPoint)))
	})
}

func clipped(s fault.TrafficSecond) fault.TrafficSecond { s.P50, s.P99 = 0, 0; return s }

// Nobody says when an attempt is over.
func TestTrafficOfAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newRig(t, byAttempt, retries("UNAVAILABLE"))
		put(t, x.client, rule("r", "grpc.attempt:backend", fail(fault.Unavailable), func(r *fault.Rule) { r.Scope.Attempts = 2 }))
		x.client.WatchTraffic(time.Minute)
		ctx := scope.With(t.Context(), scope.Request{Customer: "42"})
		require.NoError(t, callOnce(x, ctx))
		time.Sleep(time.Second)
		require.Equal(t, fault.TrafficSecond{Calls: 3, Faulted: 2}, noted(x.client, "grpc.attempt:backend"))
	})
}

// The server finds out who a request is, for the estimate.
func TestEstimatesOfAServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newRig(t)
		x.server.WatchTraffic(time.Minute)
		for i := range 20 {
			require.NoError(t, callOnce(x, scope.With(t.Context(), scope.Request{Customer: fmt.Sprint(i % 4)})))
		}
		r := rule("r", serverPoint, fail(fault.Unavailable), only(scope.Customers("1", "2")), operations("/grpc.testing.TestService/Unary*"))
		estimate, err := x.server.Estimate(r)
		require.NoError(t, err)
		require.Equal(t, fault.Estimate{
			Since: estimate.Since, Calls: 20, Hit: 10, Requests: 20, RequestsHit: 10, Customers: 4, CustomersHit: 2, Points: []string{serverPoint},
		}, estimate)
	})
}

// BenchmarkWatched is [BenchmarkInterceptors] while somebody watches.
func BenchmarkWatched(b *testing.B) {
	client, server := fault.New("bench"), fault.New("bench")
	calls := interceptorsOf(client, server).calls()
	client.WatchTraffic(10 * time.Minute)
	server.WatchTraffic(10 * time.Minute)
	for _, name := range interceptorNames {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				calls[name]()
			}
		})
	}
}
