package control_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
)

// A certificate has its key, and can sign others.
type certificate struct{ tls.Certificate }

// issue makes a certificate that the issuer has signed, or itself if there is
// none. What the template leaves out is filled in.
func issue(issuer *certificate, template x509.Certificate) *certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	if template.ExtKeyUsage == nil && !template.IsCA {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	parent, signer := &template, key
	if issuer != nil {
		parent, signer = issuer.Leaf, issuer.PrivateKey.(*ecdsa.PrivateKey)
	}
	der := must(x509.CreateCertificate(rand.Reader, &template, parent, &key.PublicKey, signer))
	return &certificate{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: must(x509.ParseCertificate(der))}}
}

func authority(name string) *certificate {
	return issue(nil, x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
}

func pool(cas ...*certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, ca := range cas {
		p.AddCert(ca.Leaf)
	}
	return p
}

func uris(texts ...string) []*url.URL {
	var all []*url.URL
	for _, text := range texts {
		all = append(all, must(url.Parse(text)))
	}
	return all
}

// must is for what only a mistake in the test can make fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// over sends a request over TLS, with a client certificate or without one.
func over(t *testing.T, server *httptest.Server, method, path string, client *certificate, header ...string) (response, error) {
	t.Helper()
	config := &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	if client != nil {
		// Whatever issuers the server asks for.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &client.Certificate, nil }
	}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return response{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, resp.Header, string(text)}, err
}

func secured(t *testing.T, h http.Handler, auth tls.ClientAuthType, cas ...*certificate) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.TLS = &tls.Config{ClientAuth: auth, ClientCAs: pool(cas...)}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func TestClientCertificates(t *testing.T) {
	ours, theirs := authority("ours"), authority("theirs")
	spiffe := uris("spiffe://prod.example/ops/kim")
	a, err := control.ClientCertificates(map[string]control.Principal{
		"uri:spiffe://prod.example/ops/kim": {Name: "kim", Role: control.Admin},
		"dns:Deploy.prod.example":           {Name: "deploy", Role: control.Operator},
		"cn:lee":                            {Name: "lee", Role: control.Viewer},
		"cn:*.prod.example":                 {Name: "star", Role: control.Admin},
	})
	require.NoError(t, err)

	const (
		open    = tls.NoClientCert
		request = tls.RequestClientCert
		some    = tls.RequireAnyClientCert
		given   = tls.VerifyClientCertIfGiven
		needed  = tls.RequireAndVerifyClientCert
		broken  = 0 // the handshake fails
	)
	tests := []struct {
		name   string
		auth   tls.ClientAuthType
		client *certificate
		read   int
		halt   int
		resume int
	}{
		{"URI", given, issue(ours, x509.Certificate{URIs: spiffe}), 200, 200, 200},
		{"URI, required", needed, issue(ours, x509.Certificate{URIs: spiffe}), 200, 200, 200},
		{"URI among others", given, issue(ours, x509.Certificate{URIs: uris("spiffe://x/y", "spiffe://prod.example/ops/kim")}), 200, 200, 200},
		{"DNS name", given, issue(ours, x509.Certificate{DNSNames: []string{"a.example", "deploy.PROD.example"}}), 200, 200, 403},
		{"common name", given, issue(ours, x509.Certificate{Subject: pkix.Name{CommonName: "lee"}}), 200, 403, 403},
		{"URI before the rest", given, issue(ours, x509.Certificate{Subject: pkix.Name{CommonName: "lee"}, DNSNames: []string{"deploy.prod.example"}, URIs: spiffe}), 200, 200, 200},
		{"DNS name before the common name", given, issue(ours, x509.Certificate{Subject: pkix.Name{CommonName: "lee"}, DNSNames: []string{"deploy.prod.example"}}), 200, 200, 403},

		{"no certificate", given, nil, 401, 401, 401},
		{"no certificate, required", needed, nil, broken, broken, broken},
		{"nobody asks for certificates", open, issue(ours, x509.Certificate{URIs: spiffe}), 401, 401, 401},
		{"a name that is not known", given, issue(ours, x509.Certificate{Subject: pkix.Name{CommonName: "mallory"}}), 401, 401, 401},
		{"no name", given, issue(ours, x509.Certificate{}), 401, 401, 401},
		{"the URI as a common name", given, issue(ours, x509.Certificate{Subject: pkix.Name{CommonName: "spiffe://prod.example/ops/kim"}}), 401, 401, 401},
		{"the DNS name as a common name", given, issue(ours, x509.Certificate{Subject: pkix.Name{CommonName: "deploy.prod.example"}}), 401, 401, 401},
		{"the common name as a DNS name", given, issue(ours, x509.Certificate{DNSNames: []string{"lee"}}), 401, 401, 401},
		{"the name in another field", given, issue(ours, x509.Certificate{Subject: pkix.Name{Organization: []string{"lee"}}, EmailAddresses: []string{"lee"}}), 401, 401, 401},
		{"common name in capitals", given, issue(ours, x509.Certificate{Subject: pkix.Name{CommonName: "Lee"}}), 401, 401, 401},
		{"a longer path", given, issue(ours, x509.Certificate{URIs: uris("spiffe://prod.example/ops/kim/x")}), 401, 401, 401},
		{"a path in other words", given, issue(ours, x509.Certificate{URIs: uris("spiffe://prod.example/ops/%6bim")}), 401, 401, 401},
		{"a wildcard", given, issue(ours, x509.Certificate{DNSNames: []string{"*.prod.example"}}), 401, 401, 401},

		{"expired", given, issue(ours, x509.Certificate{URIs: spiffe, NotAfter: time.Now().Add(-time.Minute)}), broken, broken, broken},
		{"not yet valid", given, issue(ours, x509.Certificate{URIs: spiffe, NotBefore: time.Now().Add(time.Minute)}), broken, broken, broken},
		{"of another authority", given, issue(theirs, x509.Certificate{URIs: spiffe}), broken, broken, broken},
		{"of an authority of the same name", given, issue(authority("ours"), x509.Certificate{URIs: spiffe}), broken, broken, broken},
		{"self-signed", given, issue(nil, x509.Certificate{URIs: spiffe}), broken, broken, broken},
		{"signed by one that is no authority", given, issue(issue(ours, x509.Certificate{}), x509.Certificate{URIs: spiffe}), broken, broken, broken},
		{"for servers", given, issue(ours, x509.Certificate{URIs: spiffe, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}), broken, broken, broken},

		{"good, but not verified", request, issue(ours, x509.Certificate{URIs: spiffe}), 401, 401, 401},
		{"self-signed, not verified", request, issue(nil, x509.Certificate{URIs: spiffe}), 401, 401, 401},
		{"expired, not verified", some, issue(ours, x509.Certificate{URIs: spiffe, NotAfter: time.Now().Add(-time.Minute)}), 401, 401, 401},
		{"of another authority, not verified", some, issue(theirs, x509.Certificate{URIs: spiffe}), 401, 401, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := secured(t, control.New(fault.New("checkout"), control.WithAuthorizer(a)), tt.auth, ours)
			for _, req := range []struct {
				method, path string
				status       int
			}{{"GET", "/v1/status", tt.read}, {"POST", "/v1/halt", tt.halt}, {"POST", "/v1/resume", tt.resume}} {
				got, err := over(t, server, req.method, req.path, tt.client)
				if req.status == broken {
					if err == nil {
						t.Fatalf("%s %s was answered: %v", req.method, req.path, got)
					}
					continue
				}
				if err != nil || got.status != req.status {
					t.Fatalf("%s %s: got %v, %v, want %d", req.method, req.path, got, err, req.status)
				}
			}
		})
	}
}

