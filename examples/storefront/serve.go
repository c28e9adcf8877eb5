package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// byHand is how patient the shop is with people who type.
const byHand = 2 * time.Second

// serveByHand opens the shop, says what there is to try, and keeps it open
// until ctx ends.
func serveByHand(ctx context.Context, out io.Writer, port int, postgres, keyFile string) error {
	keys, err := readKeys(keyFile)
	if err != nil {
		return err
	}
	shop, err := openShop(ctx, shopConfig{firstPort: port, timeouts: patientWith(byHand), postgres: postgres, keys: keys})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "The shop is open, until Ctrl-C. Ratings has %v and %d attempts, inventory %v and %d.\n"+
		"Every service has a control endpoint at %s/, that of\n"+
		"inventory beside its gRPC port, at %s. Stock and orders are in %s.\n",
		byHand, ratingsAttempts, defaultTimeouts().inventory, stockAttempts, controlPath, shop.inventory.url, shop.database.what)
	todo, err := commands(shop)
	if err != nil {
		return errors.Join(err, shop.close())
	}
	for _, c := range todo {
		fmt.Fprintf(out, "\n# %s\n%s\n", c.about, c)
	}
	<-ctx.Done()
	fmt.Fprintln(out, "\nClosing: held calls are let go of first.")
	return shop.close()
}

// A command is a request for people to send with curl.
type command struct {
	about  string
	method string
	url    string
	header []string
	body   string
}

func (c command) String() string {
	words := []string{"curl -sS"}
	if strings.HasSuffix(c.url, "/prices") {
		words[0] = "curl -sSN" // as it comes
	}
	if c.method != "GET" {
		words = append(words, "-X "+c.method)
	}
	words = append(words, c.url)
	for _, h := range c.header {
		words = append(words, "-H '"+h+"'")
	}
	if c.body != "" {
		words = append(words, "\\\n    -d '"+c.body+"'")
	}
	return strings.Join(words, " ")
}

// commands tell a story of their own, in this order.
func commands(s *shop) ([]command, error) {
	const (
		oneCustomer = `{"target":{"points":["ratings"]},"scope":{"customers":["c-042"]},"fault":{"blackHole":true},"ttl":"5m"}`
		aQuarter    = `{"target":{"points":["ratings"]},"scope":{"percent":25,"unit":"customer"},"fault":{"error":{"class":"refused"}},"ttl":"5m"}`
		inventory   = `{"target":{"points":["inventory"]},"scope":{"percent":100},"fault":{"blackHole":true},"ttl":"1m"}`
		feed        = `{"target":{"points":["inventory"],"operations":["/inventory.v1.Inventory/WatchPrices"]},"scope":{"customers":["c-042"]},"fault":{"stream":{"after":3,"cut":true}},"ttl":"5m"}`
		closed      = `{"target":{"points":["inventory"],"operations":["/inventory.v1.Inventory/GetStock"]},"scope":{"customers":["c-042"]},"fault":{"error":{"grpc":{"code":"RESOURCE_EXHAUSTED","message":"closed for stocktaking"}}},"ttl":"5m"}`
		answerLost  = `{"target":{"points":["stock-db"],"operations":["COMMIT"]},"scope":{"customers":["c-042"],"attempts":1},"fault":{"lostReply":true},"ttl":"5m"}`
		firstOrder  = `{"id":"c-042-1","product":"7","quantity":2}`
		secondOrder = `{"id":"c-042-2","product":"7","quantity":2}`
	)
	page := s.edge.url + "/products/7"
	orders := s.edge.url + "/orders"
	faults, stockFaults := s.product.url+controlPath, s.inventory.url+controlPath
	json := "Content-Type: application/json"
	c042, c007 := "X-Customer: c-042", "X-Customer: c-007"
	now := time.Now()
	oneRequest, err := s.tester.sign("demo", now, now.Add(time.Hour), fault.Rule{
		Target: fault.Target{Points: []string{"ratings"}},
		Scope:  scope.Customers("c-007"),
		Fault:  fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}},
	})
	if err != nil {
		return nil, err
	}
	among := picked("demo", 25, customerNames(400))[0]
	return []command{
		{"A page, as customer c-042 sees it", "GET", page, []string{c042}, ""},
		{"Where the product service can be made to fail", "GET", faults + "/v1/points", nil, ""},
		{"Ratings never answers c-042", "PUT", faults + "/v1/rules/demo", []string{json}, oneCustomer},
		{"That page now: it takes both timeouts, and has no ratings", "GET", page, []string{c042}, ""},
		{"Another customer's page: untouched", "GET", page, []string{c007}, ""},
		{"What is live, how often it hit, how long it has left", "GET", faults + "/v1/rules", nil, ""},
		{"The same for people", "GET", faults + "/", nil, ""},
		{"The same rule, for 25 % of customers, and another fault", "PUT", faults + "/v1/rules/demo", []string{json}, aQuarter},
		{"A page of " + among + ", who is among them", "GET", page, []string{"X-Customer: " + among}, ""},
		{"Take it back", "DELETE", faults + "/v1/rules/demo", nil, ""},
		{"A fault for this one request: it carries a token, signed and good for an hour", "GET", page, []string{c007, "Fault-Token: " + oneRequest}, ""},
		{"The prices of a product, as they come", "GET", page + "/prices", []string{c042}, ""},
		{"That feed breaks after every 3 prices …", "PUT", faults + "/v1/rules/demo", []string{json}, feed},
		{"… and product goes on where it broke: c-042 still gets all of them, once and in order", "GET", page + "/prices", []string{c042}, ""},
		{"It took 3 streams: see the rule's hits", "GET", faults + "/v1/rules/demo", nil, ""},
		{"Inventory turns c-042 away, with a gRPC status", "PUT", faults + "/v1/rules/demo", []string{json}, closed},
		{"There is no page without inventory", "GET", page, []string{c042}, ""},
		{"Take it back", "DELETE", faults + "/v1/rules/demo", nil, ""},
		{"An order", "POST", orders, []string{c042}, firstOrder},
		{"The first commit of every order of c-042 is made, and its answer lost. This rule is inventory's …", "PUT", stockFaults + "/v1/rules/demo", []string{json}, answerLost},
		{"… and product asks again, to be told that the order is placed already", "POST", orders, []string{c042}, secondOrder},
		{"Take it back", "DELETE", stockFaults + "/v1/rules/demo", nil, ""},
		{"Inventory never answers anybody: open a page now, and it hangs …", "PUT", faults + "/v1/rules/silent", []string{json}, inventory},
		{"… until this, from another terminal, ends every rule of the service and refuses new ones", "POST", faults + "/v1/halt", nil, ""},
		{"Let new ones in again", "POST", faults + "/v1/resume", nil, ""},
	}, nil
}
