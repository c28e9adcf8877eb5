package firsttest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/examples/firsttest"
	"github.com/misfit-go/misfit/faulttest"
)

func TestPageWaitsASecondForRatings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recorder := faulttest.New(t)
		silent := recorder.Inject("ratings", faulttest.BlackHole())
		shop := firsttest.New(recorder.Injector(), memory{http.HandlerFunc(answer)})

		start := time.Now()
		w := httptest.NewRecorder()
		shop.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))

		recorder.RequireFired(silent)
		if took := time.Since(start); w.Code != http.StatusOK || took != time.Second {
			t.Errorf("the page answered %d after %v", w.Code, took)
		}
	})
}
