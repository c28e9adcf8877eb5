package interop_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// strangersToken are the ways in which a stranger can send a token, by the field
// for it or in baggage, and what the leaf makes of it.
var strangersToken = map[string]struct {
	send func(token string) http.Header
	hit  func(k, forger keys, t *testing.T) string // the token
	want bool
}{
	"in its field":          {inField, genuine, true},
	"in baggage":            {inBaggage, genuine, true},
	"forged":                {inField, forged, false},
	"forged, in baggage":    {inBaggage, forged, false},
	"for another customer":  {inField, forCustomer("42"), false},
	"for the real customer": {inField, forCustomer("alice"), true},
	"without one":           {func(string) http.Header { return harmful("") }, genuine, false},
}

func inField(token string) http.Header { return harmful(token) }

// harmful is tellingAll where everything in the clear would fail the leaf, if it
// were believed.
func harmful(token string) http.Header {
	const rule = `{"target": {"points": ["*.server:leaf"]}, "fault": {"error": {"class": "unavailable"}}}`
	header := tellingAll(token)
	header.Set("Fault-Rule", rule)
	header.Del("X-Envoy-Fault-Abort-Request-Percentage")
	for i, line := range header["Baggage"] {
		header["Baggage"][i] = strings.Replace(line, url.QueryEscape(clearRule), strings.ReplaceAll(url.QueryEscape(rule), "+", "%20"), 1)
	}
	return header
}

func inBaggage(token string) http.Header {
	header := harmful("")
	delete(header, httpmw.TokenHeader)
	header["Baggage"] = []string{strings.Replace(strings.Join(header["Baggage"], ","), "misfit.token=old", "misfit.token="+token, 1)}
	return header
}

func genuine(k, _ keys, t *testing.T) string { return k.sign(t, "one", at("*.server:leaf")) }
func forged(_, forger keys, t *testing.T) string {
	return forger.sign(t, "one", at("*.server:leaf"))
}

func forCustomer(name string) func(k, _ keys, t *testing.T) string {
	return func(k, _ keys, t *testing.T) string {
		return k.sign(t, "one", at("*.server:leaf"), who(scope.Customers(name)))
	}
}

// At a public endpoint a stranger has no say, and a token has all of its own:
// through a proxy that copies what he has sent, to a leaf that believes the edge.
func TestTokensOfStrangers(t *testing.T) {
	needsFaults(t)
	for name, test := range strangersToken {
		for _, caller := range []string{"client", "client that copies headers", "ReverseProxy"} {
			t.Run(name+"/"+caller, func(t *testing.T) {
				k, forger := newKeys(t), newKeys(t)
				leaf := fault.New("leaf", fault.WithTokens(k.verifier))
				believing := []httpmw.Option{httpmw.UnsafeRequestRules(), httpmw.EnvoyHeaders(fault.EnvoyHeaders{})}
				behind := httptest.NewServer(httpmw.Middleware(leaf, believing...)(http.NotFoundHandler()))
				defer behind.Close()
				edge := fault.New("edge", fault.WithTokens(k.verifier))
				tel := newTelemetry(t, sdktrace.AlwaysSample())
				alice := httpmw.Identify(func(*http.Request) scope.Request { return scope.Request{Customer: "alice"} })
				handler := httpmw.Middleware(edge, append(believing, alice, httpmw.PublicEndpoint())...)(callers[caller](t, oursIn(tel, edge), behind.URL))
				server := httptest.NewServer(otelhttp.NewHandler(handler, "edge", tel.options...))
				defer server.Close()
				d := drawn{server.URL, &http.Transport{}}
				defer d.base.CloseIdleConnections()
				hits, misses := d.draw(t, test.send(test.hit(k, forger, t)), 1)
				require.Equal(t, test.want, hits == 1)
				require.Equal(t, test.want, misses == 0)
				requireOnlyToken(t, leaf, edge)
			})
		}
	}
}

// Each of the ways in the clear works where a stranger is believed, so that the
// tests above would notice.
func TestStrangersAreBelievedElsewhere(t *testing.T) {
	needsFaults(t)
	for _, only := range []string{"Fault-Rule", "Baggage", "X-Envoy-Fault-Abort-Request"} {
		header := http.Header{only: harmful("")[only]}
		options := []httpmw.Option{httpmw.UnsafeRequestRules(), httpmw.EnvoyHeaders(fault.EnvoyHeaders{})}
		server := httptest.NewServer(httpmw.Middleware(fault.New("leaf"), options...)(http.NotFoundHandler()))
		defer server.Close()
		d := drawn{server.URL, &http.Transport{}}
		defer d.base.CloseIdleConnections()
		hits, _ := d.draw(t, header, 1)
		require.Equal(t, 1, hits, only)
	}
}

func TestTokensOfStrangersOverRPC(t *testing.T) {
	needsFaults(t)
	for name, test := range strangersToken {
		for caller := range rpcCallers {
			t.Run(name+"/"+caller, func(t *testing.T) {
				k, forger := newKeys(t), newKeys(t)
				leaf := fault.New("leaf", fault.WithTokens(k.verifier))
				believing := []grpcint.Option{grpcint.UnsafeRequestRules(), grpcint.EnvoyHeaders(fault.EnvoyHeaders{})}
				addr := listenLeaf(t, grpcint.ServerOptions(leaf, believing...)...)
				edge := fault.New("edge", fault.WithTokens(k.verifier))
				alice := grpcint.Identify(func(context.Context, string) scope.Request { return scope.Request{Customer: "alice"} })
				conn := rpcEdgeKind{otel: true, dial: oursInRPC, caller: caller}.open(t, addr, edge, append(believing, alice, grpcint.PublicEndpoint())...)
				md := metadata.MD{}
				for field, values := range test.send(test.hit(k, forger, t)) {
					md.Append(field, strings.Join(values, ","))
				}
				ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(t.Context(), md), patience)
				defer cancel()
				var trailer metadata.MD
				_, err := testgrpc.NewTestServiceClient(conn).EmptyCall(ctx, &testgrpc.Empty{}, grpc.Trailer(&trailer))
				require.Equal(t, test.want, status.Code(err) == codes.Unavailable, "%v", err)
				require.Equal(t, test.want, err != nil)
				if test.want {
					require.Contains(t, strings.Join(trailer[grpcint.StatusKey], ", "), `applied;rule="token-one";point="grpc.server:leaf";service="leaf"`)
				}
				requireOnlyToken(t, leaf, edge)
			})
		}
	}
}

// requireOnlyToken requires that nothing but a token has been taken, from whatever
// a stranger has sent.
func requireOnlyToken(t *testing.T, injectors ...*fault.Injector) {
	t.Helper()
	for _, inj := range injectors {
		for _, live := range inj.Rules() {
			require.Equal(t, fault.SourceToken, live.Source, live.Rule.ID)
		}
	}
}
