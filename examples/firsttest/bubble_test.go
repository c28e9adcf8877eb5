package firsttest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/misfit-go/misfit/examples/firsttest"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
)

// memory is a network of no time and no sockets: a handler serves each request.
type memory struct{ handler http.Handler }

func (m memory) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	m.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

func TestProductPageInNoTime(t *testing.T) {
	faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) {
		shop := firsttest.New(inj, memory{http.HandlerFunc(answer)})
		w := httptest.NewRecorder()
		shop.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody))
		if faulttest.Injected(t, "inventory") && w.Code == http.StatusServiceUnavailable {
			return
		}
		var page firsttest.Page
		if err := json.NewDecoder(w.Body).Decode(&page); err != nil {
			t.Fatal(err)
		}
		if page.Left != 30 || page.Ratings != 4.5 && !faulttest.Injected(t, "ratings") {
			t.Errorf("the page is %+v", page)
		}
	}, faulttest.Bubble(), faulttest.Saved("testdata/product_page.json"))
}
