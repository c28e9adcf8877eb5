package control

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/fault"
)

// Source is the source, as in [fault.Injector.Source], of rules made here.
const Source = "api"

// A Handler serves the rules of one injector. Make it with [New].
type Handler struct {
	inj       *fault.Injector
	store     *store
	guard     guard
	resources map[string]resource // by path, without the leading slash
	rule      resource            // below rulesPath
}

// A resource is what each method does at one path.
type resource map[string]endpoint

// An endpoint answers a request or returns why it does not. The ID is that of
// the rule in the path, if the path has one.
type endpoint func(w http.ResponseWriter, r *http.Request, id string) error

const rulesPath = "v1/rules"

// An Option configures [New].
type Option interface{ apply(*Handler) }

type option func(*Handler)

func (o option) apply(h *Handler) { o(h) }

// ReadOnly refuses every write, also those from the same machine. By default
// these are allowed.
func ReadOnly() Option {
	return option(func(h *Handler) { h.guard.readOnly = true })
}

// New returns a handler that shows and changes the rules of inj. Mount it with
// [http.StripPrefix]. A nil injector is shown as a disabled one.
func New(inj *fault.Injector, options ...Option) *Handler {
	h := &Handler{inj: inj, store: newStore(), guard: newGuard()}
	for _, o := range options {
		o.apply(h)
	}
	h.resources = map[string]resource{
		"":           {http.MethodGet: h.getOverview},
		"v1/status":  {http.MethodGet: h.getStatus},
		"v1/points":  {http.MethodGet: h.getPoints},
		"v1/explain": {http.MethodGet: h.getExplain},
		rulesPath:    {http.MethodGet: h.getRules},
		"v1/halt":    {http.MethodPost: h.write(h.halt)},
		"v1/resume":  {http.MethodPost: h.write(h.resume)},
	}
	h.rule = resource{
		http.MethodGet:    h.getRule,
		http.MethodPut:    h.write(h.putRule),
		http.MethodDelete: h.write(h.deleteRule),
	}
	return h
}

// ServeHTTP implements [http.Handler].
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := h.serve(w, r); err != nil {
		refuse(w, err)
	}
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	found, id := h.find(r.URL.Path)
	if found == nil {
		return refusal{status: http.StatusNotFound, detail: fmt.Sprintf("there is nothing at %q", r.URL.Path)}
	}
	method := r.Method
	switch method {
	case http.MethodHead, "": // net/http leaves the body of an answer to HEAD out
		method = http.MethodGet
	}
	serve := found[method]
	if serve == nil {
		w.Header().Set("Allow", found.allow())
		return refusal{status: http.StatusMethodNotAllowed, detail: fmt.Sprintf("%q is not among %s", r.Method, found.allow())}
	}
	return serve(w, r, id)
}

// find routes by hand, since [http.ServeMux] answers in plain text, and with
// redirects that forget the prefix that was stripped.
func (h *Handler) find(path string) (found resource, id string) {
	path = strings.TrimPrefix(path, "/")
	if id, ok := strings.CutPrefix(path, rulesPath+"/"); ok && id != "" && !strings.Contains(id, "/") {
		return h.rule, id
	}
	return h.resources[path], ""
}

func (res resource) allow() string {
	methods := slices.Collect(maps.Keys(res))
	if res[http.MethodGet] != nil {
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// write puts in front of change what every write has to pass.
func (h *Handler) write(change endpoint) endpoint {
	return func(w http.ResponseWriter, r *http.Request, id string) error {
		if err := h.guard.check(r); err != nil {
			return err
		}
		if h.inj.Disabled() {
			return fault.ErrDisabled
		}
		return change(w, r, id)
	}
}
