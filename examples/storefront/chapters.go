package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/misfit-go/misfit/examples/storefront/inventorypb"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

const (
	// These are the places where the rules of the story strike: pages do without
	// the first, feeds and all pages need the second, and orders the third.
	ratingsPoint   = "product http.client:ratings"
	inventoryPoint = "product grpc.client:inventory"
	stockPoint     = "inventory sql:stock-db"

	// cutAfter is how many prices a stream brings before it breaks. feedLength
	// is no multiple of it, so that no stream ends and breaks at once.
	cutAfter = 3

	// healsWithin is what "at once" has to mean on the slowest machine.
	healsWithin = 5 * time.Second
)

func (s *story) baseline(ctx context.Context) error {
	s.out.chapter("Baseline: no rule is live")
	pages, hits, err := s.traffic(ctx, s.visits())
	if err != nil {
		return err
	}
	s.out.table(group{"everybody", pages})
	s.out.check(claimf(allComplete(pages), "all %d pages are complete", len(pages)))
	s.out.check(claimf(noneHit(hits), "no call was hit"))
	s.out.check(claimf(knewWhom(s.shop.calls.take(), pages),
		"inventory knew the customer of each: the name went from edge to product over HTTP, and on over gRPC"))
	return nil
}

// oneRequest sends a token along with a single request, in the midst of all the
// others, and three that are no good with three more.
func (s *story) oneRequest(ctx context.Context) error {
	s.out.chapter("One request: it carries a signed token")
	customer := s.customers[7]
	tokens, err := s.tokensFor(customer)
	if err != nil {
		return err
	}
	visits := s.visits()
	middle := len(visits) / 2
	for _, t := range tokens {
		s.out.request("GET", "edge/products/7", "X-Customer: "+customer, "Fault-Token: "+abridged(t.text)+"   # "+t.what)
		visits = slices.Insert(visits, middle, visit{customer: customer, product: 7, token: t.text, waits: true})
	}
	pages, hits, err := s.traffic(ctx, visits)
	if err != nil {
		return err
	}
	good, outside := split(pages, func(p page) bool { return p.token == tokens[0].text })
	bad, others := split(outside, func(p page) bool { return p.token != "" })
	s.out.table(group{"with the token", good}, group{"with bad ones", bad}, group{"all others", others})
	s.out.where(hits)
	for _, t := range tokens {
		s.out.say("%s: Fault-Status: %s", t.what, statusOf(pages, t.text))
	}
	s.out.check(claimf(allDegraded(good), "the request with the token got its page, without ratings"))
	s.out.check(claimf(hitWhere(hits, ratingsAttempts, ratingsPoint),
		"it was hit behind the edge, at %s: both attempts", ratingsPoint))
	s.out.check(claimf(sameCustomers(customersHit(hits), []string{customer}), "nobody but %s was hit", customer))
	s.out.check(claimf(allComplete(bad), "the requests with a forged, an expired and an over-ceiling token were served as ever"))
	s.out.check(claimf(allComplete(others), "all %d other pages are complete, those of %s too", len(others), customer))
	for _, t := range tokens {
		s.out.check(claimf(says(statusOf(pages, t.text), t.answer), "the edge says of the %s token: %s", t.what, t.claim))
	}
	return s.revoke(ctx, visit{customer: customer, product: 7, token: tokens[0].text})
}

// revoke takes the good token back and sends it once more.
func (s *story) revoke(ctx context.Context, again visit) error {
	s.out.say("Now the good token is revoked by its ID, in the services' keys, and sent once more …")
	if err := s.shop.tokens.Replace(s.shop.tester.keys("good")); err != nil {
		return err
	}
	pages, hits, err := s.traffic(ctx, []visit{again})
	if err != nil {
		return err
	}
	s.out.check(claimf(allComplete(pages), "its request is served as ever"))
	s.out.check(claimf(noneHit(hits), "no call was hit"))
	s.out.check(claimf(says(pages[0].status, `"good\" has been revoked`), "the edge says that it has been revoked"))
	return nil
}

// A testToken is one of those that a single request brings.
type testToken struct {
	what   string // it is
	text   string
	answer string // how the edge answers, or a part of it
	claim  string // the same in words
}

