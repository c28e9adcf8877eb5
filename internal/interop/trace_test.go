package interop_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

var update = flag.Bool("update", false, "write into docs/observability.md what it shows")

// One request of one customer goes through three services, each of which
// traces with otelhttp and an SDK of its own. The trace that their exporter
// got is the one that the page shows, and so are the rule and the answer to
// why another customer was not hit.
func TestObservabilityPage(t *testing.T) {
	needsFaults(t)
	spans := tracetest.NewInMemoryExporter()
	ratings := newTraced(t, spans, "ratings", "", nil)
	product := newTraced(t, spans, "product", "ratings", ratings)
	front := newTraced(t, spans, "front", "product", product)
	require.NoError(t, product.inj.Put(flakyRatings()))
	holdPage(t, "rule", indented(t, flakyRatings()))

	front.visit(t, "43")
	require.NotContains(t, render(spansOf(t, spans)), "misfit", "another customer")
	spans.Reset()
	front.visit(t, "42")
	holdPage(t, "trace", render(spansOf(t, spans)))

	why, err := product.inj.Explain(fault.Question{
		Point:     "ratings",
		Operation: fault.Operation{Verb: "GET", Name: "/ratings/7"},
		Request:   scope.Request{Customer: "43"},
	})
	require.NoError(t, err)
	holdPage(t, "explanation", indented(t, why))
}

func indented(t *testing.T, v any) string {
	data, err := json.MarshalIndent(v, "", "  ")
	require.NoError(t, err)
	return string(data) + "\n"
}

// flakyRatings is the rule that the page shows.
func flakyRatings() fault.Rule {
	who := scope.Customers("42")
	who.Attempts = 1
	return fault.Rule{
		ID:     "flaky-ratings",
		Target: fault.Target{Points: []string{"ratings"}},
		Scope:  who,
		Fault: fault.Fault{
			Delay: &fault.Delay{Fixed: 20 * time.Millisecond},
			Error: &fault.ErrorFault{Class: fault.Unavailable},
		},
		TTL: 10 * time.Minute,
	}
}

// traced is a service that traces, and calls the next one, twice if it has to.
type traced struct {
	inj    *fault.Injector
	server *httptest.Server
}

func newTraced(t *testing.T, exporter sdktrace.SpanExporter, name, dependency string, next *traced) *traced {
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSyncer(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", name))))
	t.Cleanup(func() { require.NoError(t, provider.Shutdown(context.Background())) })
	options := []otelhttp.Option{
		otelhttp.WithTracerProvider(provider),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})),
	}
	s := &traced{inj: fault.New(name)}
	client := &http.Client{Transport: otelhttp.NewTransport(httpmw.Transport(s.inj, dependency, nil), options...)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /"+name+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		if next == nil {
			_, _ = io.WriteString(w, "4 stars")
			return
		}
		for range 2 {
			req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, next.server.URL+"/"+dependency+"/7", nil)
			if err != nil {
				panic(err)
			}
			resp, err := client.Do(req)
			if err != nil {
				panic(err)
			}
			body, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				_, _ = w.Write(body)
				return
			}
		}
		w.WriteHeader(http.StatusBadGateway)
	})
	identify := httpmw.Identify(func(r *http.Request) scope.Request {
		return scope.Request{Customer: r.Header.Get("X-Customer")}
	})
	s.server = httptest.NewServer(otelhttp.NewHandler(httpmw.Middleware(s.inj, identify)(mux), name, options...))
	t.Cleanup(s.server.Close)
	return s
}

// visit asks for a page on behalf of the customer, who gets it.
func (s *traced) visit(t *testing.T, customer string) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.server.URL+"/front/7", nil)
	require.NoError(t, err)
	req.Header.Set("X-Customer", customer)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "4 stars", string(body))
}

// spansOf waits for the whole trace: a server may end its span after its
// client has the answer.
func spansOf(t *testing.T, exporter *tracetest.InMemoryExporter) tracetest.SpanStubs {
	t.Helper()
	require.Eventually(t, func() bool {
		ids := map[string]bool{"0000000000000000": true}
		spans := exporter.GetSpans()
		for _, s := range spans {
			ids[s.SpanContext.SpanID().String()] = true
		}
		return len(spans) > 0 && !slices.ContainsFunc(spans, func(s tracetest.SpanStub) bool { return !ids[s.Parent.SpanID().String()] })
	}, 10*time.Second, time.Millisecond)
	return exporter.GetSpans()
}

// render prints spans as a tree, without what differs from run to run: IDs,
// times, ports.
func render(spans tracetest.SpanStubs) string {
	slices.SortFunc(spans, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	var page strings.Builder
	var below func(parent, indent string)
	below = func(parent, indent string) {
		for _, s := range spans {
			if s.Parent.SpanID().String() != parent {
				continue
			}
			fmt.Fprintf(&page, "%s%s: %s (%s), status %s\n", indent, valueOf(s.Resource.Attributes(), "service.name"),
				s.Name, s.SpanKind, valueOf(s.Attributes, "http.response.status_code"))
			writeAttributes(&page, indent+"    ", s.Attributes)
			for _, e := range s.Events {
				fmt.Fprintf(&page, "%s    event %s\n", indent, e.Name)
				writeAttributes(&page, indent+"        ", e.Attributes)
			}
			below(s.SpanContext.SpanID().String(), indent+"  ")
		}
	}
	below("0000000000000000", "")
	return page.String()
}

func writeAttributes(page io.Writer, indent string, attributes []attribute.KeyValue) {
	for _, a := range attributes {
		if strings.HasPrefix(string(a.Key), "misfit.") {
			fmt.Fprintf(page, "%s%s = %s\n", indent, a.Key, a.Value.String())
		}
	}
}

func valueOf(attributes []attribute.KeyValue, key attribute.Key) string {
	for _, a := range attributes {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return "none"
}

// holdPage holds the block that the page shows after a comment with this name
// to what is true.
func holdPage(t *testing.T, name, want string) {
	t.Helper()
	const file, fence = "../../docs/observability.md", "```\n"
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(data), "<!-- "+name+", of internal/interop/trace_test.go -->\n")
	require.True(t, found, "%s has no %s", file, name)
	opening, rest, _ := strings.Cut(rest, "\n")
	shown, after, found := strings.Cut(rest, fence)
	require.True(t, found)
	if *update {
		before := strings.TrimSuffix(string(data), opening+"\n"+rest) + opening + "\n"
		require.NoError(t, os.WriteFile(file, []byte(before+want+fence+after), 0o644))
		return
	}
	require.Equal(t, want, shown, "go test ./internal/interop -run ObservabilityPage -update writes it anew")
}
