// Package uncheckederror has a shop whose prices are wrong when a connection breaks in
// the middle of an answer: nobody looks at the error of reading it.
package uncheckederror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest/internal/corpus"
	"github.com/misfit-go/misfit/httpmw"
)

// A Shop asks another service for prices.
type Shop struct {
	prices *http.Client
	checks bool
}

// Broken takes what it has read for the whole of the answer.
func Broken(inj *fault.Injector) *Shop {
	return &Shop{prices: &http.Client{Transport: httpmw.Transport(inj, "prices", corpus.Says("1299")), Timeout: time.Second}}
}

// Fixed looks whether it has read all of it.
func Fixed(inj *fault.Injector) *Shop {
	s := Broken(inj)
	s.checks = true
	return s
}

// ErrNoPrice is the error of a price that cannot be told.
var ErrNoPrice = errors.New("uncheckederror: the price cannot be told at the moment")

// Price returns a price in cents.
func (s *Shop) Price(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://prices/books/7", http.NoBody)
	if err != nil {
		return 0, err
	}
	resp, err := s.prices.Do(req)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoPrice, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%w: %s", ErrNoPrice, resp.Status)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil && s.checks {
		return 0, fmt.Errorf("%w: %w", ErrNoPrice, err)
	}
	cents, err := strconv.Atoi(string(text))
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoPrice, err)
	}
	return cents, nil
}
