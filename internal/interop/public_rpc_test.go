package interop_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// An rpcEdgeKind is how an edge passes calls on to the leaf.
type rpcEdgeKind struct {
	otel     bool // a stats handler, which is outside of interceptors
	ours     bool // is in the client
	dial     func(telemetry, *fault.Injector) []grpc.DialOption
	caller   string
	disabled bool
}

var (
	oursInRPC = func(tel telemetry, inj *fault.Injector) []grpc.DialOption {
		return append(grpcint.DialOptions(inj, "leaf"), tel.client(withEvery))
	}
	oursAloneRPC  = func(_ telemetry, inj *fault.Injector) []grpc.DialOption { return grpcint.DialOptions(inj, "leaf") }
	theirsOnlyRPC = func(tel telemetry, _ *fault.Injector) []grpc.DialOption {
		return []grpc.DialOption{tel.client(withEvery)}
	}
	nobodysRPC = func(telemetry, *fault.Injector) []grpc.DialOption { return nil }
)

var rpcEdgeKinds = map[string]rpcEdgeKind{
	"client":                            {true, true, oursInRPC, "unary", false},
	"client, no otel":                   {false, true, oursAloneRPC, "unary", false},
	"client, otelgrpc's only":           {true, false, theirsOnlyRPC, "unary", false},
	"client that copies metadata":       {true, true, oursInRPC, "unary with their metadata", false},
	"proxy":                             {true, true, oursInRPC, "proxy", false},
	"proxy, no otel":                    {false, true, oursAloneRPC, "proxy", false},
	"proxy, otelgrpc's only":            {true, false, theirsOnlyRPC, "proxy", false},
	"proxy, nobody's":                   {true, false, nobodysRPC, "proxy", false},
	"disabled, client":                  {true, true, oursInRPC, "unary", true},
	"disabled, proxy, nobody's":         {true, false, nobodysRPC, "proxy", true},
	"disabled, client, otelgrpc's only": {true, false, theirsOnlyRPC, "unary", true},
}

// open starts such an edge and returns a client of it.
func (k rpcEdgeKind) open(t *testing.T, leaf string, inj *fault.Injector, options ...grpcint.Option) *grpc.ClientConn {
	tel := newTelemetry(t, sdktrace.AlwaysSample())
	server := append(grpcint.ServerOptions(inj, options...), grpc.ForceServerCodec(rawCodec{}))
	server = append(server, grpc.UnknownServiceHandler(rpcCallers[k.caller](connectTo(t, leaf, t.Cleanup, k.dial(tel, inj)...))))
	if k.otel {
		server = append(server, tel.server(withEvery))
	}
	return connectTo(t, listen(t, grpc.NewServer(server...), t.Cleanup), t.Cleanup)
}

// newRPCLeaf starts a service that believes what it is told, and fails those calls
// that a scope selects.
func newRPCLeaf(t *testing.T, who scope.Scope) string {
	inj := fault.New("leaf")
	require.NoError(t, inj.Put(fault.Rule{
		ID: "half", Target: fault.Target{Points: []string{"grpc.server:leaf"}}, Scope: who,
		Fault: unavailable, TTL: time.Hour,
	}))
	return listenLeaf(t, grpcint.ServerOptions(inj)...)
}

// listenLeaf starts a service that traces and answers anything.
func listenLeaf(t *testing.T, options ...grpc.ServerOption) string {
	tel := newTelemetry(t, sdktrace.AlwaysSample())
	answer := grpc.UnknownServiceHandler(func(_ any, ss grpc.ServerStream) error {
		var message []byte
		if err := ss.RecvMsg(&message); err != nil {
			return err
		}
		return ss.SendMsg(&[]byte{})
	})
	options = append(options, tel.server(withEvery), grpc.ForceServerCodec(rawCodec{}), answer)
	return listen(t, grpc.NewServer(options...), t.Cleanup)
}

// drawRPC makes calls until both verdicts have been seen, or there are enough.
func drawRPC(t *testing.T, conn *grpc.ClientConn, header http.Header, enough int) (hits, misses int) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	md := metadata.MD{}
	for name, values := range header {
		md.Append(name, values...)
	}
	ctx = metadata.NewOutgoingContext(ctx, md)
	for range enough {
		_, err := testgrpc.NewTestServiceClient(conn).EmptyCall(ctx, &testgrpc.Empty{})
		switch status.Code(err) {
		case codes.OK:
			misses++
		case codes.Unavailable:
			hits++
		default:
			require.NoError(t, err)
		}
		if hits > 0 && misses > 0 {
			break
		}
	}
	return hits, misses
}

func TestStrangersDoNotPickTheirPercentageOverRPC(t *testing.T) {
	needsFaults(t)
	for kind, k := range rpcEdgeKinds {
		for claim, header := range claims {
			t.Run(kind+"/"+claim, func(t *testing.T) {
				conn := k.open(t, newRPCLeaf(t, scope.Percent(50, scope.PerRequest)), newEdge(t, k.disabled), grpcint.PublicEndpoint())
				hits, misses := drawRPC(t, conn, header, draws)
				require.True(t, hits > 0 && misses > 0, "%d hits and %d misses", hits, misses)
			})
		}
	}
}

func TestThoseWhoAreBelievedShareAVerdictOverRPC(t *testing.T) {
	needsFaults(t)
	for kind, k := range rpcEdgeKinds {
		for claim, header := range claims {
			if !k.otel && header["Traceparent"] == nil && header["Baggage"] == nil {
				continue // nobody at the edge reads it
			}
			t.Run(kind+"/"+claim, func(t *testing.T) {
				conn := k.open(t, newRPCLeaf(t, scope.Percent(50, scope.PerRequest)), newEdge(t, k.disabled))
				hits, misses := drawRPC(t, conn, header, 40)
				require.True(t, hits == 0 || misses == 0, "%d hits and %d misses", hits, misses)
			})
		}
	}
}

func TestStrangersDoNotPickTheirCustomerOverRPC(t *testing.T) {
	needsFaults(t)
	for kind, k := range rpcEdgeKinds {
		t.Run(kind, func(t *testing.T) {
			header := http.Header{"Baggage": {"misfit.customer=42,misfit.attr.plan=gold,theirs=1"}}
			for name, who := range map[string]scope.Scope{
				"customer":  scope.Customers("42"),
				"share":     scope.Percent(100, scope.PerCustomer),
				"attribute": {Attributes: map[string][]string{"plan": {"gold"}}},
			} {
				hits, _ := drawRPC(t, k.open(t, newRPCLeaf(t, who), newEdge(t, k.disabled), grpcint.PublicEndpoint()), header, 3)
				require.Zero(t, hits, name)
				hits, misses := drawRPC(t, k.open(t, newRPCLeaf(t, who), newEdge(t, k.disabled)), header, 3)
				require.Equal(t, [2]int{3, 0}, [2]int{hits, misses}, name)
			}
		})
	}
}
