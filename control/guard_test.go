package control_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
)

func TestWriteGuard(t *testing.T) {
	tests := []struct {
		name   string
		peer   string   // empty: 127.0.0.1:50000
		host   string   // empty: localhost:8080
		header []string // names and values by turns
		reason string   // empty: may write
	}{
		{name: "IPv4"},
		{name: "all of 127/8", peer: "127.9.8.7:1"},
		{name: "IPv6", peer: "[::1]:1", host: "[::1]:8080"},
		{name: "IPv6 with a zone", peer: "[::1%lo]:1"},
		{name: "IPv4 in IPv6", peer: "[::ffff:127.0.0.1]:1", host: "[::ffff:127.0.0.1]"},
		{name: "host without a port", host: "localhost"},
		{name: "host in capitals", host: "LocalHost:80"},
		{name: "host is an address", host: "127.0.0.1:8080"},
		{name: "host is an IPv6 address without a port", host: "[::1]"},
		{name: "browser, same origin", header: []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:8080"}},
		{name: "browser, typed by the user", header: []string{"Sec-Fetch-Site", "none"}},
		{name: "old browser, same origin", header: []string{"Origin", "http://localhost:8080"}},

		{name: "another machine", peer: "192.0.2.1:1", reason: "192.0.2.1 is not a loopback address"},
		{name: "the same network", peer: "10.0.0.1:1", reason: "not a loopback address"},
		{name: "another machine, IPv6", peer: "[2001:db8::1]:1", reason: "not a loopback address"},
		{name: "link-local", peer: "[fe80::1%eth0]:1", reason: "not a loopback address"},
		{name: "another machine, IPv4 in IPv6", peer: "[::ffff:192.0.2.1]:1", reason: "not a loopback address"},
		{name: "the unspecified address", peer: "0.0.0.0:1", reason: "not a loopback address"},
		{name: "peer without a port", peer: "127.0.0.1", reason: "not an IP address and port"},
		{name: "Unix socket", peer: "@", reason: "not an IP address and port"},
		{name: "peer by name", peer: "localhost:1", reason: "not an IP address and port"},

		{name: "X-Forwarded-For", header: []string{"X-Forwarded-For", "127.0.0.1"}, reason: `"X-Forwarded-For"`},
		{name: "X-Forwarded-For, empty", header: []string{"X-Forwarded-For", ""}, reason: `"X-Forwarded-For"`},
		{name: "X-Forwarded-Proto alone", header: []string{"X-Forwarded-Proto", "http"}, reason: `"X-Forwarded-Proto"`},
		{name: "Forwarded", header: []string{"Forwarded", "for=127.0.0.1"}, reason: `"Forwarded"`},
		{name: "X-Real-IP", header: []string{"X-Real-IP", "127.0.0.1"}, reason: `"X-Real-Ip"`},
		{name: "True-Client-IP", header: []string{"True-Client-IP", "127.0.0.1"}, reason: `"True-Client-Ip"`},
		{name: "Via", header: []string{"Via", "1.1 proxy"}, reason: `"Via"`},
		{name: "Envoy", header: []string{"X-Envoy-Attempt-Count", "1"}, reason: `"X-Envoy-Attempt-Count"`},

		{name: "rebound name", host: "evil.example", reason: `the Host "evil.example"`},
		{name: "rebound name and port", host: "evil.example:8080", reason: `the Host "evil.example:8080"`},
		{name: "name below localhost", host: "evil.localhost", reason: "the Host"},
		{name: "name that begins with localhost", host: "localhost.evil.example", reason: "the Host"},
		{name: "name that looks like an address", host: "127.0.0.1.evil.example", reason: "the Host"},
		{name: "another address", host: "192.0.2.1:8080", reason: "the Host"},
		{name: "the unspecified address as host", host: "0.0.0.0:8080", reason: "the Host"},
		{name: "address in one number", host: "2130706433", reason: "the Host"},
		{name: "user in the host", host: "localhost@evil.example", reason: "the Host"},
		{name: "no host", host: "-", reason: `the Host ""`},

		{name: "cross-site", header: []string{"Sec-Fetch-Site", "cross-site"}, reason: "cross-origin"},
		{name: "same site, another port", header: []string{"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:3000"}, reason: "cross-origin"},
		{name: "unknown Sec-Fetch-Site", header: []string{"Sec-Fetch-Site", "?"}, reason: "cross-origin"},
		{name: "old browser, another origin", header: []string{"Origin", "http://evil.example"}, reason: "cross-origin"},
		{name: "old browser, another port", header: []string{"Origin", "http://localhost:3000"}, reason: "cross-origin"},
		{name: "sandboxed page", header: []string{"Origin", "null"}, reason: "cross-origin"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inj := fault.New("checkout")
			h := control.New(inj)
			require.NoError(t, inj.Put(hole("kept")))
			for _, write := range []struct {
				method, path string
				status       int
			}{{"PUT", "/v1/rules/r", 201}, {"DELETE", "/v1/rules/kept", 204}, {"POST", "/v1/halt", 200}, {"POST", "/v1/resume", 200}} {
				got := direct(h, guarded(write.method, write.path, tt.peer, tt.host, tt.header))
				if tt.reason == "" {
					require.Equal(t, write.status, got.status, got.body)
					continue
				}
				p := requireProblem(t, got, 403, "urn:misfit:problem:write-refused")
				require.Contains(t, p.Detail, tt.reason)
				require.NotContains(t, p.Detail, "; ", "one reason is enough")
			}
			if tt.reason == "" {
				return
			}
			require.Len(t, inj.Rules(), 1)
			require.False(t, inj.Status().Halted)
			for _, path := range []string{"/", "/v1/status", "/v1/points", "/v1/rules", "/v1/rules/kept"} {
				require.Equal(t, 200, direct(h, guarded("GET", path, tt.peer, tt.host, tt.header)).status)
				require.Equal(t, 200, direct(h, guarded("HEAD", path, tt.peer, tt.host, tt.header)).status)
			}
		})
	}
}

