package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// A purchase is what one order of a user came to, seen from outside, as a
// [page] is.
type purchase struct {
	customer string
	order    order
	receipt  receipt
	err      error // no receipt
}

// ordersOf lets each customer order some of a product.
func ordersOf(customers []string, product string) []purchase {
	purchases := make([]purchase, len(customers))
	for i, customer := range customers {
		purchases[i] = purchase{customer: customer, order: order{customer + "-" + product, product, int32(3 - i%3)}}
	}
	return purchases
}

// buy sends all the orders at the same time, and fills in what comes of them.
func (u *users) buy(ctx context.Context, purchases []purchase) error {
	var open sync.WaitGroup
	for i := range purchases {
		p := &purchases[i]
		open.Go(func() { p.receipt, p.err = u.send(ctx, p.customer, p.order) })
	}
	open.Wait()
	return ctx.Err()
}

// send sends one order.
func (u *users) send(ctx context.Context, customer string, o order) (receipt, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.edge+"/orders", bytes.NewReader(asJSON(o)))
	if err != nil {
		return receipt{}, err
	}
	req.Header.Set("X-Customer", customer)
	req.Header.Set("Content-Type", "application/json")
	resp, err := u.client.Do(req)
	if err != nil {
		return receipt{}, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return receipt{}, err
	}
	if resp.StatusCode != http.StatusOK {
		return receipt{}, fmt.Errorf("the shop answered %s: %s", resp.Status, bytes.TrimSpace(answer))
	}
	var got receipt
	err = json.Unmarshal(answer, &got)
	return got, err
}

// asJSON is how an order or a receipt is sent.
func asJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // of a type that is no JSON
	}
	return text
}

// purchasesOf divides the purchases into those of one customer and the others.
func purchasesOf(customer string, purchases []purchase) (inside, outside []purchase) {
	for _, p := range purchases {
		if p.customer == customer {
			inside = append(inside, p)
		} else {
			outside = append(outside, p)
		}
	}
	return inside, outside
}

// buyersOf returns whose the purchases are.
func buyersOf(purchases []purchase) []string {
	who := make([]string, len(purchases))
	for i, p := range purchases {
		who[i] = p.customer
	}
	return who
}

// triesOf returns how often inventory was asked to place an order of a customer.
func triesOf(customer string, calls []call) (tries int) {
	for _, c := range calls {
		if c.method == "PlaceOrder" && c.customer == customer {
			tries++
		}
	}
	return tries
}
