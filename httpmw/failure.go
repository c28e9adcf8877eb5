package httpmw

import (
	"io"
	"net/http"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/absent"
)

// A failedCall is a client's call that is to fail.
type failedCall struct {
	req  *http.Request
	d    fault.Decision
	base http.RoundTripper // which would have made the call
}

// clientFailures maps every class to what net/http's Transport gives when it
// really happens: either a response or the error of a call that never got one.
// The tests named TestInjectedAgainstReal hold it against the real thing.
var clientFailures = clientFailureTable()

func clientFailureTable() map[fault.Class]func(failedCall) (*http.Response, error) {
	if absent.Machinery {
		return nil
	}
	return map[fault.Class]func(failedCall) (*http.Response, error){
		fault.Refused:        failWith(refused),
		fault.ConnectTimeout: failWith(connectTimeout),
		fault.DNS:            failWith(nameNotFound),
		fault.DNSTimeout:     failWith(nameTimeout),
		fault.TLS:            failWith(certificateUnknown),
		fault.TLSTimeout:     failWith(handshakeTimeout),
		fault.Timeout:        failWith(headerTimeout),
		fault.HeaderTimeout:  failWith(headerTimeout),
		fault.Reset:          failWith(reset),
		fault.StreamReset:    failWith(streamReset),
		fault.GoAway:         failWith(goAway),
		fault.Unavailable:    respondWith(fault.Unavailable),
		fault.Overloaded:     respondWith(fault.Overloaded),
		fault.Internal:       respondWith(fault.Internal),
		fault.BadGateway:     respondWith(fault.BadGateway),
		fault.GatewayTimeout: respondWith(fault.GatewayTimeout),
	}
}

func failWith(failure func(failedCall) error) func(failedCall) (*http.Response, error) {
	return func(c failedCall) (*http.Response, error) { return nil, failure(c) }
}

func respondWith(class fault.Class) func(failedCall) (*http.Response, error) {
	return func(c failedCall) (*http.Response, error) { return c.response(statuses[class]), nil }
}

// statuses are the responses that say what a class says. On the server's side
// they are all that can be said, but for Reset, which drops the connection.
//
// Gateways answer for a service in HTML, whatever the service speaks, and
// without a Retry-After, in the shape that nginx and HAProxy share.
var statuses = map[fault.Class]fault.HTTPStatus{
	fault.Unavailable: {Status: http.StatusServiceUnavailable},
	fault.Overloaded:  {Status: http.StatusTooManyRequests, Headers: map[string]string{"Retry-After": "1"}},
	fault.Internal:    {Status: http.StatusInternalServerError},
	fault.Timeout:     {Status: http.StatusGatewayTimeout},
	fault.BadGateway: {
		Status:  http.StatusBadGateway,
		Headers: map[string]string{"Content-Type": "text/html"},
		Body:    "<html><body><h1>502 Bad Gateway</h1></body></html>\n",
	},
	fault.GatewayTimeout: {
		Status:  http.StatusGatewayTimeout,
		Headers: map[string]string{"Content-Type": "text/html"},
		Body:    "<html><body><h1>504 Gateway Time-out</h1></body></html>\n",
	},
}

// fail is the call req as the fault makes it fail.
func (t *transport) fail(req *http.Request, d fault.Decision, e *fault.ErrorFault) (*http.Response, error) {
	c := failedCall{req: req, d: d, base: t.base}
	switch {
	case e.HTTP != nil:
		return c.response(*e.HTTP), nil
	case e.Name != "":
		return nil, d.Named()
	}
	return clientFailures[e.Class](c)
}

// failServer answers a request as the fault says, and returns the status.
func failServer(w http.ResponseWriter, r *http.Request, d fault.Decision, e *fault.ErrorFault) int {
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
	return status.Status
}
