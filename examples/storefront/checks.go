package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/misfit-go/misfit/scope"
)

// A claim is something the story says, and whether it turned out to hold.
type claim struct {
	text string
	why  string // it does not hold; empty if it does
}

func (c claim) holds() bool { return c.why == "" }

// claimf makes a claim of why, which the checks below return, and a text.
func claimf(why, format string, args ...any) claim {
	return claim{fmt.Sprintf(format, args...), why}
}

// allComplete says that every page came, with everything on it.
func allComplete(pages []page) string {
	for _, p := range pages {
		switch {
		case p.err != nil:
			return fmt.Sprintf("%s got no page: %v", p.customer, p.err)
		case p.degraded:
			return fmt.Sprintf("%s got a page without ratings", p.customer)
		}
	}
	return ""
}

// allDegraded says that every page came, but without ratings.
func allDegraded(pages []page) string {
	for _, p := range pages {
		switch {
		case p.err != nil:
			return fmt.Sprintf("%s got no page: %v", p.customer, p.err)
		case !p.degraded:
			return fmt.Sprintf("%s got a complete page", p.customer)
		}
	}
	if len(pages) == 0 {
		return "there was no such page"
	}
	return ""
}

// says says that a status has this in it.
func says(status, part string) string {
	if !strings.Contains(status, part) {
		return fmt.Sprintf("it says %q", status)
	}
	return ""
}

// everyPriceOnce says that every feed came to its end, with every price in
// order and none twice.
func everyPriceOnce(feeds []feed) string {
	for _, f := range feeds {
		for i, p := range f.prices {
			if p.version != i+1 {
				return fmt.Sprintf("%s got price %d where price %d was due", f.customer, p.version, i+1)
			}
		}
		switch {
		case f.err != nil:
			return fmt.Sprintf("the feed of %s ended after %d prices: %v", f.customer, len(f.prices), f.err)
		case len(f.prices) != feedLength:
			return fmt.Sprintf("%s got %d prices of %d", f.customer, len(f.prices), feedLength)
		}
	}
	if len(feeds) == 0 {
		return "there was no such feed"
	}
	return ""
}

// samePrices says that what one feed brought, all of them brought.
func samePrices(feeds []feed) string {
	if len(feeds) < 2 {
		return "there are no two feeds to compare"
	}
	first := feeds[0]
	for _, f := range feeds[1:] {
		if !slices.Equal(f.prices, first.prices) {
			return fmt.Sprintf("those of %s are not those of %s", f.customer, first.customer)
		}
	}
	return ""
}

// wentOnAfter says that the feed of each customer took these streams, by
// inventory's own log: one for every version to go on after.
func wentOnAfter(calls []call, customers []string, want ...int64) string {
	for _, customer := range customers {
		if got := streamsOf(customer, calls); !slices.Equal(got, want) {
			return fmt.Sprintf("the streams of %s began after %v, not %v", customer, got, want)
		}
	}
	return ""
}

// allSold says that every order got a receipt.
func allSold(purchases []purchase) string {
	for _, p := range purchases {
		if p.err != nil {
			return fmt.Sprintf("%s got none: %v", p.customer, p.err)
		}
	}
	if len(purchases) == 0 {
		return "there was no such order"
	}
	return ""
}

// placedIn says that inventory was asked so many times to place the order of each
// customer, by its own log.
func placedIn(calls []call, customers []string, tries int) string {
	for _, customer := range customers {
		if got := triesOf(customer, calls); got != tries {
			return fmt.Sprintf("that of %s took %d", customer, got)
		}
	}
	return ""
}

// toldAlready says of all receipts whether they say that the order had been
// placed already.
func toldAlready(purchases []purchase, already bool) string {
	for _, p := range purchases {
		if p.receipt.AlreadyPlaced != already {
			return fmt.Sprintf("%s was told otherwise", p.customer)
		}
	}
	if len(purchases) == 0 {
		return "there was no such order"
	}
	return ""
}

// eachOnce says that what the database has got is these orders, each once.
func eachOnce(before, after ledger, purchases []purchase) string {
	times := make(map[order]int)
	for _, o := range after.orders {
		times[o]++
	}
	for _, o := range before.orders {
		times[o]--
	}
	for _, p := range purchases {
		if n := times[p.order]; n != 1 {
			return fmt.Sprintf("it has that of %s %d times", p.customer, n)
		}
		delete(times, p.order)
	}
	for o, n := range times {
		if n != 0 {
			return fmt.Sprintf("it has %s, which nobody sent", o.ID)
		}
	}
	return ""
}

