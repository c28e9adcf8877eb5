package httpmw

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
)

// isHTTP2 reports whether the call would have been made over HTTP/2: net/http
// says some things differently there. No connection is made that would tell,
// so the server is taken to speak it where the client offers it, and a client
// that is not net/http's own to speak HTTP/1.1.
func (c failedCall) isHTTP2() bool {
	base := c.base
	for {
		switch rt := base.(type) {
		case *http.Transport:
			return offersHTTP2(rt, c.req.URL.Scheme)
		case interface{ Unwrap() http.RoundTripper }:
			base = rt.Unwrap()
		default:
			return false
		}
	}
}

func offersHTTP2(t *http.Transport, scheme string) bool {
	if scheme != "https" {
		p := t.Protocols
		return p != nil && p.UnencryptedHTTP2() && !p.HTTP1()
	}
	// The first call, or Clone, settles the protocols; after that nobody
	// writes to TLSNextProto. Before that a read would race.
	_ = t.Clone()
	return t.TLSNextProto["h2"] != nil
}

// streamReset is a stream reset with a code on which net/http does not retry.
func streamReset(c failedCall) error {
	cause := streamError{StreamID: 1, Code: errCodeInternal, Cause: errFromPeer}
	return quiet{c.d.Mark(cause), cause}
}

// goAway is what is left of a call that the server had accepted before it said
// that it was going; one that it had not accepted would have been made again.
func goAway(c failedCall) error {
	cause := errGoAway
	return quiet{c.d.Mark(cause), cause}
}

var (
	errFromPeer = errors.New("received from peer")
	errGoAway   = errors.New(`http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=""`)
)

// errCode is an error code of RFC 9113, section 7.
type errCode uint32

const errCodeInternal errCode = 2

func (errCode) String() string { return "INTERNAL_ERROR" }

// streamError stands for the StreamError in net/http's copy of
// golang.org/x/net/http2. Like that, and by the same fields, it is found by
// errors.As as the exported type of the original.
type streamError struct {
	StreamID uint32
	Code     errCode
	Cause    error
}

func (e streamError) Error() string {
	return fmt.Sprintf("stream error: stream ID %d; %v; %v", e.StreamID, e.Code, e.Cause)
}

// As fills in any struct that has the same fields with types to convert to.
func (e streamError) As(target any) bool {
	from, to := reflect.ValueOf(e), reflect.ValueOf(target).Elem()
	if to.Kind() != reflect.Struct || to.NumField() != from.NumField() {
		return false
	}
	for i := range from.NumField() {
		have, want := from.Type().Field(i), to.Type().Field(i)
		if have.Name != want.Name || !have.Type.ConvertibleTo(want.Type) {
			return false
		}
	}
	for i := range from.NumField() {
		to.Field(i).Set(from.Field(i).Convert(to.Field(i).Type()))
	}
	return true
}
