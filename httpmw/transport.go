package httpmw

import (
	"io"
	"net/http"
	"strings"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/scope"
)

type transport struct {
	wrapped
	inj        *fault.Injector
	point      *fault.Point // nil: one for each host
	thirdParty bool
}

// wrapped is what a RoundTripper around another passes on to it.
type wrapped struct{ base http.RoundTripper }

// Unwrap returns the transport that makes the real calls.
func (w wrapped) Unwrap() http.RoundTripper { return w.base }

// CloseIdleConnections does what the same method of base does, if it has one.
func (w wrapped) CloseIdleConnections() {
	if closer, ok := w.base.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
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
// call's headers, unless something further out has written it, or the dependency
// is a [ThirdParty]. A nil or disabled injector gives back base, but for a
// ThirdParty.
func Transport(inj *fault.Injector, dependency string, base http.RoundTripper, options ...TransportOption) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	t := &transport{wrapped: wrapped{base}, inj: inj}
	for _, o := range options {
		o.apply(t)
	}
	if t.thirdParty {
		t.base = discreet{wrapped{base}}
	}
	if inj.Disabled() {
		return t.base
	}
	if dependency != "" {
		t.point = inj.PointOf(clientKind, dependency)
	}
	return t
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if absent.Machinery || t.point != nil && !t.point.Armed() && !scope.Has(req.Context()) {
		return t.base.RoundTrip(req)
	}
	return t.roundTrip(req)
}

func (t *transport) roundTrip(req *http.Request) (resp *http.Response, err error) {
	point := t.point
	if point == nil {
		point = t.inj.PointOf(clientKind, strings.ToLower(req.URL.Host))
	}
	d := point.Decide(req.Context(), operation(req))
	if d.Watched() {
		defer func() { d.End(callFailed(req, resp, err)) }()
	}
	if d.Hit() {
		return t.faulted(req, d)
	}
	return t.send(req)
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

// send makes a real call.
func (t *transport) send(req *http.Request) (*http.Response, error) {
	if t.thirdParty || !scope.Has(req.Context()) {
		return t.base.RoundTrip(req)
	}
	resp, err := t.base.RoundTrip(withIdentity(req))
	if err == nil {
		fault.Heard(req.Context(), resp.Header[StatusHeader])
	}
	return resp, err
}

func closeBody(body io.Closer) {
	if body != nil {
		_ = body.Close()
	}
}
