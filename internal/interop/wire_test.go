package interop_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var varies = regexp.MustCompile(`(?m)^(Date|Baggage|Traceparent|Fault-Token): .*\r\n`)

// What a server puts on the wire is the same to the byte.
func TestBytesOfResponses(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		server := x.serve(http1, "server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/chunks" {
				w.(http.Flusher).Flush()
				_, _ = io.WriteString(w, "first")
				w.(http.Flusher).Flush()
			}
			_, _ = io.WriteString(w, "<p>second")
		}))
		for _, request := range []string{
			"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n",
			"GET /chunks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n",
			"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n",
			"GET /chunks HTTP/1.0\r\n",
			"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n",
			"GET http://elsewhere.example/absolute HTTP/1.1\r\nHost: b\r\nConnection: close\r\n",
			"GET //double//slash/../dots?a=%2F;b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n",
			"BREW /pot HTTP/1.1\r\nHost: a\r\nConnection: close\r\nOdd-Header:\r\nodd-header: \xe4\r\n",
			"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: gzip\r\n",
			"GET / HTTP/1.1\r\nConnection: close\r\n",
		} {
			x.note("wire", varies.ReplaceAllString(x.rawly(ctx, server.Listener.Addr().String(), request), ""))
		}
	})
}

// rawly sends the beginning of a request as it is, with the headers of an
// identity, and returns all that comes back.
func (x *exchange) rawly(ctx context.Context, addr, request string) string {
	return x.exactly(ctx, addr, request+"%s\r\n")
}

// exactly sends a request that has a place for the headers of an identity.
func (x *exchange) exactly(ctx context.Context, addr, request string) string {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	require.NoError(x, err)
	defer conn.Close()
	until, _ := ctx.Deadline()
	require.NoError(x, conn.SetDeadline(until))
	var stamped strings.Builder
	require.NoError(x, x.stamp(http.Header{}).Write(&stamped))
	_, err = io.WriteString(conn, strings.Replace(request, "%s", stamped.String(), 1))
	require.NoError(x, err)
	answer, err := io.ReadAll(conn)
	require.NoError(x, err)
	require.True(x, strings.HasPrefix(string(answer), "HTTP/1."))
	x.carried.hearWire(request, string(answer))
	x.settle()
	return string(answer)
}

// What a client puts on the wire is the same to the byte, but for the headers
// of an identity.
func TestBytesOfRequests(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		x.carried.answeredByOthers()
		for _, kind := range []string{"none", "no body", "known", "unknown", "declared", "chunked"} {
			addr, received := x.recorder()
			req, err := bodies(ctx, "http://"+addr+"/a%2Fb/../c?d=e;f")[kind]()
			require.NoError(x, err)
			req.Host = "virtual.example"
			req.Header["odd-Case"] = []string{"1", "2"}
			req.Header.Set("User-Agent", "")
			base := &http.Transport{}
			x.send(&http.Client{Transport: x.caller(base)}, req)
			base.CloseIdleConnections()
			x.note("wire", varies.ReplaceAllString(<-received, ""))
		}
	})
}

// recorder is a server that keeps the bytes of one request.
func (x *exchange) recorder() (string, <-chan string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(x, err)
	received := make(chan string, 1)
	go func() {
		defer close(received)
		conn, err := listener.Accept()
		_ = listener.Close()
		if err != nil {
			return
		}
		defer conn.Close()
		var bytes strings.Builder
		req, err := http.ReadRequest(bufio.NewReader(io.TeeReader(conn, &bytes)))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		received <- bytes.String()
	}()
	x.onClose(func() { _ = listener.Close() })
	return listener.Addr().String(), received
}
