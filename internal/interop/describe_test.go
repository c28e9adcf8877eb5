package interop_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// describeRequest says everything a handler, or a transport, can see of a
// request.
func describeRequest(r *http.Request) string {
	_, deadline := r.Context().Deadline()
	return fmt.Sprintf("%s %s %s host=%s uri=%q header=%s length=%d encoding=%q close=%t trailer=%s body=%T getBody=%t tls=%t deadline=%t pattern=%q server=%t",
		r.Method, r.URL, r.Proto, r.Host, r.RequestURI, describeHeader(r.Header), r.ContentLength, r.TransferEncoding,
		r.Close, describeHeader(r.Trailer), r.Body, r.GetBody != nil, r.TLS != nil, deadline, r.Pattern,
		r.Context().Value(http.ServerContextKey) != nil)
}

// describeHeader leaves out what a request with an identity or a token has in
// addition, and what differs from run to run.
func describeHeader(h http.Header) string {
	var b strings.Builder
	for _, name := range sortedKeys(h) {
		values := h[name]
		switch name {
		case "Traceparent", "Baggage", "Fault-Token", "Date":
			continue
		case "Sec-Websocket-Key", "Sec-Websocket-Accept", "Connect-Timeout-Ms", "Grpc-Timeout":
			values = []string{"…"}
		}
		fmt.Fprintf(&b, "%s:%q ", name, values)
	}
	return "[" + strings.TrimSpace(b.String()) + "]"
}

// describeWriter says of what type a ResponseWriter is and what else it can do.
func describeWriter(w http.ResponseWriter) string {
	var can []string
	for _, optional := range []struct {
		name string
		has  bool
	}{
		{"Flusher", is[http.Flusher](w)},
		{"FlushError", is[interface{ FlushError() error }](w)},
		{"Hijacker", is[http.Hijacker](w)},
		{"ReaderFrom", is[io.ReaderFrom](w)},
		{"StringWriter", is[io.StringWriter](w)},
		{"Pusher", is[http.Pusher](w)},
		{"CloseNotifier", is[interface{ CloseNotify() <-chan bool }](w)},
		{"SetReadDeadline", is[interface{ SetReadDeadline(time.Time) error }](w)},
		{"SetWriteDeadline", is[interface{ SetWriteDeadline(time.Time) error }](w)},
		{"EnableFullDuplex", is[interface{ EnableFullDuplex() error }](w)},
		{"Unwrap", is[interface{ Unwrap() http.ResponseWriter }](w)},
	} {
		if optional.has {
			can = append(can, optional.name)
		}
	}
	return fmt.Sprintf("%T %v", w, can)
}

func is[T any](v any) bool {
	_, ok := v.(T)
	return ok
}

// answer notes a response with everything in it, or the error.
func (x *exchange) answer(who string, resp *http.Response, err error) string {
	if err != nil {
		x.note(who, describeError(err))
		return ""
	}
	x.note(who, describeResponse(resp))
	body, err := io.ReadAll(resp.Body)
	x.note(who, fmt.Sprintf("body %s, %s, closed %s, trailer %s",
		describeBytes(body), describeError(err), describeError(resp.Body.Close()), describeHeader(resp.Trailer)))
	return string(body)
}

// describeResponse says everything about a response but its body.
func describeResponse(resp *http.Response) string {
	return fmt.Sprintf("%s %s header=%s length=%d encoding=%q close=%t uncompressed=%t announced=%s body=%T tls=%t of %s",
		resp.Proto, resp.Status, describeHeader(resp.Header), resp.ContentLength, resp.TransferEncoding, resp.Close,
		resp.Uncompressed, describeHeader(resp.Trailer), resp.Body, resp.TLS != nil, resp.Request.URL)
}

func describeBytes(b []byte) string {
	if len(b) <= 200 {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%d bytes %x", len(b), sha256.Sum256(b))
}

// describeError gives the types of an error's chain, its text and what code
// that handles it asks.
func describeError(err error) string {
	if err == nil {
		return "no error"
	}
	var types []string
	for e := err; e != nil; e = errors.Unwrap(e) {
		types = append(types, fmt.Sprintf("%T", e))
	}
	var timeout net.Error
	return fmt.Sprintf("%s: %q timeout=%t canceled=%t deadline=%t eof=%t",
		strings.Join(types, " > "), err, errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.Canceled),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.ErrUnexpectedEOF))
}
