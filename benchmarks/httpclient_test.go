package benchmarks_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// Calls belong to one of these. Whose a request is, the library passes on in the
// headers of the calls that are made for it.
const (
	anonymous  = "request=anonymous"  // nobody's that is known
	identified = "request=identified" // the customer's
	arrived    = "request=arrived"    // the customer's, as the headers said that it came with
	carried    = "request=carried"    // the customer's, which the headers say already
)

// clientsOf are those whose calls are measured.
var clientsOf = []string{anonymous, identified, arrived, carried}

// whoseContext returns the context of a request that is customer's, or nobody's.
func whoseContext(whose string, customers context.Context) context.Context {
	switch whose {
	case anonymous:
		return context.Background()
	case arrived:
		came := propagation.HeaderCarrier{
			"Traceparent": {"00-" + requestID + "-00f067aa0ba902b7-01"},
			"Baggage":     {"misfit.customer=" + customer},
		}
		return scope.Arrive(context.Background(), came, func(error) {})
	}
	return customers
}

// A nullTripper answers with the same response at once.
type nullTripper struct{ resp *http.Response }

func (n nullTripper) RoundTrip(*http.Request) (*http.Response, error) { return n.resp, nil }

// A freshTripper answers with the same response, without what others put around
// its body. It is for one goroutine.
type freshTripper struct{ nullTripper }

func (f freshTripper) RoundTrip(*http.Request) (*http.Response, error) {
	f.resp.Body = http.NoBody
	return f.resp, nil
}

func newNullTripper() nullTripper {
	return nullTripper{&http.Response{StatusCode: http.StatusOK, Body: http.NoBody}}
}

// calling returns a call through rt of a request that is customer's, or nobody's.
func calling(tb testing.TB, rt http.RoundTripper, whose string, customers context.Context) func() error {
	ctx := whoseContext(whose, customers)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://ratings/ratings/7", nil)
	if err != nil {
		tb.Fatal(err)
	}
	if whose == carried {
		scope.Inject(ctx, propagation.HeaderCarrier(req.Header))
	}
	return func() error {
		resp, err := rt.RoundTrip(req)
		if err == nil && resp.StatusCode != http.StatusOK {
			return fault.ErrInjected
		}
		return err
	}
}

func throughout(name, whose string, wrap func(http.RoundTripper) http.RoundTripper) contender {
	return contender{name: name, variant: whose, prepare: func(tb testing.TB, s scenario) func() error {
		_, ctx := scenario{}.injector(tb, fault.Target{})
		return calling(tb, wrap(newNullTripper()), whose, ctx)
	}}
}

func bareClient(whose string) contender {
	return throughout("bare", whose, func(rt http.RoundTripper) http.RoundTripper { return rt })
}

func misfitClient(whose string) contender {
	here := fault.Target{Points: []string{"http.client:ratings"}}
	return contender{name: "misfit", variant: whose, prepare: func(tb testing.TB, s scenario) func() error {
		inj, ctx := s.injector(tb, here)
		return calling(tb, httpmw.Transport(inj, "ratings", newNullTripper()), whose, ctx)
	}}
}

type tripperFunc func(*http.Request) (*http.Response, error)

func (f tripperFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// clientPeers are as serverPeers.
func clientPeers(whose string) []contender {
	peers := []contender{
		throughout("pass-through", whose, func(rt http.RoundTripper) http.RoundTripper {
			return tripperFunc(func(req *http.Request) (*http.Response, error) { return rt.RoundTrip(req) })
		}),
		throughout("otelhttp", whose, func(rt http.RoundTripper) http.RoundTripper {
			return otelhttp.NewTransport(freshTripper{rt.(nullTripper)},
				otelhttp.WithTracerProvider(tracenoop.NewTracerProvider()),
				otelhttp.WithMeterProvider(metricnoop.NewMeterProvider()))
		}),
	}
	for i := range peers {
		peers[i].in, peers[i].serial = []string{"idle"}, true
	}
	return peers
}

// scenariosOf are those in which it makes a difference whose the request is.
var scenariosOf = map[string][]string{
	anonymous:  {"idle", "elsewhere", "other-operation", "percentage-misses", "hit"},
	identified: nil,
	arrived:    {"idle", "other-customer"},
	carried:    {"idle", "other-customer"},
}

func BenchmarkHTTPClient(b *testing.B) {
	var contenders []contender
	for _, whose := range clientsOf {
		for _, c := range []contender{bareClient(whose), misfitClient(whose)} {
			c.in, c.serial = scenariosOf[whose], whose != identified
			contenders = append(contenders, c)
		}
		if whose == anonymous || whose == identified {
			contenders = append(contenders, clientPeers(whose)...)
		}
	}
	measure(b, contenders)
}

func TestHTTPClientScenarios(t *testing.T) {
	for _, whose := range clientsOf {
		c := misfitClient(whose)
		c.in = scenariosOf[whose]
		requireAimed(t, c)
	}
}

// TestHTTPClientAllocations holds what it takes to pass on whose a request is: a
// RoundTripper must not change what it is given, so the request and its header are
// copied where something is to be written. The rest of the library allocates nothing, but for a hit and the draw of
// its delay.
func TestHTTPClientAllocations(t *testing.T) {
	const written, asItCame, there, token, hit = 7, 4, 1, 2, 2 // as it is now
	for whose, identity := range map[string]int{anonymous: 0, identified: written, arrived: asItCame, carried: there} {
		budget := make(map[string]int)
		for _, s := range scenarios() {
			budget[s.name] = identity
		}
		budget["token-elsewhere"] += token
		budget["hit"] += hit
		c := misfitClient(whose)
		c.in = scenariosOf[whose]
		requireBudget(t, bareClient(whose), c, budget)
	}
}

func TestHTTPClientIsFlat(t *testing.T) {
	t.Run(anonymous, func(t *testing.T) { requireFlat(t, 5, bareClient(anonymous), misfitClient(anonymous)) })
	t.Run(identified, func(t *testing.T) { requireFlat(t, 0, bareClient(identified), misfitClient(identified)) })
}