// tokensFor returns a good token for a customer and three bad ones.
func (s *story) tokensFor(customer string) ([]testToken, error) {
	stranger, err := newTester()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	soon, past := now.Add(10*time.Minute), now.Add(-time.Minute)
	down := fault.Rule{
		Target: fault.Target{Points: []string{"ratings"}},
		Scope:  scope.Customers(customer),
		Fault:  fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}},
	}
	slow := down
	slow.Fault = fault.Fault{Delay: &fault.Delay{Fixed: time.Minute}}
	tokens := []testToken{
		{what: "good", answer: `applied;rule="token-good";point="http.client:ratings";service="product"`, claim: "applied, and in which service"},
		{what: "forged", answer: `refused;service="edge";reason="the token is not accepted"`, claim: "refused, and no more than that"},
		{what: "expired", answer: "expired 1m", claim: "refused, since when it is over"},
		{what: "over-ceiling", answer: "may last 1m0s; the guardrail Tokens.MaxDelay allows 2s", claim: "refused, and what would be allowed"},
	}
	var errs [4]error
	tokens[0].text, errs[0] = s.shop.tester.sign("good", now, soon, down)
	tokens[1].text, errs[1] = stranger.sign("forged", now, soon, down)
	tokens[2].text, errs[2] = s.shop.tester.sign("expired", past.Add(-time.Minute), past, down)
	tokens[3].text, errs[3] = s.shop.tester.sign("over-ceiling", now, soon, slow)
	return tokens, errors.Join(errs[:]...)
}

// abridged shows the two ends of a token.
func abridged(token string) string { return token[:12] + "…" + token[len(token)-6:] }

// statusOf returns what the edge said of the request that was sent with a token.
func statusOf(pages []page, token string) string {
	for _, p := range pages {
		if p.token == token {
			return p.status
		}
	}
	return ""
}

func (s *story) oneCustomer(ctx context.Context) error {
	s.out.chapter("One customer: ratings never answers")
	customer := s.customers[42]
	rule := fault.Rule{
		ID:     "ratings-silent",
		Target: fault.Target{Points: []string{"ratings"}},
		Scope:  scope.Customers(customer),
		Fault:  fault.Fault{BlackHole: true},
		TTL:    5 * time.Minute,
	}
	if err := s.put(ctx, s.product, rule); err != nil {
		return err
	}
	pages, hits, err := s.traffic(ctx, s.visits(customer))
	if err != nil {
		return err
	}
	verdicts, err := s.product.verdicts(ctx, rule.ID)
	if err != nil {
		return err
	}
	if err := s.remove(ctx, s.product, rule.ID); err != nil {
		return err
	}
	inside, outside := split(pages, func(p page) bool { return p.customer == customer })
	s.out.table(group{customer, inside}, group{"everybody else", outside})
	s.out.where(hits)
	s.out.check(claimf(sameCustomers(customersHit(hits), []string{customer}), "nobody but %s was hit", customer))
	s.out.check(claimf(judgedDegraded(verdicts, len(inside)), "product says that it served all %d of the pages without ratings, and failed none", len(inside)))
	s.checkPages(hits, inside, outside)
	return nil
}

// widenTo edits one and the same rule, whose percentage grows.
func (s *story) widenTo(percent float64) func(context.Context) error {
	return func(ctx context.Context) error {
		s.out.chapter(fmt.Sprintf("%v %% of customers: ratings is slower than its timeout", percent))
		rule := fault.Rule{
			ID:     "ratings-late",
			Target: fault.Target{Points: []string{"ratings"}},
			Scope:  scope.Percent(percent, scope.PerCustomer),
			Fault:  fault.Fault{Delay: &fault.Delay{Fixed: 30 * time.Second}},
			TTL:    5 * time.Minute,
		}
		if err := s.put(ctx, s.product, rule); err != nil {
			return err
		}
		predicted := picked(rule.ID, percent, s.customers)
		pages, hits, err := s.traffic(ctx, s.visits(predicted...))
		if err != nil {
			return err
		}
		live, err := s.product.rule(ctx, rule.ID)
		if err != nil {
			return err
		}
		inside, outside := split(pages, func(p page) bool { return slices.Contains(predicted, p.customer) })
		s.out.table(group{fmt.Sprintf("in the %v %%", percent), inside}, group{"everybody else", outside})
		s.out.where(hits)
		s.out.check(claimf(sameCustomers(customersHit(hits), predicted),
			"hit were exactly the %d for whom Bucket(%q, customer) < Threshold(%v)", len(predicted), rule.ID, percent))
		s.checkPages(hits, inside, outside)
		s.checkWidening(hits, live.Hits)
		return nil
	}
}

