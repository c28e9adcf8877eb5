package interop_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// trailing sends a trailer that it announces and one that it does not.
func trailing() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "Announced")
		_, _ = io.WriteString(w, "body")
		w.(http.Flusher).Flush()
		w.Header().Set("Announced", "1")
		w.Header().Set(http.TrailerPrefix+"Late", "2")
	})
}

func TestResponseTrailers(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", trailing())
		x.send(x.client(server), x.request(ctx, http.MethodGet, server.URL))
		require.Contains(x, x.noted("client"), `trailer [Announced:["1"] Late:["2"]]`)
	})
}

// A trailer of a request is known to the handler once it has read the body,
// though it is set while the body is sent.
func TestRequestTrailers(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			x.note("server", fmt.Sprintf("%q %s %s", body, describeError(err), describeHeader(r.Trailer)))
		}))
		req := x.request(ctx, http.MethodPost, server.URL)
		req.Trailer = http.Header{"Sum": nil}
		req.Body = io.NopCloser(&atEnd{Reader: strings.NewReader("body"), do: func() { req.Trailer.Set("Sum", "42") }})
		x.send(x.client(server), req)
		require.Contains(x, x.noted("server"), `[Sum:["42"]]`)
	})
}

// atEnd does something before it says that it is at its end.
type atEnd struct {
	io.Reader
	do func()
}

func (r *atEnd) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF && r.do != nil {
		r.do()
		r.do = nil
	}
	return n, err
}
