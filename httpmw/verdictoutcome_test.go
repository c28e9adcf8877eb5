package httpmw_test

import (
	"bufio"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/stretchr/testify/require"
)

// TestVerdictOfWhatFails has requests end in every way that is an error to whoever
// made them.
func TestVerdictOfWhatFails(t *testing.T) {
	for name, test := range map[string]struct {
		handle   http.HandlerFunc
		surfaced bool
	}{
		"panic":           {func(http.ResponseWriter, *http.Request) { panic("oh") }, true},
		"abort":           {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		"500":             {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }, true},
		"404":             {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) }, false},
		"103, then 503":   {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(103); w.WriteHeader(503) }, true},
		"200, then panic": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200); panic("oh") }, true},
		"nothing":         {func(http.ResponseWriter, *http.Request) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inj := fault.New("shop", fault.WithVerdicts(fault.VerdictSettings{}))
			point := inj.Point("custom", "ratings")
			put(t, inj, rule("r", "custom:ratings", fail(fault.Reset)))
			front := httptest.NewUnstartedServer(httpmw.Middleware(inj)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = point.Inject(r.Context(), fault.Operation{Name: "get"})
				test.handle(w, r)
			})))
			front.Config.ErrorLog = log.New(io.Discard, "", 0)
			front.Start()
			t.Cleanup(front.Close)
			if resp, err := http.Get(front.URL); err == nil {
				resp.Body.Close()
			}
			front.Close() // once every handler is done
			got := row(t, inj.Verdicts(), "r")
			require.Equal(t, test.surfaced, got.Surfaced == 1, "%+v", got)
			require.Equal(t, test.surfaced, got.Masked == 0)
		})
	}
}

// TestVerdictOfWhoGivesUp: a black hole with no timeout is seen by whoever waits,
// though the handler has nobody left to tell.
func TestVerdictOfWhoGivesUp(t *testing.T) {
	inj := fault.New("shop", fault.WithVerdicts(fault.VerdictSettings{}))
	point := inj.Point("custom", "ratings")
	put(t, inj, rule("hole", "custom:ratings", fault.Fault{BlackHole: true}))
	held := make(chan struct{})
	defer inj.Observe(fault.ObserverFunc(func(e fault.Event) {
		if e.Kind == fault.Hit {
			close(held)
		}
	}))()
	front := serve(t, httpmw.Middleware(inj)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = point.Inject(r.Context(), fault.Operation{Name: "get"})
	})))
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-held; cancel() }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, front.URL, nil)
	require.NoError(t, err)
	_, err = http.DefaultClient.Do(req)
	require.ErrorIs(t, err, context.Canceled)
	front.Close()
	require.EqualValues(t, 1, row(t, inj.Verdicts(), "hole").Surfaced)
}

// unsent keeps what is written to itself, and cannot be flushed.
type unsent struct{ header http.Header }

func (u unsent) Header() http.Header       { return u.header }
func (unsent) Write(p []byte) (int, error) { return len(p), nil }
func (unsent) WriteHeader(int)             {}

// oneRequest is a service for one request, which meets a fault before it is handled.
// done is closed when the handler has come back, which a client need not wait for.
func oneRequest(t *testing.T, handle http.HandlerFunc) (inj *fault.Injector, service http.Handler, done <-chan struct{}) {
	inj = fault.New("shop", fault.WithVerdicts(fault.VerdictSettings{}))
	point := inj.Point("custom", "ratings")
	put(t, inj, rule("r", "custom:ratings", fail(fault.Reset)))
	inner := httpmw.Middleware(inj)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = point.Inject(r.Context(), fault.Operation{Name: "get"})
		handle(w, r)
	}))
	over := make(chan struct{})
	return inj, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(over)
		inner.ServeHTTP(w, r)
	}), over
}

// TestVerdictOfDeadlines: a deadline within the service is not the user's patience. What
// the user saw is what was answered, by whomever.
func TestVerdictOfDeadlines(t *testing.T) {
	deadline := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 10*time.Millisecond)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
	gatewayTimeout := func(next http.Handler) http.Handler { // as routers have it
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 10*time.Millisecond)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
			if ctx.Err() != nil {
				w.WriteHeader(http.StatusGatewayTimeout)
			}
		})
	}
	buffered := func(next http.Handler) http.Handler { return http.TimeoutHandler(next, 10*time.Millisecond, "no") }
	// What http.TimeoutHandler does to an answer that comes just after its time is over,
	// before it says so.
	dropped := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), 10*time.Millisecond)
			defer cancel()
			next.ServeHTTP(unsent{make(http.Header)}, r.WithContext(ctx))
			w.WriteHeader(http.StatusServiceUnavailable)
		})
	}
	late := func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		_, _ = io.WriteString(w, "no ratings")
	}
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	half := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "half")
		<-r.Context().Done()
	}
	for name, test := range map[string]struct {
		around   func(http.Handler) http.Handler
		handle   http.HandlerFunc
		status   int
		surfaced uint64
	}{
		"falls back":                       {deadline, late, 200, 0},
		"falls back, within a router's":    {gatewayTimeout, late, 200, 0},
		"answers nothing":                  {gatewayTimeout, silent, 504, 1},
		"falls back too late":              {buffered, late, 503, 1},
		"answers nothing, another answers": {buffered, silent, 503, 1},
		"had begun":                        {buffered, half, 503, 1},
		"falls back into nothing":          {dropped, late, 503, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inj, once, done := oneRequest(t, test.handle)
			front := serve(t, test.around(once))
			resp, err := http.Get(front.URL)
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, test.status, resp.StatusCode)
			<-done
			got := row(t, inj.Verdicts(), "r")
			require.Equal(t, test.surfaced, got.Surfaced, "%+v", got)
			require.Equal(t, 1-test.surfaced, got.Masked)
		})
	}
}

