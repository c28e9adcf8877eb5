// Package wrongstatus has a shop that takes a book out of its listing because the
// catalogue has too much to do: its fallback is right for every status but one.
package wrongstatus

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest/internal/corpus"
	"github.com/misfit-go/misfit/httpmw"
)

// A Listing says of books what the catalogue does.
type Listing struct {
	catalogue *http.Client
	last      map[string]string // what it said before
	gone      func(status int) bool
}

// Broken takes all that is the client's fault for a book that is no more: 429, too.
func Broken(inj *fault.Injector) *Listing {
	return &Listing{
		catalogue: &http.Client{Transport: httpmw.Transport(inj, "catalogue", corpus.Says("Middlemarch")), Timeout: time.Second},
		last:      map[string]string{"7": "Middlemarch (as of yesterday)"},
		gone:      func(status int) bool { return status >= 400 && status < 500 },
	}
}

// Fixed takes only what says so.
func Fixed(inj *fault.Injector) *Listing {
	l := Broken(inj)
	l.gone = func(status int) bool { return status == http.StatusNotFound || status == http.StatusGone }
	return l
}

// Title returns the title of a book, "" if it is not listed any more.
func (l *Listing) Title(ctx context.Context, id string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://catalogue/books/"+id, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := l.catalogue.Do(req)
	if err != nil {
		return l.last[id], nil
	}
	defer func() { _ = resp.Body.Close() }()
	switch {
	case l.gone(resp.StatusCode):
		delete(l.last, id)
		return "", nil
	case resp.StatusCode != http.StatusOK:
		return l.last[id], nil
	}
	title, err := io.ReadAll(resp.Body)
	if err != nil {
		return l.last[id], nil
	}
	return string(title), nil
}
