package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A feed is what one user got who watched the prices of a product, seen from
// outside, as a [page] is.
type feed struct {
	customer string
	prices   []price
	err      error // it did not come to its end
}

// A price is one event of a feed.
type price struct {
	version int
	costs   string
}

// watch opens the price feed of one product for all the customers at the same
// time, and reads each to its end.
func (u *users) watch(ctx context.Context, customers []string, product int) ([]feed, error) {
	feeds := make([]feed, len(customers))
	var open sync.WaitGroup
	for i, customer := range customers {
		open.Go(func() {
			feeds[i].customer = customer
			feeds[i].prices, feeds[i].err = u.follow(ctx, customer, product)
		})
	}
	open.Wait()
	return feeds, ctx.Err()
}

// follow reads one feed of server-sent events.
func (u *users) follow(ctx context.Context, customer string, product int) ([]price, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/products/%d/prices", u.edge, product), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Customer", customer)
	resp, err := u.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the feed answered %s", resp.Status)
	}
	var got []price
	var next price
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			if next.version, err = strconv.Atoi(value); err != nil {
				return got, err
			}
		case "data":
			next.costs = value
		case "": // the event is complete
			got = append(got, next)
			next = price{}
		}
	}
	return got, lines.Err()
}

// feedsOf divides the feeds into those of one customer and the others.
func feedsOf(customer string, feeds []feed) (inside, outside []feed) {
	for _, f := range feeds {
		if f.customer == customer {
			inside = append(inside, f)
		} else {
			outside = append(outside, f)
		}
	}
	return inside, outside
}

// watchersOf returns whose the feeds are.
func watchersOf(feeds []feed) []string {
	who := make([]string, len(feeds))
	for i, f := range feeds {
		who[i] = f.customer
	}
	return who
}

// streamsOf returns, for each stream that a customer's feed took, the version
// that inventory was asked to go on after.
func streamsOf(customer string, calls []call) []int64 {
	var after []int64
	for _, c := range calls {
		if c.method == "WatchPrices" && c.customer == customer {
			after = append(after, c.after)
		}
	}
	return after
}

// drawn shows the versions that came, in order, and where another stream began.
func drawn(feeds []feed, streams []int64) string {
	var out strings.Builder
	for _, f := range feeds {
		for _, p := range f.prices {
			if p.version > 1 && slices.Contains(streams, int64(p.version-1)) {
				out.WriteString("╳ ")
			}
			fmt.Fprintf(&out, "%d ", p.version)
		}
	}
	return strings.TrimSpace(out.String())
}

// listed prints versions for people: 0, 3, 6.
func listed(versions []int64) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(versions), " ", ", "), "[]")
}
