package interop_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// TestVerdictsInTelemetry: the span in which a request entered says what became of
// it, and so does a counter; those of requests without a fault say nothing.
func TestVerdictsInTelemetry(t *testing.T) {
	needsFaults(t)
	meter, reader := newMeter(t)
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	inj := fault.New("edge", fault.WithMeterProvider(meter), fault.WithVerdicts(fault.VerdictSettings{}))
	point := inj.Point("custom", "ratings")
	require.NoError(t, inj.Put(fault.Rule{
		ID: "ratings-down", Target: fault.Target{Points: []string{"ratings"}}, Scope: scope.Everyone(), Fault: unavailable, TTL: 600e9,
	}))
	handler := otelhttp.NewHandler(httpmw.Middleware(inj)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/without" {
			return
		}
		ctx, inner := tracer.Tracer("test").Start(r.Context(), "inner") // whose calls are the request's, too
		err := point.Inject(ctx, fault.Operation{Name: "get"})
		inner.End()
		switch r.URL.Path {
		case "/degraded":
			fault.Degraded(ctx, "no ratings")
		case "/surfaced":
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})), "edge", otelhttp.WithTracerProvider(tracer), otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.URL.Path }))
	for _, path := range []string{"/without", "/masked", "/degraded", "/surfaced", "/surfaced"} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	const of = ",misfit.rule.id=ratings-down,misfit.rule.source=code,misfit.verdict="
	got := read(t, reader)
	for verdict, n := range map[string]int64{"masked": 1, "degraded": 1, "surfaced": 2} {
		require.Equal(t, n, got["misfit.verdicts{misfit.point=custom:ratings"+of+verdict+"} {request}"], "%v", got)
	}
	for _, span := range spans.Ended() {
		attributes := attribute.NewSet(span.Attributes()...)
		verdict, said := attributes.Value("misfit.verdict")
		if span.Name() == "inner" || span.Name() == "/without" {
			require.False(t, said, span.Name())
			continue
		}
		require.Equal(t, span.Name(), "/"+verdict.AsString())
	}
}
