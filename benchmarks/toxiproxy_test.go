package benchmarks_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
)

// proxied returns the address of a toxiproxy in front of upstream, in this process,
// which does what the toxic says, in JSON; "" is nothing.
func proxied(tb testing.TB, upstream, toxic string) string {
	tb.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "bench", "127.0.0.1:0", upstream)
	require.NoError(tb, proxy.Start())
	tb.Cleanup(proxy.Stop)
	if toxic != "" {
		_, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
		require.NoError(tb, err)
	}
	return proxy.Listen
}

// echo returns the address of a server that says what it is told.
func echo(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	return listener.Addr().String()
}

// proxyWaits delays the answers on as many connections as there are calls.
var proxyWaits = waiter{"toxiproxy", func(tb testing.TB, delays []time.Duration) func(int) error {
	address := proxied(tb, echo(tb), fmt.Sprintf(`{"type":"latency","attributes":{"latency":%d}}`, delays[0].Milliseconds()))
	conns := make([]net.Conn, len(delays))
	for i := range conns {
		conn, err := net.Dial("tcp", address)
		require.NoError(tb, err)
		tb.Cleanup(func() { _ = conn.Close() })
		conns[i] = conn
	}
	return func(i int) error {
		if _, err := conns[i].Write([]byte{'?'}); err != nil {
			return err
		}
		var answer [1]byte
		_, err := io.ReadFull(conns[i], answer[:])
		return err
	}
}}
