package httpmw

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/felixge/httpsnoop"
	"github.com/misfit-go/misfit/fault"
)

// serveTried serves a request that is followed to its end. It has failed if it
// panicked, if its status says that the server is at fault, if there is less of the
// body than its header says, or if whoever made it did not wait for it.
func (m *middleware) serveTried(w http.ResponseWriter, r *http.Request, trial *fault.Trial) {
	o := fault.Outcome{Failed: true} // by a panic, unless it comes back
	defer func() {
		o.Endpoint = m.endpoint(r)
		trial.End(o)
	}()
	seen := &seen{r: r, bare: w}
	m.answer(seen.wrap(), r)
	o.Lasting = seen.hijacked || isEventStream(w.Header())
	o.Failed = seen.failed(o.Lasting)
}

// seen is what was seen of the response to a request.
type seen struct {
	r    *http.Request
	bare http.ResponseWriter

	status   int   // 0: none yet
	length   int64 // of the body, as its header says; less than 0 if it does not
	written  int64
	inTime   bool // that length was written while somebody waited
	afterAll bool // something could be written though the context was over
	hijacked bool // the connection, so that no more is seen
}

// wrap returns the writer so that it is seen what is answered by it. What it can do
// besides, the result can do too. Strings are seen as they are written: where httpsnoop
// lets WriteString through, from v1.1 on, it asks the hook of Write.
func (s *seen) wrap() http.ResponseWriter {
	return httpsnoop.Wrap(s.bare, httpsnoop.Hooks{WriteHeader: s.writeHeader, Write: s.write, ReadFrom: s.readFrom, Hijack: s.hijack})
}

// failed reports whether the user saw an error, once the handler is done.
func (s *seen) failed(lasting bool) bool {
	switch over := s.r.Context().Err(); {
	case isServersFault(s.status), s.isShort():
		return true
	case lasting || s.inTime:
		return false
	case errors.Is(over, context.DeadlineExceeded):
		// The deadline is the service's own: net/http cancels, where a client leaves.
		// Whoever has set it has answered, unless it was still possible to. What
		// cannot be flushed may have been dropped, as http.TimeoutHandler does.
		_, flushes := s.bare.(http.Flusher)
		return !s.afterAll || !flushes
	default:
		return over != nil
	}
}

// isShort reports whether the client was promised more than it got.
func (s *seen) isShort() bool {
	switch {
	case s.hijacked, s.r.Method == http.MethodHead, s.status == 0, s.status == http.StatusNoContent, s.status == http.StatusNotModified:
		return false
	}
	return s.written < s.length
}

// begin notes the status, the first that is one.
func (s *seen) begin(status int) {
	if s.status != 0 || status < 200 && status != http.StatusSwitchingProtocols {
		return
	}
	s.status = status
	var err error
	if s.length, err = strconv.ParseInt(s.bare.Header().Get("Content-Length"), 10, 64); err != nil {
		s.length = -1
	}
}

// wrote counts bytes of the body.
func (s *seen) wrote(n int64, err error) {
	s.written += n
	over := s.r.Context().Err() != nil
	s.inTime = s.inTime || !over && s.length >= 0 && s.written >= s.length
	s.afterAll = s.afterAll || over && err == nil && n > 0
}

func (s *seen) writeHeader(next httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
	return func(status int) {
		s.begin(status)
		next(status)
	}
}

func (s *seen) write(next httpsnoop.WriteFunc) httpsnoop.WriteFunc {
	return func(p []byte) (int, error) {
		s.begin(http.StatusOK)
		n, err := next(p)
		s.wrote(int64(n), err)
		return n, err
	}
}

func (s *seen) readFrom(next httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc {
	return func(src io.Reader) (int64, error) {
		s.begin(http.StatusOK)
		n, err := next(src)
		s.wrote(n, err)
		return n, err
	}
}

func (s *seen) hijack(next httpsnoop.HijackFunc) httpsnoop.HijackFunc {
	return func() (net.Conn, *bufio.ReadWriter, error) {
		conn, buffered, err := next()
		s.hijacked = s.hijacked || err == nil
		return conn, buffered, err
	}
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
