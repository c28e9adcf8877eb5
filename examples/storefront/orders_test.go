package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// eachDatabase runs a test with SQLite, and with a PostgreSQL where there is one.
func eachDatabase(t *testing.T, f func(t *testing.T, postgres string)) {
	t.Run("SQLite", func(t *testing.T) { f(t, "") })
	t.Run("PostgreSQL", func(t *testing.T) {
		dsn := os.Getenv("MISFIT_TEST_POSTGRES")
		if dsn == "" {
			const why = `no PostgreSQL: set MISFIT_TEST_POSTGRES, or ".ci/databases go test ./examples/..."`
			if os.Getenv("MISFIT_REQUIRE_DATABASES") == "1" {
				t.Fatal(why)
			}
			t.Skip(why)
		}
		f(t, dsn)
	})
}

// TestOrders holds an order under faults, and what is left of it when they are
// over and the user, who got no receipt, sends it again.
func TestOrders(t *testing.T) {
	t.Parallel()
	reset := fault.Fault{Error: &fault.ErrorFault{Class: fault.Reset}}
	lostReply := fault.Fault{LostReply: true}
	eachDatabase(t, func(t *testing.T, postgres string) {
		shop, err := openShop(t.Context(), shopConfig{timeouts: patientWith(time.Second), postgres: postgres})
		if err != nil {
			t.Fatal(err)
		}
		defer shop.close()
		users := newUsers(shop.edge.url)
		for _, c := range []struct {
			name      string
			operation string
			fault     fault.Fault
			attempts  int // that are hit; 0 is all
			receipt   receipt
			err       string
			stored    int // orders, before the last
			again     receipt
		}{
			{"commit's answer lost", "COMMIT", lostReply, 1, receipt{AlreadyPlaced: true, Tries: 2}, "", 1, receipt{AlreadyPlaced: true, Tries: 1}},
			{"commit not made", "COMMIT", reset, 1, receipt{Tries: 2}, "", 1, receipt{AlreadyPlaced: true, Tries: 1}},
			{"every commit's answer lost", "COMMIT", lostReply, 0, receipt{}, "502 Bad Gateway", 1, receipt{AlreadyPlaced: true, Tries: 1}},
			{"no commit made", "COMMIT", reset, 0, receipt{}, "502 Bad Gateway", 0, receipt{Tries: 1}},
			{"insert's answer lost", "INSERT orders", lostReply, 1, receipt{Tries: 2}, "", 1, receipt{AlreadyPlaced: true, Tries: 1}},
			{"lost in the transaction", "UPDATE stock", reset, 2, receipt{Tries: 3}, "", 1, receipt{AlreadyPlaced: true, Tries: 1}},
			{"lost before it, which database/sql makes good", "BEGIN", reset, 2, receipt{Tries: 1}, "", 1, receipt{AlreadyPlaced: true, Tries: 1}},
		} {
			t.Run(c.name, func(t *testing.T) {
				o := order{c.name, "7", 2}
				before, err := readLedger(t.Context(), shop.database.plain, o.Product)
				if err != nil {
					t.Fatal(err)
				}
				rule := fault.Rule{
					ID:     "order",
					Target: fault.Target{Points: []string{"stock-db"}, Operations: []string{c.operation}},
					Scope:  scope.Scope{Customers: []string{"c-007"}, Attempts: c.attempts},
					Fault:  c.fault,
					TTL:    time.Minute,
				}
				if err := shop.inventory.inj.Put(rule); err != nil {
					t.Fatal(err)
				}
				got, err := users.send(t.Context(), "c-007", o)
				if err == nil != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v, want %s", err, c.err)
				}
				if hits := shop.hits.take(); len(hits) == 0 || hitWhere(hits, len(hits), stockPoint) != "" || hitIn(hits, c.operation) != "" {
					t.Errorf("hits: %v", hits)
				}
				shop.inventory.inj.Delete(rule.ID)
				between, err := readLedger(t.Context(), shop.database.plain, o.Product)
				if err != nil {
					t.Fatal(err)
				}
				again, err := users.send(t.Context(), "c-007", o)
				if err != nil {
					t.Fatal(err)
				}
				after, err := readLedger(t.Context(), shop.database.plain, o.Product)
				if err != nil {
					t.Fatal(err)
				}
				if stored := len(between.orders) - len(before.orders); stored != c.stored || before.left-between.left != 2*stored {
					t.Errorf("%d orders stored and %d taken, want %d orders", stored, before.left-between.left, c.stored)
				}
				once := []purchase{{order: o}}
				if why := eachOnce(before, after, once) + tookFromStock(before, after, once); why != "" {
					t.Error(why)
				}
				c.again.Left = int32(after.left)
				if c.err == "" {
					c.receipt.Left = int32(after.left)
				}
				if got != c.receipt || again != c.again {
					t.Errorf("%+v and then %+v, want %+v and then %+v", got, again, c.receipt, c.again)
				}
			})
		}
	})
}

