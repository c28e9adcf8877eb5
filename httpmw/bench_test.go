package httpmw_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
)

// The benchmarks compare with /bare, the same call without the library.

type nullTripper struct{ resp *http.Response }

func (n *nullTripper) RoundTrip(*http.Request) (*http.Response, error) { return n.resp, nil }

type nullHandler struct{}

func (nullHandler) ServeHTTP(http.ResponseWriter, *http.Request) {}

// nullMux can be asked for patterns and serves nothing.
type nullMux struct{ *http.ServeMux }

func (nullMux) ServeHTTP(http.ResponseWriter, *http.Request) {}

// setUp names a state of the injector.
type setUp struct {
	name  string
	rules []fault.Rule
}

func setUps() []setUp {
	long := time.Hour
	unavailable := fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}}
	rules := func(n int, build func(i int) fault.Rule) []fault.Rule {
		list := make([]fault.Rule, n)
		for i := range list {
			list[i] = build(i)
			list[i].ID = fmt.Sprintf("rule-%d", i)
			list[i].Fault = unavailable
			list[i].TTL = long
		}
		return list
	}
	here := fault.Target{Points: []string{"http.client:ratings", "http.server:bench"}}
	return []setUp{
		{"idle", nil},
		{"elsewhere-1", rules(1, func(int) fault.Rule {
			return fault.Rule{Target: fault.Target{Points: []string{"other"}}, Scope: scope.Everyone()}
		})},
		{"elsewhere-10000", rules(10_000, func(int) fault.Rule {
			return fault.Rule{Target: fault.Target{Points: []string{"other"}}, Scope: scope.Everyone()}
		})},
		{"other-operation", rules(1, func(int) fault.Rule {
			return fault.Rule{Target: fault.Target{Points: here.Points, Operations: []string{"POST /orders/*"}}, Scope: scope.Everyone()}
		})},
		{"other-customer", rules(1, func(i int) fault.Rule {
			return fault.Rule{Target: here, Scope: scope.Customers(fmt.Sprint("someone-", i))}
		})},
		{"other-customer-10000", rules(10_000, func(i int) fault.Rule {
			return fault.Rule{Target: here, Scope: scope.Customers(fmt.Sprint("someone-", i))}
		})},
		{"percentage-misses", rules(1, func(int) fault.Rule {
			return fault.Rule{Target: here, Scope: scope.Percent(0.0001, scope.PerRequest)}
		})},
		{"percentage-of-customers-misses", rules(1, func(int) fault.Rule {
			return fault.Rule{Target: here, Scope: scope.Percent(0.0001, scope.PerCustomer)}
		})},
	}
}

func (s setUp) injector(b testing.TB) *fault.Injector {
	inj := fault.New("bench")
	inj.Point("test", "other")
	if err := inj.Put(s.rules...); err != nil {
		b.Fatal(err)
	}
	return inj
}

func BenchmarkTransport(b *testing.B) {
	base := &nullTripper{&http.Response{StatusCode: 200, Body: http.NoBody}}
	run := func(rt http.RoundTripper, req *http.Request) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = rt.RoundTrip(req)
			}
		}
	}
	plain := httptest.NewRequest("GET", "http://ratings/ratings/7", nil).WithContext(context.Background())
	b.Run("bare", run(base, plain))
	for _, s := range setUps() {
		rt := httpmw.Transport(s.injector(b), "ratings", base)
		b.Run(s.name, run(rt, plain))
	}
	identified := plain.WithContext(scope.With(context.Background(), scope.Request{ID: "r-1", Customer: "42"}))
	scope.Inject(identified.Context(), carrier(identified.Header))
	b.Run("passing-identity-on/already-there", run(httpmw.Transport(fault.New("bench"), "ratings", base), identified))
	identified = plain.WithContext(identified.Context())
	identified.Header = http.Header{}
	b.Run("passing-identity-on/writing-it", run(httpmw.Transport(fault.New("bench"), "ratings", base), identified))
	b.Run("any-host", run(httpmw.Transport(fault.New("bench"), "", base), plain))
}

// BenchmarkDecide is the decision alone, of a call whose request is known.
func BenchmarkDecide(b *testing.B) {
	ctx := scope.With(context.Background(), scope.Request{ID: "4bf92f3577b34da6a3ce929d0e0e4736", Customer: "42"})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, s := range setUps() {
		inj := s.injector(b)
		httpmw.Transport(inj, "ratings", nil)
		point := inj.PointOf(fault.Kind{Name: "http.client"}, "ratings")
		op := fault.Operation{Verb: "GET", Name: "/ratings/7"}
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if point.Decide(ctx, op).Hit() {
					b.Fatal("hit")
				}
			}
		})
	}
}

