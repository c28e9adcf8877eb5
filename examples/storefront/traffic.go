package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/misfit-go/misfit/httpmw"
)

// mostAtOnce bounds how many users may wait for a page at the same time, but
// for those who have reason to: a slow machine is to be slow, not swamped.
const mostAtOnce = 24

// A visit is one request that a user is going to make.
type visit struct {
	customer string
	product  int
	token    string // for this request alone, if any
	waits    bool   // a rule is for it: a long wait is no surprise
}

// Users open pages at the edge, over real connections that are kept alive.
type users struct {
	edge   string
	client *http.Client
	done   atomic.Int64 // pages so far, for the progress line
}

func newUsers(edgeURL string) *users {
	return &users{edge: edgeURL, client: &http.Client{Transport: newTransport(), Timeout: 2 * defaultTimeouts().edge}}
}

// customerNames returns c-000, c-001 and so on.
func customerNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("c-%03d", i)
	}
	return names
}

// visitsOf lets each customer make the same number of visits, in turns. Those
// who are hit by a rule may have to wait.
func visitsOf(customers []string, each int, hit []string) []visit {
	var visits []visit
	for turn := range each {
		for i, customer := range customers {
			visits = append(visits, visit{
				customer: customer,
				product:  (i + turn) % products,
				waits:    slices.Contains(hit, customer),
			})
		}
	}
	return visits
}

// browse makes the visits at a steady rate. It returns what the users saw, or
// early when ctx ends.
func (u *users) browse(ctx context.Context, visits []visit, perSecond int) ([]page, error) {
	u.done.Store(0)
	pages := make([]page, len(visits))
	slots := make(chan struct{}, mostAtOnce)
	var open sync.WaitGroup
	start := time.Now()
	for i, v := range visits {
		due := start.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
		if pause(ctx, time.Until(due)) != nil {
			break
		}
		if !v.waits {
			slots <- struct{}{} // for no longer than the client's timeout
		}
		open.Go(func() {
			pages[i] = u.open(ctx, v)
			u.done.Add(1)
			if !v.waits {
				<-slots
			}
		})
	}
	open.Wait()
	return pages, ctx.Err()
}

// open asks for one page and reads it to the end.
func (u *users) open(ctx context.Context, v visit) page {
	start := time.Now()
	p := page{customer: v.customer, token: v.token}
	p.degraded, p.status, p.err = u.read(ctx, v)
	p.done = time.Now()
	p.took = p.done.Sub(start)
	return p
}

func (u *users) read(ctx context.Context, v visit) (degraded bool, status string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/products/%d", u.edge, v.product), nil)
	if err != nil {
		return false, "", err
	}
	req.Header.Set("X-Customer", v.customer)
	if v.token != "" {
		req.Header.Set(httpmw.TokenHeader, v.token)
	}
	resp, err := u.client.Do(req)
	if err != nil {
		return false, "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, "", fmt.Errorf("the page answered %s", resp.Status)
	}
	var seen productPage
	if err := json.NewDecoder(resp.Body).Decode(&seen); err != nil {
		return false, "", err
	}
	if seen.Stock == nil || (seen.Ratings == nil) != seen.Degraded {
		return false, "", fmt.Errorf("the page makes no sense: %+v", seen)
	}
	return seen.Degraded, resp.Header.Get(httpmw.StatusHeader), nil
}

// pause waits for d or until ctx ends, whichever is first.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
