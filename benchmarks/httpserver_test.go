package benchmarks_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/felixge/httpsnoop"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// Requests arrive with one of these sets of headers. While rules live, a
// middleware has to find out from them whose request it is.
const (
	noHeaders    = "headers=none"
	sixHeaders   = "headers=six"   // such as a browser sends
	traceHeaders = "headers=trace" // those, and the trace and the baggage of a customer's request
)

func serverHeader(headers string) http.Header {
	if headers == noHeaders {
		return http.Header{}
	}
	h := http.Header{
		"User-Agent": {"curl/8"}, "Accept": {"*/*"}, "Accept-Encoding": {"gzip"},
		"Cookie": {"a=b"}, "Authorization": {"Basic Og=="}, "Referer": {"http://shop/"},
	}
	if headers == traceHeaders {
		h.Set("Traceparent", "00-"+requestID+"-00f067aa0ba902b7-01")
		h.Set("Baggage", "misfit.customer="+customer)
	}
	return h
}

type nullHandler struct{}

func (nullHandler) ServeHTTP(http.ResponseWriter, *http.Request) {}

// A nullWriter drops what is written, but for the status of a fault.
type nullWriter struct {
	header http.Header
	status int
}

func (w *nullWriter) Header() http.Header         { return w.header }
func (w *nullWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *nullWriter) WriteHeader(status int)      { w.status = status }

// serving returns the call of one goroutine, which has a request of its own, as
// middleware may write to what it is given.
func serving(h http.Handler, header http.Header) func() error {
	r := httptest.NewRequest(http.MethodGet, "/ratings/7", nil)
	r.Header = header
	w := &nullWriter{header: make(http.Header)}
	return func() error {
		h.ServeHTTP(w, r)
		if w.status != 0 {
			return fault.ErrInjected
		}
		return nil
	}
}

// behind is a contender that is always the same, whatever the library does.
func behind(name, headers string, middleware func(http.Handler) http.Handler) contender {
	return contender{name: name, variant: headers, each: func(testing.TB, scenario) func() func() error {
		h := middleware(nullHandler{})
		return func() func() error { return serving(h, serverHeader(headers)) }
	}}
}

func bareServer(headers string) contender {
	return behind("bare", headers, func(h http.Handler) http.Handler { return h })
}

func misfitServer(headers string) contender {
	here := fault.Target{Points: []string{"http.server:bench"}}
	return contender{name: "misfit", variant: headers, each: func(tb testing.TB, s scenario) func() func() error {
		inj, ctx := s.injector(tb, here)
		h := httpmw.Middleware(inj)(nullHandler{})
		return func() func() error {
			header := serverHeader(headers)
			if text := scope.TokenMember.Of(ctx); text != "" {
				header.Set(httpmw.TokenHeader, text)
			}
			return serving(h, header)
		}
	}}
}

// serverPeers wrap handlers for other reasons, all of them in the cheapest way
// they have: what a service has already, beside which the library's cost is seen.
func serverPeers(headers string) []contender {
	peers := []contender{
		behind("pass-through", headers, func(next http.Handler) http.Handler { // the least that any middleware costs
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
		}),
		behind("httpsnoop", headers, func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { httpsnoop.CaptureMetrics(next, w, r) })
		}),
		behind("otelhttp", headers, otelhttp.NewMiddleware("bench",
			otelhttp.WithTracerProvider(tracenoop.NewTracerProvider()),
			otelhttp.WithMeterProvider(metricnoop.NewMeterProvider()))),
	}
	for i := range peers {
		peers[i].in, peers[i].serial = []string{"idle"}, true
	}
	return peers
}

func BenchmarkHTTPServer(b *testing.B) {
	var contenders []contender
	for _, c := range []contender{bareServer(noHeaders), misfitServer(noHeaders)} {
		c.in, c.serial = []string{"idle", "elsewhere", "other-customer"}, true
		contenders = append(contenders, c)
	}
	for _, headers := range []string{sixHeaders, traceHeaders} {
		contenders = append(contenders, bareServer(headers), misfitServer(headers))
		contenders = append(contenders, serverPeers(headers)...)
	}
	measure(b, contenders)
}

func TestHTTPServerScenarios(t *testing.T) {
	requireAimed(t, misfitServer(traceHeaders))
	for _, anonymous := range []string{noHeaders, sixHeaders} {
		requireAimed(t, misfitServer(anonymous), "other-customer", "customer-percentage-misses")
	}
}

// TestHTTPServerAllocations holds what it takes to find out whose a request is,
// and to take a token and to answer what became of it. The rest of the library
// allocates nothing, but for a hit and the draw of its delay.
func TestHTTPServerAllocations(t *testing.T) {
	const kept, drawn, token, hit = 2, 3, 82, 2 // as it is now
	for _, stranger := range []string{noHeaders, sixHeaders} {
		requireBudget(t, bareServer(stranger), misfitServer(stranger), map[string]int{
			"percentage-misses": drawn, "token-elsewhere": token, "hit": hit,
		})
	}
	finding := make(map[string]int)
	for _, s := range scenarios() {
		finding[s.name] = kept
	}
	finding["idle"] = 0
	finding["token-elsewhere"] = token + 1 // the trace, too
	finding["hit"] += hit
	requireBudget(t, bareServer(traceHeaders), misfitServer(traceHeaders), finding)
}

func TestHTTPServerIsFlat(t *testing.T) {
	for _, headers := range []string{sixHeaders, traceHeaders} {
		t.Run(headers, func(t *testing.T) { requireFlat(t, 3, bareServer(headers), misfitServer(headers)) })
	}
}
