package firsttest_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/misfit-go/misfit/examples/firsttest"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
)

func TestProductPage(t *testing.T) {
	faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) {
		shop := httptest.NewServer(firsttest.New(inj, dependencies(t)))
		defer shop.Close()

		resp, err := http.Get(shop.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if faulttest.Injected(t, "inventory") && resp.StatusCode == http.StatusServiceUnavailable {
			return // what may fail, and how
		}
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("the page answered %s", resp.Status)
		}
		var page firsttest.Page
		if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
			t.Fatal(err)
		}
		want := firsttest.Page{Left: 30, Ratings: 4.5}
		if faulttest.Injected(t, "ratings") && page.Ratings == 0 {
			want.Ratings = 0 // what may degrade, and how
		}
		if page != want {
			t.Errorf("the page is %+v, want %+v", page, want)
		}
	}, faulttest.CaseLimit(5*time.Second), faulttest.Parallel(4))
}

// dependencies starts what the shop depends on, and returns the transport that leads
// there.
func dependencies(t *testing.T) http.RoundTripper {
	server := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(server.Close)
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func answer(w http.ResponseWriter, r *http.Request) {
	if r.Host == "inventory.test" {
		_, _ = w.Write([]byte("30"))
	} else {
		_, _ = w.Write([]byte("4.5"))
	}
}
