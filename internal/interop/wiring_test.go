package interop_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// The points that every scenario passes.
const (
	service     = "shop"
	dependency  = "ratings"
	serverPoint = "http.server:" + service
	clientPoint = "http.client:" + dependency
)

// What a caller that has an identity sends.
const (
	callersTrace   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	callersBaggage = "team=blue,misfit.id=r-1,misfit.customer=42"
)

// A wiring is a way of putting the library around a handler and a client.
type wiring struct {
	name       string
	rules      []fault.Rule
	spent      bool // the rules have done all they may
	identified bool // requests come with an identity, and the service identifies them
	here       bool // the rules are aimed at the very points of the scenario
	token      edit // of the rule of the token that requests carry, in baggage if they are identified; nil: they carry none
}

// bare is without the library.
var bare = wiring{}

// wirings are those in which no fault applies to any request of a scenario.
var wirings = []wiring{
	{name: "idle"},
	{name: "rules elsewhere", rules: aimed(at("http.client:elsewhere"), at("http.server:elsewhere"))},
	{name: "another customer", here: true, rules: aimedHere(who(scope.Customers("nobody")))},
	{name: "another request", here: true, rules: aimedHere(who(scope.Requests("r-none")))},
	{name: "0 % of requests", here: true, rules: aimedHere(who(scope.Percent(0, scope.PerRequest)))},
	{name: "next to no requests", here: true, rules: aimedHere(who(scope.Percent(1e-9, scope.PerRequest)))}, // each of which gets an identity
	{name: "0 % of customers", here: true, rules: aimedHere(who(scope.Percent(0, scope.PerCustomer)))},
	{name: "0 % of calls", here: true, rules: aimedHere(who(scope.Percent(0, scope.PerCall)))},
	{name: "another operation", here: true, rules: aimedHere(func(r *fault.Rule) { r.Target.Operations = []string{"DELETE /never"} })},
	{name: "another service", rules: aimedHere(func(r *fault.Rule) { r.Target.Services = []string{"warehouse"} })},
	{name: "over the limit", here: true, spent: true, rules: aimedHere(func(r *fault.Rule) { r.Limits.Total = 1 })},
	{name: "identified, idle", identified: true},
	{name: "identified, another customer", identified: true, here: true, rules: aimedHere(who(scope.Customers("nobody")))},
	{name: "identified, 0 %", identified: true, here: true, rules: aimedHere(who(scope.Percent(0, scope.PerCustomer)))},
	{name: "a token for another dependency", token: at("http.client:elsewhere")},
	{name: "a token for another customer", token: func(r *fault.Rule) {
		r.Target.Points = []string{serverPoint, clientPoint}
		r.Scope = scope.Customers("nobody")
	}},
	{name: "identified, a token for another dependency", identified: true, token: at("http.client:elsewhere")},
}

type edit = func(*fault.Rule)

func who(s scope.Scope) edit { return func(r *fault.Rule) { r.Scope = s } }

func at(point string) edit { return func(r *fault.Rule) { r.Target.Points = []string{point} } }

func aimed(edits ...edit) []fault.Rule {
	rules := make([]fault.Rule, len(edits))
	for i, edit := range edits {
		rules[i] = fault.Rule{
			ID:    string(rune('a' + i)),
			Scope: scope.Everyone(),
			Fault: fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}},
			TTL:   time.Hour,
		}
		edit(&rules[i])
	}
	return rules
}

// aimedHere returns one rule for each point of the scenarios.
func aimedHere(e edit) []fault.Rule {
	return aimed(
		func(r *fault.Rule) { at(serverPoint)(r); e(r) },
		func(r *fault.Rule) { at(clientPoint)(r); e(r) },
	)
}

// wired is the library, put where a wiring wants it.
type wired struct {
	wiring
	inj        *fault.Injector
	middleware func(http.Handler) http.Handler           // around a handler
	transport  func(http.RoundTripper) http.RoundTripper // around a client inside a service
	elsewhere  http.RoundTripper                         // another dependency of the same service
	carried    *carriedToken                             // nil: none
}

