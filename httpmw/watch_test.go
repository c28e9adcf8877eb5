package httpmw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// noted waits until the seconds of a point's calls are over, and adds them up. Of
// the latencies it returns the longest.
func noted(t *testing.T, inj *fault.Injector, point string, calls uint64) (total fault.TrafficSecond) {
	t.Helper()
	require.Eventually(t, func() bool {
		total = fault.TrafficSecond{}
		for _, of := range inj.Traffic() {
			if of.Point != point {
				continue
			}
			for _, s := range of.Seconds {
				total.Calls += s.Calls
				total.Faulted += s.Faulted
				total.Ended += s.Ended
				total.Errors += s.Errors
				total.P99 = max(total.P99, s.P99)
			}
		}
		return total.Calls >= calls && total.Ended >= calls
	}, 10*time.Second, 20*time.Millisecond, "at %s", point)
	return total
}

func lostReply(f fault.Fault) fault.Fault { f.LostReply = true; return f }

func TestTrafficOfAClient(t *testing.T) {
	slow := 150 * time.Millisecond
	server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			time.Sleep(slow)
		case "/hangs":
			<-r.Context().Done()
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		case "/lost":
			panic(http.ErrAbortHandler)
		}
	}))
	_, refusing := refusedForReal(t, http1)
	inj := fault.New("shop")
	inj.WatchTraffic(time.Minute)
	var base http.RoundTripper = server.Client().Transport
	cases := []struct {
		name   string
		path   string // or a whole URL
		what   *fault.Fault
		give   func(context.Context) (context.Context, context.CancelFunc)
		base   http.RoundTripper
		panics bool
		failed bool
		least  time.Duration
	}{
		{name: "answered", path: "/"},
		{name: "slow", path: "/slow", least: slow},
		{name: "not-found", path: "/missing"},
		{name: "status-500", path: "/broken", failed: true},
		{name: "connection-lost", path: "/lost", failed: true},
		{name: "refused", path: refusing, failed: true},
		{name: "deadline", path: "/hangs", failed: true, give: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 50*time.Millisecond)
		}},
		{name: "called-off", path: "/hangs", give: func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			time.AfterFunc(50*time.Millisecond, func() { cancel(errors.New("no need any more")) })
			return ctx, func() { cancel(nil) }
		}},
		{name: "injected-refusal", what: new(fail(fault.Refused)), failed: true},
		{name: "injected-503", what: new(fail(fault.Unavailable)), failed: true},
		{name: "injected-429", what: new(fail(fault.Overloaded))},
		{name: "injected-delay", what: &fault.Fault{Delay: &fault.Delay{Fixed: slow}}, least: slow},
		{name: "injected-pad", what: &fault.Fault{Delay: &fault.Delay{PadTo: slow}}, least: slow},
		{name: "injected-panic", what: &fault.Fault{Panic: true}, panics: true, failed: true},
		{name: "reply-lost", what: new(lostReply(fail(fault.Reset))), failed: true},
		{name: "duplicated", what: &fault.Fault{Duplicate: true}},
		{name: "the-base-panics", base: roundTripper(func(*http.Request) (*http.Response, error) { panic("base") }), panics: true, failed: true},
	}
	for _, c := range cases {
		if c.what != nil {
			put(t, inj, rule(c.name, c.name, *c.what))
		}
		if c.base == nil {
			c.base = base
		}
		ctx, cancel := t.Context(), context.CancelFunc(func() {})
		if c.give != nil {
			ctx, cancel = c.give(ctx)
		}
		url := c.path
		if !strings.HasPrefix(url, "http") {
			url = server.URL + url
		}
		req, err := http.NewRequestWithContext(ctx, "GET", url, nil)
		require.NoError(t, err)
		call := func() {
			if resp, err := httpmw.Transport(inj, c.name, c.base).RoundTrip(req); err == nil {
				_ = resp.Body.Close()
			}
		}
		if c.panics {
			require.Panics(t, call, c.name)
		} else {
			call()
		}
		cancel()
	}
	for _, c := range cases {
		total := noted(t, inj, "http.client:"+c.name, 1)
		require.EqualValues(t, 1, total.Calls, c.name)
		require.EqualValues(t, 1, total.Ended, c.name)
		require.Equal(t, c.what != nil, total.Faulted == 1, c.name)
		require.Equal(t, c.failed, total.Errors == 1, c.name)
		require.GreaterOrEqual(t, total.P99, c.least*99/100, c.name)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Each host is a point of its own, also one that is called for the first time
// while somebody watches.
func TestTrafficOfAnyHost(t *testing.T) {
	server := serve(t, nullHandler{})
	inj := fault.New("shop")
	inj.WatchTraffic(time.Minute)
	for range 3 {
		resp, _ := get(t, httpmw.Transport(inj, "", nil), t.Context(), server.URL)
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	total := noted(t, inj, "http.client:"+strings.TrimPrefix(server.URL, "http://"), 3)
	require.EqualValues(t, 3, total.Calls)
	require.Zero(t, total.Errors)
}

func TestTrafficOfAServer(t *testing.T) {
	slow := 150 * time.Millisecond
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			time.Sleep(slow)
		case "/broken":
			w.WriteHeader(http.StatusInternalServerError)
		case "/hints":
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/answers":
			w.WriteHeader(http.StatusEarlyHints)
			_, _ = io.WriteString(w, "hello")
		case "/panics":
			panic(http.ErrAbortHandler)
		}
	})
	cases := []struct {
		name    string
		path    string
		options []httpmw.Option
		what    *fault.Fault
		failed  bool
		least   time.Duration
	}{
		{name: "answered", path: "/"},
		{name: "slow", path: "/slow", least: slow},
		{name: "panics", path: "/panics", failed: true},
		{name: "a status that nobody looks at", path: "/broken"},
		{name: "a status", path: "/broken", options: []httpmw.Option{httpmw.WatchStatus()}, failed: true},
		{name: "a status after hints", path: "/hints", options: []httpmw.Option{httpmw.WatchStatus()}, failed: true},
		{name: "hints", path: "/answers", options: []httpmw.Option{httpmw.WatchStatus()}},
		{name: "another status", path: "/", options: []httpmw.Option{httpmw.WatchStatus()}},
		{name: "injected 503", what: new(fail(fault.Unavailable)), failed: true},
		{name: "injected 503, status watched", what: new(fail(fault.Unavailable)), options: []httpmw.Option{httpmw.WatchStatus()}, failed: true},
		{name: "injected 429", what: new(fail(fault.Overloaded))},
		{name: "injected reset", what: new(fail(fault.Reset)), failed: true},
		{name: "injected panic", what: &fault.Fault{Panic: true}, failed: true},
		{name: "injected delay", what: &fault.Fault{Delay: &fault.Delay{Fixed: slow}}, least: slow},
		{name: "reply lost", what: new(lostReply(fail(fault.GatewayTimeout))), failed: true},
		{name: "cut", path: "/answers", what: &fault.Fault{Stream: &fault.StreamFault{Cut: true, After: 2}}},
	}
	injectors := make([]*fault.Injector, len(cases))
	for i, c := range cases {
		inj := fault.New("shop")
		injectors[i] = inj
		if c.what != nil {
			put(t, inj, rule("r", "http.server:shop", *c.what))
		}
		server := httptest.NewUnstartedServer(httpmw.Middleware(inj, append(c.options, httpmw.Exempt("/health"))...)(handler))
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.Start()
		defer server.Close()
		call := func(path string) {
			if resp, err := http.Get(server.URL + path); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		}
		call(c.path) // while nobody watches
		inj.WatchTraffic(time.Minute)
		call(c.path)
		call("/health") // exempt
	}
	for i, c := range cases {
		total := noted(t, injectors[i], "http.server:shop", 1)
		require.EqualValues(t, 1, total.Calls, c.name)
		require.EqualValues(t, 1, total.Ended, c.name)
		require.Equal(t, c.what != nil, total.Faulted == 1, c.name)
		require.Equal(t, c.failed, total.Errors == 1, c.name)
		require.GreaterOrEqual(t, total.P99, c.least*99/100, c.name)
	}
}

