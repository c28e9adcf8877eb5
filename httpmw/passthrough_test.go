package httpmw_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
)

// injectNothing readies a test for a library that injects nothing, in the one way or
// the other: by the build tag, or else by the environment.
func injectNothing(t *testing.T) {
	if !absent.Machinery {
		t.Setenv("MISFIT_DISABLED", "1")
	}
}

func TestPassThroughWhateverTheOptions(t *testing.T) {
	injectNothing(t)
	inj, handler := fault.New("edge"), http.NewServeMux()
	require.Same(t, handler, httpmw.Middleware(inj,
		httpmw.Identify(func(*http.Request) scope.Request { return scope.Request{} }),
		httpmw.Operations(func(*http.Request) string { return "" }),
		httpmw.UnsafeRequestRules(), httpmw.EnvoyHeaders(fault.EnvoyHeaders{}), httpmw.Exempt("/health"),
	)(handler))
	require.Empty(t, inj.Points())
}

// Who is a stranger, and who a third party, has nothing to do with faults.
func TestPassThroughProtects(t *testing.T) {
	injectNothing(t)
	inj := fault.New("edge")
	var here, there *http.Request
	client := httpmw.Transport(inj, "them", roundTrip(func(r *http.Request) (*http.Response, error) {
		there = r
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}), httpmw.ThirdParty())
	handler := httpmw.Middleware(inj, httpmw.PublicEndpoint())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		here = r
		told := r.WithContext(scope.With(r.Context(), scope.Request{Customer: "alice"}))
		told.Header = lies.Clone()
		resp, err := client.RoundTrip(told)
		require.NoError(t, err)
		w.WriteHeader(resp.StatusCode)
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = lies.Clone()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	require.Empty(t, w.Header())
	given := scope.From(here.Context()).ID
	require.Equal(t, http.Header{"Traceparent": {traceparent}, "Baggage": {"theirs=1;p=2,misfit.id=" + given}}, here.Header)
	require.Equal(t, http.Header{"Traceparent": {traceparent}, "Baggage": {" theirs=1;p=2"}}, there.Header)
	require.Equal(t, "theirs=1;p=2", baggage.FromContext(there.Context()).String())
}
