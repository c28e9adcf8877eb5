package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// errClaims says that the story did not turn out as claimed.
var errClaims = errors.New("not every claim holds")

// A report tells people at a terminal, or in a log, how the story goes.
type report struct {
	out      io.Writer
	terminal bool
	start    time.Time
	chapters int
	claims   int
	failed   []string
}

func newReport(out io.Writer, terminal bool) *report {
	return &report{out: out, terminal: terminal, start: time.Now()}
}

// isTerminal reports whether people read the file as it is written.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (r *report) printf(format string, args ...any) {
	fmt.Fprintf(r.out, format, args...)
}

// opening introduces the shop.
func (r *report) opening(s *shop, p plan) {
	r.printf("A shop of four services, on this machine's loopback ports, and a database:\n\n")
	for _, one := range []struct{ name, at, does string }{
		{"edge", s.edge.url, "takes the users' requests and knows their customer"},
		{"product", s.product.url, fmt.Sprintf("makes the page, after %d tries of %v without ratings", ratingsAttempts, p.ratingsTimeout)},
		{"ratings", s.ratings.url, "may fail"},
		{"inventory", s.inventory.grpcAddr + " (gRPC)", "must answer, and has a feed of prices that may break"},
		{"stock-db", s.database.what, "has inventory's stock, and the orders"},
	} {
		r.printf("  %-10s %-23s %s\n", one.name, one.at, one.does)
	}
	r.printf("\n%d customers open %d pages each in every step, %d pages a second.\n", p.customers, p.visitsEach, p.perSecond)
}

// chapter begins a step.
func (r *report) chapter(title string) {
	r.chapters++
	head := fmt.Sprintf("── %d. %s ", r.chapters, title)
	r.printf("\n%s%s\n", head, strings.Repeat("─", max(3, 86-len([]rune(head)))))
}

// request shows a request that is being sent.
func (r *report) request(method, path string, more ...string) {
	r.printf("   %-6s %s\n", method, path)
	for _, line := range more {
		r.printf("          %s\n", line)
	}
}

func (r *report) say(format string, args ...any) {
	r.printf("   "+format+"\n", args...)
}

// A group is some of the pages, under a name.
type group struct {
	name  string
	pages []page
}

// table shows what each group of users saw.
func (r *report) table(groups ...group) {
	r.printf("\n   %-16s %9s %7s %9s %9s %7s %9s %9s\n", "", "customers", "pages", "complete", "fallbacks", "errors", "p50", "p99")
	for _, g := range groups {
		if len(g.pages) == 0 {
			continue
		}
		var complete, degraded, errors int
		for _, p := range g.pages {
			switch {
			case p.err != nil:
				errors++
			case p.degraded:
				degraded++
			default:
				complete++
			}
		}
		r.printf("   %-16s %9d %7d %9d %9d %7d %9s %9s\n", g.name, len(customersOf(g.pages)), len(g.pages),
			complete, degraded, errors, short(percentile(g.pages, 0.50)), short(percentile(g.pages, 0.99)))
	}
	r.printf("\n")
}

// A feedGroup is some of the price feeds, under a name.
type feedGroup struct {
	name  string
	feeds []feed
}

// feeds shows what each group of those who watched a price feed got, and how
// many streams of inventory that took.
func (r *report) feeds(calls []call, groups ...feedGroup) {
	r.printf("\n   %-16s %9s %7s %9s %9s\n", "", "customers", "prices", "errors", "streams")
	for _, g := range groups {
		var prices, errors, streams int
		for _, f := range g.feeds {
			prices += len(f.prices)
			streams += len(streamsOf(f.customer, calls))
			if f.err != nil {
				errors++
			}
		}
		r.printf("   %-16s %9d %7d %9d %9d\n", g.name, len(g.feeds), prices, errors, streams)
	}
	r.printf("\n")
}

// A purchaseGroup is some of the orders, under a name.
type purchaseGroup struct {
	name      string
	purchases []purchase
}

// purchases shows what came of each group's orders, and how often inventory was
// asked to place them.
func (r *report) purchases(calls []call, groups ...purchaseGroup) {
	r.printf("\n   %-16s %9s %8s %7s %6s %15s\n", "", "customers", "receipts", "errors", "tries", "already placed")
	for _, g := range groups {
		var errors, tries, already int
		for _, p := range g.purchases {
			tries += triesOf(p.customer, calls)
			switch {
			case p.err != nil:
				errors++
			case p.receipt.AlreadyPlaced:
				already++
			}
		}
		r.printf("   %-16s %9d %8d %7d %6d %15d\n", g.name, len(g.purchases), len(g.purchases)-errors, errors, tries, already)
	}
	r.printf("\n")
}

// where shows which calls were hit and for whom, as the injectors saw it.
func (r *report) where(hits []hit) {
	var places []string
	byPlace := make(map[string][]hit)
	for _, h := range hits {
		if byPlace[h.where()] == nil {
			places = append(places, h.where())
		}
		byPlace[h.where()] = append(byPlace[h.where()], h)
	}
	for _, place := range places {
		r.printf("   hit: %d calls at %s, for %s\n", len(byPlace[place]), place, some(customersHit(byPlace[place])))
	}
	r.printf("\n")
}

// check shows whether a claim holds, and remembers if not.
func (r *report) check(c claim) {
	r.claims++
	if c.holds() {
		r.printf("   ✓ %s\n", c.text)
		return
	}
	r.failed = append(r.failed, fmt.Sprintf("step %d: %s: %s", r.chapters, c.text, c.why))
	r.printf("   ✗ %s\n     no: %s\n", c.text, c.why)
}

// ending sums up and returns errClaims if a claim did not hold.
func (r *report) ending() error {
	took := time.Since(r.start).Round(100 * time.Millisecond)
	if len(r.failed) == 0 {
		r.printf("\nAll %d claims hold. It took %v.\n", r.claims, took)
		return nil
	}
	r.printf("\n%d of %d claims do not hold. It took %v.\n", len(r.failed), r.claims, took)
	for _, f := range r.failed {
		r.printf("   ✗ %s\n", f)
	}
	return errClaims
}

// progress shows what say returns, over and over, until stop is called: on a
// terminal in one line that comes and goes, else in a line every few seconds.
func (r *report) progress(say func() string) (stop func()) {
	every := 3 * time.Second
	if r.terminal {
		every = 100 * time.Millisecond
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				if r.terminal {
					r.printf("\r%40s\r", "")
				}
				return
			case <-ticker.C:
				if r.terminal {
					r.printf("\r   %-37s", say())
				} else {
					r.say("%s", say())
				}
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}

// short prints a time so that columns of them can be compared at a glance.
func short(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 100 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}