// Watching changes nothing of what a handler gets, unless the service has asked
// for it; and then nothing of what that can do.
func TestWatchedHandlersGetTheWriterAsItIs(t *testing.T) {
	for name, test := range map[string]struct {
		options []httpmw.Option
		same    bool
	}{
		"by default":  {same: true},
		"WatchStatus": {options: []httpmw.Option{httpmw.WatchStatus()}},
	} {
		t.Run(name, func(t *testing.T) {
			inj := fault.New("shop")
			inj.WatchTraffic(time.Minute)
			var outer, inner http.ResponseWriter
			handler := httpmw.Middleware(inj, test.options...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				inner = w
				_, flushes := w.(http.Flusher)
				_, hijacks := w.(http.Hijacker)
				_, reads := w.(io.ReaderFrom)
				_, pushes := w.(http.Pusher)
				_, _ = fmt.Fprint(w, flushes, hijacks, reads, pushes, http.NewResponseController(w).SetWriteDeadline(time.Time{}))
			}))
			server := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				outer = w
				handler.ServeHTTP(w, r)
			}))
			_, body := get(t, nil, t.Context(), server.URL)
			require.Equal(t, "true true true false <nil>", body)
			require.Equal(t, test.same, outer == inner)
			if unwrapper, ok := inner.(interface{ Unwrap() http.ResponseWriter }); !test.same {
				require.True(t, ok)
				require.True(t, unwrapper.Unwrap() == outer)
			}
		})
	}
}

