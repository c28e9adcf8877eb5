package interop_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	callersTraceID = "0af7651916cd43dd8448eb211c80319c" // of callersTrace

	// clearRule is a rule in the clear, for a point that there is not.
	clearRule = `{"target": {"points": ["nowhere"]}, "fault": {"error": {"class": "overloaded"}}}`

	// lie is what a third party may say that it has done.
	lie = `applied;rule="token-one";point="http.client:them";service="them"`
)

// tellingAll is the header of a request that says all that can be said to the
// library, and something to others.
func tellingAll(token string) http.Header {
	return http.Header{
		"Traceparent": {callersTrace},
		"Baggage": {
			"misfit.id=r-1, theirs=1;p=2", "misfit.customer = alice,misfit.attr.plan=gold;p=1",
			"team=blue,misfit.rule=" + url.QueryEscape(clearRule) + ",misfit.token=old,misfit.unknown=1",
		},
		"Fault-Token":                            {token},
		"Fault-Rule":                             {clearRule},
		"X-Envoy-Fault-Delay-Request":            {"1"},
		"X-Envoy-Fault-Abort-Request":            {"503"},
		"X-Envoy-Fault-Abort-Request-Percentage": {"0"},
		"X-Envoy-Fault-Abort-Grpc-Request":       {"14"},
		"X-Envoy-Fault-Throughput-Response":      {"100000"},
	}
}

// them is a third party, which keeps the text of the latest request, and lies.
type them struct {
	*httptest.Server
	mu   sync.Mutex
	text string
}

func newThem(t *testing.T) *them {
	th := &them{}
	th.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := httputil.DumpRequest(r, true)
		th.mu.Lock()
		th.text = string(text)
		th.mu.Unlock()
		w.Header().Set(httpmw.StatusHeader, lie)
		_, _ = fmt.Fprint(w, err == nil)
	}))
	t.Cleanup(th.Close)
	return th
}

func (th *them) got() string {
	th.mu.Lock()
	defer th.mu.Unlock()
	return th.text
}

// ours are what no third party may be told, in lower case.
var ours = []string{"misfit", "fault-token", "fault-rule", "x-envoy-fault", "alice", "r-1", "gold"}

// toldNothing requires that a text has nothing of ours, and all that is of
// others: once, if somebody passes it on.
func toldNothing(t *testing.T, text string, passedOn bool) {
	t.Helper()
	text = strings.ToLower(text)
	for _, word := range ours {
		require.NotContains(t, text, word)
	}
	for _, word := range []string{"theirs=1;p=2", "team=blue", "traceparent", callersTraceID} {
		require.Equal(t, passedOn, strings.Count(text, word) == 1, text)
	}
}

// wrapping puts OpenTelemetry's transport beside ours.
type wrapping = func(telemetry, func(http.RoundTripper) http.RoundTripper) http.RoundTripper

var outbound = map[string]wrapping{
	"no otelhttp": func(_ telemetry, ours func(http.RoundTripper) http.RoundTripper) http.RoundTripper { return ours(nil) },
	"otelhttp outside": func(tel telemetry, ours func(http.RoundTripper) http.RoundTripper) http.RoundTripper {
		return otelhttp.NewTransport(ours(nil), tel.options...)
	},
	"otelhttp inside": func(tel telemetry, ours func(http.RoundTripper) http.RoundTripper) http.RoundTripper {
		return ours(otelhttp.NewTransport(nil, tel.options...))
	},
	"otelhttp on both sides": func(tel telemetry, ours func(http.RoundTripper) http.RoundTripper) http.RoundTripper {
		return otelhttp.NewTransport(ours(otelhttp.NewTransport(nil, tel.options...)), tel.options...)
	},
}

