package httpmw_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/stretchr/testify/require"
)

// net/http makes a call again by itself that failed on a connection it had
// used before. That happens beneath the injection point, so that an injected
// failure is seen at once.
func TestInjectedFailuresAreNotRetriedBeneath(t *testing.T) {
	var requests atomic.Int64
	target := http1.listener(t, func(conn net.Conn) {
		defer conn.Close()
		r := bufio.NewReader(conn)
		for {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			if requests.Add(1) == 2 { // the second one on the same connection
				_ = conn.(*net.TCPConn).SetLinger(0)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	inj := fault.New("edge")
	base := http1.transport(t)
	t.Cleanup(base.CloseIdleConnections)
	client := &http.Client{Transport: httpmw.Transport(inj, "ratings", base)}
	for range 2 {
		_, text := get(t, client.Transport, t.Context(), target)
		require.Equal(t, "ok", text)
	}
	require.EqualValues(t, 3, requests.Load(), "the real reset was retried")

	put(t, inj, rule("r", "ratings", fail(fault.Reset)))
	_, err := client.Get(target)
	require.ErrorIs(t, err, fault.ErrInjected)
	require.EqualValues(t, 1, ruleStatus(t, inj, "r").Hits)
	require.EqualValues(t, 3, requests.Load())
}
