package httpmw_test

import (
	"bufio"
	"context"
	"io"
	"net"
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
)

const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent = "00-" + traceID + "-00f067aa0ba902b7-00"
)

// who is a handler that keeps the identity of the latest request.
type who struct {
	mu  sync.Mutex
	got *scope.Request
}

func (h *who) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = scope.From(r.Context())
}

func TestMiddlewareIdentifies(t *testing.T) {
	fromHeader := httpmw.Identify(func(r *http.Request) scope.Request {
		if r.Header.Get("X-Customer") == "panic" {
			panic("no such customer")
		}
		return scope.Request{Customer: r.Header.Get("X-Customer"), Attributes: map[string]string{"plan": "gold"}}
	})
	for _, test := range []struct {
		name    string
		options []httpmw.Option
		header  map[string]string
		want    *scope.Request // ID "*": any
	}{
		{"nothing known, nothing needed", nil, nil, nil},
		{"trace", nil, map[string]string{"Traceparent": traceparent}, &scope.Request{ID: traceID}},
		{"baggage", nil, map[string]string{"Baggage": "misfit.id=a,misfit.customer=42"}, &scope.Request{ID: "a", Customer: "42"}},
		{"broken baggage", nil, map[string]string{"Baggage": "%%%"}, &scope.Request{ID: "*"}},
		{"identified", []httpmw.Option{fromHeader}, map[string]string{"X-Customer": "7"}, &scope.Request{ID: "*", Customer: "7", Attributes: map[string]string{"plan": "gold"}}},
		{"identified goes before baggage", []httpmw.Option{fromHeader}, map[string]string{"X-Customer": "7", "Baggage": "misfit.id=a,misfit.customer=42,misfit.attr.region=eu"}, &scope.Request{ID: "a", Customer: "7", Attributes: map[string]string{"plan": "gold", "region": "eu"}}},
		{"a panic keeps what came", []httpmw.Option{fromHeader}, map[string]string{"X-Customer": "panic", "Baggage": "misfit.id=a"}, &scope.Request{ID: "a"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inj := fault.New("edge")
			httpmw.Transport(inj, "ratings", nil) // something to pass identity on to
			h := new(who)
			server := serve(t, httpmw.Middleware(inj, test.options...)(h))
			req, err := http.NewRequest(http.MethodGet, server.URL, nil)
			require.NoError(t, err)
			for name, value := range test.header {
				req.Header.Set(name, value)
			}
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, 200, resp.StatusCode)
			if test.want != nil && test.want.ID == "*" {
				require.Len(t, h.got.ID, 32)
				test.want.ID = h.got.ID
			}
			require.Equal(t, test.want, h.got)
		})
	}
}

func TestMiddlewareGivesAnIDWhenARuleDrawsByRequest(t *testing.T) {
	inj := fault.New("edge")
	h := new(who)
	handler := httpmw.Middleware(inj)(h)
	call := func() *scope.Request {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		return h.got
	}
	put(t, inj, rule("r", "ratings", fail(fault.Refused), only(scope.Customers("42"))))
	require.Nil(t, call(), "no rule asks for it")
	put(t, inj, rule("r", "ratings", fail(fault.Refused), only(scope.Percent(50, scope.PerRequest))))
	first := call().ID
	require.NotEmpty(t, first)
	require.NotEqual(t, first, call().ID)
	inj.Delete("r")
	require.Nil(t, call())
}

func TestServerFaults(t *testing.T) {
	inj := fault.New("product")
	server := serve(t, httpmw.Middleware(inj)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "real")
	})))
	transport := &http.Transport{DisableKeepAlives: true} // so that a lost connection is not tried again
	for _, test := range []struct {
		what   fault.Fault
		status int // 0: the connection is dropped
		body   string
	}{
		{fail(fault.Unavailable), 503, "Service Unavailable\n"},
		{fail(fault.Overloaded), 429, "Too Many Requests\n"},
		{fail(fault.Internal), 500, "Internal Server Error\n"},
		{fail(fault.Timeout), 504, "Gateway Timeout\n"},
		{fail(fault.Reset), 0, ""},
		{fault.Fault{Error: &fault.ErrorFault{HTTP: &fault.HTTPStatus{Status: 418, Body: "tea"}}}, 418, "tea"},
		{fault.Fault{Delay: &fault.Delay{Fixed: time.Millisecond}}, 200, "real"},
	} {
		put(t, inj, rule("r", "http.server:product", test.what))
		resp, err := (&http.Client{Transport: transport}).Get(server.URL)
		if test.status == 0 {
			require.ErrorIs(t, err, io.EOF)
			continue
		}
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, test.status, resp.StatusCode)
		require.Equal(t, test.body, string(got))
		mark := resp.Header.Get(httpmw.StatusHeader)
		if test.body == "real" {
			require.Empty(t, mark)
		} else {
			require.Equal(t, `applied;rule="r";point="http.server:product";service="product"`, mark)
		}
	}
	resp, err := http.Head(server.URL)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())

	put(t, inj, rule("r", "http.server:*", fail(fault.Refused)))
	status, _ := inj.Rule("r")
	require.Equal(t, []string{"http.server:product"}, status.Unsupported)
	_, text := get(t, nil, context.Background(), server.URL)
	require.Equal(t, "real", text)
}

