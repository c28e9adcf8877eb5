package grpcint_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// keys makes tokens and verifies them.
type keys struct {
	key      token.Key
	verifier *token.Verifier
}

func newKeys(t testing.TB) keys {
	key, err := token.GenerateKey("test")
	require.NoError(t, err)
	verifier, err := token.NewVerifier(token.KeySet{Audience: "test", Keys: []token.Key{key.Public()}})
	require.NoError(t, err)
	return keys{key, verifier}
}

func (k keys) sign(t testing.TB, id, point string, what fault.Fault) string {
	text, err := token.Sign(k.key, token.Claims{Issuer: "us", Audience: "test", Token: fault.Token{
		ID: id, Subject: "kim", NotBefore: time.Now(), Expires: time.Now().Add(time.Minute),
		Rules: []fault.Rule{{Target: fault.Target{Points: []string{point}}, Fault: what}},
	}})
	require.NoError(t, err)
	return text
}

func withToken(ctx context.Context, text string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, grpcint.TokenKey, text)
}

func TestToken(t *testing.T) {
	k := newKeys(t)
	x := newRig(t, withInjector(fault.WithTokens(k.verifier)), withOptions(grpcint.PublicEndpoint()))
	down := k.sign(t, "a", serverPoint, fail(fault.Unavailable))
	for _, r := range rpcs {
		t.Run(r.name, func(t *testing.T) {
			x.service.took()
			s := r.timed(withToken(t.Context(), down), x)
			require.Equal(t, codes.Unavailable, status.Code(s.err))
			require.Equal(t, []string{`applied;rule="token-a";point="grpc.server:backend";service="backend"`}, s.trailer[grpcint.StatusKey])
			require.Empty(t, x.service.took())
			s = r.timed(t.Context(), x)
			require.NoError(t, s.err, "nobody else")
			require.Empty(t, s.trailer[grpcint.StatusKey])

			s = r.timed(withToken(t.Context(), k.sign(t, "b", "elsewhere", fail(fault.Unavailable))), x)
			require.NoError(t, s.err)
			require.Equal(t, []string{`not-reached;rule="token-b";service="backend";reason="no point of the service is its target, and no service behind has reported back"`}, s.trailer[grpcint.StatusKey])

			for name, ctx := range map[string]context.Context{
				"forged": withToken(t.Context(), newKeys(t).sign(t, "a", serverPoint, fail(fault.Unavailable))),
				"8 KB":   withToken(t.Context(), strings.Repeat("x", 8<<10)),
			} {
				s = r.timed(ctx, x)
				require.NoError(t, s.err, name)
				require.Equal(t, []string{`refused;service="backend";reason="the token is not accepted"`}, s.trailer[grpcint.StatusKey], name)
			}
			s = r.timed(withToken(withToken(t.Context(), down), down), x)
			require.NoError(t, s.err)
			require.Contains(t, s.trailer[grpcint.StatusKey][0], "2 times: send one")
		})
	}
}

// TestTokenBesideAnOperatorsRule has an operator's rule hit a call that carries a token.
func TestTokenBesideAnOperatorsRule(t *testing.T) {
	k := newKeys(t)
	x := newRig(t, withInjector(fault.WithTokens(k.verifier)))
	put(t, x.server, rule("down", serverPoint, fail(fault.Unavailable)))
	for _, r := range rpcs {
		s := r.timed(withToken(t.Context(), k.sign(t, "a", "elsewhere", fail(fault.Refused))), x)
		require.Equal(t, codes.Unavailable, status.Code(s.err))
		require.Contains(t, strings.Join(s.trailer[grpcint.StatusKey], ", "), `applied;rule="down";point="grpc.server:backend";service="backend"`)
	}
}

// TestAnswersOfServicesBehind has a service call another one, in every way there
// is, where a token applies.
func TestAnswersOfServicesBehind(t *testing.T) {
	k := newKeys(t)
	tokens := withInjector(fault.WithTokens(k.verifier))
	for _, r := range rpcs {
		for _, point := range []string{serverPoint, "custom:deep"} {
			t.Run(r.name+"/"+point, func(t *testing.T) {
				front, back := newRig(t, tokens), newRig(t, tokens)
				deep := back.server.Point("custom", "deep")
				back.inner = func(_ any, ss grpc.ServerStream) { _ = deep.Inject(ss.Context(), fault.Operation{}) }
				back.service.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
					return &testpb.SimpleResponse{}, deep.Inject(ctx, fault.Operation{})
				}
				behind := testpb.NewTestServiceClient(dialed(t, back, front.server))
				front.service.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
					_ = r.timed(ctx, behind)
					return &testpb.SimpleResponse{}, nil
				}
				what := fault.Fault{Delay: &fault.Delay{Fixed: time.Millisecond}}
				s := callUnary(withToken(t.Context(), k.sign(t, "a", point, what)), front)
				require.NoError(t, s.err)
				if point == serverPoint { // both services have that one
					require.Equal(t, `applied;rule="token-a";point="grpc.server:backend";service="backend"`, strings.Join(s.trailer[grpcint.StatusKey], " "))
					return
				}
				require.Equal(t, `applied;rule="token-a";point="custom:deep";service="backend"`, strings.Join(s.trailer[grpcint.StatusKey], " "))
			})
		}
	}
}

