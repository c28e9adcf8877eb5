package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// A plan says how much traffic there is and how patient the shop.
type plan struct {
	customers      int
	visitsEach     int // in every chapter
	perSecond      int
	ratingsTimeout time.Duration // of one attempt
	watchers       int           // of the price feed
	buyers         int           // in each of the chapters about orders
	held           int           // calls in the last chapter but one
	heldFor        time.Duration
}

func defaultPlan() plan {
	return plan{
		customers:      400,
		visitsEach:     2,
		perSecond:      300,
		ratingsTimeout: 800 * time.Millisecond,
		watchers:       24,
		buyers:         24,
		held:           60,
		heldFor:        time.Second,
	}
}

// A story is told from outside the shop: users open pages and order at the edge,
// an operator drives the control endpoint of a service.
type story struct {
	plan      plan
	shop      *shop
	users     *users
	product   *operator
	inventory *operator
	customers []string
	out       *report

	widened []string // whom the rule that is widened has hit so far
	counted uint64   // what that rule's own counter said last
}

// tell opens a shop, tells the story and closes the shop. It returns errClaims
// if something did not turn out as claimed.
func tell(ctx context.Context, plan plan, postgres string, out *report) error {
	shop, err := openShop(ctx, shopConfig{timeouts: patientWith(plan.ratingsTimeout), postgres: postgres})
	if err != nil {
		return err
	}
	s := &story{
		plan:      plan,
		shop:      shop,
		users:     newUsers(shop.edge.url),
		product:   newOperator(shop.product),
		inventory: newOperator(shop.inventory),
		customers: customerNames(plan.customers),
		out:       out,
	}
	out.opening(shop, plan)
	for _, chapter := range []func(context.Context) error{
		s.baseline,
		s.oneRequest,
		s.oneCustomer,
		s.widenTo(1),
		s.widenTo(25),
		s.widenTo(100),
		s.midStream,
		s.unknownOutcome,
		s.notMade,
		s.takenBack,
		s.afterwards,
	} {
		if err := chapter(ctx); err != nil {
			return errors.Join(err, shop.close())
		}
	}
	return errors.Join(out.ending(), shop.close())
}

// checkPages holds what the users saw against what the library hit. Inside are
// the pages of those whom the rule is for.
func (s *story) checkPages(hits []hit, inside, outside []page) {
	s.out.check(claimf(hitWhere(hits, ratingsAttempts*len(inside), ratingsPoint),
		"nothing but %s was hit: both attempts of each of the %d pages", ratingsPoint, len(inside)))
	s.out.check(claimf(allDegraded(inside), "the %d pages all came, without ratings", len(inside)))
	if len(outside) > 0 {
		s.out.check(claimf(allComplete(outside), "nobody else was touched: all other %d pages are complete", len(outside)))
	}
}

// checkFeeds holds the feeds that users saw, the streams that inventory knows of
// and the hits against each other. Inside is the feed that the rule is for.
func (s *story) checkFeeds(hits []hit, calls []call, inside, outside []feed) {
	var streams []int64 // that it should take, by the version each goes on after
	for after := int64(0); after < feedLength; after += cutAfter {
		streams = append(streams, after)
	}
	who := watchersOf(inside)
	s.out.check(claimf(everyPriceOnce(inside), "%s still got all %d prices, in order and none twice", some(who), feedLength))
	s.out.check(claimf(hitWhere(hits, len(streams), inventoryPoint), "that took %d streams, each of them hit at %s", len(streams), inventoryPoint))
	s.out.check(claimf(wentOnAfter(calls, who, streams...), "inventory, which knew the customer, was asked for what comes after price %s", listed(streams)))
	s.out.check(claimf(sameCustomers(customersHit(hits), who), "nobody but %s was hit", some(who)))
	s.out.check(claimf(everyPriceOnce(outside), "the other %d feeds brought every price too, in order and none twice", len(outside)))
	s.out.check(claimf(wentOnAfter(calls, watchersOf(outside), 0), "they came in one piece: inventory knows of one stream for each of these customers"))
	s.out.check(claimf(samePrices(slices.Concat(inside, outside)), "and all feeds brought the same prices"))
}

// checkOrders holds the orders that users sent, the calls that inventory knows of,
// what its database has got and the hits against each other. Inside is the order
// that the rule is for; made says that its first try had placed it.
func (s *story) checkOrders(hits []hit, calls []call, before, after ledger, inside, outside []purchase, made bool) {
	all, who := slices.Concat(inside, outside), buyersOf(inside)
	second := "placed it: nothing had come of the first"
	if made {
		second = "was told that it had been placed already"
	}
	s.out.check(claimf(allSold(all), "all %d orders got a receipt", len(all)))
	s.out.check(claimf(placedIn(calls, who, 2), "that of %s took two tries, by inventory's own log …", some(who)))
	s.out.check(claimf(toldAlready(inside, made), "… and the second %s", second))
	s.out.check(claimf(placedIn(calls, buyersOf(outside), 1), "the other %d took one try each …", len(outside)))
	s.out.check(claimf(toldAlready(outside, false), "… and that placed them"))
	s.out.check(claimf(eachOnce(before, after, all), "the database has each of the %d orders exactly once, and no other", len(all)))
	s.out.check(claimf(tookFromStock(before, after, all), "its stock went from %d to %d, by just what they ask for", before.left, after.left))
	s.out.check(claimf(hitWhere(hits, 1, stockPoint), "one call was hit, at %s …", stockPoint))
	s.out.check(claimf(hitIn(hits, "COMMIT"), "… and that was a COMMIT"))
	s.out.check(claimf(sameCustomers(customersHit(hits), who), "nobody but %s was hit: the name went on over HTTP and gRPC, and into the transaction", some(who)))
}

// checkWidening holds a step of the rule that is widened against the step
// before.
func (s *story) checkWidening(hits []hit, counter uint64) {
	now := customersHit(hits)
	if len(s.widened) > 0 {
		s.out.check(claimf(contains(now, s.widened), "the %d hit before are among them", len(s.widened)))
	}
	s.out.check(claimf(grewBy(s.counted, counter, len(hits)), "the rule's own counter went from %d to %d, by the %d calls hit", s.counted, counter, len(hits)))
	s.widened, s.counted = now, counter
}

// visits lets every customer come. Those who are hit by a rule may have to wait.
func (s *story) visits(hit ...string) []visit {
	return visitsOf(s.customers, s.plan.visitsEach, hit)
}

// traffic lets the users make their visits and returns what they saw and what
// the library says it did.
func (s *story) traffic(ctx context.Context, visits []visit) ([]page, []hit, error) {
	stop := s.out.progress(func() string {
		return fmt.Sprintf("%d of %d pages …", s.users.done.Load(), len(visits))
	})
	defer stop()
	pages, err := s.users.browse(ctx, visits, s.plan.perSecond)
	return pages, s.shop.hits.take(), err
}

func (s *story) put(ctx context.Context, at *operator, rule fault.Rule) error {
	s.out.request("PUT", at.service+controlPath+"/v1/rules/"+rule.ID, body(rule))
	return at.put(ctx, rule)
}

func (s *story) remove(ctx context.Context, at *operator, id string) error {
	s.out.request("DELETE", at.service+controlPath+"/v1/rules/"+id)
	return at.remove(ctx, id)
}