// TestRefused holds what is an answer: it is not asked for again, and nothing has
// come of the order.
func TestRefused(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, postgres string) {
		shop, err := openShop(t.Context(), shopConfig{timeouts: patientWith(time.Second), postgres: postgres})
		if err != nil {
			t.Fatal(err)
		}
		defer shop.close()
		users := newUsers(shop.edge.url)
		if _, err := users.send(t.Context(), "c-007", order{"first", "7", 2}); err != nil {
			t.Fatal(err)
		}
		before, err := readLedger(t.Context(), shop.database.plain, "7")
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			order order
			err   string
		}{
			{order{"", "7", 2}, "400"},
			{order{"none", "7", 0}, "400"},
			{order{strings.Repeat("x", orderBytes), "7", 1}, "400"},
			{order{"nowhere", "no such product", 2}, "404"},
			{order{"many", "7", int32(before.left + 1)}, "409"},
			{order{"first", "7", 3}, "409"},
			{order{"first", "8", 2}, "409"},
		} {
			shop.calls.take()
			_, err := users.send(t.Context(), "c-007", c.order)
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%.40v: %v, want %s", c.order, err, c.err)
			}
			if calls := shop.calls.take(); len(calls) > 1 {
				t.Errorf("%.40v: asked %d times", c.order, len(calls))
			}
		}
		after, err := readLedger(t.Context(), shop.database.plain, "7")
		if err != nil {
			t.Fatal(err)
		}
		if why := eachOnce(before, after, nil) + tookFromStock(before, after, nil); why != "" {
			t.Error(why)
		}
	})
}

// TestSameOrderAtOnce has several try to place one order at the same time, as
// after a try that was given up and is still under way.
func TestSameOrderAtOnce(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, postgres string) {
		shop, err := openShop(t.Context(), shopConfig{timeouts: patientWith(time.Second), postgres: postgres})
		if err != nil {
			t.Fatal(err)
		}
		defer shop.close()
		users := newUsers(shop.edge.url)
		before, err := readLedger(t.Context(), shop.database.plain, "7")
		if err != nil {
			t.Fatal(err)
		}
		one := purchase{customer: "c-007", order: order{"same", "7", 2}}
		same := []purchase{one, one, one, one, one, one, one, one}
		if err := users.buy(t.Context(), same); err != nil {
			t.Fatal(err)
		}
		if why := allSold(same); why != "" {
			t.Error(why)
		}
		placed := 0
		for _, p := range same {
			if !p.receipt.AlreadyPlaced {
				placed++
			}
		}
		if placed != 1 {
			t.Errorf("placed %d times: %+v", placed, same)
		}
		after, err := readLedger(t.Context(), shop.database.plain, "7")
		if err != nil {
			t.Fatal(err)
		}
		if why := eachOnce(before, after, same[:1]) + tookFromStock(before, after, same[:1]); why != "" {
			t.Error(why)
		}
	})
}
