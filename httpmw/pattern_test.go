package httpmw_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// Tracing around the middleware names its spans by the pattern, which the mux
// inside puts into the request it is given.
func TestThePatternIsSeenOutside(t *testing.T) {
	inj := fault.New("product")
	inj.Point("custom", "db") // so that the process has a use for identities
	require.NoError(t, inj.Put(fault.Rule{
		ID: "r", Target: fault.Target{Points: []string{"db"}}, Scope: scope.Everyone(),
		Fault: fault.Fault{BlackHole: true}, TTL: time.Minute,
	}))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /products/{id}", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	identify := httpmw.Identify(func(*http.Request) scope.Request { return scope.Request{Customer: "42"} })
	r := httptest.NewRequest("GET", "/products/7", nil)
	require.PanicsWithValue(t, http.ErrAbortHandler, func() {
		httpmw.Middleware(inj, identify)(mux).ServeHTTP(httptest.NewRecorder(), r)
	})
	require.Equal(t, "GET /products/{id}", r.Pattern)
}
