package interop_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/misfit-go/misfit/grpcint"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// An rpcScenario is what foreign code does with a server and a client of
// gRPC's over real connections. It notes everything that anyone in it could
// observe.
type rpcScenario func(ctx context.Context, x *rpcExchange)

// rpcUnnoticed requires that a scenario goes bare as it goes beside the
// library, in every way of being wired with no fault that applies.
func rpcUnnoticed(t *testing.T, s rpcScenario) {
	t.Helper()
	want := recordRPC(t, rpcWiring{}, s)
	require.NotEmpty(t, want, "a scenario that notes nothing cannot fail")
	for _, w := range rpcWirings {
		t.Run(w.name, func(t *testing.T) {
			got := recordRPC(t, w, s)
			for who := range want {
				require.Equal(t, want[who], got[who], "what %q saw", who)
			}
			require.Len(t, got, len(want))
		})
	}
}

// An rpcExchange is one run of such a scenario.
type rpcExchange struct {
	*exchange
	rpc      rpcWired
	cutShort bool // callers give up, and how far anyone else gets is a matter of luck
}

func recordRPC(t *testing.T, w rpcWiring, s rpcScenario) transcript {
	t.Helper()
	x := &rpcExchange{exchange: &exchange{T: t, notes: transcript{}}, rpc: w.build(t)}
	x.carried = x.rpc.carried
	x.settled = sync.NewCond(&x.mu)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	func() {
		defer x.close()
		defer cancel()
		s(ctx, x)
		require.NoError(t, ctx.Err(), "it took too long")
	}()
	x.rpc.verify(t)
	if x.cutShort {
		for _, who := range []string{"handler", "server sends", "server receives", "server ends", "client sends", "client receives", "client receives at last"} {
			delete(x.notes, who)
		}
	}
	return x.notes
}

// serve starts a server that has the library's interceptors before those of
// the options, and returns its address.
func (x *rpcExchange) serve(register func(*grpc.Server), options ...grpc.ServerOption) string {
	server := grpc.NewServer(slices.Concat(x.rpc.serverOptions(), []grpc.ServerOption{grpc.WaitForHandlers(true)}, options)...)
	register(server)
	return listen(x.T, server, x.onClose)
}

// listen serves on a loopback address until it is time to close.
func listen(t *testing.T, server *grpc.Server, onClose func(func())) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // fails if it is stopped before it begins
	}()
	onClose(func() {
		server.Stop()
		<-served
	})
	return listener.Addr().String()
}

// dial returns a client that has the library's interceptors after those of the
// options.
func (x *rpcExchange) dial(addr string, options ...grpc.DialOption) *grpc.ClientConn {
	return connectTo(x.T, addr, x.onClose, slices.Concat(options, x.rpc.dialOptions())...)
}

// connectTo returns a client without transport security.
func connectTo(t *testing.T, addr string, onClose func(func()), options ...grpc.DialOption) *grpc.ClientConn {
	conn, err := grpc.NewClient(addr, append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}, options...)...)
	require.NoError(t, err)
	onClose(func() { _ = conn.Close() })
	return conn
}

// observed returns a stats handler that notes what goes over the wire on one
// side, each direction for itself. On the server's it lets settle wait for the
// end of each call.
func (x *rpcExchange) observed(side string) stats.Handler { return rpcObserver{x, side} }

type rpcObserver struct {
	x    *rpcExchange
	side string
}

func (rpcObserver) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (rpcObserver) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (rpcObserver) HandleConn(context.Context, stats.ConnStats)                       {}

func (o rpcObserver) HandleRPC(_ context.Context, s stats.RPCStats) {
	sends, receives := o.side+" sends", o.side+" receives"
	switch s := s.(type) {
	case *stats.OutHeader:
		o.x.note(sends, fmt.Sprintf("%s %s compression=%q", s.FullMethod, describeMetadata(s.Header), s.Compression))
	case *stats.InHeader:
		o.x.note(receives, fmt.Sprintf("%s %s compression=%q", s.FullMethod, describeMetadata(s.Header), s.Compression))
	case *stats.OutPayload:
		o.x.note(sends, fmt.Sprintf("%T of %d bytes, %d compressed", s.Payload, s.Length, s.CompressedLength))
	case *stats.InPayload:
		o.x.note(receives, fmt.Sprintf("%T of %d bytes, %d compressed", s.Payload, s.Length, s.CompressedLength))
	case *stats.OutTrailer:
		o.x.note(sends, "trailer "+describeMetadata(s.Trailer))
	case *stats.InTrailer: // by the goroutine that reads the connection, while messages may still wait
		o.x.note(receives+" at last", describeMetadata(s.Trailer))
	case *stats.Begin:
		if !s.IsClient() {
			o.x.runs(1)
		}
	case *stats.End: // a client's is at times without the error that the call returns
		if !s.IsClient() {
			o.x.note(o.side+" ends", describeStatus(s.Error))
			o.x.runs(-1)
		}
	}
}

// describeMetadata leaves out what a request with an identity, or a token, has in
// addition.
func describeMetadata(md metadata.MD) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(md)) {
		if name == "traceparent" || name == "baggage" || name == grpcint.TokenKey {
			continue
		}
		for _, value := range md[name] {
			fmt.Fprintf(&b, "%s:%s ", name, describeBytes([]byte(value)))
		}
	}
	return "[" + strings.TrimSpace(b.String()) + "]"
}

// describeTrailer is describeMetadata where it is known whether a trailer came.
func (x *rpcExchange) describeTrailer(md metadata.MD) string {
	if x.cutShort {
		return "…"
	}
	return describeMetadata(md)
}

// describeStatus says all that an error of a call has, and what code that
// handles it asks.
func describeStatus(err error) string {
	s, ok := status.FromError(err)
	return fmt.Sprintf("%s: %t %v %q %v", describeError(err), ok, s.Code(), s.Message(), s.Details())
}