// What is said of certificates in headers is not believed, nor is what a client
// says without TLS.
func TestClientCertificatesInHeaders(t *testing.T) {
	a, err := control.ClientCertificates(map[string]control.Principal{"cn:kim": {Name: "kim", Role: control.Admin}})
	require.NoError(t, err)
	ours := authority("ours")
	h := control.New(fault.New("checkout"), control.WithAuthorizer(a))
	server := secured(t, h, tls.VerifyClientCertIfGiven, ours)
	for _, header := range [][]string{
		{"X-Forwarded-Client-Cert", `Subject="CN=kim";URI=spiffe://x`},
		{"X-SSL-Client-S-DN", "CN=kim", "X-SSL-Client-Verify", "SUCCESS"},
		{"Client-Cert", ":MIIB:"},
	} {
		require.Equal(t, 401, direct(h, remote("GET", "/v1/status", header...)).status)
		got, err := over(t, server, "GET", "/v1/status", nil, header...)
		require.NoError(t, err)
		require.Equal(t, 401, got.status)
	}
}

func TestClientCertificatesBesideTokens(t *testing.T) {
	certificates, err := control.ClientCertificates(map[string]control.Principal{"cn:lee": {Name: "lee", Role: control.Viewer}})
	require.NoError(t, err)
	ours := authority("ours")
	lee := issue(ours, x509.Certificate{Subject: pkix.Name{CommonName: "lee"}})
	token := bearer(t, kimsToken, "kim", control.Operator)
	for _, order := range [][]control.Authorizer{{token, certificates}, {certificates, token}} {
		server := secured(t, control.New(fault.New("checkout"), control.WithAuthorizer(order...)), tls.VerifyClientCertIfGiven, ours)
		for _, tt := range []struct {
			client *certificate
			header []string
			halt   int
		}{
			{nil, []string{"Authorization", "Bearer " + kimsToken}, 200},
			{lee, nil, 403},
			{lee, []string{"Authorization", "Bearer of nothing"}, 403},
			{nil, nil, 401},
		} {
			got, err := over(t, server, "POST", "/v1/halt", tt.client, tt.header...)
			require.NoError(t, err)
			require.Equal(t, tt.halt, got.status)
		}
	}
}

