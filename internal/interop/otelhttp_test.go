package interop_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// telemetry is a service's own OpenTelemetry, set up as a service does it.
type telemetry struct {
	spans    *tracetest.SpanRecorder
	provider trace.TracerProvider
	options  []otelhttp.Option
}

func newTelemetry(t *testing.T, sampler sdktrace.Sampler) telemetry {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSampler(sampler))
	t.Cleanup(func() { require.NoError(t, provider.Shutdown(context.Background())) })
	return telemetry{spans, provider, []otelhttp.Option{
		otelhttp.WithTracerProvider(provider),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})),
	}}
}

// backend keeps the headers and the identity of the latest request.
type backend struct {
	*httptest.Server
	mu     sync.Mutex
	header http.Header
}

func newBackend(t *testing.T) *backend {
	b := &backend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.header = r.Header
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *backend) got() http.Header {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.header
}

func call(t *testing.T, ctx context.Context, rt http.RoundTripper, url string) *http.Response {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: rt}).Do(req)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp
}

func members(h http.Header) []string {
	return strings.Split(strings.Join(h["Baggage"], ","), ",")
}

// Beside otelhttp, in either order, there is one traceparent, the one of
// otelhttp's span, and each baggage member stands there once.
func TestNothingIsWrittenTwice(t *testing.T) {
	inj := fault.New("edge")
	for name, order := range map[string]func(telemetry) http.RoundTripper{
		"otelhttp outside": func(tel telemetry) http.RoundTripper {
			return otelhttp.NewTransport(httpmw.Transport(inj, "ratings", nil), tel.options...)
		},
		"otelhttp inside": func(tel telemetry) http.RoundTripper {
			return httpmw.Transport(inj, "ratings", otelhttp.NewTransport(nil, tel.options...))
		},
	} {
		t.Run(name, func(t *testing.T) {
			tel := newTelemetry(t, sdktrace.AlwaysSample())
			b := newBackend(t)
			theirs, err := baggage.NewMemberRaw("team", "blue")
			require.NoError(t, err)
			bag, err := baggage.New(theirs)
			require.NoError(t, err)
			ctx := baggage.ContextWithBaggage(context.Background(), bag)
			ctx = scope.With(ctx, scope.Request{ID: "r-1", Customer: "42"})
			call(t, ctx, order(tel), b.URL)
			require.ElementsMatch(t, []string{"team=blue", "misfit.id=r-1", "misfit.customer=42"}, members(b.got()))
			require.Len(t, b.got()["Traceparent"], 1)
			span := tel.spans.Ended()[0].SpanContext()
			require.Contains(t, b.got().Get("Traceparent"), span.TraceID().String()+"-"+span.SpanID().String()+"-01")
			require.Empty(t, b.got().Get("Tracestate"))
		})
	}
}

