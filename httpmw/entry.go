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
	tracestateHeader  = "Tracestate"
)

// enter returns the request, or a copy of it whose context belongs to whoever
// makes it, and has the rules that were sent along. The trial is nil unless the
// request is followed to its end, in which case it is a copy.
func (m *middleware) enter(r *http.Request) (*http.Request, *fault.Trial) {
	stranger := m.isStranger(r)
	if stranger {
		r = disowned(r)
	}
	ctx, changed := m.entered(r, stranger)
	if m.inj.Judges() && !m.isExempt(r.URL.Path) {
		ctx, trial := m.inj.BeginTrial(ctx)
		return r.WithContext(ctx), trial
	}
	if !changed {
		return r, nil
	}
	return r.WithContext(ctx), nil
}

// entered returns the request's context, with whoever makes it and the rules that
// were sent along if there are any, and whether it is another one then.
func (m *middleware) entered(r *http.Request, stranger bool) (ctx context.Context, changed bool) {
	if m.asksForRules() {
		if sent, some := m.sent(r, stranger); some {
			return m.inj.Receive(m.identified(r, stranger), sent), true
		}
	}
	switch {
	case !m.needsIdentity(r, stranger):
		return r.Context(), false
	case stranger || m.identify != nil:
		return m.identified(r, stranger), true
	}
	return scope.Arrive(r.Context(), headers(r.Header), m.report), true
}

// needsIdentity reports whether anything says who the request is, or has to.
func (m *middleware) needsIdentity(r *http.Request, stranger bool) bool {
	switch {
	case m.inj.Idle():
		return false
	case stranger: // who has an identity already, if he could say that he has one
		return m.identify != nil || m.inj.NeedsIdentity()
	case m.identify != nil, r.Header[baggageHeader] != nil, r.Header[traceparentHeader] != nil, m.inj.NeedsIdentity():
		return true
	}
	return false
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

// asksForRules reports whether rules that come with a request are taken.
func (m *middleware) asksForRules() bool { return m.tokens || m.believed || m.envoy != nil }

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
	if m.envoy != nil && !stranger && hasAny(r.Header, envoyHeaders) {
		rule, drawn, ignored := m.point.EnvoyRule(*m.envoy, r.Header, isGRPC(r))
		m.inj.Report(ignored)
		if drawn {
			sent.Own = append(sent.Own, rule)
			some = true
		}
	}
	return sent, some
}

func hasAny(h http.Header, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return h[name] != nil })
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

// disowned returns a copy of the request without anything by which a stranger could
// say who it is or ask for faults, but for a token. It has an identity that he did
// not pick, in its header too, since the handler may pass that on by itself.
func disowned(r *http.Request) *http.Request {
	header := withoutFaultHeaders(r.Header, scope.TokenMember)
	if !scope.HasTrace(r.Context()) && !scope.Has(r.Context()) && !hasAny(r.Header, claimHeaders) {
		if header == nil {
			return r // it says nothing, and so will nobody behind believe it
		}
		inner := r.WithContext(r.Context())
		inner.Header = header
		return inner
	}
	if header == nil {
		header = r.Header.Clone()
	}
	ctx, _ := scope.EnterPublic(r.Context(), headers(header), nil)
	scope.Inject(ctx, headers(header))
	inner := r.WithContext(ctx)
	inner.Header = header
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
	envoyHeaders = canonical(envoyfault.Names())
	claimHeaders = canonical(scope.ClaimHeaders())
)

func canonical(names []string) []string {
	for i, name := range names {
		names[i] = http.CanonicalHeaderKey(name)
	}
	return names
}

// headers lets the scope package read and write an http.Header.
type headers http.Header

func (h headers) Get(key string) string {
	if values := h.Values(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

func (h headers) Values(key string) []string { return h[headerName(key)] }
func (h headers) Set(key, value string)      { h[headerName(key)] = []string{value} }

func (h headers) Keys() []string {
	keys := make([]string, 0, len(h))
	for key := range h {
		keys = append(keys, key)
	}
	return keys
}

// headerName returns key as http.Header has it. It knows the headers that are asked
// for with every request, since http.CanonicalHeaderKey allocates.
func headerName(key string) string {
	switch key {
	case "traceparent":
		return traceparentHeader
	case "tracestate":
		return tracestateHeader
	case "baggage":
		return baggageHeader
	}
	return http.CanonicalHeaderKey(key)
}
