package grpcint_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/types/known/durationpb"
)

// soon is a timeout that a test waits for. It leaves a call on a connection that is
// there the time to get as far as it can, also on a busy machine.
const soon = 250 * time.Millisecond

var situations = []situation{
	{name: "refused", what: fail(fault.Refused), real: refusedForReal},
	{name: "refused, passthrough", what: fail(fault.Refused), real: func(t *testing.T) destination {
		d := refusedForReal(t)
		d.target = "passthrough:///" + d.target
		return d
	}},
	{
		name: "refused, waiting for ready", what: fail(fault.Refused), real: refusedForReal,
		opts: []grpc.CallOption{grpc.WaitForReady(true)}, ctx: endingSoon,
	},
	{name: "connectTimeout", what: fail(fault.ConnectTimeout), real: connectTimeoutForReal},
	{name: "dns", what: fail(fault.DNS), real: nameServer(dnsmessage.RCodeNameError)},
	{
		name: "dns, waiting for ready", what: fail(fault.DNS), real: nameServer(dnsmessage.RCodeNameError),
		opts: []grpc.CallOption{grpc.WaitForReady(true)}, ctx: endingSoon,
	},
	{name: "dns, passthrough", what: fail(fault.DNS), real: nameDialer(&net.DNSError{Err: "no such host", Name: "backend.test", IsNotFound: true})},
	{name: "dnsTimeout", what: fail(fault.DNSTimeout), real: silentNameServer, only: "unary"},
	{name: "dnsTimeout, passthrough", what: fail(fault.DNSTimeout), real: nameDialer(&net.DNSError{Err: "i/o timeout", Name: "backend.test", IsTimeout: true})},
	{name: "tls", what: fail(fault.TLS), real: unknownCertificate},
	{name: "tlsTimeout", what: fail(fault.TLSTimeout), real: silentHandshake},
	{name: "a deadline", what: fault.Fault{BlackHole: true}, real: silentServer, ctx: endingSoon, only: "unary"},
	{name: "a deadline in a delay", what: fault.Fault{Delay: &fault.Delay{Fixed: time.Minute}}, real: silentServer, ctx: endingSoon, only: "unary"},
	{name: "a cancellation", what: fault.Fault{BlackHole: true}, real: silentServer, ctx: cancelledSoon, only: "unary"},
	{name: "a deadline while opening", what: fault.Fault{BlackHole: true}, real: silentNetwork, ctx: endingSoon, opening: true, only: "bidi"},
	{name: "a cancellation while opening", what: fault.Fault{BlackHole: true}, real: silentNetwork, ctx: cancelledSoon, opening: true, only: "bidi"},
	{name: "a deadline in mid-stream", what: fault.Fault{Stream: &fault.StreamFault{Stall: true}}, real: fallingSilent, injected: echoServer, ctx: endingSoon, only: "bidi"},
	{name: "a cancellation in mid-stream", what: fault.Fault{Stream: &fault.StreamFault{Stall: true}}, real: fallingSilent, injected: echoServer, ctx: cancelledSoon, only: "bidi"},
	{name: "timeout", what: fail(fault.Timeout), real: silentServer, ctx: endingSoon},
	{name: "reset", what: fail(fault.Reset), real: framesOf(func(_ *http2.Framer, conn net.Conn, _ uint32) {
		_ = conn.(*net.TCPConn).SetLinger(0) // sends a RST
		_ = conn.Close()
	})},
	{name: "streamReset", what: fail(fault.StreamReset), real: framesOf(func(fr *http2.Framer, _ net.Conn, id uint32) {
		_ = fr.WriteRSTStream(id, http2.ErrCodeInternal)
	})},
	{name: "goaway", what: fail(fault.GoAway), real: framesOf(func(fr *http2.Framer, conn net.Conn, id uint32) {
		_ = fr.WriteGoAway(id, http2.ErrCodeNo, nil)
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn)
	})},
	answering(fault.Unavailable, codes.Unavailable, "service unavailable"),
	answering(fault.Overloaded, codes.ResourceExhausted, "too many requests", &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)}),
	answering(fault.Internal, codes.Internal, "internal error"),
	{name: "badGateway", what: fail(fault.BadGateway), real: proxySaying(http.StatusBadGateway, "502 Bad Gateway")},
	{name: "gatewayTimeout", what: fail(fault.GatewayTimeout), real: proxySaying(http.StatusGatewayTimeout, "504 Gateway Time-out")},
}

func endingSoon() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), soon)
}

func cancelledSoon() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(soon, cancel)
	return ctx, cancel
}

var plaintext = grpc.WithTransportCredentials(insecure.NewCredentials())

