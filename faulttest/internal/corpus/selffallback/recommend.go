// Package selffallback has recommendations that fall back on the service that has just
// failed: it is no fallback on the day on which that service is down.
package selffallback

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest/internal/corpus"
	"github.com/misfit-go/misfit/httpmw"
)

// A Shelf has books for everybody.
type Shelf struct {
	recommendations *http.Client
	classics        []string
}

// Broken has nothing of its own to show.
func Broken(inj *fault.Injector) *Shelf {
	return &Shelf{recommendations: &http.Client{
		Transport: httpmw.Transport(inj, "recommendations", corpus.Says(`["Middlemarch","Emma"]`)),
		Timeout:   time.Second,
	}}
}

// Fixed does.
func Fixed(inj *fault.Injector) *Shelf {
	s := Broken(inj)
	s.classics = []string{"Persuasion"}
	return s
}

// Books returns what somebody may like, or else what most people do.
func (s *Shelf) Books(ctx context.Context, customer string) ([]string, error) {
	books, err := s.ask(ctx, "/for/"+customer)
	if err != nil {
		books, err = s.ask(ctx, "/bestsellers")
	}
	if err != nil && s.classics != nil {
		return s.classics, nil
	}
	return books, err
}

func (s *Shelf) ask(ctx context.Context, path string) (books []string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://recommendations"+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := s.recommendations.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	err = json.NewDecoder(resp.Body).Decode(&books)
	return books, err
}
