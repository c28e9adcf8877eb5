package interop_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// hinting sends two informational responses before the final one.
func hinting() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Add("Link", "</b.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "made")
	})
}

func TestEarlyHints(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", hinting())
		x.send(x.client(server), x.request(x.traced(ctx), http.MethodGet, server.URL))
		require.Equal(x, 2, strings.Count(x.noted("informed"), "103"))
	})
}

// A client that asks first is told to go on only when the handler reads, and
// does not send its body to one that refuses.
func TestExpectContinue(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/refuses" {
				w.WriteHeader(http.StatusExpectationFailed)
				return
			}
			_, err := io.Copy(w, r.Body)
			x.note("server", describeError(err))
		}))
		for _, path := range []string{"/reads", "/refuses"} {
			base := x.base(server)
			base.ExpectContinueTimeout = patience
			body := &countedBody{Reader: strings.NewReader("the body")}
			req := x.request(x.traced(ctx), http.MethodPost, server.URL+path)
			req.Body, req.ContentLength = body, int64(len("the body"))
			req.Header.Set("Expect", "100-continue")
			x.send(&http.Client{Transport: x.caller(base)}, req)
			if path == "/refuses" {
				require.Zero(x, body.bytes())
			}
		}
		require.Equal(x, 1, strings.Count(x.noted("informed"), "go on"))
	})
}

// Where the handler answers without reading, the client sees the answer of
// the handler and not a failure to send.
func TestRefusedWithoutReading(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "not for you", http.StatusForbidden)
		}), func(s *httptest.Server) { s.Config.DisableGeneralOptionsHandler = true })
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, server.URL, strings.NewReader("some body"))
		require.NoError(x, err)
		x.send(x.client(server), req)
		x.send(x.client(server), x.request(ctx, http.MethodOptions, server.URL))
	})
}

// countedBody is a request body that knows how much of it was read.
type countedBody struct {
	io.Reader
	mu     sync.Mutex
	n      int
	closed bool
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n += n
	return n, err
}

func (b *countedBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

func (b *countedBody) bytes() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

func (b *countedBody) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}
