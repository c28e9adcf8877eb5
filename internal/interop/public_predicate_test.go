package interop_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, name string) authority {
	a := authority{}
	a.cert, a.key = certify(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	return a
}

// issue returns a certificate for clients, and for servers at the loopback address.
func (a authority) issue(t *testing.T, name string) tls.Certificate {
	cert, key := certify(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, &a)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

func (a authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func certify(t *testing.T, template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if by == nil {
		by = &authority{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, &key.PublicKey, by.key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert, key
}

// A visitor comes to an endpoint that decides whom it believes.
type visitor struct {
	name     string
	cert     *tls.Certificate
	from     string // address
	header   http.Header
	believed bool
}

// isOfMesh reports whether a client has shown a certificate of the mesh for a
// service of it.
func isOfMesh(state *tls.ConnectionState) bool {
	return state != nil && len(state.VerifiedChains) > 0 && strings.HasSuffix(state.PeerCertificates[0].Subject.CommonName, ".mesh")
}

// isInside reports whether an address with a port is in a network.
func isInside(network netip.Prefix, addr string) bool {
	parsed, err := netip.ParseAddrPort(addr)
	return err == nil && network.Contains(parsed.Addr().Unmap())
}

// isGateways reports whether a secret is the one that the gateway adds.
func isGateways(secret string) bool {
	return subtle.ConstantTimeCompare([]byte(secret), []byte("gateway's secret")) == 1
}

var inner = netip.MustParsePrefix("127.0.0.1/32")

// predicates are ways to tell strangers, in HTTP and in gRPC.
var predicates = map[string]struct {
	byHTTP func(*http.Request) bool
	byRPC  func(context.Context, string) bool
}{
	"certificate": {
		func(r *http.Request) bool { return !isOfMesh(r.TLS) },
		func(ctx context.Context, _ string) bool {
			from, _ := peer.FromContext(ctx)
			info, ok := from.AuthInfo.(credentials.TLSInfo)
			return !ok || !isOfMesh(&info.State)
		},
	},
	"network": {
		func(r *http.Request) bool { return !isInside(inner, r.RemoteAddr) },
		func(ctx context.Context, _ string) bool {
			from, _ := peer.FromContext(ctx)
			return !isInside(inner, from.Addr.String())
		},
	},
	"gateway": {
		func(r *http.Request) bool { return !isGateways(r.Header.Get("Gateway-Secret")) },
		func(ctx context.Context, _ string) bool {
			return !isGateways(strings.Join(metadata.ValueFromIncomingContext(ctx, "gateway-secret"), ""))
		},
	},
}

// visitors of each endpoint; m is the authority of the mesh.
func visitors(t *testing.T, predicate string, m authority) []visitor {
	service, foreign := m.issue(t, "orders.mesh"), m.issue(t, "somebody.example")
	self := newAuthority(t, "orders.mesh").issue(t, "orders.mesh")
	switch predicate {
	case "certificate":
		return []visitor{
			{name: "of the mesh", cert: &service, believed: true},
			{name: "of somebody else", cert: &foreign},
			{name: "of another authority", cert: &self},
			{name: "none"},
		}
	case "network":
		return []visitor{
			{name: "inside", from: "127.0.0.1", believed: true},
			{name: "outside", from: "127.0.0.2"},
			{name: "outside, who says that he is inside", from: "127.0.0.2", header: http.Header{"X-Forwarded-For": {"127.0.0.1"}, "X-Real-Ip": {"127.0.0.1"}}},
		}
	default:
		return []visitor{
			{name: "by the gateway", header: http.Header{"Gateway-Secret": {"gateway's secret"}}, believed: true},
			{name: "with a guess", header: http.Header{"Gateway-Secret": {"guess"}}},
			{name: "past the gateway"},
		}
	}
}

// dialer dials from a visitor's address.
func (v visitor) dialer(t *testing.T) *net.Dialer {
	if v.from == "" {
		return new(net.Dialer)
	}
	local := &net.TCPAddr{IP: net.ParseIP(v.from)}
	probe, err := net.ListenTCP("tcp", local)
	if err != nil {
		t.Skipf("the system has no address %s: %v", v.from, err)
	}
	require.NoError(t, probe.Close())
	return &net.Dialer{LocalAddr: local}
}

// config is the TLS of a visitor. He shows his certificate even if the server
// says that it knows nobody who could have signed it.
func (v visitor) config(m authority) *tls.Config {
	c := &tls.Config{RootCAs: m.pool()}
	if v.cert != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return v.cert, nil }
	}
	return c
}

// serverTLS accepts clients without a certificate, and with one of any authority,
// for the endpoint to decide.
func serverTLS(t *testing.T, m authority) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{m.issue(t, "server.mesh")},
		ClientCAs:    m.pool(),
		ClientAuth:   tls.VerifyClientCertIfGiven,
	}
}

// saysAlice is what visitors say.
var saysAlice = http.Header{"Baggage": {"misfit.customer=alice,theirs=1"}, "Traceparent": {callersTrace}}

func TestPublicEndpointFnDecides(t *testing.T) {
	needsFaults(t)
	for name, predicate := range predicates {
		m := newAuthority(t, "mesh")
		for _, v := range visitors(t, name, m) {
			t.Run(name+"/"+v.name, func(t *testing.T) {
				inj := fault.New("edge")
				httpmw.Transport(inj, "behind", nil)
				var who *scope.Request
				server := httptest.NewUnstartedServer(httpmw.Middleware(inj, httpmw.PublicEndpointFn(predicate.byHTTP))(
					http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { who = scope.From(r.Context()) })))
				server.TLS = serverTLS(t, m)
				server.Config.ErrorLog = discard
				server.StartTLS()
				defer server.Close()
				base := &http.Transport{TLSClientConfig: v.config(m), DialContext: v.dialer(t).DialContext}
				defer base.CloseIdleConnections()
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
				require.NoError(t, err)
				req.Header = merged(saysAlice, v.header)
				resp, err := base.RoundTrip(req)
				if v.name == "of another authority" {
					require.Error(t, err, "does not get as far as the endpoint")
					return
				}
				require.NoError(t, err)
				require.NoError(t, resp.Body.Close())
				holdBelieved(t, v.believed, who)
			})
		}
	}
}

