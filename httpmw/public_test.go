package httpmw_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
)

// lies are what a stranger can say of himself.
var lies = http.Header{
	"Traceparent":                 {traceparent},
	"Baggage":                     {"misfit.id=mine, theirs=1;p=2", " misfit.customer = 42 ,misfit.attr.plan=gold,misfit.rule=%7B%7D"},
	"Fault-Rule":                  {refuseRatings},
	"X-Envoy-Fault-Abort-Request": {"418"},
}

// extracting is a handler that reads headers as OpenTelemetry's does.
func extracting(next http.Handler) http.Handler {
	both := propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(both.Extract(r.Context(), propagation.HeaderCarrier(r.Header))))
	})
}

func TestPublicEndpoint(t *testing.T) {
	alice := httpmw.Identify(func(*http.Request) scope.Request { return scope.Request{Customer: "alice"} })
	everything := []httpmw.Option{httpmw.UnsafeRequestRules(), httpmw.EnvoyHeaders(fault.EnvoyHeaders{}), alice}
	for name, outer := range map[string]func(http.Handler) http.Handler{
		"alone":                func(h http.Handler) http.Handler { return h },
		"inside OpenTelemetry": extracting,
	} {
		for _, disabled := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				if disabled {
					t.Setenv("MISFIT_DISABLED", "1")
				}
				inj := fault.New("edge")
				httpmw.Transport(inj, "ratings", nil)
				var got *http.Request
				keep := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r })
				handler := outer(httpmw.Middleware(inj, append(everything, httpmw.PublicEndpoint())...)(keep))
				r := httptest.NewRequest("GET", "/", nil)
				r.Header = lies.Clone()
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				require.Equal(t, 200, w.Code)
				require.Empty(t, w.Header())
				given := scope.From(got.Context()).ID
				require.Equal(t, http.Header{"Traceparent": {traceparent}, "Baggage": {"theirs=1;p=2,misfit.id=" + given}}, got.Header)
				require.Equal(t, lies, r.Header, "the caller's request is as it was")
				bag := baggage.FromContext(got.Context())
				for _, m := range bag.Members() {
					require.Contains(t, []string{"theirs", "misfit.id", "misfit.customer"}, m.Key())
				}
				require.Equal(t, "1", bag.Member("theirs").Value())
				require.Empty(t, inj.Rules())
				who := scope.From(got.Context())
				require.Empty(t, who.Attributes)
				require.Len(t, who.ID, 32)
				require.NotEqual(t, traceID, who.ID)
				require.Equal(t, who.ID, bag.Member("misfit.id").Value(), "the services behind are told")
				if disabled { // who asks is asked nobody
					require.Empty(t, who.Customer)
					return
				}
				require.Equal(t, "alice", who.Customer)
				require.Equal(t, "alice", bag.Member("misfit.customer").Value())

				trusting := outer(httpmw.Middleware(inj)(keep))
				trusting.ServeHTTP(w, r)
				require.Equal(t, &scope.Request{ID: "mine", Customer: "42", Attributes: map[string]string{"plan": "gold"}}, scope.From(got.Context()))
			})
		}
	}
}

// What the service's own code said further out, a stranger's request keeps.
func TestPublicEndpointBelievesTheService(t *testing.T) {
	inj := fault.New("edge")
	var got *http.Request
	inner := httpmw.Middleware(inj, httpmw.PublicEndpoint())(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	handler := extracting(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r.WithContext(scope.With(r.Context(), scope.Request{ID: "ours", Customer: "bob"})))
	}))
	for _, idle := range []bool{true, false} {
		if !idle {
			put(t, inj, rule("r", "ratings", fail(fault.Refused)))
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = lies.Clone()
		handler.ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, &scope.Request{ID: "ours", Customer: "bob"}, scope.From(got.Context()))
		bag := baggage.FromContext(got.Context())
		require.Equal(t, "ours", bag.Member("misfit.id").Value())
		require.Equal(t, "bob", bag.Member("misfit.customer").Value())
		require.Empty(t, bag.Member("misfit.attr.plan").Value())
		require.Equal(t, "1", bag.Member("theirs").Value())
	}
}

