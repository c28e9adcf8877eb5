package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/misfit-go/misfit/cmd/misfit/internal/endpoint"
)

// leftovers are the tokens of runs that are over, as far as services still take them.
type leftovers struct {
	until time.Time // the last of them expires
	kept  []kept
}

// A kept is an endpoint whose service keeps its tokens, and why.
type kept struct {
	url string
	why error
}

// takeBack ends the token of a run that is over wherever it is known, so that what
// the journey has left behind, or somebody who has seen it, has no more of it. It is
// done also when everything is to stop, which it does not hold up for long.
func (l *leftovers) takeBack(ctx context.Context, clients []*endpoint.Client, token runToken, rule string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackIn)
	defer cancel()
	failed := make([]error, len(clients))
	endpoint.Each(clients, maxAtOnce, func(i int, c *endpoint.Client) {
		if l.keeps(c.URL) {
			return
		}
		_, failed[i] = c.Do(ctx, endpoint.Request{Method: http.MethodDelete, Path: endpoint.RulePath(rule)})
	})
	for i, err := range failed {
		no, refused := errors.AsType[*endpoint.Refused](err)
		if err == nil || refused && no.Status == http.StatusNotFound && no.Problem != nil {
			continue // with one of its rules all of the token ends; or it was never there
		}
		l.kept = append(l.kept, kept{clients[i].URL, err})
	}
	if (len(clients) == 0 || len(l.kept) > 0) && token.expires.After(l.until) {
		l.until = token.expires
	}
}

// takeBackIn is how long that may take.
const takeBackIn = 3 * time.Second

func (l *leftovers) keeps(url string) bool {
	return slices.ContainsFunc(l.kept, func(k kept) bool { return k.url == url })
}

// sayLeftovers tells until when there are some.
func (l *leftovers) sayLeftovers(w io.Writer, known bool) {
	if l.until.IsZero() {
		return
	}
	if !known {
		fmt.Fprintf(w, "misfit critical: services may take the tokens of these runs until %s; give -url, and they are taken back\n", stamp(l.until))
		return
	}
	for _, k := range l.kept {
		fmt.Fprintf(w, "misfit critical: warning: the tokens of these runs are not taken back at %s, and good until %s: %s\n", printable(k.url), stamp(l.until), cell(k.why.Error(), maxText))
	}
}
