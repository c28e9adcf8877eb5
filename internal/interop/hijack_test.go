package interop_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// A handler that takes the connection over gets the very connection, and a
// client gets a body it can write to.
func TestHijack(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		server := x.serve(http1, "server", x.lineEcho(func(w http.ResponseWriter) (io.ReadWriteCloser, *bufio.ReadWriter, error) {
			return w.(http.Hijacker).Hijack()
		}))
		x.talkLines(ctx, x.client(server), server.URL)
	})
}

func TestHijackByController(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		server := x.serve(http1TLS, "server", x.lineEcho(func(w http.ResponseWriter) (io.ReadWriteCloser, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		}))
		x.talkLines(ctx, x.client(server), server.URL)
	})
}

// HTTP/2 has no connection to take over.
func TestHijackIsRefused(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		server := x.serve(http2, "server", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _, err := http.NewResponseController(w).Hijack()
			x.note("server", describeError(err))
		}))
		x.send(x.client(server), x.request(ctx, http.MethodGet, server.URL))
	})
}

// lineEcho speaks a protocol of its own once it has the connection.
func (x *exchange) lineEcho(hijack func(http.ResponseWriter) (io.ReadWriteCloser, *bufio.ReadWriter, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := hijack(w)
		x.note("lines", fmt.Sprintf("%T %s", conn, describeError(err)))
		if err != nil {
			return
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n")
		x.note("lines", describeError(err))
		for {
			line, err := rw.ReadString('\n')
			x.note("lines", fmt.Sprintf("%q %s", line, describeError(err)))
			if err != nil || line == "end\n" {
				break
			}
			_, err = rw.WriteString("echo of " + line)
			x.note("lines", describeError(err))
			x.note("lines", describeError(rw.Flush()))
		}
		_, err = w.Write([]byte("too late"))
		x.note("lines", describeError(err))
	})
}

func (x *exchange) talkLines(ctx context.Context, c *http.Client, url string) {
	req := x.request(ctx, http.MethodGet, url)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "lines")
	resp, err := c.Do(req)
	require.NoError(x, err)
	x.note("liner", describeResponse(resp))
	conn, ok := resp.Body.(io.ReadWriteCloser)
	require.True(x, ok)
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for i := range 3 {
		_, err := fmt.Fprintf(conn, "line %d\n", i)
		require.NoError(x, err)
		line, err := answers.ReadString('\n')
		x.note("liner", fmt.Sprintf("%q %s", line, describeError(err)))
	}
	_, err = io.WriteString(conn, "end\n")
	require.NoError(x, err)
	rest, err := io.ReadAll(answers)
	x.note("liner", fmt.Sprintf("%q %s", rest, describeError(err)))
}