// lies are what a stranger can say of himself.
func lies(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx,
		"baggage", "misfit.id=mine,theirs=1,misfit.customer=42", "baggage", "misfit.attr.plan=gold,misfit.rule=%7B%7D",
		"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
		grpcint.RuleKey, refuseInJSON, "x-envoy-fault-abort-request", "503")
}

func TestPublicEndpoint(t *testing.T) {
	alice := grpcint.Identify(func(context.Context, string) scope.Request { return scope.Request{Customer: "alice"} })
	everything := withOptions(grpcint.UnsafeRequestRules(), grpcint.EnvoyHeaders(fault.EnvoyHeaders{}), alice)
	for _, disabled := range []bool{false, true} {
		if disabled {
			t.Setenv("MISFIT_DISABLED", "1")
		}
		x := newRig(t, everything, withOptions(grpcint.PublicEndpoint()))
		grpcint.DialOptions(x.server, "behind") // something to pass identity on to
		for _, r := range rpcs {
			s := r.timed(lies(t.Context()), x)
			require.NoError(t, s.err)
			require.Empty(t, s.trailer[grpcint.StatusKey])
			h := x.service.took()[0]
			md, _ := metadata.FromIncomingContext(h.ctx)
			require.Equal(t, []string{"theirs=1,misfit.id=" + h.who.ID}, md["baggage"])
			require.Len(t, md["traceparent"], 1)
			require.Empty(t, md[grpcint.RuleKey])
			require.Empty(t, md["x-envoy-fault-abort-request"])
			require.Len(t, h.who.ID, 32)
			if disabled { // nobody is asked who it is
				require.Empty(t, h.who.Customer)
				continue
			}
			require.Equal(t, "alice", h.who.Customer)
			require.Empty(t, h.who.Attributes)
			require.NotEqual(t, "4bf92f3577b34da6a3ce929d0e0e4736", h.who.ID)
			require.Equal(t, h.who.ID, baggage.FromContext(h.ctx).Member("misfit.id").Value())
		}
	}
}

func TestPublicEndpointFn(t *testing.T) {
	x := newRig(t, withOptions(grpcint.PublicEndpointFn(func(ctx context.Context, method string) bool {
		md, _ := metadata.FromIncomingContext(ctx)
		switch strings.Join(md["x-gateway"], "") {
		case "panic":
			panic("no gateway")
		case "ours":
			return !strings.HasPrefix(method, "/grpc.testing.")
		}
		return true
	})))
	put(t, x.server, rule("elsewhere", "other", fail(fault.Refused)))
	for _, r := range rpcs {
		for gateway, believed := range map[string]bool{"ours": true, "": false, "panic": false} {
			require.NoError(t, r.timed(metadata.AppendToOutgoingContext(lies(t.Context()), "x-gateway", gateway), x).err)
			who := x.service.took()[0].who
			require.Equal(t, believed, who.Customer == "42", gateway)
			require.Equal(t, believed, who.ID == "mine", gateway)
		}
	}
	require.EqualValues(t, len(rpcs), x.server.Status().Problems)
	require.Panics(t, func() { grpcint.PublicEndpointFn(nil) })
}

func TestThirdParty(t *testing.T) {
	k := newKeys(t)
	bag, err := baggage.Parse("misfit.customer=42,theirs=1")
	require.NoError(t, err)
	for _, disabled := range []bool{false, true} {
		if disabled {
			t.Setenv("MISFIT_DISABLED", "1")
		}
		inj := fault.New("shop", fault.WithTokens(k.verifier))
		for name, dial := range map[string][]grpc.DialOption{
			"by call":    grpcint.DialOptions(inj, "them", grpcint.ThirdParty()),
			"by attempt": grpcint.AttemptDialOptions(inj, "them", grpcint.ThirdParty()),
			"by hand": {
				grpc.WithUnaryInterceptor(grpcint.UnaryClientInterceptor(inj, "them", grpcint.ThirdParty())),
				grpc.WithStreamInterceptor(grpcint.StreamClientInterceptor(inj, "them", grpcint.ThirdParty())),
			},
		} {
			var inContext string
			look := []grpc.DialOption{ // further in than ours
				grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
					inContext = baggage.FromContext(ctx).String()
					return invoker(ctx, method, req, reply, cc, opts...)
				}),
				grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
					inContext = baggage.FromContext(ctx).String()
					return streamer(ctx, desc, cc, method, opts...)
				}),
			}
			x := newRig(t, withDial(append(dial, look...)...))
			for _, r := range rpcs {
				ctx := baggage.ContextWithBaggage(t.Context(), bag)
				ctx = withToken(lies(ctx), k.sign(t, "t", "nobody", fail(fault.Refused)))
				require.NoError(t, r.timed(ctx, x).err)
				md, _ := metadata.FromIncomingContext(x.service.took()[0].ctx)
				require.Equal(t, []string{"theirs=1"}, md["baggage"], "%s %s", name, r.name)
				require.Len(t, md["traceparent"], 1)
				for _, key := range []string{grpcint.TokenKey, grpcint.RuleKey, "x-envoy-fault-abort-request"} {
					require.Empty(t, md[key], "%s %s", name, r.name)
				}
				require.Equal(t, "theirs=1", inContext)
			}
		}
	}
}

