package httpmw

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// The errors in this file are built as net, crypto/tls and net/http build
// theirs, type for type. The mark is put into the innermost type that has an
// exported field for an error, so that type assertions from the outside in
// hold as well. Types that the standard library does not export are replaced
// by ones that answer the same.

func refused(c failedCall) error {
	return opError("dial", c.req, &os.SyscallError{Syscall: "connect", Err: c.d.Mark(syscall.ECONNREFUSED)})
}

func reset(c failedCall) error {
	return opError("read", c.req, &os.SyscallError{Syscall: "read", Err: c.d.Mark(syscall.ECONNRESET)})
}

func connectTimeout(c failedCall) error {
	return opError("dial", c.req, c.d.Mark(errIOTimeout))
}

func nameNotFound(c failedCall) error {
	mark := c.d.Mark(errors.New("no such host"))
	return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{
		UnwrapErr:  quiet{mark: mark}, // a real one unwraps to nothing
		Err:        mark.Error(),
		Name:       c.req.URL.Hostname(),
		IsNotFound: true,
	}}
}

func nameTimeout(c failedCall) error {
	mark := c.d.Mark(errIOTimeout)
	return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{
		UnwrapErr:   mark,
		Err:         mark.Error(),
		Name:        c.req.URL.Hostname(),
		IsTimeout:   true,
		IsTemporary: true,
	}}
}

// certificateUnknown comes with a certificate, because code that reports a
// real one looks into it. It is not signed and proves nothing.
func certificateUnknown(c failedCall) error {
	host, now := c.req.URL.Hostname(), time.Now()
	cert := &x509.Certificate{
		Subject:   pkix.Name{CommonName: host},
		Issuer:    pkix.Name{CommonName: "injected by misfit"},
		DNSNames:  []string{host},
		NotBefore: now.Add(-time.Hour),
		NotAfter:  now.Add(time.Hour),
	}
	cause := x509.UnknownAuthorityError{Cert: cert}
	return &tls.CertificateVerificationError{
		UnverifiedCertificates: []*x509.Certificate{cert},
		Err:                    quiet{c.d.Mark(cause), cause},
	}
}

func handshakeTimeout(c failedCall) error {
	return c.d.Mark(&timeoutError{text: "net/http: TLS handshake timeout"})
}

func headerTimeout(c failedCall) error {
	if c.isHTTP2() {
		return c.d.Mark(&timeoutError{text: "http2: timeout awaiting response headers"})
	}
	return c.d.Mark(&timeoutError{text: "net/http: timeout awaiting response headers", deadline: true})
}

// timeoutError stands for the timeouts of net and net/http, of which only some
// count as context.DeadlineExceeded.
type timeoutError struct {
	text     string
	deadline bool
}

var errIOTimeout = &timeoutError{text: "i/o timeout", deadline: true} // net's

func (e *timeoutError) Error() string { return e.text }
func (*timeoutError) Timeout() bool   { return true }
func (*timeoutError) Temporary() bool { return true }

func (e *timeoutError) Is(target error) bool {
	return e.deadline && target == context.DeadlineExceeded
}

// quiet is a mark in a chain that has no [net.Error], which the mark would
// otherwise be, or no further error to unwrap to.
type quiet struct {
	mark  *fault.Error
	cause error // may be nil
}

func (q quiet) Error() string        { return q.mark.Error() }
func (q quiet) Unwrap() error        { return q.cause }
func (q quiet) Is(target error) bool { return q.mark.Is(target) }

func (q quiet) As(target any) bool {
	mark, ok := target.(**fault.Error)
	if ok {
		*mark = q.mark
	}
	return ok
}

// opError is the error of a system call on the connection to the request's
// host.
func opError(op string, req *http.Request, err error) error {
	port := req.URL.Port()
	if port == "" {
		port = map[string]string{"https": "443"}[req.URL.Scheme]
	}
	if port == "" {
		port = "80"
	}
	return &net.OpError{Op: op, Net: "tcp", Addr: address(req.URL.Hostname(), port), Err: err}
}

func address(host, port string) net.Addr {
	if addr, err := netip.ParseAddrPort(net.JoinHostPort(host, port)); err == nil {
		return net.TCPAddrFromAddrPort(addr)
	}
	return unresolved(net.JoinHostPort(host, port))
}

// unresolved is the address of a host whose name was never looked up.
type unresolved string

func (unresolved) Network() string  { return "tcp" }
func (a unresolved) String() string { return string(a) }
