package interop_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// aborting sends a part of its answer and then drops the connection.
func aborting() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "part")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
}

func TestServerAbortsInMidBody(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", aborting())
		x.send(x.client(server), x.request(ctx, http.MethodGet, server.URL))
		require.Contains(x, x.noted("client"), `body "part"`)
	})
}

func TestServerPanics(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oh") }))
		x.send(x.client(server), x.request(ctx, http.MethodGet, server.URL))
	})
}

var errChangedMind = errors.New("changed my mind")

// A client that gives up in mid-body gets the error it gave, and the handler
// learns of it.
func TestClientCancelsInMidBody(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "part")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			x.note("server", describeError(context.Cause(r.Context())))
		}))
		for _, cause := range []error{nil, errChangedMind} {
			ctx, cancel := context.WithCancelCause(ctx)
			resp, err := x.client(server).Do(x.request(ctx, http.MethodGet, server.URL))
			require.NoError(x, err)
			part := make([]byte, len("part"))
			_, err = io.ReadFull(resp.Body, part)
			require.NoError(x, err)
			cancel(cause)
			n, err := resp.Body.Read(part)
			x.note("client", fmt.Sprint(n, describeError(err)))
			x.note("client", describeError(resp.Body.Close()))
			require.Error(x, err)
			x.settle()
		}
	})
}

// A client that closes a body it has not read ends the request for the
// handler.
func TestClientClosesInMidBody(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			x.note("server", describeError(r.Context().Err()))
		}))
		resp, err := x.client(server).Do(x.request(ctx, http.MethodGet, server.URL))
		require.NoError(x, err)
		x.note("client", describeError(resp.Body.Close()))
		_, err = resp.Body.Read(make([]byte, 1))
		x.note("client", describeError(err))
	})
}

// The transport unpacks what it asked for itself, and leaves alone what the
// caller asked for.
func TestCompression(t *testing.T) {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, err := zip.Write(bytes.Repeat([]byte("0123456789"), 1000))
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, err := w.Write(packed.Bytes())
			x.note("server", describeError(err))
		}))
		x.send(x.client(server), x.request(ctx, http.MethodGet, server.URL))
		require.Contains(x, x.noted("client"), "uncompressed=true")
		asked := x.request(ctx, http.MethodGet, server.URL)
		asked.Header.Set("Accept-Encoding", "gzip")
		x.send(x.client(server), asked)
	})
}

// Whether the length is known is the server's to say, and a body that must
// not be there is not.
func TestResponseLength(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/unknown":
				w.(http.Flusher).Flush()
			case "/more":
				w.Header().Set("Content-Length", "7")
			case "/less":
				w.Header().Set("Content-Length", "3")
			case "/empty":
				w.WriteHeader(http.StatusNoContent)
			case "/same":
				w.WriteHeader(http.StatusNotModified)
			}
			n, err := io.WriteString(w, "body")
			x.note("server", fmt.Sprint(n, describeError(err)))
		}))
		c := x.client(server)
		for _, path := range []string{"/", "/unknown", "/more", "/less", "/empty", "/same"} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				x.send(c, x.request(ctx, method, server.URL+path))
			}
		}
		require.Contains(x, x.noted("client"), "length=-1")
	})
}
