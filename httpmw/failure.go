package httpmw

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// A clientFailure makes what a client sees of a class of failure: either a
// response or the error of a connection that never gave one.
type clientFailure func(*http.Request, fault.Decision) (*http.Response, error)

// clientFailures maps every class to what net/http's Transport returns when
// it really happens. The mark is put inside the outermost type, so that type
// assertions on it hold as well.
var clientFailures = map[fault.Class]clientFailure{
	fault.Refused: func(req *http.Request, d fault.Decision) (*http.Response, error) {
		return nil, opError("dial", req, d.Mark(os.NewSyscallError("connect", syscall.ECONNREFUSED)))
	},
	fault.Reset: func(req *http.Request, d fault.Decision) (*http.Response, error) {
		return nil, opError("read", req, d.Mark(os.NewSyscallError("read", syscall.ECONNRESET)))
	},
	fault.Timeout: func(req *http.Request, d fault.Decision) (*http.Response, error) {
		return nil, opError("dial", req, d.Mark(os.ErrDeadlineExceeded))
	},
	fault.DNS: func(req *http.Request, d fault.Decision) (*http.Response, error) {
		mark := d.Mark(errors.New("no such host"))
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{
			UnwrapErr:  mark,
			Err:        mark.Error(),
			Name:       req.URL.Hostname(),
			IsNotFound: true,
		}}
	},
	fault.TLS: func(_ *http.Request, d fault.Decision) (*http.Response, error) {
		return nil, &tls.CertificateVerificationError{Err: d.Mark(x509.UnknownAuthorityError{})}
	},
	fault.Unavailable: respondWith(fault.Unavailable),
	fault.Overloaded:  respondWith(fault.Overloaded),
	fault.Internal:    respondWith(fault.Internal),
}

// statuses are the responses that say what a class says. On the server's side
// they are all that can be said, but for Reset, which drops the connection.
var statuses = map[fault.Class]fault.HTTPStatus{
	fault.Unavailable: {Status: http.StatusServiceUnavailable},
	fault.Overloaded:  {Status: http.StatusTooManyRequests, Headers: map[string]string{"Retry-After": "1"}},
	fault.Internal:    {Status: http.StatusInternalServerError},
	fault.Timeout:     {Status: http.StatusGatewayTimeout},
}

var (
	clientKind = fault.Kind{Name: "http.client", PassesOn: true, Effects: append(classEffects(clientFailures),
		fault.EffectDelay, fault.EffectPadTo, fault.EffectErrorHTTP, fault.EffectErrorName, fault.EffectBlackHole, fault.EffectPanic)}
	serverKind = fault.Kind{Name: "http.server", Effects: append(classEffects(statuses),
		fault.EffectOf(fault.Reset), fault.EffectDelay, fault.EffectErrorHTTP, fault.EffectBlackHole, fault.EffectPanic)}
)

func classEffects[T any](table map[fault.Class]T) []fault.Effect {
	var effects []fault.Effect
	for class := range table {
		effects = append(effects, fault.EffectOf(class))
	}
	return effects
}

func failClient(req *http.Request, d fault.Decision, e *fault.ErrorFault) (*http.Response, error) {
	switch {
	case e.HTTP != nil:
		return response(req, d, *e.HTTP), nil
	case e.Name != "":
		return nil, d.Named()
	}
	return clientFailures[e.Class](req, d)
}

func failServer(w http.ResponseWriter, r *http.Request, d fault.Decision, e *fault.ErrorFault) {
	if e.Class == fault.Reset {
		panic(http.ErrAbortHandler)
	}
	status := statuses[e.Class]
	if e.HTTP != nil {
		status = *e.HTTP
	}
	header, body := contents(status, d)
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(status.Status)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, body) // the caller may be gone; nobody else wants to know
	}
}

func respondWith(class fault.Class) clientFailure {
	return func(req *http.Request, d fault.Decision) (*http.Response, error) {
		return response(req, d, statuses[class]), nil
	}
}

// response is a whole response as a server would have sent it over HTTP/1.1.
func response(req *http.Request, d fault.Decision, status fault.HTTPStatus) *http.Response {
	header, body := contents(status, d)
	header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	resp := &http.Response{
		Status:        strconv.Itoa(status.Status) + " " + http.StatusText(status.Status),
		StatusCode:    status.Status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          http.NoBody,
		ContentLength: int64(len(body)),
		Request:       req,
	}
	if body != "" && req.Method != http.MethodHead {
		resp.Body = io.NopCloser(strings.NewReader(body))
	}
	return resp
}

// contents returns the marked header and the body of an injected response.
func contents(status fault.HTTPStatus, d fault.Decision) (http.Header, string) {
	header := make(http.Header, len(status.Headers)+4)
	for name, value := range status.Headers {
		header.Set(name, value)
	}
	header.Set(StatusHeader, appliedStatus(d))
	if status.Status == http.StatusNoContent || status.Status == http.StatusNotModified {
		return header, ""
	}
	body := status.Body
	if body == "" {
		body = http.StatusText(status.Status) + "\n"
	}
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	return header, body
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
