package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// TestChecks shows that every check can fail: a story that cannot go wrong
// proves nothing.
func TestChecks(t *testing.T) {
	complete := page{customer: "a"}
	degraded := page{customer: "b", degraded: true}
	failed := page{customer: "c", err: errors.New("502")}
	here, elsewhere := hit{"product", "http.client:ratings", "GET /", "r", "a"}, hit{"edge", "http.client:product", "GET /x", "r", "b"}
	whole, broken := feedTo("a", feedLength), feedTo("b", 2)
	broken.err = errors.New("EOF")
	repeated := feedTo("d", feedLength)
	repeated.prices[3] = repeated.prices[2]
	dearer := feedTo("e", 1)
	dearer.prices[0].costs = "2.00"
	stockA, stockNobody := call{method: "GetStock", customer: "a"}, call{method: "GetStock"}
	feedA, feedA3 := call{"WatchPrices", "a", 0}, call{"WatchPrices", "a", 3}
	placeA := call{method: "PlaceOrder", customer: "a"}
	sold := purchase{customer: "a", order: order{"a-7", "7", 2}}
	resold := purchase{customer: "b", order: order{"b-7", "7", 3}, receipt: receipt{AlreadyPlaced: true}}
	unsold := purchase{customer: "c", order: order{"c-7", "7", 1}, err: errors.New("502")}
	none, full := ledger{left: 9}, ledger{left: 4, orders: []order{sold.order, resold.order}}

	for _, c := range []struct{ name, got, want string }{
		{"complete", allComplete([]page{complete}), ""},
		{"not complete: degraded", allComplete([]page{complete, degraded}), "b got a page without ratings"},
		{"not complete: failed", allComplete([]page{complete, failed}), "c got no page: 502"},
		{"degraded", allDegraded([]page{degraded}), ""},
		{"not degraded: complete", allDegraded([]page{degraded, complete}), "a got a complete page"},
		{"not degraded: failed", allDegraded([]page{degraded, failed}), "c got no page: 502"},
		{"nothing to degrade", allDegraded(nil), "there was no such page"},
		{"every price", everyPriceOnce([]feed{whole}), ""},
		{"not every price: broken", everyPriceOnce([]feed{whole, broken}), "the feed of b ended after 2 prices: EOF"},
		{"not every price: too few", everyPriceOnce([]feed{feedTo("c", 7)}), "c got 7 prices of 8"},
		{"not every price: too many", everyPriceOnce([]feed{feedTo("c", 9)}), "c got 9 prices of 8"},
		{"not every price: one twice", everyPriceOnce([]feed{repeated}), "d got price 3 where price 4 was due"},
		{"no feed", everyPriceOnce(nil), "there was no such feed"},
		{"same prices", samePrices([]feed{feedTo("b", 1), feedTo("c", 1)}), ""},
		{"another price", samePrices([]feed{feedTo("c", 1), dearer}), "those of e are not those of c"},
		{"nothing to compare", samePrices([]feed{whole}), "there are no two feeds to compare"},
		{"went on", wentOnAfter([]call{feedA, stockA, feedA3}, []string{"a"}, 0, 3), ""},
		{"did not go on", wentOnAfter([]call{feedA}, []string{"a"}, 0, 3), "the streams of a began after [0], not [0 3]"},
		{"began again", wentOnAfter([]call{feedA, feedA}, []string{"a"}, 0, 3), "the streams of a began after [0 0], not [0 3]"},
		{"no stream", wentOnAfter([]call{feedA}, []string{"a", "b"}, 0), "the streams of b began after [], not [0]"},
		{"knew whom", knewWhom([]call{stockA}, []page{complete}), ""},
		{"knew not whom", knewWhom([]call{stockNobody}, []page{complete}), "of 1 calls it did not know whom they were for"},
		{"one call too many", knewWhom([]call{stockA, stockA}, []page{complete}), "it had 1 calls too many for a"},
		{"one call too few", knewWhom([]call{stockA}, []page{complete, degraded}), "it had 1 calls too few for b"},
		{"all sold", allSold([]purchase{sold, resold}), ""},
		{"not all sold", allSold([]purchase{sold, unsold}), "c got none: 502"},
		{"nothing to sell", allSold(nil), "there was no such order"},
		{"placed in two", placedIn([]call{placeA, stockA, placeA}, []string{"a"}, 2), ""},
		{"placed in one", placedIn([]call{placeA, stockA}, []string{"a"}, 2), "that of a took 1"},
		{"another's place", placedIn([]call{placeA, placeA}, []string{"a", "b"}, 2), "that of b took 0"},
		{"told already", toldAlready([]purchase{resold}, true), ""},
		{"told just now", toldAlready([]purchase{resold, sold}, true), "a was told otherwise"},
		{"told already, and should not", toldAlready([]purchase{sold, resold}, false), "b was told otherwise"},
		{"nobody to tell", toldAlready(nil, false), "there was no such order"},
		{"each once", eachOnce(none, full, []purchase{sold, resold}), ""},
		{"one lost", eachOnce(none, full, []purchase{sold, resold, unsold}), "it has that of c 0 times"},
		{"one twice", eachOnce(none, ledger{orders: []order{sold.order, sold.order}}, []purchase{sold}), "it has that of a 2 times"},
		{"one changed", eachOnce(none, ledger{orders: []order{{"a-7", "7", 1}}}, []purchase{sold}), "it has that of a 0 times"},
		{"one there before", eachOnce(full, full, []purchase{sold}), "it has that of a 0 times"},
		{"one nobody's", eachOnce(none, full, []purchase{sold}), "it has b-7, which nobody sent"},
		{"took from stock", tookFromStock(none, full, []purchase{sold, resold}), ""},
		{"took twice", tookFromStock(none, full, []purchase{resold}), "5 are gone, and they ask for 3"},
		{"none hit", noneHit(nil), ""},
		{"some hit", noneHit([]hit{here}), "1 calls were hit, the first at product http.client:ratings for a"},
		{"hit here", hitWhere([]hit{here, here}, 2, ratingsPoint), ""},
		{"hit elsewhere", hitWhere([]hit{here, elsewhere}, 2, ratingsPoint), "b was hit at edge http.client:product"},
		{"hit too often", hitWhere([]hit{here, here}, 1, ratingsPoint), "2 calls were hit"},
		{"hit in this", hitIn([]hit{here, here}, "GET /"), ""},
		{"hit in another", hitIn([]hit{here, elsewhere}, "GET /"), "b was hit in \"GET /x\""},
		{"same customers", sameCustomers([]string{"a", "b"}, []string{"a", "b"}), ""},
		{"one too many", sameCustomers([]string{"a", "b"}, []string{"a"}), "b was hit and should not have been"},
		{"one too few", sameCustomers([]string{"a"}, []string{"a", "b"}), "b should have been hit and was not"},
		{"contains", contains([]string{"a", "b"}, []string{"b"}), ""},
		{"lost one", contains([]string{"a"}, []string{"b"}), "b is not among them any more"},
		{"grew", grewBy(1, 3, 2), ""},
		{"grew otherwise", grewBy(1, 4, 2), "it went from 1 to 4"},
		{"counts", counts(2, 2), ""},
		{"counts otherwise", counts(1, 2), "it is 1, not 2"},
		{"in time", within(time.Second, time.Second), ""},
		{"late", within(2*time.Second, time.Second), "it took 2s, more than 1s"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
}

// feedTo returns a feed that has come to its end after so many prices.
func feedTo(customer string, prices int) feed {
	f := feed{customer: customer}
	for i := range prices {
		f.prices = append(f.prices, price{i + 1, "1.00"})
	}
	return f
}

// TestReportFails shows that one claim that does not hold fails the story.
func TestReportFails(t *testing.T) {
	var out strings.Builder
	r := newReport(&out, false)
	r.chapter("A step")
	r.check(claimf("", "the sky is blue"))
	r.check(claimf("it is green", "the grass is red"))
	if err := r.ending(); !errors.Is(err, errClaims) {
		t.Errorf("ending: %v", err)
	}
	for _, want := range []string{"✓ the sky is blue\n", "✗ the grass is red\n     no: it is green\n", "1 of 2 claims do not hold"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	fine := newReport(io.Discard, false)
	fine.check(claimf("", "the sky is blue"))
	if err := fine.ending(); err != nil {
		t.Errorf("ending: %v", err)
	}
}
