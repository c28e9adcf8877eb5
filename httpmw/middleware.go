package httpmw

import (
	"net/http"
	"strings"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/scope"
)

type middleware struct {
	inj      *fault.Injector
	exempt   []string // path prefixes
	pattern  func(*http.Request) string
	point    *fault.Point
	identify func(*http.Request) scope.Request
	public   func(*http.Request) bool
	believed bool // rules in the clear
	envoy    *fault.EnvoyHeaders
	tokens   bool // are taken

	watchesStatus bool

	attentive bool // also while the injector is idle

	next   http.Handler
	routes router // next, if it is one
}

// Middleware returns middleware for a server: it establishes who each request
// is, for the injection points further in, and is itself the point
// "http.server:<service>". Put it inside tracing and outside everything that
// should see the faults.
//
// A nil or disabled injector gives back the handler it is put around, but for a
// [PublicEndpoint].
func Middleware(inj *fault.Injector, options ...Option) func(http.Handler) http.Handler {
	m := middleware{inj: inj, tokens: inj.TakesTokens()}
	for _, o := range options {
		o.apply(&m)
	}
	if inj.Disabled() {
		return m.withoutFaults
	}
	m.attentive = m.asksForRules() || m.public != nil
	m.point = inj.PointOf(serverKind, inj.Service())
	return func(next http.Handler) http.Handler {
		m := m
		m.next = next
		m.routes, _ = next.(router)
		return &m
	}
}

// withoutFaults is the middleware where nothing is ever injected.
func (m *middleware) withoutFaults(next http.Handler) http.Handler {
	if m.public == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if m.isStranger(r) {
			inner := disowned(r)
			defer handBack(r, inner)
			r = inner
		}
		next.ServeHTTP(w, r)
	})
}

// ServeHTTP implements [http.Handler].
func (m *middleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if absent.Machinery || m.inj.Idle() && !m.attentive {
		m.next.ServeHTTP(w, r)
		return
	}
	m.serve(w, r)
}

func (m *middleware) serve(w http.ResponseWriter, r *http.Request) {
	inner := m.enter(r)
	if inner == r {
		m.handle(w, r)
		return
	}
	defer handBack(r, inner)
	if !fault.Carries(inner.Context()) {
		m.handle(w, inner)
		return
	}
	w, answer := answering(w, inner.Context())
	m.handle(w, inner)
	answer()
}

// handle serves a request whose identity is known.
func (m *middleware) handle(w http.ResponseWriter, r *http.Request) {
	if !m.point.Armed() || m.isExempt(r.URL.Path) {
		m.next.ServeHTTP(w, r)
		return
	}
	d := m.decide(r)
	if d.Watched() {
		m.serveWatched(w, r, d)
		return
	}
	m.serveFaulted(w, r, d)
}

// serveWatched is serveFaulted while somebody watches.
func (m *middleware) serveWatched(w http.ResponseWriter, r *http.Request, d fault.Decision) {
	failed := true // by a panic, unless it comes back
	defer func() { d.End(failed) }()
	noted := false // by the status
	if m.watchesStatus {
		w = noting(w, &noted)
	}
	status := m.serveFaulted(w, r, d)
	failed = noted || isServersFault(status)
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

// serveFaulted serves a request under the fault that was chosen for it, if one was.
// It returns the status if that is what the fault answers.
func (m *middleware) serveFaulted(w http.ResponseWriter, r *http.Request, d fault.Decision) (status int) {
	if !d.Hit() {
		m.next.ServeHTTP(w, r)
		return 0
	}
	defer d.Done()
	if d.Before(r.Context()) != nil {
		panic(http.ErrAbortHandler) // the caller gave up waiting: nobody is left to answer
	}
	switch f := d.Fault(); {
	case f.Panic:
		panic(d.PanicValue())
	case f.LostReply:
		return m.serveLost(w, r, d)
	case f.Stream != nil:
		m.serveStream(w, r, d)
	case f.Error != nil:
		return failServer(w, r, d, f.Error)
	default:
		m.next.ServeHTTP(w, r)
	}
	return 0
}