func TestServerPanic(t *testing.T) {
	inj := fault.New("product")
	put(t, inj, rule("r", "http.server:*", fault.Fault{Panic: true}))
	handler := httpmw.Middleware(inj)(http.NotFoundHandler())
	require.PanicsWithError(t, `fault: injected panic (injected by rule "r" at http.server:product)`, func() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	})
}

func TestServerBlackHole(t *testing.T) {
	inj := fault.New("product")
	reached := make(chan struct{}, 10)
	server := serve(t, httpmw.Middleware(inj)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached <- struct{}{} })))
	put(t, inj, rule("r", "http.server:*", fault.Fault{BlackHole: true}))

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	_, err = http.DefaultClient.Do(req)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Eventually(t, func() bool { return inj.Status().Held == 0 }, 10*time.Second, time.Millisecond,
		"the server lets go of the call when its client goes")
	require.Empty(t, reached, "and never calls the handler")

	done := make(chan int)
	go func() {
		resp, err := http.Get(server.URL)
		if err != nil {
			done <- 0
			return
		}
		_ = resp.Body.Close()
		done <- resp.StatusCode
	}()
	require.Eventually(t, func() bool { return inj.Status().Held == 1 }, 10*time.Second, time.Millisecond)
	inj.Halt()
	require.Equal(t, 200, <-done, "when the rule ends the call goes on")
	require.Len(t, reached, 1)
}

func TestOperationNames(t *testing.T) {
	var seen []string
	inj := fault.New("product", fault.WithObserver(fault.ObserverFunc(func(e fault.Event) {
		seen = append(seen, e.Operation.String())
	})))
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux := http.NewServeMux()
	mux.Handle("GET /products/{id}", ok)
	mux.Handle("example.com/all/", ok)
	inside := http.NewServeMux()
	inside.Handle("/inside/{x...}", httpmw.Middleware(inj)(ok))
	byHand := httpmw.Operations(func(r *http.Request) string {
		if r.URL.Path == "/none" {
			return ""
		}
		return "/by/{hand}"
	})
	for _, test := range []struct {
		handler   http.Handler
		url       string
		operation string
		rule      string // an operation pattern that also matches it
	}{
		{httpmw.Middleware(inj)(mux), "/products/7", "GET /products/{id}", "GET /products/7"},
		{httpmw.Middleware(inj)(mux), "http://example.com/all/", "GET /all/", "* /al*"},
		{httpmw.Middleware(inj)(mux), "/unmatched", "GET unmatched", "/unmatch*"},
		{inside, "/inside/a/b", "GET /inside/{x...}", "GET /inside/a/{b}"},
		{httpmw.Middleware(inj, byHand)(ok), "/by/7", "GET /by/{hand}", "/by/7"},
		{httpmw.Middleware(inj, byHand)(ok), "/none", "GET unmatched", "/none"},
		{httpmw.Middleware(inj)(ok), "/by/7", "GET /by/7", "/by/{any}"},
		{httpmw.Middleware(inj, httpmw.Operations(func(*http.Request) string { panic("no route") }))(ok), "/p", "GET unmatched", "/p"},
	} {
		patterns := []string{test.rule}
		if name := strings.TrimPrefix(test.operation, "GET "); name != "unmatched" {
			patterns = append(patterns, name)
		}
		for _, pattern := range patterns {
			seen = nil
			put(t, inj, rule("r", "http.server:*", fault.Fault{Delay: &fault.Delay{Fixed: 1}}, func(r *fault.Rule) { r.Target.Operations = []string{pattern} }))
			test.handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", test.url, nil))
			require.Contains(t, seen, test.operation, "rule for %q", pattern)
		}
	}
	seen = nil
	put(t, inj, rule("r", "http.server:*", fail(fault.Unavailable), func(r *fault.Rule) { r.Target.Operations = []string{"POST *", "/products"} }))
	httpmw.Middleware(inj)(mux).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/products/7", nil))
	require.Empty(t, seen)
}

