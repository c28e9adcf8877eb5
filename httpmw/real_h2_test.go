package httpmw_test

import (
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Without a connection to ask, a call is taken to use what its base offers.
func TestHTTP2IsAssumedWhereItIsOffered(t *testing.T) {
	clearText := new(http.Protocols)
	clearText.SetUnencryptedHTTP2(true)
	for _, test := range []struct {
		name  string
		base  http.RoundTripper
		url   string
		http2 bool
	}{
		{"default", http.DefaultTransport, "https://ratings.test/", true},
		{"default, in clear text", http.DefaultTransport, "http://ratings.test/", false},
		{"zero", new(http.Transport), "https://ratings.test/", true},
		{"dialer of its own", &http.Transport{DialContext: new(net.Dialer).DialContext}, "https://ratings.test/", false},
		{"switched off", &http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}, "https://ratings.test/", false},
		{"clear text by agreement", &http.Transport{Protocols: clearText}, "http://ratings.test/", true},
		{"wrapped", wrapped{new(http.Transport)}, "https://ratings.test/", true},
		{"unknown", roundTrip(nil), "https://ratings.test/", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			inj := fault.New("edge")
			put(t, inj, rule("r", "ratings", fail(fault.Unavailable)))
			resp, _ := get(t, httpmw.Transport(inj, "ratings", test.base), t.Context(), test.url)
			require.Equal(t, test.http2, resp.ProtoAtLeast(2, 0))
		})
	}
}

type wrapped struct{ http.RoundTripper }

func (w wrapped) Unwrap() http.RoundTripper { return w.RoundTripper }

// Asking a transport what it offers does not get in the way of its first call.
func TestAssumingHTTP2DoesNotRace(t *testing.T) {
	target := http2.server(t, func(http.ResponseWriter, *http.Request) {})
	base := http2.transport(t)
	t.Cleanup(base.CloseIdleConnections)
	inj := fault.New("edge")
	put(t, inj, rule("r", "faulted", fail(fault.Unavailable)))
	var calls sync.WaitGroup
	for dependency, status := range map[string]int{"faulted": 503, "healthy": 200} {
		rt := httpmw.Transport(inj, dependency, base)
		for range 4 {
			calls.Go(func() {
				resp, err := (&http.Client{Transport: rt}).Get(target)
				if assert.NoError(t, err) {
					assert.Equal(t, status, resp.StatusCode)
					assert.NoError(t, resp.Body.Close())
				}
			})
		}
	}
	calls.Wait()
}

// A server whose handler aborts resets the stream.
func streamResetForReal(t *testing.T, p protocol) (*http.Transport, string) {
	return p.transport(t), p.server(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
}

// A server says that it has accepted the request and will accept no other, and
// then closes the connection all the same.
func goAwayForReal(t *testing.T, p protocol) (*http.Transport, string) {
	return p.transport(t), p.listener(t, func(conn net.Conn) {
		defer conn.Close()
		readHTTP2Request(conn)
		const lastStreamID, noError = 1, 0
		payload := binary.BigEndian.AppendUint32(nil, lastStreamID)
		payload = binary.BigEndian.AppendUint32(payload, noError)
		_, _ = conn.Write(http2Frame(frameGoAway, payload))
		_ = conn.(*tls.Conn).CloseWrite()
		_, _ = io.Copy(io.Discard, conn) // a close with bytes unread would be a reset
	})
}

// Types of HTTP/2 frames, RFC 9113, section 6.
const (
	frameHeaders  = 1
	frameSettings = 4
	frameGoAway   = 7
)

func http2Frame(kind byte, payload []byte) []byte {
	n := len(payload)
	return append([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, 0, 0, 0, 0, 0}, payload...)
}

// readHTTP2Request says hello and reads up to the first request. It waits for
// the answer to its own settings, so that the client has nothing to write when
// the connection is gone.
func readHTTP2Request(conn net.Conn) {
	if _, err := conn.Write(http2Frame(frameSettings, nil)); err != nil {
		return
	}
	if _, err := io.CopyN(io.Discard, conn, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
		return
	}
	for asked, settled := false, false; !asked || !settled; {
		var header [9]byte
		if _, err := io.ReadFull(conn, header[:]); err != nil {
			return
		}
		length := int64(header[0])<<16 | int64(header[1])<<8 | int64(header[2])
		if _, err := io.CopyN(io.Discard, conn, length); err != nil {
			return
		}
		const ack = 1
		asked = asked || header[3] == frameHeaders
		settled = settled || header[3] == frameSettings && header[4]&ack != 0
	}
}
