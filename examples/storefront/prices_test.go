package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// TestFeedEnds shows that a user can tell a feed that was cut short from one
// that has come to its end.
func TestFeedEnds(t *testing.T) {
	t.Parallel()
	shop, err := openShop(t.Context(), shopConfig{timeouts: patientWith(time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	defer shop.close()
	users := newUsers(shop.edge.url)
	aborted := &fault.ErrorFault{GRPC: &fault.GRPCStatus{Code: "ABORTED"}}
	notFound := &fault.ErrorFault{GRPC: &fault.GRPCStatus{Code: "NOT_FOUND"}}
	for _, c := range []struct {
		name   string
		fault  fault.StreamFault
		prices int
		err    string
		hits   int // one for each stream
	}{
		{"breaks once", fault.StreamFault{After: 7, Cut: true}, 8, "<nil>", 2},
		{"breaks after every price", fault.StreamFault{After: 1, Error: aborted}, 8, "<nil>", 9},
		{"never gets anywhere", fault.StreamFault{Cut: true}, 0, "the feed answered 502 Bad Gateway", feedTries},
		{"is not worth another try", fault.StreamFault{After: 2, Error: notFound}, 2, "unexpected EOF", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			rule := fault.Rule{
				ID:     "feed",
				Target: fault.Target{Points: []string{"inventory"}},
				Scope:  scope.Everyone(),
				Fault:  fault.Fault{Stream: &c.fault},
				TTL:    time.Minute,
			}
			if err := shop.product.inj.Put(rule); err != nil {
				t.Fatal(err)
			}
			prices, err := users.follow(t.Context(), "c-007", 7)
			hits := len(shop.hits.take())
			if len(prices) != c.prices || fmt.Sprint(err) != c.err || hits != c.hits {
				t.Errorf("%d prices, %v, %d hits, want %d, %v, %d", len(prices), err, hits, c.prices, c.err, c.hits)
			}
		})
	}
}
