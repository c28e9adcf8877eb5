package interop_test

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience ends a run that hangs; no run that works comes near it.
const patience = 30 * time.Second

// A scenario is what foreign code does with a handler and a client over real
// connections. It notes everything that anyone in it could observe.
type scenario func(ctx context.Context, x *exchange)

// unnoticed requires that a scenario goes bare as it goes beside the library,
// in every way of being wrapped with no fault that applies.
func unnoticed(t *testing.T, s scenario) {
	t.Helper()
	want := record(t, bare, s)
	require.NotEmpty(t, want, "a scenario that notes nothing cannot fail")
	for _, w := range wirings {
		t.Run(w.name, func(t *testing.T) {
			got := record(t, w, s)
			for who := range want {
				require.Equal(t, want[who], got[who], "what %q saw", who)
			}
			require.Len(t, got, len(want))
		})
	}
}

// unnoticedByProtocol does so over HTTP/1.1 and over HTTP/2.
func unnoticedByProtocol(t *testing.T, s func(ctx context.Context, x *exchange, p protocol)) {
	t.Helper()
	for _, p := range []protocol{http1, http2} {
		t.Run(string(p), func(t *testing.T) {
			unnoticed(t, func(ctx context.Context, x *exchange) { s(ctx, x, p) })
		})
	}
}

// A transcript is what each of those who took part noted, in order.
type transcript map[string][]string

// An exchange is one run of a scenario.
type exchange struct {
	*testing.T
	wired

	closers []func()
	mu      sync.Mutex
	notes   transcript
	running int // handlers, those of hijacked connections included
	settled *sync.Cond
}

func record(t *testing.T, w wiring, s scenario) transcript {
	t.Helper()
	x := &exchange{T: t, wired: w.build(t), notes: transcript{}}
	x.settled = sync.NewCond(&x.mu)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	func() {
		defer x.close()
		defer cancel()
		s(ctx, x)
		require.NoError(t, ctx.Err(), "it took too long")
	}()
	x.verify(t)
	return x.notes
}

func (x *exchange) onClose(f func()) { x.closers = append(x.closers, f) }

func (x *exchange) close() {
	for _, f := range slices.Backward(x.closers) {
		f()
	}
	x.settle()
}

// settle waits until every handler has returned, since one may still have
// something to note when its client has all of the answer.
func (x *exchange) settle() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for x.running > 0 {
		x.settled.Wait()
	}
}

func (x *exchange) runs(more int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.running += more
	x.settled.Broadcast()
}

var loopback = regexp.MustCompile(`(127\.0\.0\.1|\[::1\]|localhost):[0-9]+`)

// note writes down what somebody saw. Ports differ from run to run and are
// left out.
func (x *exchange) note(who, what string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.notes[who] = append(x.notes[who], loopback.ReplaceAllString(x.carried.without(who, what), "HOST"))
}

// noted returns what somebody noted so far.
func (x *exchange) noted(who string) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return strings.Join(x.notes[who], "\n")
}

// A protocol is what a server and its clients speak.
type protocol string

const (
	http1    protocol = "HTTP/1.1"
	http1TLS protocol = "HTTP/1.1 over TLS"
	http2    protocol = "HTTP/2"
)

// serve starts a server whose handler h is inside the middleware and notes
// what reaches it as who.
func (x *exchange) serve(p protocol, who string, h http.Handler, edits ...func(*httptest.Server)) *httptest.Server {
	return x.start(p, x.middleware(x.observed(who, h)), edits...)
}

// start starts a server for a handler that is wrapped already.
func (x *exchange) start(p protocol, h http.Handler, edits ...func(*httptest.Server)) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = discard
	for _, edit := range edits {
		edit(server)
	}
	switch p {
	case http1:
		server.Start()
	case http1TLS:
		server.StartTLS()
	case http2:
		server.EnableHTTP2 = true
		server.StartTLS()
	}
	x.onClose(server.Close)
	return server
}

// observed notes each request that reaches h and the writer it comes with.
func (x *exchange) observed(who string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.runs(1)
		defer x.runs(-1)
		x.note(who, describeRequest(r))
		x.note(who, x.describeWriter(w))
		h.ServeHTTP(w, r)
	})
}

// base returns a new transport that speaks to server.
func (x *exchange) base(server *httptest.Server) *http.Transport {
	base := server.Client().Transport.(*http.Transport).Clone()
	x.onClose(base.CloseIdleConnections)
	return base
}

// client returns a client of server, as a test client or another service
// that carries an identity would have it.
func (x *exchange) client(server *httptest.Server) *http.Client {
	return &http.Client{Transport: x.caller(x.base(server))}
}

// send makes a request, notes the answer as "client" and returns its body.
func (x *exchange) send(c *http.Client, req *http.Request) string {
	defer x.settle()
	resp, err := c.Do(req)
	return x.answer("client", resp, err)
}

func (x *exchange) request(ctx context.Context, method, url string) *http.Request {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	require.NoError(x, err)
	return req
}

// pipe returns a request body that is written while it is sent, and that ends
// with ctx whoever waits for whom.
func (x *exchange) pipe(ctx context.Context) (io.ReadCloser, *io.PipeWriter) {
	body, writer := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = writer.CloseWithError(context.Cause(ctx)) })
	x.onClose(func() {
		stop()
		_ = writer.Close()
	})
	return body, writer
}

// sortedKeys returns the keys of a header.
func sortedKeys(h http.Header) []string { return slices.Sorted(maps.Keys(h)) }