func BenchmarkMiddleware(b *testing.B) {
	w := &headerWriter{header: make(http.Header)} // for the one in a million that is hit
	requests := map[string]*http.Request{
		"no-headers":  httptest.NewRequest("GET", "/", nil),
		"six-headers": httptest.NewRequest("GET", "/", nil),
		"with-trace":  httptest.NewRequest("GET", "/", nil),
	}
	for name, value := range map[string]string{"User-Agent": "curl/8", "Accept": "*/*", "Accept-Encoding": "gzip", "Cookie": "a=b", "Authorization": "x", "Referer": "y"} {
		requests["six-headers"].Header.Set(name, value)
	}
	requests["with-trace"].Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	requests["with-trace"].Header.Set("Baggage", "misfit.customer=42")
	for _, name := range []string{"no-headers", "six-headers", "with-trace"} {
		r := requests[name]
		run := func(h http.Handler) func(*testing.B) {
			return func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					h.ServeHTTP(w, r)
				}
			}
		}
		b.Run(name+"/bare", run(nullHandler{}))
		for _, s := range setUps() {
			b.Run(name+"/"+s.name, run(httpmw.Middleware(s.injector(b))(nullHandler{})))
			b.Run(name+"/around-a-mux/"+s.name, run(httpmw.Middleware(s.injector(b))(nullMux{http.NewServeMux()})))
		}
	}
}

// headerWriter is a ResponseWriter that drops what is written.
type headerWriter struct{ header http.Header }

func (w *headerWriter) Header() http.Header         { return w.header }
func (w *headerWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *headerWriter) WriteHeader(int)             {}

// BenchmarkTokens is what requests pay at a service that takes tokens. The last
// ones carry one, for a dependency that is not called.
func BenchmarkTokens(b *testing.B) {
	k := newKeys(b)
	text := k.sign(b, "bench", "elsewhere", fail(fault.Refused))
	plain := httptest.NewRequest("GET", "/", nil)
	plain.Header = http.Header{
		"Accept": {"*/*"}, "User-Agent": {"bench"}, "Cookie": {"a=b"}, "Accept-Encoding": {"gzip"},
		"Traceparent": {traceparent}, "Baggage": {"theirs=1"},
	}
	sent := plain.Clone(plain.Context())
	sent.Header.Set(httpmw.TokenHeader, text)
	carried := plain.Clone(plain.Context())
	carried.Header.Set("Baggage", "theirs=1,misfit.id=r-1,misfit.token="+text)
	takes := func() *fault.Injector { return fault.New("bench", fault.WithTokens(k.verifier)) }
	w := &headerWriter{header: make(http.Header)}
	for _, test := range []struct {
		name    string
		inj     *fault.Injector
		options []httpmw.Option
		request *http.Request
	}{
		{"takes none, idle", fault.New("bench"), nil, plain},
		{"takes tokens, idle", takes(), nil, plain},
		{"takes tokens, idle, public", takes(), []httpmw.Option{httpmw.PublicEndpoint()}, plain},
		{"with a token in the header", takes(), nil, sent},
		{"with a token in baggage", takes(), nil, carried},
		{"with a forged token, over the rate", fault.New("bench", fault.WithTokens(newKeys(b).verifier)), nil, sent},
	} {
		handler := httpmw.Middleware(test.inj, test.options...)(nullHandler{})
		b.Run(test.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(w, test.request)
			}
		})
	}
}

// BenchmarkVerdicts is what it costs to follow requests to their end: nothing where
// nobody asks for it or no rule is live, and a copy of the request otherwise.
func BenchmarkVerdicts(b *testing.B) {
	elsewhere := fault.Rule{ID: "elsewhere", Target: fault.Target{Points: []string{"other"}}, Scope: scope.Everyone(), Fault: fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}}, TTL: time.Hour}
	hit := elsewhere
	hit.ID, hit.Target.Points = "hit", []string{"custom:ratings"}
	on := fault.WithVerdicts(fault.VerdictSettings{})
	for _, s := range []struct {
		name    string
		options []fault.Option
		rules   []fault.Rule
	}{
		{"off/no-rule", nil, nil},
		{"off/rule-elsewhere", nil, []fault.Rule{elsewhere}},
		{"off/hit", nil, []fault.Rule{hit}},
		{"on/no-rule", []fault.Option{on}, nil},
		{"on/rule-elsewhere", []fault.Option{on}, []fault.Rule{elsewhere}},
		{"on/hit", []fault.Option{on}, []fault.Rule{hit}},
	} {
		inj := fault.New("bench", s.options...)
		inj.Point("test", "other")
		ratings := inj.Point("custom", "ratings")
		if err := inj.Put(s.rules...); err != nil {
			b.Fatal(err)
		}
		handler := httpmw.Middleware(inj)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_ = ratings.Inject(r.Context(), fault.Operation{Verb: "GET", Name: "/ratings/7"})
		}))
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				w := &headerWriter{header: make(http.Header)}
				r := httptest.NewRequest("GET", "/page", nil)
				for pb.Next() {
					handler.ServeHTTP(w, r)
				}
			})
		})
	}
}