func guarded(method, path, peer, host string, header []string) *http.Request {
	req := local(method, path, slow)
	if peer != "" {
		req.RemoteAddr = peer
	}
	switch host {
	case "":
	case "-":
		req.Host = ""
	default:
		req.Host = host
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

func TestWriteGuardGivesEveryReason(t *testing.T) {
	req := guarded("POST", "/v1/halt", "192.0.2.1:1", "evil.example", []string{"Via", "1.1 x", "Forwarded", "for=x", "Origin", "http://evil.test"})
	p := requireProblem(t, direct(control.New(fault.New("checkout")), req), 403, "urn:misfit:problem:write-refused")
	require.Equal(t, 4, strings.Count(p.Detail, "; "), p.Detail)
}

func TestWriteGuardOverIPv6(t *testing.T) {
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here:", err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: control.New(fault.New("checkout"))}}
	server.Start()
	defer server.Close()
	s := &site{t, nil, server.URL, server.Client()}
	requireJSON(t, s.do("PUT", "/v1/rules/r", slow), 201)
	requireProblem(t, s.do("PUT", "/v1/rules/r", slow, "X-Forwarded-For", "::1"), 403, "urn:misfit:problem:write-refused")
}

// With authorizers, what a web page could send is refused before they are asked,
// and what it could have rebound a name for after.
func TestGuardWithAuthorizers(t *testing.T) {
	const token = "a-token-of-more-than-22-bytes"
	certain := control.WithAuthorizer(bearer(t, token, "kim", control.Admin), knows("proxied", control.Admin))
	authorization := []string{"Authorization", "Bearer " + token}
	tests := []struct {
		name    string
		options []control.Option // besides the authorizers
		peer    string
		host    string
		header  []string
		tls     bool
		kind    string // empty: may do everything
		reads   bool   // all the same
	}{
		{name: "by address"},
		{name: "by address, IPv6", host: "[2001:db8::7]:8080"},
		{name: "by loopback address", host: "127.0.0.1"},
		{name: "localhost", host: "localhost:8080"},
		{name: "by name", host: "checkout.prod:8080", kind: "unknown-host"},
		{name: "no host", host: "-", kind: "unknown-host"},
		{name: "a name that looks like an address", host: "10.0.0.1.evil.example", kind: "unknown-host"},
		{name: "address in one number", host: "2130706433", kind: "unknown-host"},
		{name: "by name, same machine", peer: "127.0.0.1:1", host: "evil.example", kind: "unknown-host"},
		{name: "by name, with a token", host: "checkout.prod:8080", header: authorization},
		{name: "by name, with some other token", host: "evil.example", header: []string{"Authorization", "Bearer anything"}, kind: "unknown-host"},
		{name: "by name, with a password", host: "evil.example", header: []string{"Authorization", "Basic a2ltOmtpbQ=="}, kind: "unknown-host"},
		{name: "by name, over TLS", host: "checkout.prod:8443", tls: true},
		{name: "by name, over TLS from a proxy", host: "evil.example", tls: true, header: []string{"X-Forwarded-For", "10.0.0.1"}, kind: "unknown-host"},
		{name: "proxied with a token", host: "checkout.prod", header: append([]string{"X-Forwarded-For", "10.0.0.1"}, authorization...)},
		{name: "proxied, by address", header: []string{"Via", "1.1 proxy"}},
		{name: "allowed name", options: []control.Option{control.AllowedHosts("a.example", "Checkout.Prod")}, host: "checkout.prod:8080"},
		{name: "allowed name in capitals", options: []control.Option{control.AllowedHosts("checkout.prod")}, host: "CHECKOUT.PROD"},
		{name: "allowed name given with a port", options: []control.Option{control.AllowedHosts("checkout.prod:443")}, host: "checkout.prod:8080"},
		{name: "allowed name, proxied over TLS", options: []control.Option{control.AllowedHosts("checkout.prod")}, host: "checkout.prod", tls: true, header: []string{"Forwarded", "for=10.0.0.1"}},
		{name: "below an allowed name", options: []control.Option{control.AllowedHosts("prod")}, host: "checkout.prod", kind: "unknown-host"},
		{name: "an allowed name that is empty", options: []control.Option{control.AllowedHosts("", ":80")}, host: "-", kind: "unknown-host"},

		{name: "cross-site", header: []string{"Sec-Fetch-Site", "cross-site"}, kind: "write-refused", reads: true},
		{name: "cross-site with a token", header: append([]string{"Sec-Fetch-Site", "cross-site"}, authorization...), kind: "write-refused", reads: true},
		{name: "cross-site over TLS", tls: true, header: []string{"Sec-Fetch-Site", "cross-site"}, kind: "write-refused", reads: true},
		{name: "cross-site from an allowed name", options: []control.Option{control.AllowedHosts("a.example")}, header: []string{"Origin", "http://a.example"}, kind: "write-refused", reads: true},
		{name: "cross-site, same machine", options: []control.Option{control.AllowLoopback()}, peer: "127.0.0.1:1", host: "localhost", header: []string{"Sec-Fetch-Site", "same-site"}, kind: "write-refused", reads: true},
		{name: "old browser, another origin", header: []string{"Origin", "http://evil.example"}, kind: "write-refused", reads: true},
		{name: "sandboxed page", header: []string{"Origin", "null"}, kind: "write-refused", reads: true},
		{name: "same origin", header: []string{"Sec-Fetch-Site", "same-origin"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inj := fault.New("checkout")
			h := control.New(inj, append(tt.options, certain)...)
			for _, method := range []string{"GET", "POST"} {
				req := remote(method, map[string]string{"GET": "/v1/status", "POST": "/v1/halt"}[method])
				if tt.peer != "" {
					req.RemoteAddr = tt.peer
				}
				if tt.host != "" {
					req.Host = strings.TrimPrefix(tt.host, "-")
				}
				for i := 0; i < len(tt.header); i += 2 {
					req.Header.Add(tt.header[i], tt.header[i+1])
				}
				if tt.tls {
					req.TLS = new(tls.ConnectionState)
				}
				got := direct(h, req)
				if tt.kind == "" || method == "GET" && tt.reads {
					require.Equal(t, 200, got.status, got.body)
					continue
				}
				requireProblem(t, got, 403, "urn:misfit:problem:"+tt.kind)
				require.False(t, inj.Status().Halted)
			}
		})
	}
}

// Being on this machine is worth nothing once there are authorizers, unless it is
// asked for, and then every check of it stays.
func TestAllowLoopback(t *testing.T) {
	nobody := control.WithAuthorizer(bearer(t, "a-token-of-more-than-22-bytes", "kim", control.Viewer))
	tests := []struct {
		name       string
		peer, host string
		header     []string
		status     int // of a read
		write      int
	}{
		{name: "same machine", status: 200, write: 200},
		{name: "another machine", peer: "192.0.2.1:1", status: 401, write: 401},
		{name: "through a proxy", header: []string{"X-Forwarded-For", "192.0.2.1"}, status: 401, write: 401},
		{name: "rebound", host: "evil.example", status: 401, write: 401},
		{name: "by another address", host: "192.0.2.7", status: 401, write: 401},
		{name: "cross-site", header: []string{"Sec-Fetch-Site", "cross-site"}, status: 200, write: 403},
		{name: "with a wrong token", header: []string{"Authorization", "Bearer x"}, status: 401, write: 401},
		{name: "with a token of a viewer", header: []string{"Authorization", "Bearer a-token-of-more-than-22-bytes"}, status: 200, write: 403},
		{name: "with a password", header: []string{"Authorization", "Basic a2ltOmtpbQ=="}, status: 200, write: 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := control.New(fault.New("checkout"), nobody, control.AllowLoopback())
			require.Equal(t, tt.status, direct(h, guarded("GET", "/v1/status", tt.peer, tt.host, tt.header)).status)
			require.Equal(t, tt.write, direct(h, guarded("POST", "/v1/halt", tt.peer, tt.host, tt.header)).status)
			require.Equal(t, tt.write, direct(h, guarded("POST", "/v1/resume", tt.peer, tt.host, tt.header)).status)
		})
	}
	h := control.New(fault.New("checkout"), nobody)
	require.Equal(t, 401, direct(h, guarded("GET", "/v1/status", "", "", nil)).status)
	require.Equal(t, 401, direct(h, guarded("POST", "/v1/halt", "", "", nil)).status)
}

// Allowed names are also names of this machine, where only that may write.
func TestAllowedHostsWithoutAuthorizers(t *testing.T) {
	h := control.New(fault.New("checkout"), control.AllowedHosts("dev.example"))
	require.Equal(t, 200, direct(h, guarded("POST", "/v1/halt", "", "dev.example:8080", nil)).status)
	require.Equal(t, 403, direct(h, guarded("POST", "/v1/halt", "", "evil.example:8080", nil)).status)
	require.Equal(t, 403, direct(h, guarded("POST", "/v1/halt", "192.0.2.1:1", "dev.example:8080", nil)).status)
}
