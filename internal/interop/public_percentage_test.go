package interop_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/contrib/propagators/b3"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// draws are more than enough for two outcomes, each of half the requests, to show.
const draws = 400

// claims are what a stranger says of every one of his requests, so as to share the
// verdict on a percentage that he once was given.
var claims = map[string]http.Header{
	"a trace":               {"Traceparent": {callersTrace}},
	"an identity":           {"Baggage": {"misfit.id=mine,theirs=1"}},
	"a trace and identity":  {"Traceparent": {callersTrace}, "Baggage": {"misfit.id=mine,theirs=1"}},
	"a trace in B3":         {"B3": {callersTraceID + "-b7ad6b7169203331-1"}},
	"a trace in many of B3": {"X-B3-Traceid": {callersTraceID}, "X-B3-Spanid": {"b7ad6b7169203331"}, "X-B3-Sampled": {"1"}},
}

var (
	withB3    = propagation.NewCompositeTextMapPropagator(b3.New(b3.WithInjectEncoding(b3.B3SingleHeader|b3.B3MultipleHeader)), propagation.Baggage{})
	withEvery = propagation.NewCompositeTextMapPropagator(withB3, propagation.TraceContext{})
)

// An edgeKind is how the edge passes requests on to the leaf.
type edgeKind struct {
	otel      bool // outside of the middleware
	ours      bool // is in the transport
	transport func(telemetry, *fault.Injector) http.RoundTripper
	caller    string
	disabled  bool
}

var (
	oursIn = func(tel telemetry, inj *fault.Injector) http.RoundTripper {
		return otelhttp.NewTransport(httpmw.Transport(inj, "leaf", nil), tel.options...)
	}
	oursAlone  = func(_ telemetry, inj *fault.Injector) http.RoundTripper { return httpmw.Transport(inj, "leaf", nil) }
	theirsOnly = func(tel telemetry, _ *fault.Injector) http.RoundTripper {
		return otelhttp.NewTransport(nil, tel.options...)
	}
	nobodys = func(telemetry, *fault.Injector) http.RoundTripper { return &http.Transport{MaxIdleConnsPerHost: 4} }
)

var edgeKinds = map[string]edgeKind{
	"client":                           {true, true, oursIn, "client", false},
	"client, no otel":                  {false, true, oursAlone, "client", false},
	"client, otelhttp's only":          {true, false, theirsOnly, "client", false},
	"client that copies headers":       {true, true, oursIn, "client that copies headers", false},
	"proxy":                            {true, true, oursIn, "ReverseProxy", false},
	"proxy, no otel":                   {false, true, oursAlone, "ReverseProxy", false},
	"proxy, otelhttp's only":           {true, false, theirsOnly, "ReverseProxy", false},
	"proxy, nobody's":                  {true, false, nobodys, "ReverseProxy", false},
	"disabled, client":                 {true, true, oursIn, "client", true},
	"disabled, proxy, nobody's":        {true, false, nobodys, "ReverseProxy", true},
	"disabled, client, otelhttp's own": {true, false, theirsOnly, "client", true},
}

// Whoever picks his trace or his identity does not pick which part of a percentage
// he is in, however the edge passes his requests on.
func TestStrangersDoNotPickTheirPercentage(t *testing.T) {
	needsFaults(t)
	for kind, k := range edgeKinds {
		for claim, header := range claims {
			t.Run(kind+"/"+claim, func(t *testing.T) {
				leaf := newLeaf(t, scope.Percent(50, scope.PerRequest))
				hits, misses := k.open(t, leaf, httpmw.PublicEndpoint()).draw(t, header, draws)
				require.True(t, hits > 0 && misses > 0, "%d hits and %d misses", hits, misses)
			})
		}
	}
}

