package httpmw

import (
	"context"
	"errors"
	"net/http"

	"github.com/felixge/httpsnoop"
)

// WatchStatus has answers of status 500 and above count as errors where somebody
// watches the traffic of the service ([fault.Injector.WatchTraffic]). To see them,
// the middleware then wraps the ResponseWriter of every request that is served
// meanwhile. It does so without this option for requests that are followed to their
// end ([fault.WithVerdicts]). What that can do besides, such as flushing, the wrapper can do too;
// but a handler that looks for the very type that other middleware has made finds
// it only by Unwrap.
//
// By default handlers get the ResponseWriter as it is, whoever watches. Errors are
// then panics, and what faults answer themselves.
func WatchStatus() Option {
	return option(func(m *middleware) { m.watchesStatus = true })
}

// noting returns w so that failed is true once a status says that the server is at
// fault. What w can do besides, the result can do too.
func noting(w http.ResponseWriter, failed *bool) http.ResponseWriter {
	return httpsnoop.Wrap(w, httpsnoop.Hooks{WriteHeader: noteStatus(failed)})
}

// noteStatus is what looks at the first status that is one.
func noteStatus(failed *bool) func(httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
	answered := false
	return func(next httpsnoop.WriteHeaderFunc) httpsnoop.WriteHeaderFunc {
		return func(status int) {
			if !answered && (status >= 200 || status == http.StatusSwitchingProtocols) {
				answered = true
				*failed = isServersFault(status)
			}
			next(status)
		}
	}
}

func isServersFault(status int) bool { return status >= http.StatusInternalServerError }

// callFailed reports whether a client's call failed. One that the caller itself
// called off did not; one that panicked did.
func callFailed(req *http.Request, resp *http.Response, err error) bool {
	if err != nil || resp == nil {
		return !errors.Is(req.Context().Err(), context.Canceled)
	}
	return isServersFault(resp.StatusCode)
}