func TestExemptPathsAreNeverFaulted(t *testing.T) {
	inj := fault.New("product")
	handler := httpmw.Middleware(inj, httpmw.Exempt("/debug/faults", "/healthz"))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	put(t, inj, rule("r", "http.server:*", fail(fault.Unavailable)))
	for path, want := range map[string]int{"/": 503, "/health": 503, "/debug/faults/v1/halt": 200, "/healthz": 200, "/x/healthz": 503} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("POST", path, nil))
		require.Equal(t, want, w.Code, path)
	}
}

// Unless a fault applies, the handler gets the very ResponseWriter of the
// server, with everything it can do.
func TestResponseWriterIsNotWrapped(t *testing.T) {
	inj := fault.New("edge")
	put(t, inj, rule("elsewhere", "ratings", fail(fault.Refused)),
		rule("someone-else", "http.server:*", fail(fault.Unavailable), only(scope.Customers("7"))))
	w := httptest.NewRecorder()
	handler := httpmw.Middleware(inj, httpmw.UnsafeRequestRules())(http.HandlerFunc(func(got http.ResponseWriter, _ *http.Request) {
		require.Same(t, w, got)
	}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Baggage", "misfit.customer=42")
	handler.ServeHTTP(w, r)
	require.Equal(t, 200, w.Code)
}

func TestHijackThroughTheMiddleware(t *testing.T) {
	inj := fault.New("edge")
	put(t, inj, rule("elsewhere", "ratings", fail(fault.Refused)))
	server := serve(t, httpmw.Middleware(inj)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = buffered.WriteString("raw\n")
		_ = buffered.Flush()
		_ = conn.Close()
	})))
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "raw\n", line)
}

func TestIdleAndUnrelatedAllocateNothing(t *testing.T) {
	inj := fault.New("edge")
	base := roundTrip(func(*http.Request) (*http.Response, error) { return nil, nil })
	rt := httpmw.Transport(inj, "ratings", base)
	handler := httpmw.Middleware(inj)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w := httptest.NewRecorder()
	entering := httptest.NewRequest("GET", "http://edge/", nil)
	entering.Header.Set("User-Agent", "test")
	leaving := httptest.NewRequest("GET", "http://ratings/7", nil)
	check := func(state string) {
		t.Helper()
		require.Zero(t, testing.AllocsPerRun(100, func() { handler.ServeHTTP(w, entering) }), "middleware, %s", state)
		require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = rt.RoundTrip(leaving) }), "transport, %s", state)
	}
	check("idle")
	put(t, inj, rule("elsewhere", "inventory", fail(fault.Refused)))
	check("rule elsewhere")
	put(t, inj, rule("someone-else", "*:*", fault.Fault{BlackHole: true}, only(scope.Customers("7"))))
	check("rule for somebody else")
	require.Equal(t, []string{"http.client:ratings", "http.server:edge"}, ruleStatus(t, inj, "someone-else").Points)

	mux := http.NewServeMux() // which is asked for its pattern only if a rule applies
	mux.HandleFunc("GET /{$}", func(http.ResponseWriter, *http.Request) {})
	bare := testing.AllocsPerRun(100, func() { mux.ServeHTTP(w, entering) })
	entering.Pattern = ""
	wrapped := httpmw.Middleware(inj)(mux)
	require.Equal(t, bare, testing.AllocsPerRun(100, func() {
		entering.Pattern = ""
		wrapped.ServeHTTP(w, entering)
	}))
}

func ruleStatus(t *testing.T, inj *fault.Injector, id string) fault.RuleStatus {
	status, ok := inj.Rule(id)
	require.True(t, ok)
	return status
}

// FuzzRequestHeaders: whatever a client sends, the request is served.
func FuzzRequestHeaders(f *testing.F) {
	f.Add(refuseRatings, "misfit.id=a,misfit.rule=%7B%7D", traceparent)
	f.Add(`{"id":"x","target":{"points":["*:*"]},"fault":{"error":{"class":"unavailable"}},"scope":{"customers":["nobody"]}}`, "a=b;c", "00")
	f.Add("\"\\\n\x00", "%ff=,;=", "\xff")
	f.Fuzz(func(t *testing.T, header, bag, parent string) {
		inj := fault.New("edge", fault.WithGuardrails(fault.Guardrails{Protected: []string{"http.server:edge"}}))
		served := false
		handler := httpmw.Middleware(inj, httpmw.UnsafeRequestRules())(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true }))
		r := httptest.NewRequest("GET", "/", nil)
		r.Header[httpmw.RuleHeader] = []string{header}
		r.Header["Baggage"] = []string{bag}
		r.Header["Traceparent"] = []string{parent}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if !served || w.Code != 200 {
			t.Fatalf("not served: %d", w.Code)
		}
		for _, c := range w.Header().Get(httpmw.StatusHeader) {
			if c < ' ' || c > '~' {
				t.Fatalf("the status header has a %q", c)
			}
		}
	})
}
