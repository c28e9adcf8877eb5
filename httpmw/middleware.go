package httpmw

import (
	"context"
	"net/http"
	"strings"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/faultstatus"
	"github.com/misfit-go/misfit/scope"
)

// RuleHeader is the request header in which a test client sends a rule for
// its own request, as JSON. It is read only behind [UnsafeRequestRules].
const RuleHeader = "Fault-Rule"

// StatusHeader is the response header in which the library says what it did:
// "applied" on every response that it made itself, with the rule and the
// point, and "ignored" with the reason where a client sent a [RuleHeader] that
// was refused. Its value is a structured field, RFC 9651: a list of tokens
// with parameters.
const StatusHeader = "Fault-Status"

// An Option configures [Middleware].
type Option interface{ apply(*middleware) }

type option func(*middleware)

func (o option) apply(m *middleware) { o(m) }

// Identify tells the middleware who a request is. Fields that f leaves empty
// keep what the request's headers say; an empty ID with no trace becomes a
// random one.
//
// With this option every request gets an identity as soon as the process has
// any use for it: a live rule, or a Transport that passes it on. Put it on the
// services where requests enter. Without it a request that arrives without one
// gets one only while a live rule in this process draws by request.
//
// A panic in f is contained: the request then has the identity it came with.
func Identify(f func(*http.Request) scope.Request) Option {
	if f == nil {
		panic("httpmw: Identify needs a function")
	}
	return option(func(m *middleware) { m.identify = f })
}

// UnsafeRequestRules lets every client inject faults into its own requests:
// it may send a rule in the [RuleHeader], which then applies to that request
// here and in every service behind that has this option too. It is unsafe
// outside tests, since anyone who can send a request can send the header.
// Guardrails hold all the same. By default the header is ignored.
func UnsafeRequestRules() Option {
	return option(func(m *middleware) { m.requestRules = true })
}

// Exempt keeps the middleware from faulting requests whose path begins with
// one of the prefixes, for instance those of the control endpoint, which has
// to stay within reach, and of health checks. By default no path is exempt.
func Exempt(prefixes ...string) Option {
	return option(func(m *middleware) { m.exempt = append(m.exempt, prefixes...) })
}

type middleware struct {
	inj          *fault.Injector
	exempt       []string // path prefixes
	pattern      func(*http.Request) string
	point        *fault.Point
	identify     func(*http.Request) scope.Request
	requestRules bool
	next         http.Handler
	routes       router // next, if it is one
}

// Middleware returns middleware for a server: it establishes who each request
// is, for the injection points further in, and is itself the point
// "http.server:<service>". Put it inside tracing and outside everything that
// should see the faults.
//
// A nil or disabled injector gives back the handler it is put around.
func Middleware(inj *fault.Injector, options ...Option) func(http.Handler) http.Handler {
	if inj.Disabled() {
		return func(next http.Handler) http.Handler { return next }
	}
	m := middleware{inj: inj, point: inj.PointOf(serverKind, inj.Service())}
	for _, o := range options {
		o.apply(&m)
	}
	return func(next http.Handler) http.Handler {
		m := m
		m.next = next
		m.routes, _ = next.(router)
		return &m
	}
}

// ServeHTTP implements [http.Handler].
func (m *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m.inj.Idle() && !m.requestRules {
		m.next.ServeHTTP(w, r)
		return
	}
	m.serve(w, r)
}

func (m *middleware) serve(w http.ResponseWriter, r *http.Request) {
	if m.hasIdentity(r) || m.inj.NeedsIdentity() {
		ctx := m.identified(r)
		if m.requestRules {
			ctx = m.withRequestRule(ctx, w, r)
		}
		inner := r.WithContext(ctx)
		defer handBack(r, inner)
		r = inner
	}
	if m.point.Armed() && !m.isExempt(r.URL.Path) {
		if d := m.decide(r); d.Hit() {
			m.faulted(w, r, d)
			return
		}
	}
	m.next.ServeHTTP(w, r)
}

// handBack puts into the request what was found out about our copy of it: the
// pattern, which tracing further out wants to know, and the form whose files
// the server removes when it is done.
func handBack(outer, inner *http.Request) {
	outer.Pattern = inner.Pattern
	outer.MultipartForm = inner.MultipartForm
}

func (m *middleware) isExempt(path string) bool {
	for _, prefix := range m.exempt {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// hasIdentity reports whether anything says who the request is.
func (m *middleware) hasIdentity(r *http.Request) bool {
	return m.identify != nil || r.Header["Baggage"] != nil || r.Header["Traceparent"] != nil ||
		m.requestRules && r.Header[RuleHeader] != nil
}

func (m *middleware) faulted(w http.ResponseWriter, r *http.Request, d fault.Decision) {
	defer d.Done()
	if d.Before(r.Context()) != nil {
		panic(http.ErrAbortHandler) // the caller gave up waiting: nobody is left to answer
	}
	switch f := d.Fault(); {
	case f.Panic:
		panic(d.PanicValue())
	case f.LostReply:
		m.serveLost(w, r, d)
	case f.Stream != nil:
		m.serveStream(w, r, d)
	case f.Error != nil:
		failServer(w, r, d, f.Error)
	default:
		m.next.ServeHTTP(w, r)
	}
}

// identified returns the request's context with its identity in it.
func (m *middleware) identified(r *http.Request) context.Context {
	var identify func() scope.Request
	if m.identify != nil {
		identify = func() scope.Request { return m.identify(r) }
	}
	ctx, ignored := scope.Enter(r.Context(), headers(r.Header), identify)
	m.inj.Report(ignored)
	return ctx
}

// withRequestRule takes the rule that the request carries, and answers with
// what it ignored and why.
func (m *middleware) withRequestRule(ctx context.Context, w http.ResponseWriter, r *http.Request) context.Context {
	ctx, ignored := m.inj.TakeRequestRule(ctx, r.Header[RuleHeader])
	if ignored != nil {
		m.inj.Report(ignored)
		w.Header().Add(StatusHeader, faultstatus.Ignored(ignored))
	}
	return ctx
}

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
