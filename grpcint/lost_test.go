package grpcint_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// TestNothingOfALostReplyShows looks at all that a caller has asked for.
func TestNothingOfALostReplyShows(t *testing.T) {
	x := newRig(t)
	put(t, x.client, rule("r", clientPoint, fault.Fault{LostReply: true}))
	var header metadata.MD
	reply := &testpb.SimpleResponse{}
	err := x.conn.Invoke(t.Context(), testpb.TestService_UnaryCall_FullMethodName, &testpb.SimpleRequest{}, reply, grpc.Header(&header))
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Empty(t, reply.GetUsername())
	require.Empty(t, header)
	require.Len(t, x.service.took(), 1)

	for method, desc := range map[string]*grpc.StreamDesc{
		testpb.TestService_FullDuplexCall_FullMethodName:     {ClientStreams: true, ServerStreams: true},
		testpb.TestService_StreamingInputCall_FullMethodName: {ClientStreams: true},
	} {
		stream, err := x.conn.NewStream(t.Context(), desc, method, grpc.Header(&header))
		require.NoError(t, err)
		require.NoError(t, stream.SendMsg(&testpb.StreamingInputCallRequest{}))
		require.NoError(t, stream.CloseSend())
		md, err := stream.Header()
		require.NoError(t, err)
		require.Empty(t, md, method)
		received := &testpb.StreamingInputCallResponse{}
		require.Equal(t, codes.Unavailable, status.Code(stream.RecvMsg(received)))
		require.Zero(t, received.GetAggregatedPayloadSize(), method)
		require.Empty(t, header, method)
	}

	plain := &struct{ Name string }{"left over"} // of a codec of one's own
	err = x.conn.Invoke(t.Context(), testpb.TestService_UnaryCall_FullMethodName, plain, plain, grpc.ForceCodec(namesCodec{}))
	require.Equal(t, codes.Unavailable, status.Code(err))
	require.Empty(t, plain.Name)
}

// namesCodec decodes every message to the name "decoded".
type namesCodec struct{}

func (namesCodec) Marshal(any) ([]byte, error) { return nil, nil }
func (namesCodec) Name() string                { return "names" }

func (namesCodec) Unmarshal(_ []byte, v any) error {
	v.(*struct{ Name string }).Name = "decoded"
	return nil
}

// TestLostReplyTakenBack ends the rule at different times during a stream: one
// that has lost some of its messages must not come to a good end.
func TestLostReplyTakenBack(t *testing.T) {
	for _, point := range []string{clientPoint, serverPoint} {
		for name, test := range map[string]struct {
			after time.Duration
			code  codes.Code
		}{
			"before anything came": {between / 2, codes.OK},
			"when some had come":   {2*between + between/2, codes.Unavailable},
		} {
			t.Run(point+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x := newRig(t)
					x.service.pause = between
					inj := x.client
					if point == serverPoint {
						inj = x.server
					}
					put(t, inj, rule("r", point, fault.Fault{LostReply: true}))
					time.AfterFunc(test.after, func() { inj.Delete("r") })
					s := rpcs[1].timed(t.Context(), x)
					require.Equal(t, test.code, status.Code(s.err), "%v", s.err)
					if test.code == codes.OK {
						require.Equal(t, messages, s.received)
					} else {
						require.Zero(t, s.received, "all or nothing")
					}
				})
			})
		}
	}
}

// duplex is a service whose handlers send and receive in goroutines of their
// own, as conversations do.
type duplex struct {
	testpb.UnimplementedTestServiceServer
	ended chan [2]error // of a call: what Recv and Send failed with
}

func (s duplex) FullDuplexCall(stream testpb.TestService_FullDuplexCallServer) error {
	sent := make(chan error, 1)
	go func() {
		for {
			if err := stream.Send(&testpb.StreamingOutputCallResponse{}); err != nil {
				sent <- err
				return
			}
			pauseFor(stream.Context(), between)
		}
	}()
	for {
		if _, err := stream.Recv(); err != nil {
			s.ended <- [2]error{err, <-sent}
			return err
		}
	}
}

// TestAHandlerThatOnlyWaitsIsLetGoOf cuts what a handler sends in one goroutine
// while it waits in another for what the client will never send.
func TestAHandlerThatOnlyWaitsIsLetGoOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := duplex{ended: make(chan [2]error, 1)}
		x := newRig(t, withService(service))
		put(t, x.server, rule("r", serverPoint, inStream(fault.StreamFault{After: 3, Cut: true})))
		start := time.Now()
		stream, err := x.FullDuplexCall(t.Context())
		require.NoError(t, err)
		received := 0
		for err == nil {
			if _, err = stream.Recv(); err == nil {
				received++
			}
		}
		require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
		require.Equal(t, 3, received)
		require.LessOrEqual(t, time.Since(start), 3*between)
		failed := <-service.ended
		require.Equal(t, codes.Unavailable, status.Code(failed[1]), "as on a transport that is closing")
	})
}

// TestPanicsStayWhereTheyBelong has a codec panic where a message is received
// apart from the handler: the handler's goroutine gets it.
func TestPanicsStayWhereTheyBelong(t *testing.T) {
	x := newRig(t,
		withServer(grpc.ForceServerCodec(panickingCodec{}), grpc.ChainStreamInterceptor(recoverStream)),
		withDial(grpc.WithDefaultCallOptions(grpc.ForceCodec(panickingCodec{}))),
	)
	put(t, x.server, rule("r", serverPoint, inStream(fault.StreamFault{After: 100, Cut: true})))
	stream, err := x.FullDuplexCall(t.Context())
	require.NoError(t, err)
	require.NoError(t, stream.Send(&testpb.StreamingOutputCallRequest{}))
	_, err = stream.Recv()
	require.Equal(t, codes.Internal, status.Code(err))
	require.ErrorContains(t, err, "panic: a codec")
}

type panickingCodec struct{}

func (panickingCodec) Marshal(any) ([]byte, error) { return nil, nil }
func (panickingCodec) Unmarshal([]byte, any) error { panic("a codec") }
func (panickingCodec) Name() string                { return "panicking" }

// TestHealthIsSpared holds that health checks and reflection are reserved for
// rules that name them, at every kind of point.
func TestHealthIsSpared(t *testing.T) {
	for method, named := range map[string]string{
		"/grpc.health.v1.Health/Check":                                   "/grpc.health.v1.Health/*",
		"/grpc.health.v1.Health/Watch":                                   "/grpc.health.v1.Health/Watch",
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      "/grpc.reflection.v1.ServerReflection/*",
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": "/grpc.reflection.v1alpha.ServerReflection/*",
	} {
		x, attempts := newRig(t), newRig(t, byAttempt)
		for _, at := range []struct {
			inj   *fault.Injector
			point string
		}{{x.client, clientPoint}, {x.server, serverPoint}, {attempts.client, "grpc.attempt:backend"}} {
			hit := func() bool {
				d := at.inj.PointOf(fault.Kind{Name: at.point[:len(at.point)-len(":backend")]}, "backend").Decide(context.Background(), fault.Operation{Name: method})
				defer d.Done()
				return d.Hit()
			}
			put(t, at.inj, rule("r", at.point, fail(fault.Unavailable)))
			require.False(t, hit(), "%s: a rule for all", method)
			put(t, at.inj, rule("r", at.point, fail(fault.Unavailable), operations("*", "/grpc.*")))
			require.False(t, hit(), "%s: a pattern that happens to match", method)
			put(t, at.inj, rule("r", at.point, fail(fault.Unavailable), operations(named)))
			require.True(t, hit(), "%s: a rule that names it", method)
		}
	}
}
