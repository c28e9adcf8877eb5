// Package missingtimeout has a page that waits for ever for one of the services behind
// it: of two clients one was given no timeout.
package missingtimeout

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest/internal/corpus"
	"github.com/misfit-go/misfit/httpmw"
)

// A Page shows a book and, if they can be had, what readers say of it.
type Page struct{ details, reviews *http.Client }

// Broken has no timeout where it asks for reviews.
func Broken(inj *fault.Injector) *Page {
	return &Page{
		details: &http.Client{Transport: httpmw.Transport(inj, "details", corpus.Says("Middlemarch")), Timeout: time.Second},
		reviews: &http.Client{Transport: httpmw.Transport(inj, "reviews", corpus.Says("long"))},
	}
}

// Fixed has one.
func Fixed(inj *fault.Injector) *Page {
	p := Broken(inj)
	p.reviews.Timeout = time.Second
	return p
}

// Show returns the page. Without details there is none.
func (p *Page) Show(ctx context.Context) (details, reviews string, err error) {
	if details, err = get(ctx, p.details, "http://details/books/7"); err != nil {
		return "", "", err
	}
	if reviews, err = get(ctx, p.reviews, "http://reviews/books/7"); err != nil {
		reviews = "no reviews at the moment"
	}
	return details, reviews, nil
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