// Whom the edge believes, he does.
func TestThoseWhoAreBelievedShareAVerdict(t *testing.T) {
	needsFaults(t)
	for kind, k := range edgeKinds {
		for claim, header := range claims {
			if !k.otel && header["Traceparent"] == nil && header["Baggage"] == nil {
				continue // nobody at the edge reads it
			}
			t.Run(kind+"/"+claim, func(t *testing.T) {
				hits, misses := k.open(t, newLeaf(t, scope.Percent(50, scope.PerRequest))).draw(t, header, 40)
				require.True(t, hits == 0 || misses == 0, "%d hits and %d misses", hits, misses)
			})
		}
	}
}

// Neither does a stranger say on whose behalf he comes.
func TestStrangersDoNotPickTheirCustomer(t *testing.T) {
	needsFaults(t)
	for kind, k := range edgeKinds {
		t.Run(kind, func(t *testing.T) {
			header := http.Header{"Baggage": {"misfit.customer=42,misfit.attr.plan=gold,theirs=1"}}
			for name, who := range map[string]scope.Scope{
				"customer":  scope.Customers("42"),
				"share":     scope.Percent(100, scope.PerCustomer),
				"attribute": {Attributes: map[string][]string{"plan": {"gold"}}},
			} {
				hits, _ := k.open(t, newLeaf(t, who), httpmw.PublicEndpoint()).draw(t, header, 3)
				require.Zero(t, hits, name)
				hits, misses := k.open(t, newLeaf(t, who)).draw(t, header, 3)
				require.Equal(t, [2]int{3, 0}, [2]int{hits, misses}, name)
			}
		})
	}
}

// newLeaf starts a service that believes what it is told, and fails those requests
// that a scope selects.
func newLeaf(t *testing.T, who scope.Scope) string {
	inj := fault.New("leaf")
	require.NoError(t, inj.Put(fault.Rule{
		ID: "half", Target: fault.Target{Points: []string{"http.server:leaf"}}, Scope: who,
		Fault: unavailable, TTL: time.Hour,
	}))
	tel := newTelemetry(t, sdktrace.AlwaysSample())
	tel.options = append(tel.options, otelhttp.WithPropagators(withEvery))
	server := httptest.NewServer(otelhttp.NewHandler(httpmw.Middleware(inj)(http.NotFoundHandler()), "leaf", tel.options...))
	t.Cleanup(server.Close)
	return server.URL
}

// A drawn is an edge before a leaf.
type drawn struct {
	url  string
	base *http.Transport
}

func (k edgeKind) open(t *testing.T, leaf string, options ...httpmw.Option) drawn {
	inj := newEdge(t, k.disabled)
	tel := newTelemetry(t, sdktrace.AlwaysSample())
	tel.options = append(tel.options, otelhttp.WithPropagators(withEvery))
	handler := httpmw.Middleware(inj, options...)(callers[k.caller](t, k.transport(tel, inj), leaf))
	if k.otel {
		handler = otelhttp.NewHandler(handler, "edge", tel.options...)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	return drawn{server.URL, base}
}

// newEdge makes the injector of a process that may be disabled.
func newEdge(t *testing.T, disabled bool, options ...fault.Option) *fault.Injector {
	if disabled {
		t.Setenv("MISFIT_DISABLED", "1")
		defer t.Setenv("MISFIT_DISABLED", "")
	}
	return fault.New("edge", options...)
}

// draw makes requests until both verdicts have been seen, or there are enough.
func (d drawn) draw(t *testing.T, header http.Header, enough int) (hits, misses int) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for range enough {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url, nil)
		require.NoError(t, err)
		req.Header = header.Clone()
		resp, err := d.base.RoundTrip(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		if wasHit(resp, body) {
			hits++
		} else {
			misses++
		}
		if hits > 0 && misses > 0 {
			break
		}
	}
	return hits, misses
}

// wasHit reports whether the leaf has failed a request, which those in between
// tell in different ways.
func wasHit(resp *http.Response, body []byte) bool {
	return resp.StatusCode == http.StatusServiceUnavailable || resp.Header.Get("Seen-Fault") != "" || strings.Contains(string(body), "Unavailable")
}
