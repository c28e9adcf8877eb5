package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
)

// openExplored opens a shop whose services share the injector of an exploration.
// They are patient enough for a busy machine, and wait no longer than that.
func openExplored(t *testing.T, inj *fault.Injector) *shop {
	t.Helper()
	shop, err := openShop(t.Context(), shopConfig{
		injector: inj,
		timeouts: timeouts{edge: 8 * time.Second, inventory: 2 * time.Second, ratings: time.Second},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shop.close(); err != nil {
			t.Error(err)
		}
	})
	return shop
}

// getPage asks for a page as a user does.
func getPage(ctx context.Context, edge, product string) (seen productPage, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, edge+"/products/"+product, http.NoBody)
	if err != nil {
		return productPage{}, err
	}
	req.Header.Set("X-Customer", "c-007")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return productPage{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return productPage{}, fmt.Errorf("the page answered %s", resp.Status)
	}
	err = json.NewDecoder(resp.Body).Decode(&seen)
	return seen, err
}

// TestPageSurvivesEachFault is the test of the product page, under every single fault
// of what it depends on.
func TestPageSurvivesEachFault(t *testing.T) {
	t.Parallel()
	faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) {
		shop := openExplored(t, inj)
		page, err := getPage(t.Context(), shop.edge.url, "7")
		switch {
		case err != nil && faulttest.Injected(t, "product"):
			return // the edge has nobody else to ask, and the user is told
		case err != nil && injected(t, "inventory", "INTERNAL"):
			return // an answer, and asking again is no use
		case err != nil:
			t.Fatal(err)
		}
		checkStock(t, page, "7")
		if page.Ratings == nil {
			t.Error("no ratings, which should have been asked for again")
		}
	}, faulttest.MaxFaults(1), faulttest.Parallel(8))
}

// TestPageDoesWithoutRatings has ratings fail as often as it is asked.
func TestPageDoesWithoutRatings(t *testing.T) {
	t.Parallel()
	report := faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) {
		shop := openExplored(t, inj)
		page, err := getPage(t.Context(), shop.edge.url, "7")
		if err != nil {
			t.Fatal(err)
		}
		checkStock(t, page, "7")
		if without := len(faulttest.Injections(t)) == ratingsAttempts; page.Degraded != without || (page.Ratings == nil) != without {
			t.Errorf("without ratings: %t, and the page is %+v", without, page)
		}
	}, faulttest.Outages(), faulttest.Parallel(8),
		faulttest.Faults("product"), faulttest.Faults("inventory"), faulttest.Faults("stock-db"))
	if !slices.ContainsFunc(report.Results, func(r faulttest.Result) bool { return len(r.Injections) == ratingsAttempts }) {
		t.Error("ratings never failed in each attempt")
	}
}

// TestOrderIsPlacedOnce has up to two calls fail on the way of an order. A user who
// gets no receipt sends it again; in the end there is one order.
func TestOrderIsPlacedOnce(t *testing.T) {
	t.Parallel()
	faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) {
		shop := openExplored(t, inj)
		users := newUsers(shop.edge.url)
		before, err := readLedger(t.Context(), shop.database.plain, "7")
		if err != nil {
			t.Fatal(err)
		}
		o := order{"explored", "7", 2}
		got, err := users.send(t.Context(), "c-007", o)
		for sent := 1; err != nil && sent < 3; sent++ {
			got, err = users.send(t.Context(), "c-007", o)
		}
		if err != nil {
			t.Fatal(err)
		}
		after, err := readLedger(t.Context(), shop.database.plain, "7")
		if err != nil {
			t.Fatal(err)
		}
		once := []purchase{{order: o}}
		if why := eachOnce(before, after, once) + tookFromStock(before, after, once); why != "" {
			t.Error(why)
		}
		if int(got.Left) != after.left {
			t.Errorf("%d are left, and the receipt says %d", after.left, got.Left)
		}
	}, faulttest.Parallel(8),
		faulttest.Faults("product", faulttest.Fail(fault.Refused), faulttest.LostReply()),
		faulttest.Faults("inventory", faulttest.Code("UNAVAILABLE"), faulttest.LostReply()),
		faulttest.Faults("stock-db", faulttest.Fail(fault.Reset).As("bad conn"), faulttest.LostReply()))
}

// injected reports whether a fault with this name was injected at a point.
func injected(t *testing.T, point, name string) bool {
	return faulttest.Injected(t, point) && slices.ContainsFunc(faulttest.Injections(t), func(i faulttest.Injection) bool {
		return i.Fault == name && strings.HasSuffix(i.Call.Point, ":"+point)
	})
}

func checkStock(t *testing.T, page productPage, product string) {
	t.Helper()
	want := 200 + number(product)%800
	if page.Product != product || page.Stock == nil || int(page.Stock.Left) != want {
		t.Errorf("the page of product %s, of which there are %d, is %+v", product, want, page)
	}
}
