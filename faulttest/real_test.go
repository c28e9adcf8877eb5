package faulttest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/stretchr/testify/require"
)

// storefront serves a page made of what another server says, each at a real socket.
func storefront(t testing.TB, inj *fault.Injector, timeout time.Duration) string {
	ratings := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "five stars") }))
	t.Cleanup(ratings.Close)
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	client := &http.Client{Transport: httpmw.Transport(inj, "ratings", base), Timeout: timeout}
	page := httptest.NewServer(httpmw.Middleware(inj)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, ratings.URL+"/ratings/7", http.NoBody)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		text := "no ratings"
		if resp, err := client.Do(req); err == nil {
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err == nil && resp.StatusCode == http.StatusOK {
				text = string(body)
			}
		}
		_, _ = io.WriteString(w, text)
	})))
	t.Cleanup(page.Close)
	return page.URL
}

func TestExploreOverSockets(t *testing.T) {
	test := func(timeout time.Duration) func(testing.TB, *fault.Injector) {
		return func(t testing.TB, inj *fault.Injector) {
			resp, err := http.Get(storefront(t, inj, timeout))
			require.NoError(t, err)
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			if faulttest.Injected(t, "ratings") {
				require.Equal(t, "no ratings", string(body))
			} else {
				require.Equal(t, "five stars", string(body))
			}
		}
	}
	faults := faulttest.Faults("http.client", faulttest.Status(503), faulttest.Fail(fault.Refused), faulttest.CutBody(4), faulttest.BlackHole())
	report := faulttest.Survey(t, test(time.Second), faults)
	require.Empty(t, report.Failures())
	require.Len(t, report.Results, 4)
	require.Len(t, report.Calls, 2)
	require.Equal(t, "http.client:ratings", report.Calls[0].Point)
	require.Equal(t, "http.server:test", report.Calls[1].Point, "which is known, and gets no fault")

	t.Run("no timeout", func(t *testing.T) {
		report := faulttest.Survey(t, test(0), faults, faulttest.CaseLimit(time.Second))
		require.Len(t, report.Failures(), 1)
		require.Contains(t, report.Failures()[0].Why, "took 1s (no timeout on this call: ratings GET /ratings/7, in faulttest_test.storefront.func2, real_test.go:")
	})
}
