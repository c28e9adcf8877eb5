// Package corpus has, in the packages below it, small services with one known fault of
// resilience each, and a twin of each in which it is corrected. They are what
// exploration is measured by: it is to find each of these bugs, and nothing in the
// twins.
package corpus

import (
	"net/http"
	"net/http/httptest"
)

// Memory is a dependency in memory: an [http.RoundTripper] that has a handler serve
// each request, on the goroutine that makes it.
func Memory(handler http.HandlerFunc) http.RoundTripper { return memory{handler} }

type memory struct{ handler http.Handler }

func (m memory) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	m.handler.ServeHTTP(recorder, r)
	response := recorder.Result()
	response.Request = r
	return response, nil
}

// Says is a dependency that always answers with text.
func Says(text string) http.RoundTripper {
	return Memory(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) })
}
