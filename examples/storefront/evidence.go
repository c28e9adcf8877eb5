package main

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// A page is what one request of a user came to, seen from outside. The shop
// knows nothing of it, so it is evidence independent of the library.
type page struct {
	customer string
	token    string // that it was sent with, if any
	status   string // what the library said of that
	degraded bool   // without ratings
	err      error  // not a page at all
	took     time.Duration
	done     time.Time
}

// A hit is what the library says about one call that it faulted.
type hit struct {
	service, point, operation, rule, customer string
}

func (h hit) where() string { return h.service + " " + h.point }

// A hitLog observes the injectors of the shop.
type hitLog struct {
	mu   sync.Mutex
	hits []hit
}

// Observe implements [fault.Observer]. It is called on the way of the request,
// so it is quick.
func (l *hitLog) Observe(e fault.Event) {
	if e.Kind != fault.Hit {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hits = append(l.hits, hit{e.Service, e.Point, e.Operation.String(), e.Rule, e.Customer})
}

// take returns the hits since it was last called.
func (l *hitLog) take() []hit {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.hits
	l.hits = nil
	return taken
}

// customersHit returns whom the hits were for, sorted.
func customersHit(hits []hit) []string {
	set := make(map[string]bool)
	for _, h := range hits {
		set[h.customer] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// customersOf returns who asked for the pages, sorted.
func customersOf(pages []page) []string {
	set := make(map[string]bool)
	for _, p := range pages {
		set[p.customer] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// split divides the pages into those that in selects and the others.
func split(pages []page, in func(page) bool) (inside, outside []page) {
	for _, p := range pages {
		if in(p) {
			inside = append(inside, p)
		} else {
			outside = append(outside, p)
		}
	}
	return inside, outside
}

// percentile returns the time that q of the pages, from 0 to 1, did not exceed.
func percentile(pages []page, q float64) time.Duration {
	if len(pages) == 0 {
		return 0
	}
	took := make([]time.Duration, len(pages))
	for i, p := range pages {
		took[i] = p.took
	}
	slices.Sort(took)
	return took[min(int(q*float64(len(took))), len(took)-1)]
}

// A ledger is what inventory's database says of a product.
type ledger struct {
	left   int
	orders []order
}

// readLedger asks the database itself, past inventory and the injection point.
func readLedger(ctx context.Context, db *sql.DB, product string) (ledger, error) {
	var l ledger
	if err := db.QueryRowContext(ctx, `SELECT quantity FROM stock WHERE product = $1`, product).Scan(&l.left); err != nil {
		return ledger{}, err
	}
	rows, err := db.QueryContext(ctx, `SELECT id, product, quantity FROM orders WHERE product = $1`, product)
	if err != nil {
		return ledger{}, err
	}
	defer rows.Close()
	for rows.Next() {
		var o order
		if err := rows.Scan(&o.ID, &o.Product, &o.Quantity); err != nil {
			return ledger{}, err
		}
		l.orders = append(l.orders, o)
	}
	return l, rows.Err()
}
