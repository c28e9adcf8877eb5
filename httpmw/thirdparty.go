package httpmw

import (
	"net/http"

	"github.com/misfit-go/misfit/scope"
)

// A TransportOption configures [Transport].
type TransportOption interface{ apply(*transport) }

type transportOption func(*transport)

func (o transportOption) apply(t *transport) { o(t) }

// ThirdParty says that the dependency is somebody else's. It is not told who a
// request is: our members are taken out of the baggage of its header and of its
// context, whoever put them there and whether OpenTelemetry's transport is inside
// or outside of this one, and so are a token and a rule in the clear. What it says
// in a [StatusHeader] is not believed. This holds in processes that inject
// nothing, too.
func ThirdParty() TransportOption {
	return transportOption(func(t *transport) { t.thirdParty = true })
}

// discreet is a RoundTripper that tells a third party nothing of ours.
type discreet struct{ wrapped }

// RoundTrip implements [http.RoundTripper].
func (d discreet) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := d.base.RoundTrip(anonymous(req))
	if err == nil {
		resp.Header.Del(StatusHeader) // lest a proxy pass it on to those who believe the service
	}
	return resp, err
}

// anonymous returns req, or a copy of it, without anything of ours.
func anonymous(req *http.Request) *http.Request {
	ctx := scope.StripContext(req.Context())
	header := withoutFaultHeaders(req.Header)
	if req.Header[TokenHeader] != nil {
		if header == nil {
			header = req.Header.Clone()
		}
		delete(header, TokenHeader)
	}
	if ctx == req.Context() && header == nil {
		return req
	}
	stripped := req.WithContext(ctx)
	if header != nil {
		stripped.Header = header
	}
	return stripped
}
