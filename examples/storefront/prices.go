package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/misfit-go/misfit/examples/storefront/inventorypb"
)

// feedTries is how many streams in a row may break before they bring anything
// new. With that a feed is given up.
const feedTries = 5

// prices relays the feed of a product's prices as server-sent events. When the
// stream behind it breaks, it opens another one that goes on where that one
// broke, so that the user gets every price once and in order.
func (p *product) prices(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	var sent int64 // the version that the user has
	for tries := 1; ; tries++ {
		before := sent
		err := p.relay(r.Context(), w, r.PathValue("id"), &sent)
		if err == nil {
			return
		}
		if sent > before {
			tries = 0
		}
		if canResume(err) && tries < feedTries && pause(r.Context(), retryPause) == nil {
			continue
		}
		if sent > 0 {
			panic(http.ErrAbortHandler) // the user is to see that the feed was cut short
		}
		http.Error(w, "inventory: "+err.Error(), http.StatusBadGateway)
		return
	}
}

// relay sends on what one stream brings, from the version after sent on.
func (p *product) relay(ctx context.Context, w http.ResponseWriter, product string, sent *int64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream, should it not have come to its end
	stream, err := p.inventory.WatchPrices(ctx, &inventorypb.WatchPricesRequest{Product: product, AfterVersion: *sent})
	if err != nil {
		return err
	}
	for {
		price, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(flushed{w}, "id: %d\ndata: %d.%02d\n\n", price.GetVersion(), price.GetCents()/100, price.GetCents()%100)
		if err != nil {
			return err
		}
		*sent = price.GetVersion()
	}
}

// canResume reports whether a stream that ended so is worth another try: the
// connection was lost, or the server asks for it.
func canResume(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.Aborted
}

// flushed sends on at once what is written to it.
type flushed struct{ http.ResponseWriter }

func (f flushed) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	if err != nil {
		return n, err
	}
	return n, http.NewResponseController(f.ResponseWriter).Flush()
}
