package httpmw

import (
	"bufio"
	"net"
	"net/http"
	"strings"

	"github.com/felixge/httpsnoop"
	"github.com/misfit-go/misfit/fault"
)

// serveTried serves a request that is followed to its end. It has failed if it
// panicked, if its status says that the server is at fault, or if its context has
// ended: whoever made it did not wait for the answer.
func (m *middleware) serveTried(w http.ResponseWriter, r *http.Request, trial *fault.Trial) {
	o := fault.Outcome{Failed: true} // by a panic, unless it comes back
	defer func() {
		o.Endpoint = m.endpoint(r)
		trial.End(o)
	}()
	seen := new(seen)
	w = seen.by(w)
	m.answer(w, r)
	o.Lasting = seen.hijacked || isEventStream(w.Header())
	o.Failed = seen.failed || !o.Lasting && r.Context().Err() != nil
}

// seen is what was seen of a response.
type seen struct {
	failed   bool
	hijacked bool // the connection, so that no more is seen
}

// by returns w so that it is seen what is answered by it. What w can do besides, the
// result can do too.
func (s *seen) by(w http.ResponseWriter) http.ResponseWriter {
	return httpsnoop.Wrap(w, httpsnoop.Hooks{
		WriteHeader: noteStatus(&s.failed),
		Hijack: func(next httpsnoop.HijackFunc) httpsnoop.HijackFunc {
			return func() (net.Conn, *bufio.ReadWriter, error) {
				conn, buffered, err := next()
				s.hijacked = s.hijacked || err == nil
				return conn, buffered, err
			}
		},
	})
}

// isEventStream reports whether a response goes on for as long as somebody reads it:
// server-sent events.
func isEventStream(h http.Header) bool {
	return strings.HasPrefix(strings.ToLower(h.Get("Content-Type")), "text/event-stream")
}

// endpoint names what a request that is over was made to. Whatever its path, the
// names are as many as the service's patterns, where these are known.
func (m *middleware) endpoint(r *http.Request) fault.Operation {
	op := operation(r)
	switch {
	case m.pattern != nil:
		op.Name = pathOf(m.callOperations(r))
	case r.Pattern != "": // some mux inside has left it there
		op.Name = pathOf(r.Pattern)
	case m.routes != nil:
		_, pattern := m.routes.Handler(r)
		op.Name = pathOf(pattern)
	case len(op.Name) > maxEndpointBytes:
		op.Name = unmatched
	}
	if !isUsualMethod(op.Verb) {
		op.Verb = ""
	}
	return op
}

// maxEndpointBytes bounds a path that stands for an endpoint, which is kept.
const maxEndpointBytes = 256

// isUsualMethod keeps those that strangers make up from becoming endpoints.
func isUsualMethod(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}
