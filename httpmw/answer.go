package httpmw

import (
	"context"
	"io"
	"net/http"

	"github.com/felixge/httpsnoop"
	"github.com/misfit-go/misfit/fault"
)

// answering returns w so that the [StatusHeader] of the request of ctx is in the
// header when that is sent, and a function for when the handler has sent none.
// What w can do besides, such as flushing, the result can do too.
func answering(w http.ResponseWriter, ctx context.Context) (http.ResponseWriter, func()) {
	answered := false
	answer := func() {
		if answered {
			return
		}
		answered = true
		header := w.Header()
		fault.Heard(ctx, header[StatusHeader]) // of a response that the handler passes on
		header.Set(StatusHeader, fault.Answer(ctx))
	}
	return httpsnoop.Wrap(w, httpsnoop.Hooks{
		WriteHeader: func(next httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
			return func(code int) {
				if code >= 200 || code == http.StatusSwitchingProtocols {
					answer()
				}
				next(code)
			}
		},
		Write: func(next httpsnoop.WriteFunc) httpsnoop.WriteFunc {
			return func(p []byte) (int, error) { answer(); return next(p) }
		},
		ReadFrom: func(next httpsnoop.ReadFromFunc) httpsnoop.ReadFromFunc {
			return func(src io.Reader) (int64, error) { answer(); return next(src) }
		},
		Flush: func(next httpsnoop.FlushFunc) httpsnoop.FlushFunc {
			return func() { answer(); next() }
		},
	}), answer
}