// listen returns a listener on loopback that is closed with the test.
func listen(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// serverOf serves a service on loopback.
func serverOf(t *testing.T, service testpb.TestServiceServer) destination {
	l := listen(t)
	server := grpc.NewServer()
	testpb.RegisterTestServiceServer(server, service)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return destination{l.Addr().String(), []grpc.DialOption{plaintext}}
}

// The far end of a connection is a port that is taken, so that nobody else begins to
// listen there.
func refusedForReal(t *testing.T) destination {
	conn, err := net.Dial("tcp", listen(t).Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return destination{conn.LocalAddr().String(), []grpc.DialOption{plaintext}}
}

// connectTimeoutForReal dials as if nobody answered: a full backlog of SYNs
// cannot be had on loopback without changing the machine.
func connectTimeoutForReal(*testing.T) destination {
	return destination{"127.0.0.1:50051", []grpc.DialOption{plaintext, grpc.WithContextDialer(
		func(ctx context.Context, addr string) (net.Conn, error) {
			ctx, cancel := context.WithDeadline(ctx, time.Now())
			defer cancel()
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		},
	)}}
}

// nameServer is a name server that answers every question with a code.
func nameServer(code dnsmessage.RCode) func(t *testing.T) destination {
	return func(t *testing.T) destination {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		go func() {
			for buf := make([]byte, 1<<12); ; {
				n, from, err := conn.ReadFrom(buf)
				if err != nil {
					return
				}
				var m dnsmessage.Message
				if m.Unpack(buf[:n]) != nil {
					continue
				}
				m.Response, m.RCode, m.Additionals = true, code, nil
				if reply, err := m.Pack(); err == nil {
					_, _ = conn.WriteTo(reply, from)
				}
			}
		}()
		return destination{"dns://" + conn.LocalAddr().String() + "/backend.test:50051", []grpc.DialOption{plaintext}}
	}
}

// silentNameServer never answers. The resolver waits for it as long as it does
// for any: ten seconds.
func silentNameServer(t *testing.T) destination {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return destination{"dns://" + conn.LocalAddr().String() + "/backend.test:50051", []grpc.DialOption{plaintext}}
}

// nameDialer fails as a dialer whose name server has said so: to have one say
// it the system's own would have to be replaced.
func nameDialer(said *net.DNSError) func(*testing.T) destination {
	return func(*testing.T) destination {
		return destination{"passthrough:///backend.test:50051", []grpc.DialOption{plaintext, grpc.WithContextDialer(
			func(context.Context, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: said}
			},
		)}}
	}
}

func unknownCertificate(t *testing.T) destination {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return destination{s.Listener.Addr().String(), []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{}))}}
}

// silentHandshake accepts connections and says nothing.
func silentHandshake(t *testing.T) destination {
	l := listen(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
		}
	}()
	return destination{l.Addr().String(), []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{})),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: soon}),
	}}
}

// silentServer never answers, not even when the deadline that it was told of is
// over, so that the client's own is the first to end.
func silentServer(t *testing.T) destination {
	return framesOf(func(*http2.Framer, net.Conn, uint32) {})(t)
}

// fallingSilent sends a header and nothing more.
func fallingSilent(t *testing.T) destination {
	return framesOf(func(fr *http2.Framer, _ net.Conn, id uint32) {
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		_ = encoder.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
		_ = encoder.WriteField(hpack.HeaderField{Name: "content-type", Value: "application/grpc"})
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true})
	})(t)
}

func echoServer(t *testing.T) destination { return serverOf(t, &service{}) }

// silentNetwork is one on which a connection neither comes about nor fails.
func silentNetwork(*testing.T) destination {
	return destination{"passthrough:///backend.test:50051", []grpc.DialOption{plaintext, grpc.WithContextDialer(
		func(ctx context.Context, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
	)}}
}

// framesOf is an HTTP/2 server that answers each request with what answer
// writes.
func framesOf(answer func(fr *http2.Framer, conn net.Conn, stream uint32)) func(*testing.T) destination {
	return func(t *testing.T) destination {
		l := listen(t)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					speakHTTP2(conn, answer)
				}()
			}
		}()
		return destination{l.Addr().String(), []grpc.DialOption{plaintext}}
	}
}

func speakHTTP2(conn net.Conn, answer func(*http2.Framer, net.Conn, uint32)) {
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	fr := http2.NewFramer(conn, conn)
	_ = fr.WriteSettings()
	for {
		frame, err := fr.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = fr.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = fr.WritePing(true, f.Data)
			}
		case *http2.DataFrame: // all of the request is there before the answer
			if f.StreamEnded() || slices.Contains(f.Data(), 0) {
				answer(fr, conn, f.StreamID)
			}
		}
	}
}

// proxySaying is a proxy that answers with a page of its own.
func proxySaying(code int, title string) func(*testing.T) destination {
	return func(t *testing.T) destination {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(code)
			fmt.Fprintf(w, "<html><body><h1>%s</h1></body></html>\n", title)
		}))
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
		t.Cleanup(s.Close)
		return destination{s.Listener.Addr().String(), []grpc.DialOption{plaintext}}
	}
}