// midStream breaks streams when some of what they bring has come already.
func (s *story) midStream(ctx context.Context) error {
	s.out.chapter(fmt.Sprintf("In mid-stream: the price feed of one customer breaks after every %d prices", cutAfter))
	if err := s.remove(ctx, s.product, "ratings-late"); err != nil {
		return err
	}
	watchers := s.customers[:s.plan.watchers]
	customer := watchers[len(watchers)/2]
	rule := fault.Rule{
		ID: "feed-breaks",
		Target: fault.Target{
			Points:     []string{"inventory"},
			Operations: []string{inventorypb.Inventory_WatchPrices_FullMethodName},
		},
		Scope: scope.Customers(customer),
		Fault: fault.Fault{Stream: &fault.StreamFault{After: cutAfter, Cut: true}},
		TTL:   time.Minute,
	}
	if err := s.put(ctx, s.product, rule); err != nil {
		return err
	}
	s.shop.calls.take() // those of the chapters before
	s.out.say("%d customers watch the prices of product 7 at the same time …", len(watchers))
	feeds, err := s.users.watch(ctx, watchers, 7)
	if err != nil {
		return err
	}
	calls := s.shop.calls.take()
	pages, hits, err := s.traffic(ctx, visitsOf(watchers, 1, nil))
	if err != nil {
		return err
	}
	if err := s.remove(ctx, s.product, rule.ID); err != nil {
		return err
	}
	inside, outside := feedsOf(customer, feeds)
	s.out.feeds(calls, feedGroup{customer, inside}, feedGroup{"everybody else", outside})
	s.out.say("%s got %s  (╳: here the stream behind it broke)", customer, drawn(inside, streamsOf(customer, calls)))
	s.out.where(hits)
	s.checkFeeds(hits, calls, inside, outside)
	s.out.check(claimf(allComplete(pages), "the %d pages opened after that are complete: the rule is for the feed alone", len(pages)))
	return nil
}

// unknownOutcome has a commit made and loses its answer: whoever asked for it
// cannot know whether there is an order now.
func (s *story) unknownOutcome(ctx context.Context) error {
	s.out.chapter("An order whose outcome nobody knows: the commit is made and its answer lost")
	return s.order(ctx, "7", fault.Rule{ID: "answer-lost", Fault: fault.Fault{LostReply: true}}, true)
}

// notMade is the same for whoever asked, but not for the database.
func (s *story) notMade(ctx context.Context) error {
	s.out.chapter("Its twin: the connection is lost before the commit, and there is no order")
	return s.order(ctx, "8", fault.Rule{ID: "commit-lost", Fault: fault.Fault{Error: &fault.ErrorFault{Class: fault.Reset}}}, false)
}

// order has many customers order a product at the same time, with a rule for the
// first commit of one. made says whether that is made under the rule.
func (s *story) order(ctx context.Context, product string, rule fault.Rule, made bool) error {
	buyers := s.customers[:s.plan.buyers]
	customer := buyers[len(buyers)/2]
	rule.Target = fault.Target{Points: []string{"stock-db"}, Operations: []string{"COMMIT"}}
	rule.Scope = scope.Scope{Customers: []string{customer}, Attempts: 1}
	rule.TTL = time.Minute
	if err := s.put(ctx, s.inventory, rule); err != nil {
		return err
	}
	s.shop.calls.take() // those of the chapters before
	before, err := readLedger(ctx, s.shop.database.plain, product)
	if err != nil {
		return err
	}
	purchases := ordersOf(buyers, product)
	s.out.say("%d customers order some of product %s at the same time …", len(buyers), product)
	if err := s.users.buy(ctx, purchases); err != nil {
		return err
	}
	hits, calls := s.shop.hits.take(), s.shop.calls.take()
	after, err := readLedger(ctx, s.shop.database.plain, product)
	if err != nil {
		return err
	}
	if err := s.remove(ctx, s.inventory, rule.ID); err != nil {
		return err
	}
	inside, outside := purchasesOf(customer, purchases)
	s.out.purchases(calls, purchaseGroup{customer, inside}, purchaseGroup{"everybody else", outside})
	for _, p := range inside {
		s.out.request("POST", "edge/orders", string(asJSON(p.order)), "answered "+string(asJSON(p.receipt)))
	}
	s.out.where(hits)
	s.checkOrders(hits, calls, before, after, inside, outside, made)
	return nil
}

