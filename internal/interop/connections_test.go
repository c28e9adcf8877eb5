package interop_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const sequential = 20

// Requests in a row use one connection, whatever they carry and whatever they
// get back.
func TestConnectionsAreReused(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		conns := newConnCount()
		server := x.serve(p, "server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(w, r.Body)
			x.note("server", describeError(err))
		}), conns.watch)
		c := x.client(server)
		ctx = x.connTraced(ctx)
		for i := range sequential {
			req := x.request(ctx, []string{http.MethodGet, http.MethodHead, http.MethodPost}[i%3], server.URL)
			if req.Method == http.MethodPost {
				req.Body = io.NopCloser(strings.NewReader(strings.Repeat("body", i*1000)))
			}
			x.send(c, req)
		}
		x.note("server", fmt.Sprint("connections: ", conns.opened()))
		require.Equal(x, 1, conns.opened())
	})
}

// A connection is not used again where the request says so or the answer was
// not read.
func TestConnectionsAreNotReused(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		conns := newConnCount()
		server := x.serve(http1, "server", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("much to read ", 1<<16)) // fails when the client closes
		}), conns.watch)
		c := x.client(server)
		for range 3 {
			resp, err := c.Do(x.request(ctx, http.MethodGet, server.URL))
			require.NoError(x, err)
			x.note("client", describeError(resp.Body.Close()))
			closing := x.request(ctx, http.MethodGet, server.URL)
			closing.Close = true
			x.send(c, closing)
		}
		x.note("server", fmt.Sprint("connections: ", conns.opened()))
		require.Equal(x, 6, conns.opened())
	})
}

// CloseIdleConnections of a client reaches the transport.
func TestCloseIdleConnections(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		conns := newConnCount()
		server := x.serve(p, "server", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), conns.watch)
		c := x.client(server)
		ctx = x.connTraced(ctx)
		for range 3 {
			x.send(c, x.request(ctx, http.MethodGet, server.URL))
			x.closeIdle(ctx, c, conns)
			x.note("server", "the connection was closed")
		}
		x.note("server", fmt.Sprint("connections: ", conns.opened()))
		require.Equal(x, 3, conns.opened())
	})
}

// closeIdle closes the client's one connection. Over HTTP/2 that is idle a
// moment after the answer is read, and a connection in use is passed over.
func (x *exchange) closeIdle(ctx context.Context, c *http.Client, conns *connCount) {
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		c.CloseIdleConnections()
		select {
		case <-conns.closed:
			return
		case <-again.C:
		case <-ctx.Done():
			require.FailNow(x, "the connection was not closed")
		}
	}
}

// connTraced notes for each request whether its connection is a used one.
func (x *exchange) connTraced(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			x.note("dialer", fmt.Sprint("reused: ", info.Reused, ", was idle: ", info.WasIdle))
		},
	})
}

// A connCount counts the connections of a server.
type connCount struct {
	mu     sync.Mutex
	n      int
	closed chan struct{} // gets one for each that ends
}

func newConnCount() *connCount { return &connCount{closed: make(chan struct{}, 100)} }

func (c *connCount) watch(s *httptest.Server) {
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			c.mu.Lock()
			defer c.mu.Unlock()
			c.n++
		case http.StateClosed:
			c.closed <- struct{}{}
		}
	}
}

func (c *connCount) opened() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}