func TestEnvoyHeaders(t *testing.T) {
	seen := &problems{}
	x := newRig(t, withInjector(fault.WithObserver(seen)), withOptions(grpcint.EnvoyHeaders(fault.EnvoyHeaders{MaxDelay: time.Second})))
	for name, test := range map[string]struct {
		headers []string
		code    codes.Code
		least   time.Duration
		problem string
	}{
		"none":             {nil, codes.OK, 0, ""},
		"gRPC abort":       {[]string{"abort-grpc-request", "8"}, codes.ResourceExhausted, 0, ""},
		"HTTP abort":       {[]string{"abort-request", "404"}, codes.Unimplemented, 0, ""},
		"HTTP wins":        {[]string{"abort-request", "401", "abort-grpc-request", "8"}, codes.Unauthenticated, 0, ""},
		"out of range":     {[]string{"abort-request", "199", "abort-grpc-request", "8"}, codes.ResourceExhausted, 0, "199 is outside 200 to 599"},
		"delay":            {[]string{"delay-request", "60"}, codes.OK, 60 * time.Millisecond, ""},
		"over the ceiling": {[]string{"delay-request", "1001"}, codes.OK, 0, "over the longest delay allowed here"},
		"no failure":       {[]string{"abort-grpc-request", "0"}, codes.OK, 0, "0 is no code that a call can fail with: 1 to 16 are"},
		"unknown":          {[]string{"abort-grpc-request", "17"}, codes.OK, 0, "17 is no code"},
		"bytes":            {[]string{"throughput-response", "1"}, codes.OK, 0, "is for bytes, and grpc.server:backend counts messages"},
	} {
		for _, r := range rpcs {
			t.Run(name+"/"+r.name, func(t *testing.T) {
				seen.texts = nil
				ctx := t.Context()
				for i := 0; i < len(test.headers); i += 2 {
					ctx = metadata.AppendToOutgoingContext(ctx, "x-envoy-fault-"+test.headers[i], test.headers[i+1])
				}
				s := r.timed(ctx, x)
				require.Equal(t, test.code, status.Code(s.err), "%v", s.err)
				require.GreaterOrEqual(t, s.took, test.least)
				require.Contains(t, strings.Join(seen.texts, "\n"), test.problem)
				require.Equal(t, test.problem == "", len(seen.texts) == 0)
				require.NoError(t, r.timed(t.Context(), x).err, "each is for its own call")
			})
		}
	}
}

// TestEnvoyHeadersOfGRPCOverHTTP has the middleware in front of a gRPC server.
func TestEnvoyHeadersOfGRPCOverHTTP(t *testing.T) {
	server := grpc.NewServer()
	testpb.RegisterTestServiceServer(server, &service{})
	inj := fault.New("backend")
	web := httptest.NewUnstartedServer(httpmw.Middleware(inj, httpmw.EnvoyHeaders(fault.EnvoyHeaders{}))(server))
	web.Config.Protocols = new(http.Protocols)
	web.Config.Protocols.SetUnencryptedHTTP2(true)
	web.Start()
	t.Cleanup(web.Close)
	conn, err := grpc.NewClient("passthrough:///backend", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", web.Listener.Addr().String())
		}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	client := testpb.NewTestServiceClient(conn)
	for value, code := range map[string]codes.Code{"8": codes.ResourceExhausted, "99": 99} {
		for _, r := range rpcs {
			s := r.timed(metadata.AppendToOutgoingContext(t.Context(), "x-envoy-fault-abort-grpc-request", value), client)
			require.Equal(t, code, status.Code(s.err), "%s: %v", r.name, s.err)
			require.Equal(t, "fault filter abort", status.Convert(s.err).Message())
			require.NoError(t, r.timed(t.Context(), client).err)
		}
	}
	s := callUnary(metadata.AppendToOutgoingContext(t.Context(), "x-envoy-fault-abort-request", "503"), client)
	require.Equal(t, codes.Unavailable, status.Code(s.err))
}
