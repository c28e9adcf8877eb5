package httpmw

import (
	"io"
	"net/http"
	"strings"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

type transport struct {
	inj   *fault.Injector
	point *fault.Point // nil: one for each host
	base  http.RoundTripper
}

// Transport returns a [http.RoundTripper] that is the injection point
// "http.client:<dependency>" and otherwise base, which is
// [http.DefaultTransport] if nil. Put it innermost, so that retries, timeouts
// and circuit breakers see its faults as they would see real ones.
//
// An empty dependency makes each host a dependency of its own, named as in
// the URL, within the injector's bound on points.
//
// The identity of the request that a call belongs to is passed on in the
// call's headers, unless something further out has written it. A nil or
// disabled injector gives back base.
func Transport(inj *fault.Injector, dependency string, base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	if inj.Disabled() {
		return base
	}
	t := &transport{inj: inj, base: base}
	if dependency != "" {
		t.point = inj.PointOf(clientKind, dependency)
	}
	return t
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.point != nil && !t.point.Armed() && !scope.Has(req.Context()) {
		return t.base.RoundTrip(req)
	}
	return t.roundTrip(req)
}

func (t *transport) roundTrip(req *http.Request) (*http.Response, error) {
	point := t.point
	if point == nil {
		point = t.inj.PointOf(clientKind, strings.ToLower(req.URL.Host))
	}
	if d := point.Decide(req.Context(), operation(req)); d.Hit() {
		return t.faulted(req, d)
	}
	return t.base.RoundTrip(withIdentity(req))
}

func (t *transport) faulted(req *http.Request, d fault.Decision) (*http.Response, error) {
	if err := d.Before(req.Context()); err != nil {
		d.Done()
		closeBody(req.Body)
		return nil, err
	}
	switch f := d.Fault(); {
	case f.Panic:
		d.Done()
		closeBody(req.Body)
		panic(d.PanicValue())
	case f.Error != nil && !f.LostReply:
		d.Done()
		closeBody(req.Body)
		return t.fail(req, d, f.Error)
	}
	return t.call(req, d)
}

// Unwrap returns the transport that makes the real calls.
func (t *transport) Unwrap() http.RoundTripper { return t.base }

// CloseIdleConnections does what the same method of base does, if it has one.
func (t *transport) CloseIdleConnections() {
	if closer, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// withIdentity returns req, or a copy of it that also carries the identity of
// the request it belongs to. A RoundTripper must not change what it is given.
func withIdentity(req *http.Request) *http.Request {
	ctx := req.Context()
	if !scope.Has(ctx) {
		return req
	}
	header := req.Header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	if !scope.Inject(ctx, headers(header)) {
		return req
	}
	carrying := req.WithContext(ctx)
	carrying.Header = header
	return carrying
}

func closeBody(body io.Closer) {
	if body != nil {
		_ = body.Close()
	}
}
