package interop_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A handler gets the server's own ResponseWriter, and whatever it asks of a
// ResponseController has the effect and the answer it has without us.
func TestResponseController(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			for _, answer := range []error{
				rc.SetReadDeadline(time.Time{}),
				rc.SetWriteDeadline(time.Time{}),
				rc.EnableFullDuplex(),
				rc.Flush(),
			} {
				x.note("server", describeError(answer))
			}
			_, err := io.WriteString(w, "done")
			x.note("server", describeError(err))
			_, err = w.Write(nil)
			x.note("server", describeError(err))
		}))
		require.Equal(x, "done", x.send(x.client(server), x.request(ctx, http.MethodGet, server.URL)))
	})
}

// A read deadline in the past ends the read of a body, with the error that
// handlers look for.
func TestReadDeadline(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			part := make([]byte, len("part"))
			_, err := io.ReadFull(r.Body, part)
			x.note("server", describeError(err))
			x.note("server", describeError(http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))))
			_, err = r.Body.Read(part)
			x.note("server", describeError(err))
			w.WriteHeader(http.StatusRequestTimeout)
		}))
		body, writer := x.pipe(ctx)
		go func() { _, _ = io.WriteString(writer, "part") }() // ends at the latest with the pipe
		req := x.request(ctx, http.MethodPost, server.URL)
		req.Body = body
		x.send(x.client(server), req)
		require.Contains(x, x.noted("server"), "i/o timeout")
	})
}

// A write deadline in the past makes FlushError say so, and the client sees
// the connection end.
func TestWriteDeadline(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		server := x.serve(http1, "server", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			rc := http.NewResponseController(w)
			x.note("server", describeError(rc.SetWriteDeadline(time.Unix(1, 0))))
			_, err := io.WriteString(w, "never sent")
			x.note("server", describeError(err))
			x.note("server", describeError(w.(interface{ FlushError() error }).FlushError()))
		}))
		x.send(x.client(server), x.request(ctx, http.MethodGet, server.URL))
		require.Contains(x, x.noted("server"), "i/o timeout")
	})
}

// What a server logs about its handlers names the same places.
func TestMisuseIsLoggedAlike(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		if x.carried != nil {
			x.Skip("known limit, see docs/http.md: the log names the ResponseWriter that is around the server's own")
		}
		var logged lines
		server := x.serve(http1, "server", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			w.WriteHeader(http.StatusTeapot)
			_, err := w.Write([]byte("fine"))
			x.note("server", describeError(err))
			w.Header().Set("Too-Late", "1")
		}), func(s *httptest.Server) { s.Config.ErrorLog = log.New(&logged, "", 0) })
		x.send(x.client(server), x.request(ctx, http.MethodGet, server.URL))
		x.note("log", logged.String())
		require.Contains(x, logged.String(), "superfluous response.WriteHeader call")
	})
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