func TestPublicEndpointFnDecidesOverRPC(t *testing.T) {
	needsFaults(t)
	for name, predicate := range predicates {
		m := newAuthority(t, "mesh")
		for _, v := range visitors(t, name, m) {
			t.Run(name+"/"+v.name, func(t *testing.T) {
				options := grpcint.ServerOptions(passingOn("edge"), grpcint.PublicEndpointFn(predicate.byRPC))
				b := newRPCBackend(t, append(options, grpc.Creds(credentials.NewTLS(serverTLS(t, m))))...)
				dialer := v.dialer(t)
				conn, err := grpc.NewClient(b.addr, grpc.WithTransportCredentials(credentials.NewTLS(v.config(m))),
					grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) }))
				require.NoError(t, err)
				defer conn.Close()
				md := metadata.MD{}
				for field, values := range merged(saysAlice, v.header) {
					md.Append(field, values...)
				}
				ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(t.Context(), md), patience)
				defer cancel()
				_, err = testgrpc.NewTestServiceClient(conn).EmptyCall(ctx, &testgrpc.Empty{})
				if v.name == "of another authority" {
					require.Error(t, err, "does not get as far as the endpoint")
					return
				}
				require.NoError(t, err)
				holdBelieved(t, v.believed, b.latest(t).request)
			})
		}
	}
}

func merged(headers ...http.Header) http.Header {
	all := http.Header{}
	for _, h := range headers {
		for name, values := range h {
			all[name] = values
		}
	}
	return all
}

func holdBelieved(t *testing.T, believed bool, who *scope.Request) {
	t.Helper()
	require.NotNil(t, who)
	if believed {
		require.Equal(t, &scope.Request{ID: callersTraceID, Customer: "alice"}, who)
		return
	}
	require.Empty(t, who.Customer)
	require.Len(t, who.ID, 32)
	require.NotEqual(t, callersTraceID, who.ID)
}
