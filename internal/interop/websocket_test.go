package interop_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

// messages are what the WebSocket scenarios send, small and larger than any
// buffer on the way.
var messages = [][]byte{[]byte("hello"), {}, bytes.Repeat([]byte("0123456789abcdef"), 1024)}

// coderEcho greets, echoes until the client closes, and notes how it did.
func (x *exchange) coderEcho() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := coder.Accept(w, r, &coder.AcceptOptions{Subprotocols: []string{"echo"}, CompressionMode: coder.CompressionContextTakeover})
		x.note("socket", describeError(err))
		if err != nil {
			return
		}
		x.note("socket", conn.Subprotocol())
		x.note("socket", describeError(conn.Write(r.Context(), coder.MessageText, []byte("greeting"))))
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil {
				x.note("socket", fmt.Sprint(coder.CloseStatus(err), err))
				return
			}
			x.note("socket", fmt.Sprint(kind, describeBytes(message)))
			x.note("socket", describeError(conn.Write(r.Context(), kind, message)))
		}
	})
}

// coderTalk is the client's side of coderEcho.
func (x *exchange) coderTalk(ctx context.Context, c *http.Client, url string) {
	conn, resp, err := coder.Dial(ctx, url, &coder.DialOptions{
		HTTPClient: c, Subprotocols: []string{"echo"}, CompressionMode: coder.CompressionContextTakeover,
	})
	require.NoError(x, err)
	defer func() { _ = conn.CloseNow() }()
	x.note("talker", describeHeader(resp.Header))
	_, greeting, err := conn.Read(ctx)
	require.NoError(x, err)
	x.note("talker", string(greeting))
	for _, message := range messages {
		require.NoError(x, conn.Write(ctx, coder.MessageBinary, message))
		kind, echo, err := conn.Read(ctx)
		require.NoError(x, err)
		require.True(x, bytes.Equal(message, echo))
		x.note("talker", fmt.Sprint(kind, describeBytes(echo)))
	}
	x.note("talker", describeError(conn.Close(coder.StatusNormalClosure, "bye")))
}

func TestWebSocketCoder(t *testing.T) {
	for _, p := range []protocol{http1, http1TLS} {
		t.Run(string(p), func(t *testing.T) {
			unnoticed(t, func(ctx context.Context, x *exchange) {
				server := x.serve(p, "server", x.coderEcho())
				x.coderTalk(ctx, x.client(server), server.URL)
			})
		})
	}
}

func TestWebSocketGorilla(t *testing.T) {
	unnoticed(t, func(ctx context.Context, x *exchange) {
		upgrader := gorilla.Upgrader{Subprotocols: []string{"echo"}, EnableCompression: true}
		server := x.serve(http1, "server", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, err := upgrader.Upgrade(w, r, http.Header{"Extra": {"1"}})
			x.note("socket", describeError(err))
			if err != nil {
				return
			}
			defer conn.Close()
			for {
				kind, message, err := conn.ReadMessage()
				if err != nil {
					x.note("socket", fmt.Sprintf("%#v", err))
					return
				}
				x.note("socket", fmt.Sprint(kind, describeBytes(message)))
				x.note("socket", describeError(conn.WriteMessage(kind, message)))
			}
		}))
		dialer := gorilla.Dialer{Subprotocols: []string{"echo"}, EnableCompression: true}
		conn, resp, err := dialer.DialContext(ctx, "ws"+server.URL[len("http"):], x.stamp(http.Header{}))
		require.NoError(x, err)
		defer conn.Close()
		x.note("client", describeHeader(resp.Header))
		for _, message := range messages {
			require.NoError(x, conn.WriteMessage(gorilla.BinaryMessage, message))
			kind, echo, err := conn.ReadMessage()
			require.NoError(x, err)
			require.True(x, bytes.Equal(message, echo))
			x.note("client", fmt.Sprint(kind, describeBytes(echo)))
		}
		bye := gorilla.FormatCloseMessage(gorilla.CloseNormalClosure, "bye")
		require.NoError(x, conn.WriteControl(gorilla.CloseMessage, bye, time.Now().Add(patience)))
		_, _, err = conn.ReadMessage()
		x.note("client", fmt.Sprintf("%#v", err))
	})
}

// A WebSocket client that connects over HTTP/2, or without asking for an
// upgrade, is refused in the same words.
func TestWebSocketRefused(t *testing.T) {
	unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
		server := x.serve(p, "server", x.coderEcho())
		x.send(x.client(server), x.request(ctx, http.MethodGet, server.URL))
		upgrader := gorilla.Upgrader{}
		server = x.serve(p, "gorilla", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, err := upgrader.Upgrade(w, r, nil)
			x.note("gorilla", describeError(err))
		}))
		x.send(x.client(server), x.request(ctx, http.MethodGet, server.URL))
	})
}
