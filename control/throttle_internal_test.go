package control

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// However many addresses there are, no more than so many are remembered, and those
// that fail do not push out those that do not.
func TestThrottleIsBounded(t *testing.T) {
	throttle := newThrottle()
	good := peerOf("192.0.2.1:1")
	throttle.succeeded(good)
	before := heap()
	for i := range 20_000 {
		throttle.failed(peerOf(fmt.Sprintf("[2001:db8:%x:%x::1]:1", i>>16, i&0xffff)))
	}
	grown := heap() - before
	require.Equal(t, maxPeers, throttle.failing.Len())
	require.Zero(t, throttle.wait(good))
	require.Positive(t, throttle.wait(netip.Addr{}), "strangers have to wait")
	require.Less(t, grown, int64(1<<20))
	t.Logf("%d addresses take %d bytes", maxPeers, grown)

	for i := range 20_000 {
		throttle.succeeded(peerOf(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&0xff, i&0xff)))
	}
	require.Equal(t, maxPeers, throttle.proven.Len())
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
