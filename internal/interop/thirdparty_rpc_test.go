package interop_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

// tellingAllByRPC is tellingAll as metadata.
func tellingAllByRPC(token string) metadata.MD {
	md := metadata.MD{}
	for name, values := range tellingAll(token) {
		md.Append(name, values...)
	}
	md.Set("baggage", strings.Join(md["baggage"], ",")) // of several values otelgrpc reads the first
	delete(md, "x-envoy-fault-throughput-response")     // which is for bytes
	return md
}

// rpcThem is a third party that is called over gRPC, keeps the metadata of the
// latest call, and lies.
type rpcThem struct {
	addr string
	mu   sync.Mutex
	text string
}

func newRPCThem(t *testing.T) *rpcThem {
	th := &rpcThem{}
	server := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(func(_ any, ss grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(ss.Context())
		th.mu.Lock()
		th.text = fmt.Sprint(map[string][]string(md)) // MD hides values
		th.mu.Unlock()
		ss.SetTrailer(metadata.Pairs(grpcint.StatusKey, lie))
		var message []byte
		if err := ss.RecvMsg(&message); err != nil {
			return err
		}
		return ss.SendMsg(&[]byte{})
	}))
	th.addr = listen(t, server, t.Cleanup)
	return th
}

func (th *rpcThem) got() string {
	th.mu.Lock()
	defer th.mu.Unlock()
	return th.text
}

// injecting are the interceptors of a service that writes its context into the
// metadata by itself, as those of OpenTelemetry did.
func injecting() []grpc.DialOption {
	inject := func(ctx context.Context) context.Context {
		header := propagation.HeaderCarrier{}
		tracesAndBaggage.Inject(ctx, header)
		md, _ := metadata.FromOutgoingContext(ctx)
		md = metadata.Join(md) // a map in any case
		for _, name := range header.Keys() {
			md.Set(name, header.Get(name))
		}
		return metadata.NewOutgoingContext(ctx, md)
	}
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return invoker(inject(ctx), method, req, reply, cc, opts...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return streamer(inject(ctx), desc, cc, method, opts...)
		}),
	}
}

// rpcOutbound are ways to put OpenTelemetry beside our interceptors.
var rpcOutbound = map[string]func(telemetry, []grpc.DialOption) []grpc.DialOption{
	"nothing": func(_ telemetry, ours []grpc.DialOption) []grpc.DialOption { return ours },
	"stats handler before": func(tel telemetry, ours []grpc.DialOption) []grpc.DialOption {
		return append([]grpc.DialOption{tel.client(tracesAndBaggage)}, ours...)
	},
	"stats handler after": func(tel telemetry, ours []grpc.DialOption) []grpc.DialOption {
		return append(ours, tel.client(tracesAndBaggage))
	},
	"interceptors outside": func(_ telemetry, ours []grpc.DialOption) []grpc.DialOption { return append(injecting(), ours...) },
	"interceptors inside":  func(_ telemetry, ours []grpc.DialOption) []grpc.DialOption { return append(ours, injecting()...) },
}

// rpcCallers are what a service does with a call that is for a third party.
var rpcCallers = map[string]func(*grpc.ClientConn) grpc.StreamHandler{
	"unary": func(conn *grpc.ClientConn) grpc.StreamHandler {
		return func(_ any, ss grpc.ServerStream) error {
			var sent, got []byte
			if err := ss.RecvMsg(&sent); err != nil {
				return err
			}
			if err := conn.Invoke(ss.Context(), "/their.Service/Unary", &sent, &got, grpc.ForceCodec(rawCodec{})); err != nil {
				return err
			}
			return ss.SendMsg(&got)
		}
	},
	"proxy": proxyTo,
	"unary with their metadata": func(conn *grpc.ClientConn) grpc.StreamHandler {
		return func(_ any, ss grpc.ServerStream) error {
			var sent, got []byte
			if err := ss.RecvMsg(&sent); err != nil {
				return err
			}
			md, _ := metadata.FromIncomingContext(ss.Context())
			ctx := metadata.NewOutgoingContext(ss.Context(), md)
			if err := conn.Invoke(ctx, "/their.Service/Unary", &sent, &got, grpc.ForceCodec(rawCodec{})); err != nil {
				return err
			}
			return ss.SendMsg(&got)
		}
	},
}

func TestThirdPartyIsToldNothingOverRPC(t *testing.T) {
	for _, disabled := range disablings() {
		for dialing, dial := range dialings {
			for order, wrap := range rpcOutbound {
				for caller, handle := range rpcCallers {
					t.Run(fmt.Sprintf("disabled=%t/%s/%s/%s", disabled, dialing, order, caller), func(t *testing.T) {
						if disabled {
							t.Setenv("MISFIT_DISABLED", "1")
						}
						tell := func(options ...grpcint.ClientOption) (string, []string) {
							return tellByRPC(t, func(inj *fault.Injector, tel telemetry) []grpc.DialOption {
								return wrap(tel, dial(inj, "them", options...))
							}, handle)
						}
						text, status := tell(grpcint.ThirdParty())
						toldNothing(t, text, caller != "unary" || order != "nothing")
						if !disabled {
							if caller == "proxy" { // it passes trailers on, theirs too
								status = slices.DeleteFunc(status, func(item string) bool { return item == lie })
							}
							require.Len(t, status, 1)
							require.Regexp(t, `^not-reached;rule="token-one";service="edge";`, status[0])
							require.NotContains(t, status[0], "them")
						}

						text, status = tell()
						if !disabled || caller != "unary" || order != "nothing" {
							require.Contains(t, text, "misfit.", "one that is not a third party")
						}
						if !disabled {
							require.Contains(t, strings.Join(status, ", "), lie, "is believed")
						}
					})
				}
			}
		}
	}
}

// tellByRPC makes a call that says everything to an edge, which calls a third
// party, and returns what that was told, and what the edge says.
func tellByRPC(t *testing.T, dial func(*fault.Injector, telemetry) []grpc.DialOption, handle func(*grpc.ClientConn) grpc.StreamHandler) (told string, status []string) {
	k := newKeys(t)
	inj := fault.New("edge", fault.WithTokens(k.verifier))
	tel := newTelemetry(t, sdktrace.AlwaysSample())
	th := newRPCThem(t)
	options := grpcint.ServerOptions(inj, grpcint.UnsafeRequestRules(), grpcint.EnvoyHeaders(fault.EnvoyHeaders{MaxDelay: time.Second}),
		grpcint.Identify(func(context.Context, string) scope.Request {
			return scope.Request{Attributes: map[string]string{"plan": "gold"}}
		}))
	conn := connectTo(t, th.addr, t.Cleanup, dial(inj, tel)...)
	options = append(options, tel.server(tracesAndBaggage), grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(handle(conn)))
	edge := connectTo(t, listen(t, grpc.NewServer(options...), t.Cleanup), t.Cleanup)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var trailer metadata.MD
	ctx = metadata.NewOutgoingContext(ctx, tellingAllByRPC(k.sign(t, "one", at("nowhere"))))
	_, err := testgrpc.NewTestServiceClient(edge).EmptyCall(ctx, &testgrpc.Empty{}, grpc.Trailer(&trailer))
	require.NoError(t, err)
	for _, value := range trailer[grpcint.StatusKey] {
		for item := range strings.SplitSeq(value, ", ") {
			if strings.Contains(item, "token-one") {
				status = append(status, item)
			}
		}
	}
	return th.got(), status
}