func TestPublicEndpointFn(t *testing.T) {
	inj := fault.New("edge", fault.WithObserver(fault.ObserverFunc(func(e fault.Event) {
		require.ErrorContains(t, e.Err, "httpmw: the PublicEndpointFn function panicked: no gateway")
	})))
	put(t, inj, rule("r", "ratings", fail(fault.Refused)))
	h := new(who)
	handler := httpmw.Middleware(inj, httpmw.PublicEndpointFn(func(r *http.Request) bool {
		switch r.Header.Get("X-Gateway") {
		case "panic":
			panic("no gateway")
		case "ours":
			return false
		}
		return true
	}))(h)
	for gateway, believed := range map[string]bool{"ours": true, "": false, "panic": false} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = lies.Clone()
		r.Header.Set("X-Gateway", gateway)
		handler.ServeHTTP(httptest.NewRecorder(), r)
		require.Equal(t, believed, h.got.Customer == "42", gateway)
	}
	require.EqualValues(t, 1, inj.Status().Problems)
}

// A proxy copies headers, which must not bring a stranger's word to services that
// believe the edge.
func TestPublicEndpointBeforeAProxy(t *testing.T) {
	h := new(who)
	behind := fault.New("behind")
	put(t, behind, rule("r", "x", fail(fault.Refused)))
	leaf := serve(t, httpmw.Middleware(behind, httpmw.UnsafeRequestRules(), httpmw.EnvoyHeaders(fault.EnvoyHeaders{}))(h))
	target, err := url.Parse(leaf.URL)
	require.NoError(t, err)
	for _, injector := range []*fault.Injector{fault.New("edge"), nil} {
		for name, transport := range map[string]http.RoundTripper{"ours": httpmw.Transport(injector, "leaf", nil), "bare": http.DefaultTransport} {
			proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, Transport: transport}
			edge := serve(t, httpmw.Middleware(injector, httpmw.PublicEndpoint())(proxy))
			resp, _ := send(t, edge.URL, "", func(r *http.Request) { r.Header = lies.Clone() })
			require.Equal(t, 200, resp.StatusCode)
			require.Empty(t, resp.Header.Get(httpmw.StatusHeader))
			require.Empty(t, h.got.Customer, name)
			require.Empty(t, h.got.Attributes)
			require.NotEqual(t, "mine", h.got.ID)
			require.Len(t, behind.Rules(), 1)
		}
	}
}

func TestThirdParty(t *testing.T) {
	k := newKeys(t)
	var got http.Header
	theirs := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		w.Header().Set(httpmw.StatusHeader, `applied;rule="token-t";point="sql:db";service="them"`)
		_, _ = io.WriteString(w, "five stars")
	}))
	for _, disabled := range []bool{false, true} {
		if disabled {
			t.Setenv("MISFIT_DISABLED", "1")
		}
		inj := fault.New("shop", fault.WithTokens(k.verifier))
		client := httpmw.Transport(inj, "them", nil, httpmw.ThirdParty())
		handler := extracting(httpmw.Middleware(inj)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			req, err := http.NewRequestWithContext(r.Context(), "GET", theirs.URL, nil)
			require.NoError(t, err)
			req.Header = r.Header.Clone() // as proxies do
			before := req.Header.Clone()
			resp, err := client.RoundTrip(req)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			require.NoError(t, resp.Body.Close())
			require.Equal(t, before, req.Header, "a RoundTripper does not change its request")
		})))
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = lies.Clone()
		r.Header.Set(httpmw.TokenHeader, k.sign(t, "t", "nobody", fail(fault.Refused)))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.Equal(t, 200, w.Code)
		for name := range got {
			require.NotContains(t, []string{"Fault-Token", "Fault-Rule", "X-Envoy-Fault-Abort-Request"}, name)
		}
		require.Equal(t, []string{"theirs=1;p=2"}, got["Baggage"])
		require.Equal(t, []string{traceparent}, got["Traceparent"])
		if !disabled {
			require.Contains(t, w.Header().Get(httpmw.StatusHeader), "not-reached;", "they are not believed")
			r.Header.Set(httpmw.TokenHeader, k.sign(t, "u", "them", fail(fault.Refused)))
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			require.Equal(t, http.StatusBadGateway, w.Code, "it is an injection point like any other")
			require.Contains(t, w.Header().Get(httpmw.StatusHeader), `applied;rule="token-u";point="http.client:them"`)
		}
	}
	closer := new(closesIdle)
	wrapped := httpmw.Transport(fault.New("shop"), "them", closer, httpmw.ThirdParty())
	(&http.Client{Transport: wrapped}).CloseIdleConnections()
	require.Equal(t, 1, closer.closed)
}

type closesIdle struct {
	http.RoundTripper
	closed int
}

func (c *closesIdle) CloseIdleConnections() { c.closed++ }
