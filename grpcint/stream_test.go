package grpcint_test

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func inStream(s fault.StreamFault) fault.Fault { return fault.Fault{Stream: &s} }

// bothSides are points that match the client's and the server's.
func bothSides(r *fault.Rule) { r.Target.Points = []string{clientPoint, serverPoint} }

// TestStreamsAreHandedOn holds that a stream which no fault in mid-stream was
// chosen for is grpc's own, on both sides.
func TestStreamsAreHandedOn(t *testing.T) {
	var atHandler, atClient string
	x := newRig(t, withDial(grpc.WithChainStreamInterceptor(
		func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			stream, err := streamer(ctx, desc, cc, method, opts...)
			atClient = fmt.Sprintf("%T", stream)
			return stream, err
		},
	)))
	x.inner = func(_ any, ss grpc.ServerStream) { atHandler = fmt.Sprintf("%T", ss) }
	const theirs, ours = "*grpc.serverStream, *grpc.clientStreamWrapper", "*grpcint.serverStream, *grpcint.clientStream"
	cut := inStream(fault.StreamFault{After: 100, Cut: true})
	for _, test := range []struct {
		name  string
		rules []fault.Rule
		who   scope.Request
		want  string
	}{
		{"idle", nil, scope.Request{}, theirs},
		{"another operation", []fault.Rule{rule("r", "", cut, bothSides, operations("/a/b"))}, scope.Request{}, theirs},
		{"another customer", []fault.Rule{rule("r", "", cut, bothSides, only(scope.Customers("7")))}, scope.Request{}, theirs},
		{"a percentage that misses", []fault.Rule{rule("r", "", cut, bothSides, only(scope.Percent(0, scope.PerCall)))}, scope.Request{}, theirs},
		{"a delay", []fault.Rule{rule("r", "", fault.Fault{Delay: &fault.Delay{Fixed: time.Millisecond}}, bothSides)}, scope.Request{}, theirs},
		{"another customer, with an identity", []fault.Rule{rule("r", "", cut, bothSides, only(scope.Customers("7")))}, scope.Request{Customer: "42"}, "grpcint.identifiedStream, *grpc.clientStreamWrapper"},
		{"hit", []fault.Rule{rule("r", "", cut, bothSides)}, scope.Request{}, ours},
	} {
		for _, inj := range []*fault.Injector{x.client, x.server} {
			inj.Halt()
			inj.Resume()
			put(t, inj, test.rules...)
		}
		ctx := t.Context()
		if test.who.Customer != "" {
			ctx = scope.With(ctx, test.who)
		}
		for _, r := range rpcs[1:] {
			require.NoError(t, r.timed(ctx, x).err)
			require.Equal(t, test.want, atHandler+", "+atClient, "%s, %s", test.name, r.name)
		}
	}
}

// TestBrokenOffFromBothSides has one goroutine send and another receive while
// the stream is cut, in either direction and at either side.
func TestBrokenOffFromBothSides(t *testing.T) {
	for _, point := range []string{clientPoint, serverPoint} {
		for _, direction := range []fault.Direction{fault.Request, fault.Response} {
			t.Run(point+"/"+string(direction), func(t *testing.T) {
				x := newRig(t)
				inj := x.client
				if point == serverPoint {
					inj = x.server
				}
				put(t, inj, rule("r", point, inStream(fault.StreamFault{Direction: direction, After: 50, Cut: true})))
				for range 20 {
					stream, err := x.FullDuplexCall(t.Context())
					require.NoError(t, err)
					var sending sync.WaitGroup
					sending.Go(func() {
						for stream.Send(&testpb.StreamingOutputCallRequest{}) == nil {
						}
						_ = stream.CloseSend()
					})
					received := 0
					for {
						if _, err = stream.Recv(); err != nil {
							break
						}
						received++
					}
					sending.Wait()
					require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
					require.LessOrEqual(t, received, 50)
					_, again := stream.Recv()
					require.Equal(t, err, again)
				}
				live, _ := inj.Rule("r")
				require.EqualValues(t, 20, live.Hits)
			})
		}
	}
}

