package httpmw

import (
	"io"
	"net/http"

	"github.com/misfit-go/misfit/fault"
)

// call makes the real call of a request whose fault lets it through and acts
// on what is sent or on what comes back. Done is called when that is over.
func (t *transport) call(req *http.Request, d fault.Decision) (*http.Response, error) {
	owned := true // by this function, or else by a body
	defer func() {
		if owned {
			d.Done()
		}
	}()
	ctx := req.Context()
	if stream := d.Stream(fault.Request); stream != nil && hasBody(req) {
		req = withFaultyRequest(req, stream, d.Done)
		owned = false
	}
	if d.Fault().Duplicate {
		t.duplicate(req)
	}
	resp, err := t.send(req)
	if late := d.After(ctx); late != nil {
		drop(resp)
		return nil, late
	}
	if f := d.Fault(); f.LostReply && err == nil {
		drop(resp)
		if f.Error == nil {
			f.Error = &fault.ErrorFault{Class: fault.Reset}
		}
		return t.fail(req, d, f.Error)
	}
	if stream := d.Stream(fault.Response); stream != nil && err == nil && resp.Body != http.NoBody {
		withFaultyResponse(ctx, resp, stream, d.Done)
		owned = false
	}
	return resp, err
}

// duplicate sends the request an extra time, whose response nobody sees. What
// may not be repeated is not: RFC 9110, section 9.2.2, and bodies that can be
// read only once.
func (t *transport) duplicate(req *http.Request) {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
	default:
		t.inj.Report(errNotDuplicated{req.Method + " is not idempotent"})
		return
	}
	again := req.WithContext(req.Context())
	if hasBody(req) {
		if req.GetBody == nil {
			t.inj.Report(errNotDuplicated{"its body can be read only once"})
			return
		}
		body, err := req.GetBody()
		if err != nil {
			t.inj.Report(errNotDuplicated{err.Error()})
			return
		}
		again.Body = body
	}
	if resp, err := t.send(again); err == nil {
		drop(resp)
	}
}

type errNotDuplicated struct{ reason string }

func (e errNotDuplicated) Error() string { return "httpmw: request not duplicated: " + e.reason }

// drop reads a little of a response that nobody will see, so that its
// connection can be used again, and closes it.
func drop(resp *http.Response) {
	if resp == nil {
		return
	}
	const little = 64 << 10
	_, _ = io.CopyN(io.Discard, resp.Body, little)
	closeBody(resp.Body)
}