// takenBack makes a dependency fall silent that no page can do without, so
// that users really wait, and takes the rule away from under them.
func (s *story) takenBack(ctx context.Context) error {
	s.out.chapter("Taken back while calls are held: inventory never answers anybody")
	rule := fault.Rule{
		ID:     "inventory-silent",
		Target: fault.Target{Points: []string{"inventory"}},
		Scope:  scope.Everyone(),
		Fault:  fault.Fault{BlackHole: true},
		TTL:    time.Minute,
	}
	if err := s.put(ctx, s.product, rule); err != nil {
		return err
	}
	s.shop.calls.take() // those of the chapters before
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	waiting := s.customers[:s.plan.held]
	var pages []page
	answered := make(chan error, 1)
	go func() {
		var err error
		pages, err = s.users.browse(ctx, visitsOf(waiting, 1, waiting), s.plan.perSecond)
		answered <- err
	}()
	held, err := s.awaitHeld(ctx, rule.ID)
	if err != nil {
		return err
	}
	s.out.say("%d calls are held, and %d users wait for their pages …", held, s.plan.held)
	if err := pause(ctx, s.plan.heldFor); err != nil {
		return err
	}
	early, reached := s.users.done.Load(), len(s.shop.calls.take())
	if err := s.remove(ctx, s.product, rule.ID); err != nil {
		return err
	}
	removed := time.Now()
	if err := <-answered; err != nil {
		return err
	}
	var last time.Duration // from the answer to DELETE to the last page
	for _, p := range pages {
		last = max(last, p.done.Sub(removed))
	}
	hits := s.shop.hits.take()
	s.out.table(group{"everybody", pages})
	s.out.where(hits)
	s.out.check(claimf(counts(held, int64(s.plan.held)), "all %d calls were held at once, as the endpoint counts them", s.plan.held))
	s.out.check(claimf(counts(early, 0), "no page was answered before the rule was taken back"))
	s.out.check(claimf(counts(reached, 0), "no call had reached inventory by then"))
	s.out.check(claimf(hitWhere(hits, s.plan.held, inventoryPoint), "only %s was hit", inventoryPoint))
	s.out.check(claimf(allComplete(pages), "then every page came, complete: a held call goes on, it does not fail"))
	s.out.check(claimf(knewWhom(s.shop.calls.take(), pages), "inventory got each of the calls, and knew the customer of each"))
	s.out.check(claimf(within(last, healsWithin), "the last one came %v after DELETE had answered", short(last)))
	return nil
}

// awaitHeld waits until the rule holds a call of every user, or long enough,
// and returns how many it holds.
func (s *story) awaitHeld(ctx context.Context, id string) (held int64, err error) {
	for deadline := time.Now().Add(10 * time.Second); ; {
		live, err := s.product.rule(ctx, id)
		if err != nil || live.Held == int64(s.plan.held) || time.Now().After(deadline) {
			return live.Held, err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return live.Held, err
		}
	}
}

func (s *story) afterwards(ctx context.Context) error {
	s.out.chapter("Afterwards: the same as the baseline")
	pages, hits, err := s.traffic(ctx, s.visits())
	if err != nil {
		return err
	}
	var left []liveRule
	for _, at := range []*operator{s.product, s.inventory} {
		rules, err := at.rules(ctx)
		if err != nil {
			return err
		}
		left = append(left, rules...)
	}
	// The rule that a request carried is listed for a minute, in case that
	// request is still on its way.
	left = slices.DeleteFunc(left, func(l liveRule) bool { return l.Source == fault.SourceRequest })
	s.out.table(group{"everybody", pages})
	s.out.check(claimf(allComplete(pages), "all %d pages are complete", len(pages)))
	s.out.check(claimf(noneHit(hits), "no call was hit"))
	s.out.check(claimf(counts(len(left), 0), "no rule is left behind"))
	return nil
}
