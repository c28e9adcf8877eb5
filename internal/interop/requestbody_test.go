package interop_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// bodies are the kinds of request bodies that a transport tells apart.
func bodies(ctx context.Context, url string) map[string]func() (*http.Request, error) {
	post := func(body io.Reader) func() (*http.Request, error) {
		return func() (*http.Request, error) { return http.NewRequestWithContext(ctx, http.MethodPost, url, body) }
	}
	return map[string]func() (*http.Request, error){
		"none":    post(nil),
		"no body": post(http.NoBody),
		"known":   post(strings.NewReader("known")),
		"unknown": post(io.MultiReader(strings.NewReader("un"), strings.NewReader("known"))),
		"large":   post(bytes.NewReader(bytes.Repeat([]byte("large"), 100_000))),
		"declared": func() (*http.Request, error) {
			req, err := post(io.LimitReader(strings.NewReader("declared"), 8))()
			if err == nil {
				req.ContentLength = 8
			}
			return req, err
		},
		"chunked": func() (*http.Request, error) {
			req, err := post(strings.NewReader("chunked"))()
			if err == nil {
				req.TransferEncoding = []string{"chunked"}
				req.ContentLength = -1
			}
			return req, err
		},
	}
}

var bodyKinds = []string{"none", "no body", "known", "unknown", "large", "declared", "chunked"}

func TestRequestBodies(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			x.note("server", describeBytes(body)+describeError(err))
		}))
		for _, kind := range bodyKinds {
			req, err := bodies(ctx, server.URL)[kind]()
			require.NoError(x, err)
			x.send(x.client(server), req)
		}
	})
}

// The transport inside is given the caller's own request, or where there is
// an identity to add a copy that differs in nothing but its header.
func TestTransportIsGivenTheSameRequest(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		for _, kind := range bodyKinds {
			req, err := bodies(ctx, "http://somewhere.example/path?query")[kind]()
			require.NoError(x, err)
			req.Host = "virtual.example"
			req.Trailer = http.Header{"Sum": {"1"}}
			req.Close = true
			before := describeRequest(req)
			var given *http.Request
			rt := x.caller(roundTripper(func(r *http.Request) (*http.Response, error) {
				given = r
				return nil, errors.New("no further")
			}))
			_, err = rt.RoundTrip(req)
			x.note("client", describeError(err))
			x.note("transport", describeRequest(given))
			require.Equal(x, before, describeRequest(req), "the caller's request is as it was")
			require.Equal(x, before, describeRequest(given))
			require.Equal(x, req.Body, given.Body)
			if !x.stamps() {
				require.Same(x, req, given)
			}
			if given.GetBody != nil {
				again, err := given.GetBody()
				require.NoError(x, err)
				body, err := io.ReadAll(again)
				x.note("transport", describeBytes(body)+describeError(err))
			}
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// A body is read as it is sent, and not before: here its end exists only once
// the handler has its beginning.
func TestRequestBodyIsStreamed(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		body, writer := x.pipe(ctx)
		server := x.serve(p, "server", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			for _, part := range []string{"one", "two", "three"} {
				go func() { _, _ = io.WriteString(writer, part) }() // ends at the latest with the pipe
				got := make([]byte, len(part))
				_, err := io.ReadFull(r.Body, got)
				x.note("server", fmt.Sprintf("%q %s", got, describeError(err)))
			}
			require.NoError(x, writer.Close())
			_, err := r.Body.Read(make([]byte, 1))
			x.note("server", fmt.Sprint(errors.Is(err, io.EOF)))
		}))
		req := x.request(ctx, http.MethodPost, server.URL)
		req.Body = body
		x.send(x.client(server), req)
		require.Contains(x, x.noted("server"), `"three"`)
	})
}

var errBody = errors.New("the body broke")

// The error of a body that breaks is the error of the call, and the body is
// closed.
func TestRequestBodyBreaks(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		arrived := make(chan struct{})
		server := x.serve(p, "server", x.readsBeginning("good so far", arrived))
		body := &countedBody{Reader: io.MultiReader(strings.NewReader("good so far"), endsAfter{ctx, arrived, errBody})}
		req := x.request(ctx, http.MethodPost, server.URL)
		req.Body = body
		x.send(x.client(server), req)
		require.Contains(x, x.noted("client"), errBody.Error())
		require.True(x, body.isClosed())
	})
}

// A body that is shorter than was said is the caller's mistake, which fails
// the call over HTTP/1.1, with one of the errors that race for it there, and
// which HTTP/2 leaves to the server to notice.
func TestRequestBodyIsTooShort(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		arrived := make(chan struct{})
		server := x.serve(p, "server", x.readsBeginning("short", arrived))
		req := x.request(ctx, http.MethodPost, server.URL)
		req.Body = io.NopCloser(io.MultiReader(strings.NewReader("short"), endsAfter{ctx, arrived, io.EOF}))
		req.ContentLength = 10
		if p == http2 {
			x.send(x.client(server), req)
			return
		}
		_, err := x.client(server).Do(req)
		var outside *url.Error
		require.ErrorAs(x, err, &outside)
		x.note("client", outside.Op)
	})
}

// readsBeginning is a handler that says when it has the beginning of a body,
// and reads on.
func (x *exchange) readsBeginning(beginning string, arrived chan<- struct{}) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got := make([]byte, len(beginning))
		_, err := io.ReadFull(r.Body, got)
		x.note("server", fmt.Sprintf("%q %s", got, describeError(err)))
		close(arrived)
		n, err := io.Copy(io.Discard, r.Body)
		x.note("server", fmt.Sprint(n, describeError(err)))
	})
}

// endsAfter ends with an error once something has happened.
type endsAfter struct {
	ctx      context.Context // for Read has none
	happened <-chan struct{}
	err      error
}

func (r endsAfter) Read([]byte) (int, error) {
	select {
	case <-r.happened:
		return 0, r.err
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
}

// A request whose connection turns out to be dead is sent again with the body
// from GetBody.
func TestRequestIsSentAgain(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		x.carried.answeredByOthers()
		at := x.forgetful()
		base := &http.Transport{}
		defer base.CloseIdleConnections()
		c := &http.Client{Transport: x.caller(base)}
		for range 3 {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader("body"))
			require.NoError(x, err)
			req.Header.Set("Idempotency-Key", "1")
			x.send(c, req)
		}
		require.Equal(x, 3, strings.Count(x.noted("client"), "200 OK"))
	})
}

// forgetful is a server that drops every connection on its second request,
// after having read it.
func (x *exchange) forgetful() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(x, err)
	stopped := make(chan struct{})
	x.onClose(func() {
		_ = listener.Close()
		<-stopped
	})
	go func() {
		defer close(stopped)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			x.answerOnce(conn)
		}
	}()
	return "http://" + listener.Addr().String()
}

func (x *exchange) answerOnce(conn net.Conn) {
	defer conn.Close()
	requests := bufio.NewReader(conn)
	for n := range 2 {
		req, err := http.ReadRequest(requests)
		if err != nil {
			return
		}
		body, err := io.ReadAll(req.Body)
		x.note("server", fmt.Sprintf("%d: %s %s %s", n, describeRequest(req), body, describeError(err)))
		if n == 0 {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
	}
}