// TestStreamOfAConnectionThatIsClosed holds a stream that is under a fault when
// its connection is closed: it is let go of.
func TestStreamOfAConnectionThatIsClosed(t *testing.T) {
	for name, what := range map[string]fault.Fault{
		"stalled":               inStream(fault.StreamFault{Stall: true}),
		"lost in a black hole":  {LostReply: true, BlackHole: true},
		"abandoned, not waited": inStream(fault.StreamFault{After: 100, Cut: true}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newRig(t)
				put(t, x.client, rule("r", clientPoint, what, func(r *fault.Rule) { r.Limits.Concurrent = 1 }))
				stream, err := x.FullDuplexCall(context.Background())
				require.NoError(t, err)
				require.NoError(t, stream.Send(&testpb.StreamingOutputCallRequest{}))
				if name != "abandoned, not waited" {
					time.AfterFunc(time.Second, func() { _ = x.conn.Close() })
					start := time.Now()
					_, err = stream.Recv()
					require.Equal(t, codes.Canceled, status.Code(err))
					require.ErrorContains(t, err, "the client connection is closing")
					require.NotErrorIs(t, err, fault.ErrInjected, "it was not the fault's doing")
					require.Equal(t, time.Second, time.Since(start))
				}
				_ = x.conn.Close()
				synctest.Wait()
				require.Zero(t, x.client.Status().Held)
				d := x.client.PointOf(fault.Kind{Name: "grpc.client"}, "backend").Decide(t.Context(), fault.Operation{Name: "/a/b"})
				require.True(t, d.Hit(), "its place under the limit is free again")
				d.Done()
			})
		})
	}
}

// TestStreamCancelled gives a stream up in the middle of each wait.
func TestStreamCancelled(t *testing.T) {
	for name, what := range map[string]fault.Fault{
		"a stall":              inStream(fault.StreamFault{Stall: true}),
		"a stalled request":    inStream(fault.StreamFault{Direction: fault.Request, Stall: true}),
		"a delay":              inStream(fault.StreamFault{Delay: &fault.Delay{Fixed: time.Minute}}),
		"a throttle":           inStream(fault.StreamFault{After: 1, PerSecond: 1}),
		"a pad":                {Delay: &fault.Delay{PadTo: time.Minute}},
		"a lost reply":         {LostReply: true},
		"a lost, silent reply": {LostReply: true, BlackHole: true},
	} {
		for _, point := range []string{clientPoint, serverPoint} {
			for _, r := range rpcs {
				t.Run(name+"/"+point+"/"+r.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						x := newRig(t)
						x.service.pause = between
						inj := x.client
						if point == serverPoint {
							inj = x.server
						}
						put(t, inj, rule("r", point, what))
						ctx, cancel := context.WithCancel(t.Context())
						time.AfterFunc(between+between/2, cancel)
						s := r.timed(ctx, x)
						if s.took >= between+between/2 {
							require.Equal(t, codes.Canceled, status.Code(s.err), "%v", s.err)
							require.Equal(t, between+between/2, s.took)
						}
						cancel()
						synctest.Wait()
						require.Zero(t, inj.Status().Held)
					})
				})
			}
		}
	}
}

// TestStreamMethods calls the methods of a faulted stream in the ways that are
// allowed, after its end too.
func TestStreamMethods(t *testing.T) {
	x := newRig(t)
	put(t, x.client, rule("r", clientPoint, inStream(fault.StreamFault{After: 2, Error: &fault.ErrorFault{GRPC: &fault.GRPCStatus{
		Code: "DATA_LOSS", Trailers: map[string]string{"x-why": "gone"},
	}}})))
	var header, trailer metadata.MD
	stream, err := x.FullDuplexCall(t.Context(), grpc.Header(&header), grpc.Trailer(&trailer))
	require.NoError(t, err)
	echo := func() error {
		if err := stream.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
			return err
		}
		_, err := stream.Recv()
		return err
	}
	require.NoError(t, echo())
	md, err := stream.Header()
	require.NoError(t, err)
	require.Contains(t, md, "content-type")
	require.NoError(t, stream.Context().Err())
	require.NoError(t, echo())
	require.ErrorIs(t, echo(), io.EOF, "the status is for Recv to tell")
	for range 2 {
		require.NoError(t, stream.CloseSend())
		_, err = stream.Recv()
		require.Equal(t, codes.DataLoss, status.Code(err))
		require.ErrorIs(t, stream.Send(&testpb.StreamingOutputCallRequest{}), io.EOF)
	}
	md, err = stream.Header()
	require.NoError(t, err)
	require.Contains(t, md, "content-type", "it had come before")
	require.Contains(t, header, "content-type")
	require.Equal(t, []string{"gone"}, stream.Trailer()["x-why"])
	require.Equal(t, stream.Trailer(), trailer)
	require.ErrorIs(t, stream.Context().Err(), context.Canceled)

	put(t, x.client, rule("r", clientPoint, fail(fault.Unavailable)))
	stream, err = x.FullDuplexCall(t.Context())
	require.NoError(t, err, "the server answers, and for that there is a stream")
	require.NoError(t, stream.Context().Err())
	md, err = stream.Header()
	require.NoError(t, err)
	require.Nil(t, md, "of a stream without a header, the status is for Recv to tell")
	for range 2 {
		require.NoError(t, stream.CloseSend())
		require.ErrorIs(t, stream.Send(&testpb.StreamingOutputCallRequest{}), io.EOF)
		_, err = stream.Recv()
		require.Equal(t, codes.Unavailable, status.Code(err))
	}
}