// A connection may outlive the certificate that it was opened with.
func TestClientCertificateExpiresOnTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := control.ClientCertificates(map[string]control.Principal{"cn:kim": {Name: "kim", Role: control.Admin}})
		require.NoError(t, err)
		ours := authority("ours")
		kim := issue(ours, x509.Certificate{Subject: pkix.Name{CommonName: "kim"}, NotAfter: time.Now().Add(time.Hour)})
		h := control.New(fault.New("checkout"), control.WithAuthorizer(a))
		req := remote("GET", "/v1/status")
		req.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{kim.Leaf, ours.Leaf}}}
		require.Equal(t, 200, direct(h, req).status)
		time.Sleep(time.Hour + time.Second)
		require.Equal(t, 401, direct(h, req).status)
	})
}

func TestClientCertificatesWithoutChains(t *testing.T) {
	a, err := control.ClientCertificates(map[string]control.Principal{"cn:kim": {Name: "kim", Role: control.Admin}})
	require.NoError(t, err)
	kim := issue(nil, x509.Certificate{Subject: pkix.Name{CommonName: "kim"}}).Leaf
	for _, state := range []*tls.ConnectionState{
		nil, {}, {PeerCertificates: []*x509.Certificate{kim}}, {VerifiedChains: [][]*x509.Certificate{}}, {VerifiedChains: [][]*x509.Certificate{{}}},
	} {
		req := remote("GET", "/v1/status")
		req.TLS = state
		_, ok, err := a.Authorize(req)
		require.NoError(t, err)
		require.False(t, ok)
	}
}

func TestClientCertificatesRefusesMistakes(t *testing.T) {
	kim := control.Principal{Name: "kim", Role: control.Viewer}
	tests := []struct {
		name  string
		names map[string]control.Principal
		want  string
	}{
		{"none", nil, "there are no names"},
		{"no kind", map[string]control.Principal{"kim": kim}, `name "kim": does not say of which kind it is`},
		{"a URI without a kind", map[string]control.Principal{"spiffe://prod.example/kim": kim}, "does not say of which kind"},
		{"another kind", map[string]control.Principal{"email:kim@example.com": kim}, "does not say of which kind"},
		{"empty", map[string]control.Principal{"": kim}, "does not say of which kind"},
		{"empty common name", map[string]control.Principal{"cn:": kim}, "is empty"},
		{"no URI", map[string]control.Principal{"uri:kim": kim}, "is not a URI"},
		{"a URI that cannot be parsed", map[string]control.Principal{"uri:spiffe://%zz": kim}, "is not a URI"},
		{"a URI that is written otherwise", map[string]control.Principal{"uri:SPIFFE://prod.example/a b": kim}, "is not a URI"},
		{"a DNS name twice", map[string]control.Principal{"dns:a.example": kim, "dns:A.example": kim}, "is there twice"},
		{"no name", map[string]control.Principal{"cn:kim": {Role: control.Admin}}, `name "cn:kim".name`},
		{"no role", map[string]control.Principal{"cn:kim": {Name: "kim"}}, `name "cn:kim".role`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := control.ClientCertificates(tt.names)
			require.ErrorContains(t, err, tt.want)
			require.Nil(t, a)
		})
	}
	_, err := control.ClientCertificates(map[string]control.Principal{"dns:kim": kim, "cn:kim": kim, "cn:Kim": kim})
	require.NoError(t, err)
}