// tookFromStock says that what is gone from stock is what these orders ask for.
func tookFromStock(before, after ledger, purchases []purchase) string {
	asked := 0
	for _, p := range purchases {
		asked += int(p.order.Quantity)
	}
	if took := before.left - after.left; took != asked {
		return fmt.Sprintf("%d are gone, and they ask for %d", took, asked)
	}
	return ""
}

// knewWhom says that for every page one call reached inventory, and that it
// knew of each whom it was for.
func knewWhom(calls []call, pages []page) string {
	missing := make(map[string]int)
	for _, p := range pages {
		missing[p.customer]++
	}
	for _, c := range calls {
		missing[c.customer]--
	}
	for _, customer := range slices.Sorted(maps.Keys(missing)) {
		switch n := missing[customer]; {
		case n < 0 && customer == "":
			return fmt.Sprintf("of %d calls it did not know whom they were for", -n)
		case n < 0:
			return fmt.Sprintf("it had %d calls too many for %s", -n, customer)
		case n > 0:
			return fmt.Sprintf("it had %d calls too few for %s", n, customer)
		}
	}
	return ""
}

// noneHit says that the library touched nothing.
func noneHit(hits []hit) string {
	if len(hits) == 0 {
		return ""
	}
	return fmt.Sprintf("%d calls were hit, the first at %s for %s", len(hits), hits[0].where(), hits[0].customer)
}

// hitWhere says that calls were hit so many times, all in one place.
func hitWhere(hits []hit, calls int, where string) string {
	for _, h := range hits {
		if h.where() != where {
			return fmt.Sprintf("%s was hit at %s", h.customer, h.where())
		}
	}
	if len(hits) != calls {
		return fmt.Sprintf("%d calls were hit", len(hits))
	}
	return ""
}

// hitIn says that every call that was hit was this operation.
func hitIn(hits []hit, operation string) string {
	for _, h := range hits {
		if h.operation != operation {
			return fmt.Sprintf("%s was hit in %q", h.customer, h.operation)
		}
	}
	return ""
}

// sameCustomers says that those who were hit are those who should be.
func sameCustomers(got, want []string) string {
	if slices.Equal(got, want) {
		return ""
	}
	for _, who := range got {
		if !slices.Contains(want, who) {
			return who + " was hit and should not have been"
		}
	}
	for _, who := range want {
		if !slices.Contains(got, who) {
			return who + " should have been hit and was not"
		}
	}
	return "the lists differ"
}

// contains says that all of some are among more.
func contains(more, some []string) string {
	for _, who := range some {
		if !slices.Contains(more, who) {
			return who + " is not among them any more"
		}
	}
	return ""
}

// grewBy says that a counter went from before to after in so many steps.
func grewBy(before, after uint64, steps int) string {
	if after == before+uint64(steps) {
		return ""
	}
	return fmt.Sprintf("it went from %d to %d", before, after)
}

// counts says that there are as many as there should be.
func counts[N int | int64](got, want N) string {
	if got == want {
		return ""
	}
	return fmt.Sprintf("it is %d, not %d", got, want)
}

// within says that a time is not longer than a bound.
func within(d, bound time.Duration) string {
	if d <= bound {
		return ""
	}
	return fmt.Sprintf("it took %v, more than %v", d.Round(time.Millisecond), bound)
}

// picked returns the customers that a percentage picks under a salt. It asks
// no service: the verdict is a pure function, the same everywhere.
func picked(salt string, percent float64, customers []string) []string {
	var in []string
	for _, customer := range customers {
		if scope.Bucket(salt, customer) < scope.Threshold(percent) {
			in = append(in, customer)
		}
	}
	return in
}

// some lists a few names and says how many more there are.
func some(names []string) string {
	const few = 5
	if len(names) <= few {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
}

// judgedDegraded says whether the verdicts, of which there is one for each product
// that was asked for, are that so many requests were served with less than they
// should have been.
func judgedDegraded(verdicts []verdict, requests int) string {
	var sum verdict
	for _, v := range verdicts {
		sum = verdict{v.Endpoint, sum.Masked + v.Masked, sum.Degraded + v.Degraded, sum.Surfaced + v.Surfaced, v.Reason}
	}
	if want := (verdict{Endpoint: "GET /products/{id}", Degraded: requests, Reason: "no ratings"}); sum != want {
		return fmt.Sprintf("the verdicts come to %+v, not %+v", sum, want)
	}
	return ""
}
