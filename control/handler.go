package control

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/control/audit"
	"github.com/misfit-go/misfit/fault"
)

// Source is the source, as in [fault.Injector.Source], of rules made here.
const Source = "api"

// A Handler serves the rules of one injector. Make it with [New].
type Handler struct {
	inj    *fault.Injector
	store  *store
	guard  guard
	log    *audit.Log
	quiet  refusals // that are not on record one by one
	events events
	paths  map[string]resource // by pattern
}

// A route is what one method does at one path. In its path {id} is the ID of a
// rule, and {name} that of a file.
type route struct {
	method, path string
	need         Role
	serve        endpoint
}

// isHalt reports whether the route is the one that nothing may bar.
func (r route) isHalt() bool { return r.path == haltPath }

// A resource is the routes of one path, by method.
type resource map[string]route

// An endpoint answers a request or returns why it does not.
type endpoint func(c *call) error

// A call is a request that may be made.
type call struct {
	w   http.ResponseWriter
	r   *http.Request
	arg string // what the variable part of the path is
	who Principal
}

// An Option configures [New].
type Option interface{ apply(*Handler) }

type option func(*Handler)

func (o option) apply(h *Handler) { o(h) }

// ReadOnly refuses every write, also those from the same machine. By default
// these are allowed.
func ReadOnly() Option {
	return option(func(h *Handler) { h.guard.readOnly = true })
}

// WithAudit has what is done, and what is refused, put on record in log. By
// default the record is kept in memory only. The caller closes log when the
// service ends.
func WithAudit(log *audit.Log) Option {
	if log == nil {
		panic("control: WithAudit needs a log")
	}
	return option(func(h *Handler) { h.log = log })
}

// New returns a handler that shows and changes the rules of inj. Mount it with
// [http.StripPrefix]. A nil injector is shown as a disabled one.
func New(inj *fault.Injector, options ...Option) *Handler {
	h := &Handler{inj: inj, store: newStore(), guard: newGuard()}
	for _, o := range options {
		o.apply(h)
	}
	if h.log == nil {
		h.log = audit.New()
	}
	h.paths = make(map[string]resource)
	for _, route := range h.routes() {
		if h.paths[route.path] == nil {
			h.paths[route.path] = make(resource)
		}
		h.paths[route.path][route.method] = route
	}
	h.remember()
	inj.Observe(fault.ObserverFunc(h.observe))
	return h
}

const (
	rulePath  = "v1/rules/{id}"
	haltPath  = "v1/halt"
	assetPath = "assets/{name}"
)

func (h *Handler) routes() []route {
	return []route{
		{http.MethodGet, "", Viewer, h.getPage},
		{http.MethodGet, assetPath, Viewer, h.getAsset},
		{http.MethodGet, "openapi.json", Viewer, h.getOpenAPI},
		{http.MethodGet, "v1/status", Viewer, h.getStatus},
		{http.MethodGet, "v1/guardrails", Viewer, h.getGuardrails},
		{http.MethodGet, "v1/points", Viewer, h.getPoints},
		{http.MethodGet, "v1/verdicts", Viewer, h.getVerdicts},
		{http.MethodDelete, "v1/verdicts", Operator, h.resetVerdicts},
		{http.MethodGet, "v1/explain", Viewer, h.getExplain},
		{http.MethodGet, "v1/events", Viewer, h.getEvents},
		{http.MethodGet, "v1/audit", Viewer, h.getAudit},
		{http.MethodGet, "v1/rules", Viewer, h.getRules},
		{http.MethodGet, rulePath, Viewer, h.getRule},
		{http.MethodPut, rulePath, Operator, h.putRule},
		{http.MethodDelete, rulePath, Operator, h.deleteRule},
		{http.MethodPost, rulePath + "/widen", Operator, h.widenRule},
		{http.MethodPost, rulePath + "/extend", Operator, h.extendRule},
		{http.MethodPost, rulePath + "/pause", Operator, h.pauseRule},
		{http.MethodPost, rulePath + "/unpause", Operator, h.unpauseRule},
		{http.MethodPost, "v1/validate", Operator, h.validateRule},
		{http.MethodPost, haltPath, Operator, h.halt},
		{http.MethodPost, "v1/resume", Admin, h.resume},
	}
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	if err := h.serve(w, r); err != nil {
		refuse(w, err)
	}
}

// secure sets what every answer has, so that no browser keeps it, guesses what it
// is, puts it into a frame, or lets the page load anything from elsewhere.
func secure(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'")
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	found, arg := h.find(r.URL.Path)
	if found == nil {
		return refusal{status: http.StatusNotFound, detail: fmt.Sprintf("there is nothing at %q", r.URL.Path)}
	}
	method := r.Method
	switch method {
	case http.MethodHead, "": // net/http leaves the body of an answer to HEAD out
		method = http.MethodGet
	}
	route, ok := found[method]
	if !ok {
		w.Header().Set("Allow", found.allow())
		return refusal{status: http.StatusMethodNotAllowed, detail: fmt.Sprintf("%q is not among %s", r.Method, found.allow())}
	}
	admit := h.guard.admit
	if route.isHalt() {
		admit = h.guard.admitHalt
	}
	c := &call{w, r, arg, anyone}
	if route.isStatic(r) {
		return route.serve(c)
	}
	who, err := admit(r, route.need)
	c.who = who
	if err != nil {
		h.noteRefusal(c, route, err)
		return err
	}
	err = route.serve(c)
	if err != nil && method != http.MethodGet {
		h.noteRefusal(c, route, err)
	}
	return err
}

// find routes by hand, since [http.ServeMux] answers in plain text, and with
// redirects that forget the prefix that was stripped.
func (h *Handler) find(at string) (found resource, arg string) {
	at = strings.TrimPrefix(at, "/")
	if found := h.paths[at]; found != nil && !strings.Contains(at, "{") {
		return found, ""
	}
	for _, prefix := range []struct{ text, variable string }{{"v1/rules/", "{id}"}, {"assets/", "{name}"}} {
		rest, ok := strings.CutPrefix(at, prefix.text)
		if !ok {
			continue
		}
		arg, operation, some := strings.Cut(rest, "/")
		if some {
			operation = "/" + operation
		}
		if arg == "" {
			return nil, ""
		}
		return h.paths[prefix.text+prefix.variable+operation], arg
	}
	return nil, ""
}

func (res resource) allow() string {
	methods := slices.Collect(maps.Keys(res))
	if _, ok := res[http.MethodGet]; ok {
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}
