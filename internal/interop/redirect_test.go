package interop_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A redirect is followed with the method, the body and the headers that it
// asks for.
func TestRedirects(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			x.note("server", fmt.Sprintf("%q %s", body, describeError(err)))
			if code := r.URL.Query().Get("code"); code != "" {
				w.Header().Set("Location", "/there")
				w.WriteHeader(map[string]int{"302": 302, "303": 303, "307": 307, "308": 308}[code])
				return
			}
			_, _ = io.WriteString(w, "arrived")
		}))
		for _, code := range []string{"302", "303", "307", "308"} {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/here?code="+code, strings.NewReader("carried over"))
			require.NoError(x, err)
			req.Header.Set("Authorization", "secret")
			require.Equal(x, "arrived", x.send(x.client(server), req))
		}
		require.Equal(x, 6, strings.Count(x.noted("server"), `"carried over"`))
	})
}

func TestRedirectsAreLimited(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		server := x.serve(http1, "server", http.RedirectHandler("/", http.StatusFound))
		c := x.client(server)
		x.send(c, x.request(ctx, http.MethodGet, server.URL))
		c.CheckRedirect = func(req *http.Request, via []*http.Request) error {
			x.note("client", fmt.Sprint(len(via), describeHeader(req.Response.Header)))
			return http.ErrUseLastResponse
		}
		x.send(c, x.request(ctx, http.MethodGet, server.URL))
	})
}

func TestCookies(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/login" {
				http.SetCookie(w, &http.Cookie{Name: "session", Value: "s-1", Path: "/", HttpOnly: true})
				http.Redirect(w, r, "/home", http.StatusSeeOther)
				return
			}
			_, _ = fmt.Fprint(w, r.Cookies())
		}))
		c := x.client(server)
		jar, err := cookiejar.New(nil)
		require.NoError(x, err)
		c.Jar = jar
		require.Equal(x, "[session=s-1]", x.send(c, x.request(ctx, http.MethodGet, server.URL+"/login")))
		x.send(c, x.request(ctx, http.MethodGet, server.URL+"/again"))
	})
}

// A forward proxy, itself behind the middleware, sees whole URLs, and CONNECT
// for what is encrypted.
func TestForwardProxy(t *testing.T) {
	for _, p := range []protocol{http1, http1TLS} {
		t.Run(string(p), func(t *testing.T) {
			unnoticed(t, func(ctx context.Context, x *exchange) {
				server := x.serve(p, "server", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					_, _ = io.WriteString(w, "from behind")
				}))
				proxy := x.serve(http1, "proxy", x.tunnel(server.Listener.Addr().String()))
				base := x.base(server)
				at, err := url.Parse(proxy.URL)
				require.NoError(x, err)
				base.Proxy = http.ProxyURL(at)
				base.DisableKeepAlives = true // or else the tunnel stays open and its handler runs on
				c := &http.Client{Transport: x.caller(base)}
				require.Equal(x, "from behind", x.send(c, x.request(ctx, http.MethodGet, server.URL+"/path")))
				require.Contains(x, x.noted("proxy"), map[protocol]string{http1: "GET http://", http1TLS: "CONNECT //"}[p])
			})
		})
	}
}
