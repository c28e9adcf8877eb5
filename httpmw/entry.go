package httpmw

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/envoyfault"
	"github.com/misfit-go/misfit/scope"
)

const (
	baggageHeader     = "Baggage"
	traceparentHeader = "Traceparent"
)

// enter returns the request, or a copy of it whose context belongs to whoever
// makes it, and has the rules that were sent along.
func (m *middleware) enter(r *http.Request) *http.Request {
	stranger := m.isStranger(r)
	if stranger {
		r = disowned(r)
	}
	sent, some := m.sent(r, stranger)
	if !some && !m.needsIdentity(r, stranger) {
		return r
	}
	ctx := m.identified(r, stranger)
	if some {
		ctx = m.inj.Receive(ctx, sent)
	}
	return r.WithContext(ctx)
}

// needsIdentity reports whether anything says who the request is, or has to.
func (m *middleware) needsIdentity(r *http.Request, stranger bool) bool {
	if stranger && scope.Has(r.Context()) {
		return true // its baggage is to be that of who it is
	}
	switch {
	case m.inj.Idle():
		return false
	case m.identify != nil, r.Header[baggageHeader] != nil, r.Header[traceparentHeader] != nil, m.inj.NeedsIdentity():
		return true
	}
	return stranger && scope.HasTrace(r.Context())
}

// identified returns the request's context with its identity in it.
func (m *middleware) identified(r *http.Request, stranger bool) context.Context {
	var identify func() scope.Request
	if m.identify != nil {
		identify = func() scope.Request { return m.identify(r) }
	}
	enter := scope.Enter
	if stranger {
		enter = scope.EnterPublic
	}
	ctx, ignored := enter(r.Context(), headers(r.Header), identify)
	m.inj.Report(ignored)
	return ctx
}

// sent returns what came with the request to inject faults into it, and whether
// there is anything.
func (m *middleware) sent(r *http.Request, stranger bool) (sent fault.Sent, some bool) {
	if m.tokens {
		sent.Tokens = r.Header[TokenHeader]
		some = len(sent.Tokens) > 0 || scope.TokenMember.In(r.Header[baggageHeader]) || scope.TokenMember.Of(r.Context()) != ""
	}
	if m.believed && !stranger {
		sent.Believed = true
		sent.Rules = r.Header[RuleHeader]
		some = some || len(sent.Rules) > 0 || scope.RuleMember.In(r.Header[baggageHeader]) || scope.RuleMember.Of(r.Context()) != ""
	}
	if m.envoy != nil && !stranger && asksEnvoy(r.Header) {
		rule, drawn, ignored := m.point.EnvoyRule(*m.envoy, r.Header, isGRPC(r))
		m.inj.Report(ignored)
		if drawn {
			sent.Own = append(sent.Own, rule)
			some = true
		}
	}
	return sent, some
}

// asksEnvoy reports whether h has one of Envoy's headers.
func asksEnvoy(h http.Header) bool {
	return slices.ContainsFunc(envoyHeaders, func(name string) bool { return h[name] != nil })
}

func isGRPC(r *http.Request) bool {
	return r.ProtoMajor == 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// isStranger contains a panic of the service's function.
func (m *middleware) isStranger(r *http.Request) (stranger bool) {
	if m.public == nil {
		return false
	}
	defer func() {
		if v := recover(); v != nil {
			stranger = true
			m.inj.Report(fmt.Errorf("httpmw: the PublicEndpointFn function panicked: %v", v))
		}
	}()
	return m.public(r)
}

// disowned returns the request, or a copy of it, without anything by which a
// stranger could say who it is or ask for faults, but for a token.
func disowned(r *http.Request) *http.Request {
	ctx := r.Context()
	if !scope.Has(ctx) { // else the baggage is that of somebody whom the service knows
		ctx = scope.StripContext(ctx, scope.TokenMember)
	}
	header := withoutFaultHeaders(r.Header, scope.TokenMember)
	if ctx == r.Context() && header == nil {
		return r
	}
	inner := r.WithContext(ctx)
	if header != nil {
		inner.Header = header
	}
	return inner
}

// withoutFaultHeaders returns a copy of h without our members of its baggage, but
// for those that are kept, and without the headers that ask for faults in the
// clear. It returns nil if there are none.
func withoutFaultHeaders(h http.Header, keep ...scope.Member) http.Header {
	var copied http.Header
	change := func() http.Header {
		if copied == nil {
			copied = h.Clone()
		}
		return copied
	}
	if lines, changed := scope.StripHeader(h[baggageHeader], keep...); changed {
		if change()[baggageHeader] = lines; len(lines) == 0 {
			delete(copied, baggageHeader)
		}
	}
	for _, name := range clearHeaders {
		if h[name] != nil {
			delete(change(), name)
		}
	}
	return copied
}

// clearHeaders are those that ask for faults and that nobody vouches for.
var (
	clearHeaders = append([]string{RuleHeader}, envoyHeaders...)
	envoyHeaders = func() []string {
		names := envoyfault.Names()
		for i, name := range names {
			names[i] = http.CanonicalHeaderKey(name)
		}
		return names
	}()
)

// headers lets the scope package read and write an http.Header.
type headers http.Header

func (h headers) Get(key string) string      { return http.Header(h).Get(key) }
func (h headers) Set(key, value string)      { http.Header(h).Set(key, value) }
func (h headers) Values(key string) []string { return http.Header(h).Values(key) }

func (h headers) Keys() []string {
	keys := make([]string, 0, len(h))
	for key := range h {
		keys = append(keys, key)
	}
	return keys
}