// Who a request is, and what it does, is found out for the estimate as it would
// be for a rule.
func TestEstimatesOfAServer(t *testing.T) {
	inj := fault.New("shop")
	mux := http.NewServeMux()
	mux.Handle("GET /products/{id}", nullHandler{})
	mux.Handle("GET /health", nullHandler{})
	server := serve(t, httpmw.Middleware(inj, httpmw.Identify(func(r *http.Request) scope.Request {
		return scope.Request{Customer: r.Header.Get("X-Customer")}
	}))(mux))
	inj.WatchTraffic(time.Minute)
	for i := range 30 {
		req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+[]string{"/products/7", "/health"}[i%2], nil)
		require.NoError(t, err)
		req.Header.Set("X-Customer", fmt.Sprint("c-", i%6))
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	r := rule("r", "http.server:shop", fail(fault.Unavailable), only(scope.Customers("c-0", "c-1")))
	r.Target.Operations = []string{"GET /products/{id}"}
	estimate, err := inj.Estimate(r)
	require.NoError(t, err)
	require.Equal(t, fault.Estimate{
		Since: estimate.Since, Calls: 30, Hit: 5, Requests: 30, RequestsHit: 5, Customers: 6, CustomersHit: 1,
		Points: []string{"http.server:shop"},
	}, estimate)
	require.WithinDuration(t, time.Now(), estimate.Since, time.Minute)
}

// BenchmarkWatched compares calls while nobody watches with those while somebody
// does.
func BenchmarkWatched(b *testing.B) {
	base := &nullTripper{&http.Response{StatusCode: 200, Body: http.NoBody}}
	ctx := scope.With(context.Background(), scope.Request{ID: "r-1", Customer: "42"})
	req := httptest.NewRequest("GET", "http://ratings/ratings/7", nil).WithContext(ctx)
	scope.Inject(ctx, carrier(req.Header))
	var w http.ResponseWriter = &headerWriter{header: make(http.Header)}
	for _, watched := range []bool{false, true} {
		inj := fault.New("bench")
		transport := httpmw.Transport(inj, "ratings", base)
		plain := httpmw.Middleware(inj)(nullHandler{})
		status := httpmw.Middleware(inj, httpmw.WatchStatus())(nullHandler{})
		if watched {
			inj.WatchTraffic(10 * time.Minute)
		}
		for name, call := range map[string]func(){
			"transport":         func() { _, _ = transport.RoundTrip(req) },
			"middleware":        func() { plain.ServeHTTP(w, req) },
			"middleware-status": func() { status.ServeHTTP(w, req) },
		} {
			b.Run(fmt.Sprintf("%s/watched=%t", name, watched), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					call()
				}
			})
		}
	}
}