func (w wiring) build(t *testing.T) wired {
	if absent.Machinery { // in the same places, with nothing to aim
		w.rules, w.here, w.spent, w.token = nil, false, false, nil
	}
	built := wired{
		wiring:     w,
		middleware: func(h http.Handler) http.Handler { return h },
		transport:  func(rt http.RoundTripper) http.RoundTripper { return rt },
	}
	if w.name == "" {
		return built
	}
	built.inj = fault.New(service)
	if w.token != nil {
		built.carried = newCarriedToken(t, w.token, service)
		built.inj = fault.New(service, fault.WithTokens(built.carried.keys.verifier))
	}
	var options []httpmw.Option
	if w.identified {
		options = append(options, httpmw.Identify(func(*http.Request) scope.Request { return scope.Request{Customer: "42"} }))
	}
	built.middleware = httpmw.Middleware(built.inj, options...)
	built.transport = func(rt http.RoundTripper) http.RoundTripper { return httpmw.Transport(built.inj, dependency, rt) }
	built.transport(nil)
	built.elsewhere = httpmw.Transport(built.inj, "elsewhere", nil)
	if len(w.rules) > 0 {
		require.NoError(t, built.inj.Put(w.rules...))
	}
	if w.spent {
		spend(t, built)
	}
	return built
}

// spend makes each rule do all that its limit allows.
func spend(t *testing.T, built wired) {
	rec := httptest.NewRecorder()
	built.middleware(nil).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusServiceUnavailable, rec.Code)
	resp, err := built.transport(nil).RoundTrip(httptest.NewRequest(http.MethodGet, "/", nil))
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.NoError(t, resp.Body.Close())
}

// verify checks that the rules were live where the wiring says, and that
// none of them did anything.
func (w wired) verify(t *testing.T) {
	t.Helper()
	live := w.carried.unused(t, service, w.inj.Rules())
	require.Len(t, live, len(w.rules))
	var armed []string
	for _, r := range live {
		armed = append(armed, r.Points...)
		require.Equal(t, map[bool]uint64{true: 1}[w.spent], r.Hits)
	}
	if w.here {
		slices.Sort(armed)
		require.Equal(t, []string{clientPoint, serverPoint}, armed)
	}
	if w.inj != nil {
		require.Zero(t, w.inj.Status().Problems)
	}
}

// caller puts around base what the client of a scenario is: a client of the
// service, which carries an identity if the wiring says so.
func (w wired) caller(base http.RoundTripper) http.RoundTripper {
	wrapped := w.transport(base)
	if w.identified {
		wrapped = identifiedCaller{wrapped, w}
	}
	if w.carried != nil {
		wrapped = tokenCaller{wrapped, w}
	}
	return wrapped
}

// stamps reports whether callers have headers to add.
func (w wired) stamps() bool { return w.identified || w.carried != nil }

// stamp adds the headers of a caller that has an identity, or a token.
func (w wired) stamp(h http.Header) http.Header {
	if w.identified {
		h.Set("Traceparent", callersTrace)
		h.Set("Baggage", callersBaggage)
	}
	if w.carried != nil && w.identified {
		h.Add("Baggage", string(scope.TokenMember)+"="+w.carried.text)
	} else if w.carried != nil {
		h.Set(httpmw.TokenHeader, w.carried.text)
	}
	return h
}

// identifiedCaller makes each call as part of a request with an identity,
// which also stands in its headers already.
type identifiedCaller struct {
	next http.RoundTripper
	wired
}

func (c identifiedCaller) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := scope.With(req.Context(), scope.Request{ID: "r-1", Customer: "42"})
	if c.carried != nil {
		ctx = c.inj.Receive(ctx, fault.Sent{Tokens: []string{c.carried.text}})
	}
	carrying := req.WithContext(ctx)
	carrying.Header = wired{wiring: wiring{identified: true}}.stamp(req.Header.Clone())
	return c.next.RoundTrip(carrying)
}

func (c identifiedCaller) CloseIdleConnections() {
	(&http.Client{Transport: c.next}).CloseIdleConnections()
}

var discard = log.New(io.Discard, "", 0)

// disablings are what is to be seen of a library that is disabled, or is not: one
// that is left out is as a disabled one.
func disablings() []bool {
	if absent.Machinery {
		return []bool{true}
	}
	return []bool{false, true}
}

// needsFaults skips a test of faults, or of who a request is, in a build that has
// neither.
func needsFaults(t *testing.T) {
	t.Helper()
	if absent.Machinery {
		t.Skip("built with the tag misfit_off: nothing is injected")
	}
}