// callers are what a service does with a request that is for a third party.
var callers = map[string]func(*testing.T, http.RoundTripper, string) http.Handler{
	"client": func(_ *testing.T, transport http.RoundTripper, target string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			forward(w, r, &http.Client{Transport: transport}, target)
		})
	},
	"client that copies headers": func(_ *testing.T, transport http.RoundTripper, target string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, target, nil)
			if err != nil {
				panic(err)
			}
			req.Header = r.Header
			resp, err := transport.RoundTrip(req)
			if err != nil {
				panic(err)
			}
			defer resp.Body.Close()
			_, _ = io.Copy(w, resp.Body)
		})
	},
	"ReverseProxy": func(t *testing.T, transport http.RoundTripper, target string) http.Handler {
		there, err := url.Parse(target)
		require.NoError(t, err)
		return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(there) }, Transport: transport, ErrorLog: discard}
	},
	"ReverseProxy with a Director": func(t *testing.T, transport http.RoundTripper, target string) http.Handler {
		there, err := url.Parse(target)
		require.NoError(t, err)
		proxy := httputil.NewSingleHostReverseProxy(there)
		proxy.Transport = transport
		return proxy
	},
}

// A third party is told nothing, by whomever it was put into the request, and
// nothing that it says is believed.
func TestThirdPartyIsToldNothing(t *testing.T) {
	for _, disabled := range disablings() {
		for order, wrap := range outbound {
			for caller, handle := range callers {
				t.Run(fmt.Sprintf("disabled=%t/%s/%s", disabled, order, caller), func(t *testing.T) {
					if disabled {
						t.Setenv("MISFIT_DISABLED", "1")
					}
					edge, th := newTelling(t, wrap, handle, httpmw.ThirdParty())
					status := edge.tell(t)
					toldNothing(t, th.got(), caller != "client" || order != "no otelhttp") // we pass on nothing to a third party
					if !disabled {
						require.Regexp(t, `^not-reached;rule="token-one";service="edge";`, status)
						require.NotContains(t, status, "them")
					}

					edge, th = newTelling(t, wrap, handle)
					status = edge.tell(t)
					if !disabled || caller != "client" || order != "no otelhttp" {
						require.Contains(t, th.got(), "misfit.", "one that is not a third party")
					}
					if !disabled {
						require.Equal(t, lie, status, "is believed")
					}
				})
			}
		}
	}
}

// A telling is an edge service that is told everything, and calls another one.
type telling struct {
	url, token string
}

func newTelling(t *testing.T, wrap wrapping,
	handle func(*testing.T, http.RoundTripper, string) http.Handler, options ...httpmw.TransportOption,
) (telling, *them) {
	k := newKeys(t)
	inj := fault.New("edge", fault.WithTokens(k.verifier))
	tel := newTelemetry(t, sdktrace.AlwaysSample())
	th := newThem(t)
	transport := wrap(tel, func(base http.RoundTripper) http.RoundTripper { return httpmw.Transport(inj, "them", base, options...) })
	middleware := httpmw.Middleware(inj, httpmw.UnsafeRequestRules(), httpmw.EnvoyHeaders(fault.EnvoyHeaders{MaxDelay: time.Second}),
		httpmw.Identify(func(*http.Request) scope.Request { return scope.Request{Attributes: map[string]string{"plan": "gold"}} }))
	edge := httptest.NewServer(otelhttp.NewHandler(middleware(handle(t, transport, th.URL)), "edge", tel.options...))
	t.Cleanup(edge.Close)
	return telling{edge.URL, k.sign(t, "one", at("nowhere"))}, th
}

// tell makes a request that says everything, and returns what is said of the
// token.
func (e telling) tell(t *testing.T) string {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url, nil)
	require.NoError(t, err)
	req.Header = tellingAll(e.token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var about []string
	for item := range strings.SplitSeq(strings.Join(resp.Header[httpmw.StatusHeader], ", "), ", ") {
		if strings.Contains(item, "token-one") {
			about = append(about, item)
		}
	}
	return strings.Join(about, ", ")
}
