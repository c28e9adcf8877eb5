package interop_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

const events = 5

// eventSource sends the next event only when the client has the one before:
// whoever holds an event back stops it for good.
func (x *exchange) eventSource(acknowledged <-chan int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range events {
			_, err := fmt.Fprintf(w, "id: %d\ndata: event %d\n\n", i, i)
			x.note("source", describeError(err))
			x.note("source", describeError(http.NewResponseController(w).Flush()))
			select {
			case <-r.Context().Done():
				x.note("source", "the client is gone")
				return
			case got := <-acknowledged:
				x.note("source", fmt.Sprint("acknowledged ", got))
			}
		}
	})
}

// listen reads the events and acknowledges each.
func (x *exchange) listen(ctx context.Context, c *http.Client, url string, acknowledged chan<- int) {
	resp, err := c.Do(x.request(ctx, http.MethodGet, url))
	require.NoError(x, err)
	defer resp.Body.Close()
	x.note("listener", describeResponse(resp))
	body := bufio.NewScanner(resp.Body)
	for n := 0; body.Scan(); {
		x.note("listener", body.Text())
		if body.Text() != "" {
			continue
		}
		select {
		case acknowledged <- n:
		case <-ctx.Done():
		}
		n++
	}
	x.note("listener", describeError(body.Err()))
	require.Contains(x, x.noted("listener"), "event 4")
}

func TestServerSentEvents(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		acknowledged := make(chan int)
		server := x.serve(p, "server", x.eventSource(acknowledged))
		x.listen(ctx, x.client(server), server.URL, acknowledged)
	})
}
