package httpmw

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/misfit-go/misfit/fault"
)

// router is what tells the pattern a request will be routed by before it is:
// [http.ServeMux] is one.
type router interface {
	Handler(*http.Request) (handler http.Handler, pattern string)
}

// unmatched names the operations of requests that no pattern matches, so that
// the names of a service's operations are as many as its patterns.
const unmatched = "unmatched"

// Operations names what each request does, for routers other than
// [http.ServeMux]: f returns the pattern that the request is routed by, such as
// "/products/{id}", or "" if there is none. It is called only while a rule is
// aimed at the service's entry, or somebody watches it.
//
// Without this option the name is the pattern of the http.ServeMux around or
// right inside the middleware, or else the path.
func Operations(f func(*http.Request) string) Option {
	if f == nil {
		panic("httpmw: Operations needs a function")
	}
	return option(func(m *middleware) { m.pattern = f })
}

// decide asks the point about a request. A rule matches it by its path; one
// that names a pattern matches the paths that the pattern stands for, so a
// ServeMux has to be asked only for the name of what was hit. Names of other
// routers may be anything and are matched too.
func (m *middleware) decide(r *http.Request) fault.Decision {
	op := operation(r)
	switch {
	case r.Pattern != "": // the middleware is inside the mux
		op.Raw, op.Name = op.Name, pathOf(r.Pattern)
	case m.pattern != nil:
		op.Raw, op.Name = op.Name, pathOf(m.callOperations(r))
	case m.routes != nil:
		return m.point.DecideNamed(r.Context(), op, func() string {
			_, pattern := m.routes.Handler(r)
			return pathOf(pattern)
		})
	}
	return m.point.Decide(r.Context(), op)
}

// callOperations contains a panic of the service's function.
func (m *middleware) callOperations(r *http.Request) string {
	defer func() {
		if v := recover(); v != nil {
			m.inj.Report(fmt.Errorf("httpmw: the Operations function panicked: %v", v))
		}
	}()
	return m.pattern(r)
}

// pathOf returns the path of a pattern, "[METHOD ][HOST]/[PATH]".
func pathOf(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i >= 0 {
		return pattern[i:]
	}
	return unmatched
}

// operation names what a request does by its path.
func operation(r *http.Request) fault.Operation {
	verb := r.Method
	if verb == "" {
		verb = http.MethodGet
	}
	return fault.Operation{Verb: verb, Name: r.URL.Path}
}