// TestVerdictOfBodies: whoever is promised more than comes sees an error, and who has
// all of it need not stay.
func TestVerdictOfBodies(t *testing.T) {
	const body = "all of it"
	promise := func(w http.ResponseWriter, n int) { w.Header().Set("Content-Length", strconv.Itoa(n)) }
	gone := func(r *http.Request) { <-r.Context().Done() } // the client
	for name, test := range map[string]struct {
		method   string
		handle   http.HandlerFunc
		surfaced uint64
	}{
		"short": {"GET", func(w http.ResponseWriter, r *http.Request) {
			promise(w, 100)
			_, _ = w.Write([]byte(body))
		}, 1},
		"short, from a reader": {"GET", func(w http.ResponseWriter, r *http.Request) {
			promise(w, 100)
			_, _ = io.Copy(w, strings.NewReader(body))
		}, 1},
		"nothing of what was promised": {"GET", func(w http.ResponseWriter, r *http.Request) {
			promise(w, 100)
			w.WriteHeader(200)
		}, 1},
		"to HEAD": {"HEAD", func(w http.ResponseWriter, r *http.Request) {
			promise(w, 100)
			w.WriteHeader(200)
		}, 0},
		"not modified": {"GET", func(w http.ResponseWriter, r *http.Request) {
			promise(w, 100)
			w.WriteHeader(304)
		}, 0},
		"all, and then something else": {"GET", func(w http.ResponseWriter, r *http.Request) {
			promise(w, len(body))
			_, _ = io.WriteString(w, body)
			_ = http.NewResponseController(w).Flush()
			gone(r)
		}, 0},
		"all, to nobody": {"GET", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(103) // so that it knows that it is served
			gone(r)
			promise(w, len(body))
			_, _ = io.WriteString(w, body)
		}, 1},
		"who knows how much": {"GET", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, body)
			_ = http.NewResponseController(w).Flush()
			gone(r)
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inj, once, done := oneRequest(t, test.handle)
			front := serve(t, once)
			conn, err := net.Dial("tcp", strings.TrimPrefix(front.URL, "http://"))
			require.NoError(t, err)
			_, err = io.WriteString(conn, test.method+" / HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(t, err)
			answer := bufio.NewReader(conn)
			for line := ""; line != "\r\n"; { // the header, or a first one
				line, err = answer.ReadString('\n')
				require.NoError(t, err)
			}
			require.NoError(t, conn.Close())
			<-done
			got := row(t, inj.Verdicts(), "r")
			require.Equal(t, test.surfaced, got.Surfaced, "%+v", got)
		})
	}
}

// TestVerdictOfStreams: how long they last is up to the client, and that it leaves
// is no failure.
func TestVerdictOfStreams(t *testing.T) {
	inj := fault.New("shop", fault.WithVerdicts(fault.VerdictSettings{}))
	point := inj.Point("custom", "ratings")
	put(t, inj, rule("r", "custom:ratings", fail(fault.Reset)))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		_ = point.Inject(r.Context(), fault.Operation{Name: "get"})
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("GET /socket", func(w http.ResponseWriter, r *http.Request) {
		_ = point.Inject(r.Context(), fault.Operation{Name: "get"})
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\n\r\n"))
		_, _ = io.Copy(io.Discard, conn)
		conn.Close()
	})
	front := serve(t, httpmw.Middleware(inj)(mux))
	for _, path := range []string{"/events", "/socket"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(front.URL, "http://"))
		require.NoError(t, err)
		_, err = io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		_, err = conn.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
	require.Eventually(t, func() bool { return len(inj.Verdicts().Rows) == 2 }, 10*time.Second, time.Millisecond)
	for _, got := range inj.Verdicts().Rows {
		require.EqualValues(t, 1, got.Masked, "%+v", got)
		require.EqualValues(t, 1, got.Unmeasured)
		require.Zero(t, got.P50)
	}
}
