// Package firsttest is the service of docs/testing.md: a page of a product that needs
// inventory and can do without ratings.
//
//	go test ./examples/firsttest                   # it survives what it depends on
//	go test -tags forgotten ./examples/firsttest   # the same with a timeout forgotten
package firsttest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
)

// A Page is what a user gets to see.
type Page struct {
	Left    int     `json:"left"`
	Ratings float64 `json:"ratings,omitempty"` // 0: none can be had
}

// A Shop serves pages.
type Shop struct{ inventory, ratings *http.Client }

// New returns a shop whose calls pass the injection points "inventory" and "ratings"
// on their way to base, which is http.DefaultTransport if it is nil.
func New(inj *fault.Injector, base http.RoundTripper) *Shop {
	return &Shop{
		inventory: &http.Client{Transport: httpmw.Transport(inj, "inventory", base), Timeout: time.Second},
		ratings:   &http.Client{Transport: httpmw.Transport(inj, "ratings", base), Timeout: ratingsTimeout},
	}
}

// ServeHTTP serves the page of a product.
func (s *Shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var page Page
	if err := ask(r, s.inventory, "http://inventory.test/stock/7", &page.Left); err != nil {
		http.Error(w, "nothing to sell: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	if err := ask(r, s.ratings, "http://ratings.test/ratings/7", &page.Ratings); err != nil {
		page.Ratings = 0
	}
	_ = json.NewEncoder(w).Encode(page)
}

// ask gets JSON, on behalf of a request.
func ask(r *http.Request, client *http.Client, url string, into any) error {
	req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}
