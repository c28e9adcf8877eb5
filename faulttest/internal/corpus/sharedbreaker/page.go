// Package sharedbreaker has a page on which books cannot be bought any more once there
// are no reviews: one circuit breaker is for both services behind it.
package sharedbreaker

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest/internal/corpus"
	"github.com/misfit-go/misfit/httpmw"
)

// A Breaker lets nothing through for half a minute after two failures in a row.
type Breaker struct {
	mu       sync.Mutex
	failures int
	until    time.Time
}

// ErrOpen is the error of what a breaker does not let through.
var ErrOpen = errors.New("sharedbreaker: the circuit is open")

// Do calls f, or does not.
func (b *Breaker) Do(f func() error) error {
	b.mu.Lock()
	open := time.Now().Before(b.until)
	b.mu.Unlock()
	if open {
		return ErrOpen
	}
	err := f()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.failures = 0
	} else if b.failures++; b.failures >= 2 {
		b.failures, b.until = 0, time.Now().Add(30*time.Second)
	}
	return err
}

// A Page shows reviews, if they can be had, and what is in stock, which it has to.
type Page struct {
	reviews, stock               *http.Client
	reviewsBreaker, stockBreaker *Breaker
}

// Broken has one breaker.
func Broken(inj *fault.Injector) *Page {
	one := new(Breaker)
	return &Page{
		reviews:        &http.Client{Transport: httpmw.Transport(inj, "reviews", corpus.Says("long")), Timeout: time.Second},
		stock:          &http.Client{Transport: httpmw.Transport(inj, "stock", corpus.Says("3 left")), Timeout: time.Second},
		reviewsBreaker: one,
		stockBreaker:   one,
	}
}

// Fixed has two.
func Fixed(inj *fault.Injector) *Page {
	p := Broken(inj)
	p.stockBreaker = new(Breaker)
	return p
}

// Show returns the page. It asks twice for reviews.
func (p *Page) Show(ctx context.Context) (reviews, stock string, err error) {
	for range 2 {
		err = p.reviewsBreaker.Do(func() error {
			reviews, err = get(ctx, p.reviews, "http://reviews/books/7")
			return err
		})
		if err == nil {
			break
		}
		reviews = ""
	}
	err = p.stockBreaker.Do(func() error {
		stock, err = get(ctx, p.stock, "http://stock/books/7")
		return err
	})
	return reviews, stock, err
}

func get(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