// What the service sets after With has put the identity there still travels,
// and an otelhttp whose propagator knows no baggage does not stop ours.
func TestOtelhttpWithoutBaggage(t *testing.T) {
	needsFaults(t)
	tel := newTelemetry(t, sdktrace.NeverSample())
	tel.options = append(tel.options, otelhttp.WithPropagators(propagation.TraceContext{}))
	b := newBackend(t)
	ctx := scope.With(context.Background(), scope.Request{ID: "r-1"})
	call(t, ctx, otelhttp.NewTransport(httpmw.Transport(fault.New("edge"), "ratings", nil), tel.options...), b.URL)
	require.Equal(t, []string{"misfit.id=r-1"}, members(b.got()))
	require.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-00$`, b.got().Get("Traceparent"), "not sampled, and not by us")
}

// The trace that a tracing server starts is the identity of the request.
func TestTraceOfTheServerIsTheIdentity(t *testing.T) {
	needsFaults(t)
	tel := newTelemetry(t, sdktrace.AlwaysSample())
	inj := fault.New("edge")
	require.NoError(t, inj.Put(rule(scope.Percent(50, scope.PerRequest))))
	var got *scope.Request
	var span trace.SpanContext
	server := httptest.NewServer(otelhttp.NewHandler(httpmw.Middleware(inj)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = scope.From(r.Context())
		span = trace.SpanContextFromContext(r.Context())
	})), "edge", tel.options...))
	defer server.Close()
	call(t, context.Background(), nil, server.URL)
	require.Equal(t, span.TraceID().String(), got.ID)
	require.Len(t, tel.spans.Ended(), 1, "no span but theirs")
}

func rule(s scope.Scope) fault.Rule {
	return fault.Rule{
		ID:     "ratings-down",
		Target: fault.Target{Points: []string{"ratings"}},
		Scope:  s,
		Fault:  fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}},
		TTL:    time.Hour,
	}
}

// library is a service with the library and no OpenTelemetry at all.
func library(t *testing.T, name, next, ratings string, options ...httpmw.Option) (*fault.Injector, string) {
	inj := fault.New(name)
	client := &http.Client{Transport: httpmw.Transport(inj, "next", nil)}
	ratingsClient := &http.Client{Transport: httpmw.Transport(inj, "ratings", nil)}
	server := httptest.NewServer(httpmw.Middleware(inj, options...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forward(w, r, client, next)
		forward(w, r, ratingsClient, ratings)
	})))
	t.Cleanup(server.Close)
	return inj, server.URL
}

// stranger is a service that traces with otelhttp and never heard of us.
func stranger(t *testing.T, next string) string {
	tel := newTelemetry(t, sdktrace.TraceIDRatioBased(0.5))
	client := &http.Client{Transport: otelhttp.NewTransport(nil, tel.options...)}
	server := httptest.NewServer(otelhttp.NewHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forward(w, r, client, next)
	}), "stranger", tel.options...))
	t.Cleanup(server.Close)
	return server.URL
}

func forward(w http.ResponseWriter, r *http.Request, client *http.Client, url string) {
	if url == "" {
		return
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, nil)
	if err != nil {
		panic(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		if strings.HasPrefix(name, "Seen-") {
			w.Header()[name] = append(w.Header()[name], values...)
		}
	}
	if resp.StatusCode >= 500 {
		w.Header().Add("Seen-Fault", resp.Header.Get(httpmw.StatusHeader))
	}
}

// One request keeps its scope through a service that does not import the
// library, and so does the verdict on a percentage of requests.
func TestScopeCrossesAServiceWithoutTheLibrary(t *testing.T) {
	needsFaults(t)
	ratings := newBackend(t)
	identify := httpmw.Identify(func(r *http.Request) scope.Request {
		return scope.Request{Customer: r.Header.Get("X-Customer")}
	})
	inner, innerURL := library(t, "inner", "", ratings.URL)
	edge, edgeURL := library(t, "edge", stranger(t, innerURL), ratings.URL, identify)
	visit := func(customer string) []string {
		req, err := http.NewRequest(http.MethodGet, edgeURL, nil)
		require.NoError(t, err)
		req.Header.Set("X-Customer", customer)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.Header["Seen-Fault"]
	}
	const here = `applied;rule="ratings-down";point="http.client:ratings";service="inner"`
	require.NoError(t, inner.Put(rule(scope.Customers("42"))))
	require.Equal(t, []string{here}, visit("42"))
	require.Empty(t, visit("43"))
	inner.Delete("ratings-down")

	for _, inj := range []*fault.Injector{edge, inner} {
		require.NoError(t, inj.Put(rule(scope.Percent(50, scope.PerRequest))))
	}
	faulted := 0
	for i := range 60 {
		seen := visit(fmt.Sprint(i))
		require.Contains(t, []int{0, 2}, len(seen), "the whole call tree agrees")
		faulted += len(seen) / 2
	}
	require.Greater(t, faulted, 5)
	require.Less(t, faulted, 55)
}
