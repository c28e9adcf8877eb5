package interop_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// Both directions are open at once: the handler answers each line before the
// client sends the next.
func TestFullDuplex(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			x.note("server", describeError(rc.EnableFullDuplex()))
			x.note("server", describeError(rc.Flush()))
			lines := bufio.NewReader(r.Body)
			for {
				line, err := lines.ReadString('\n')
				x.note("server", fmt.Sprintf("%q %s", line, describeError(err)))
				if err != nil {
					return
				}
				_, err = fmt.Fprint(w, "echo of ", line)
				x.note("server", describeError(err))
				x.note("server", describeError(rc.Flush()))
			}
		}))
		body, writer := x.pipe(ctx)
		req := x.request(ctx, http.MethodPost, server.URL)
		req.Body = body
		resp, err := x.client(server).Do(req)
		require.NoError(x, err)
		defer resp.Body.Close()
		x.note("client", describeResponse(resp))
		answers := bufio.NewReader(resp.Body)
		for i := range 3 {
			_, err := fmt.Fprintf(writer, "line %d\n", i)
			require.NoError(x, err)
			line, err := answers.ReadString('\n')
			x.note("client", fmt.Sprintf("%q %s", line, describeError(err)))
		}
		require.NoError(x, writer.Close())
		rest, err := io.ReadAll(answers)
		x.note("client", fmt.Sprintf("%q %s", rest, describeError(err)))
	})
}

// A server that can push says so; this client asked not to be pushed to.
func TestPush(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			pusher, ok := w.(http.Pusher)
			require.Equal(x, p == http2, ok)
			if ok {
				x.note("server", describeError(pusher.Push("/style.css", nil)))
			}
		}))
		x.send(x.client(server), x.request(ctx, http.MethodGet, server.URL))
	})
}
