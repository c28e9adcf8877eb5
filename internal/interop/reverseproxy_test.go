package interop_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxied puts a reverse proxy in front of a backend: the middleware around
// the proxy, the transport in it, the middleware around the backend.
func (x *exchange) proxied(p protocol, backend http.Handler) *httptest.Server {
	behind := x.serve(p, "backend", backend)
	target, err := url.Parse(behind.URL)
	require.NoError(x, err)
	return x.serve(p, "proxy", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.SetXForwarded()
		},
		Transport: x.transport(x.base(behind)),
		ErrorLog:  discard,
		ModifyResponse: func(resp *http.Response) error {
			x.note("modify", describeResponse(resp))
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			x.note("error handler", describeError(err))
			w.WriteHeader(http.StatusBadGateway)
		},
	})
}

func TestReverseProxyServerSentEvents(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		acknowledged := make(chan int)
		server := x.proxied(p, x.eventSource(acknowledged))
		x.listen(ctx, x.client(server), server.URL, acknowledged)
	})
}

func TestReverseProxyUpgrade(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		server := x.proxied(http1, x.coderEcho())
		x.coderTalk(ctx, x.client(server), server.URL)
	})
}

func TestReverseProxyTrailers(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.proxied(p, trailing())
		x.send(x.client(server), x.request(ctx, http.MethodGet, server.URL))
		require.Contains(x, x.noted("client"), `Late:["2"]`)
	})
}

func TestReverseProxyEarlyHints(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.proxied(p, hinting())
		x.send(x.client(server), x.request(x.traced(ctx), http.MethodGet, server.URL))
		require.Contains(x, x.noted("informed"), "103")
	})
}

func TestReverseProxyBackendAborts(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.proxied(p, aborting())
		resp, err := x.client(server).Do(x.request(ctx, http.MethodGet, server.URL))
		require.NoError(x, err)
		x.note("client", describeResponse(resp))
		body, err := io.ReadAll(resp.Body)
		x.note("client", fmt.Sprintf("%q %s", body, describeError(err)))
		require.Error(x, err)
		require.NoError(x, resp.Body.Close())
	})
}

func TestReverseProxyBackendIsDown(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		// The far end of a connection: a port that is taken, where nobody listens.
		some := x.start(http1, http.NotFoundHandler())
		conn, err := net.Dial("tcp", some.Listener.Addr().String())
		require.NoError(x, err)
		defer conn.Close()
		target, err := url.Parse("http://" + conn.LocalAddr().String())
		require.NoError(x, err)
		proxy := httputil.NewSingleHostReverseProxy(target) // with a Director
		proxy.Transport = x.transport(&http.Transport{})
		proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
			x.note("error handler", describeError(err))
			w.WriteHeader(http.StatusBadGateway)
		}
		server := x.serve(http1, "proxy", proxy)
		x.send(x.client(server), x.request(ctx, http.MethodGet, server.URL))
		require.Contains(x, x.noted("error handler"), "syscall.Errno")
	})
}

// traced notes as "informed" every informational response.
func (x *exchange) traced(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got100Continue: func() { x.note("informed", "go on") },
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			x.note("informed", fmt.Sprint(code, describeHeader(http.Header(header))))
			return nil
		},
	})
}
