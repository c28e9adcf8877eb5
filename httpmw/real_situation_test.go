package httpmw_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

// soon is a timeout that a test waits for.
const soon = 20 * time.Millisecond

// A protocol is a way to reach a server.
type protocol int

const (
	http1 protocol = iota
	http1TLS
	http2
)

var (
	everyProtocol = []protocol{http1, http1TLS, http2}
	overTLS       = []protocol{http1TLS, http2}
)

func (p protocol) String() string {
	return [...]string{"HTTP/1.1", "HTTP/1.1 over TLS", "HTTP/2"}[p]
}

func (p protocol) scheme() string {
	if p == http1 {
		return "http://"
	}
	return "https://"
}

// transport returns a new transport that speaks only p and trusts the servers
// of httptest.
func (p protocol) transport(t *testing.T) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(p != http2)
	protocols.SetHTTP2(p == http2)
	roots := x509.NewCertPool()
	roots.AddCert(certificate(t).Leaf)
	return &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: roots}}
}

// certificate is httptest's, for 127.0.0.1.
func certificate(t *testing.T) tls.Certificate {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	cert := s.TLS.Certificates[0]
	cert.Leaf = s.Certificate()
	require.NotNil(t, cert.Leaf)
	return cert
}

// server starts a real server that speaks p.
func (p protocol) server(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if (r.ProtoMajor == 2) != (p == http2) {
			t.Errorf("the call came over %s", r.Proto)
		}
		h(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = p == http2
	if p == http1 {
		s.Start()
	} else {
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s.URL
}

// listener starts a server of a kind of its own; serve gets each connection
// after the handshake, and closes it.
func (p protocol) listener(t *testing.T, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	config := &tls.Config{Certificates: []tls.Certificate{certificate(t)}, NextProtos: []string{"http/1.1"}}
	if p == http2 {
		config.NextProtos = []string{"h2"}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if p != http1 {
				conn = tls.Server(conn, config)
			}
			go serve(conn)
		}
	}()
	return p.scheme() + l.Addr().String()
}

var situations = []situation{
	{"refused", fail(fault.Refused), everyProtocol, refusedForReal, nil},
	{"reset", fail(fault.Reset), everyProtocol, resetForReal, nil},
	{"connect timeout", fail(fault.ConnectTimeout), everyProtocol, connectTimeoutForReal, nil},
	{"name not found", fail(fault.DNS), everyProtocol, nameNotFoundForReal, nil},
	{"name server silent", fail(fault.DNSTimeout), everyProtocol, nameTimeoutForReal, nil},
	{"TLS handshake timeout", fail(fault.TLSTimeout), overTLS, handshakeTimeoutForReal, nil},
	{"unknown authority", fail(fault.TLS), overTLS, certificateUnknownForReal, nil},
	{"header timeout", fail(fault.HeaderTimeout), everyProtocol, headerTimeoutForReal, nil},
	{"timeout", fail(fault.Timeout), everyProtocol, headerTimeoutForReal, nil},
	{"deadline", fault.Fault{BlackHole: true}, everyProtocol, silentForReal, deadline},
	{"deadline in a delay", fault.Fault{Delay: &fault.Delay{Fixed: time.Minute}}, everyProtocol, silentForReal, deadline},
	{"stream reset", fail(fault.StreamReset), []protocol{http2}, streamResetForReal, nil},
	{"GOAWAY", fail(fault.GoAway), []protocol{http2}, goAwayForReal, nil},
}

func deadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), soon)
}

// The far end of a connection is a port that is taken, so that nobody else
// begins to listen there.
func refusedForReal(t *testing.T, p protocol) (*http.Transport, string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return p.transport(t), p.scheme() + conn.LocalAddr().String()
}

func resetForReal(t *testing.T, p protocol) (*http.Transport, string) {
	return p.transport(t), p.listener(t, func(conn net.Conn) {
		defer conn.Close()
		if p == http2 {
			readHTTP2Request(conn)
		} else {
			_, _ = http.ReadRequest(bufio.NewReader(conn))
		}
		raw := conn
		if c, ok := conn.(*tls.Conn); ok {
			raw = c.NetConn()
		}
		_ = raw.(*net.TCPConn).SetLinger(0) // close with a reset
		_ = raw.Close()
	})
}

// No packet is lost on loopback: the dialer is held until its time is up
// instead, right before it connects.
func connectTimeoutForReal(t *testing.T, p protocol) (*http.Transport, string) {
	target := p.server(t, func(http.ResponseWriter, *http.Request) {})
	transport := p.transport(t)
	transport.DialContext = (&net.Dialer{
		Timeout: soon,
		ControlContext: func(ctx context.Context, _, _ string, _ syscall.RawConn) error {
			<-ctx.Done()
			return nil
		},
	}).DialContext
	return transport, target
}

func nameNotFoundForReal(t *testing.T, p protocol) (*http.Transport, string) {
	return resolving(t, p, 0, func(query []byte) []byte {
		const response, recursionAvailable, nameError = 0x80, 0x80, 3 // RFC 1035, section 4.1.1
		query[2] |= response
		query[3] = recursionAvailable | nameError
		return query
	})
}

func nameTimeoutForReal(t *testing.T, p protocol) (*http.Transport, string) {
	return resolving(t, p, soon, func([]byte) []byte { return nil })
}

// resolving asks a name server that answers each query with what answer makes
// of it.
func resolving(t *testing.T, p protocol, timeout time.Duration, answer func([]byte) []byte) (*http.Transport, string) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		packet := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return
			}
			if response := answer(packet[:n]); response != nil {
				_, _ = server.WriteTo(response, from)
			}
		}
	}()
	transport := p.transport(t)
	transport.DialContext = (&net.Dialer{Timeout: timeout, Resolver: &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
		},
	}}).DialContext
	return transport, p.scheme() + "ratings.test.:8080/" // the dot keeps search domains out
}

func handshakeTimeoutForReal(t *testing.T, p protocol) (*http.Transport, string) {
	transport := p.transport(t)
	transport.TLSHandshakeTimeout = soon
	return transport, p.listener(t, func(conn net.Conn) {
		defer conn.Close()
		_, _ = io.Copy(io.Discard, conn.(*tls.Conn).NetConn())
	})
}

func certificateUnknownForReal(t *testing.T, p protocol) (*http.Transport, string) {
	transport := p.transport(t)
	transport.TLSClientConfig.RootCAs = x509.NewCertPool()
	return transport, p.server(t, func(http.ResponseWriter, *http.Request) {})
}

func headerTimeoutForReal(t *testing.T, p protocol) (*http.Transport, string) {
	transport, target := silentForReal(t, p)
	transport.ResponseHeaderTimeout = soon
	return transport, target
}

// The handler outlasts the call: if it returned when the caller gives up, its
// answer could still overtake the error.
func silentForReal(t *testing.T, p protocol) (*http.Transport, string) {
	over := make(chan struct{})
	target := p.server(t, func(http.ResponseWriter, *http.Request) { <-over })
	t.Cleanup(func() { close(over) })
	return p.transport(t), target
}