// TestAStreamGivenUpHasFinished gives up a stream whose answer has failed
// without looking at it.
func TestAStreamGivenUpHasFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newRig(t)
		put(t, x.client, rule("r", clientPoint, fail(fault.Unavailable)))
		ctx, cancel := context.WithCancel(t.Context())
		var ended []error
		_, err := x.FullDuplexCall(ctx, grpc.OnFinish(func(err error) { ended = append(ended, err) }))
		require.NoError(t, err)
		synctest.Wait()
		require.Empty(t, ended)
		cancel()
		synctest.Wait()
		require.Len(t, ended, 1)
		require.ErrorIs(t, ended[0], fault.ErrInjected)
	})
}

// TestTakenBackInMidStream ends the rule while streams are held by it, and
// requires that they then go on to a good end.
func TestTakenBackInMidStream(t *testing.T) {
	for name, what := range map[string]fault.Fault{
		"a black hole":         {BlackHole: true},
		"a delay":              {Delay: &fault.Delay{Fixed: 5 * time.Minute}},
		"a stall":              inStream(fault.StreamFault{After: 2, Stall: true}),
		"a stalled request":    inStream(fault.StreamFault{Direction: fault.Request, After: 2, Stall: true}),
		"a throttle":           inStream(fault.StreamFault{After: 1, PerSecond: 1}),
		"a delay of each":      inStream(fault.StreamFault{Delay: &fault.Delay{Fixed: 5 * time.Minute}}),
		"a lost, silent reply": {LostReply: true, BlackHole: true},
	} {
		for _, point := range []string{clientPoint, serverPoint} {
			for _, r := range rpcs {
				t.Run(name+"/"+point+"/"+r.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						x := newRig(t)
						inj := x.client
						if point == serverPoint {
							inj = x.server
							if what.LostReply && r.name != "unary" {
								t.SkipNow() // what a handler sent is dropped, and cannot be had again
							}
						}
						put(t, inj, rule("r", point, what))
						time.AfterFunc(time.Second, func() { inj.Delete("r") })
						s := r.timed(t.Context(), x)
						require.NoError(t, s.err)
						require.LessOrEqual(t, s.took, time.Second+time.Duration(messages+1)*between)
						require.Zero(t, inj.Status().Held)
					})
				})
			}
		}
	}
}

// TestTakenBackDuringTheCall ends the rule while the handler is at work.
func TestTakenBackDuringTheCall(t *testing.T) {
	for name, what := range map[string]fault.Fault{
		"a lost reply": {LostReply: true},
		"a pad":        {Delay: &fault.Delay{PadTo: time.Minute}},
	} {
		for _, point := range []string{clientPoint, serverPoint} {
			t.Run(name+"/"+point, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x := newRig(t)
					inj := x.client
					if point == serverPoint {
						inj = x.server
					}
					put(t, inj, rule("r", point, what))
					x.service.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
						pauseFor(ctx, time.Second)
						inj.Delete("r")
						return &testpb.SimpleResponse{Username: "answer"}, nil
					}
					start := time.Now()
					resp, err := x.UnaryCall(t.Context(), &testpb.SimpleRequest{})
					require.NoError(t, err)
					require.Equal(t, "answer", resp.GetUsername())
					require.Equal(t, time.Second, time.Since(start))
				})
			})
		}
	}
}
