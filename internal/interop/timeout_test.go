package interop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Timeouts run on a clock of their own, over connections in memory, so that
// they are over at the very same time in every wiring.
func unnoticedInTime(t *testing.T, s scenario) {
	t.Helper()
	timed := func(t *testing.T, w wiring) (got transcript) {
		synctest.Test(t, func(t *testing.T) { got = record(t, w, s) })
		return got
	}
	want := timed(t, bare)
	require.NotEmpty(t, want)
	for _, w := range wirings {
		t.Run(w.name, func(t *testing.T) { require.Equal(t, want, timed(t, w)) })
	}
}

// stalling sends its header at once, its body after a minute.
func stalling() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			_, _ = io.WriteString(w, "part")
			w.(http.Flusher).Flush()
		}
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
		}
	})
}

// inMemory serves h and returns a transport that reaches it.
func (x *exchange) inMemory(h http.Handler) *http.Transport {
	listener := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: x.middleware(x.observed("server", h)), ErrorLog: discard}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener) // says that it was closed
	}()
	base := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return listener.dial() }}
	x.onClose(func() {
		base.CloseIdleConnections()
		require.NoError(x, server.Close())
		<-ended
	})
	return base
}

// A client's own timeout comes at the same time and answers the same to all
// that code may ask of it.
func TestClientTimeout(t *testing.T) {
	unnoticedInTime(t, func(ctx context.Context, x *exchange) {
		c := &http.Client{Transport: x.caller(x.inMemory(stalling())), Timeout: 5 * time.Second}
		for _, path := range []string{"/header", "/body"} {
			start := time.Now()
			resp, err := c.Do(x.request(ctx, http.MethodGet, "http://server.example"+path))
			if err == nil {
				var body []byte
				body, err = io.ReadAll(resp.Body)
				x.note("client", fmt.Sprintf("%q", body))
				require.NoError(x, resp.Body.Close())
			}
			x.note("client", describeTimeout(err))
			x.note("client", fmt.Sprint("after ", time.Since(start)))
			require.Equal(x, 5*time.Second, time.Since(start))
			x.settle()
		}
	})
}

// describeTimeout leaves out what net/http decides by a race of two of its
// timers: whether it is also a *http.timeoutError, and its text.
func describeTimeout(err error) string {
	var outside *url.Error
	var timeout net.Error
	return fmt.Sprintf("url.Error: %t, timeout: %t, deadline: %t, canceled: %t", errors.As(err, &outside),
		errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled))
}

// The deadline of the caller's context, and the transport's own limits.
func TestDeadlineOfTheContext(t *testing.T) {
	unnoticedInTime(t, func(ctx context.Context, x *exchange) {
		base := x.inMemory(stalling())
		c := &http.Client{Transport: x.caller(base)}
		for _, path := range []string{"/header", "/body"} {
			ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
			start := time.Now()
			x.send(c, x.request(ctx, http.MethodGet, "http://server.example"+path))
			x.note("client", fmt.Sprint("after ", time.Since(start)))
			cancel()
		}
		base.ResponseHeaderTimeout = time.Second
		start := time.Now()
		x.send(c, x.request(ctx, http.MethodGet, "http://server.example/header"))
		x.note("client", fmt.Sprint("after ", time.Since(start)))
		require.Contains(x, x.noted("client"), "timeout awaiting response headers")
	})
}

// http.TimeoutHandler, inside the middleware, gives the handler a context
// with a deadline and the client its 503.
func TestTimeoutHandler(t *testing.T) {
	unnoticedInTime(t, func(ctx context.Context, x *exchange) {
		c := &http.Client{Transport: x.caller(x.inMemory(http.TimeoutHandler(stalling(), 2*time.Second, "too slow")))}
		start := time.Now()
		require.Equal(x, "too slow", x.send(c, x.request(ctx, http.MethodGet, "http://server.example/header")))
		x.note("client", fmt.Sprint("after ", time.Since(start)))
	})
}

// pipes is a listener whose connections are in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) dial() (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	close(p.closed)
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "pipe"} }
