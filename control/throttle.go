package control

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/simplelru"
	"golang.org/x/time/rate"
)

// How many wrong credentials are looked at.
const (
	peerFailures = 10              // of one address at once,
	peerInterval = 6 * time.Second // and one more after each of these
	allFailures  = 100             // of all addresses at once,
	allInterval  = time.Second / 10

	// maxPeers is how many addresses are remembered for having failed, and how
	// many for not having failed.
	maxPeers = 1024
)

// A throttle slows down those who guess. What is looked at without an end is
// halts (see guard.admitHalt), and what cannot be guessed. Beyond the limits the
// rest is not looked at, right or wrong, since being told which would be all that
// a guesser wants.
//
// Everyone has the limit of its own address, and strangers one that is all of
// theirs together. Addresses from which right credentials came are no strangers,
// so that many guessers do not lock those out who were there before.
type throttle struct {
	mu      sync.Mutex
	all     *rate.Limiter
	failing *simplelru.LRU // *rate.Limiter by netip.Addr
	proven  *simplelru.LRU // netip.Addr
}

func newThrottle() *throttle {
	// It fails for sizes below 1 only.
	failing, _ := simplelru.NewLRU(maxPeers, nil)
	proven, _ := simplelru.NewLRU(maxPeers, nil)
	return &throttle{all: rate.NewLimiter(rate.Every(allInterval), allFailures), failing: failing, proven: proven}
}

// wait returns how long credentials from the peer are not looked at, or zero.
func (t *throttle) wait(peer netip.Addr) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	var wait time.Duration
	if own, ok := t.failing.Get(peer); ok {
		wait = untilOpen(own.(*rate.Limiter))
	}
	if !t.proven.Contains(peer) {
		wait = max(wait, untilOpen(t.all))
	}
	return wait
}

func (t *throttle) failed(peer netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own, ok := t.failing.Get(peer)
	if !ok {
		own = rate.NewLimiter(rate.Every(peerInterval), peerFailures)
		t.failing.Add(peer, own)
	}
	charge(own.(*rate.Limiter))
	charge(t.all)
}

func (t *throttle) succeeded(peer netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.proven.Add(peer, nil)
}

func untilOpen(l *rate.Limiter) time.Duration {
	missing := 1 - l.Tokens()
	if missing < 1e-6 { // what is left of adding up fractions
		return 0
	}
	return time.Duration(missing / float64(l.Limit()) * float64(time.Second))
}

// charge takes a token, also one that is not there yet: several requests may be
// looked at at once. It goes no further than twice the burst, for the peer may
// share its address with somebody who has done nothing.
func charge(l *rate.Limiter) {
	if l.Tokens() > -float64(l.Burst()) {
		l.Reserve()
	}
}

// peerOf returns whom a remote address is put down to: an IPv4 address, or the 64
// bits of an IPv6 address that the holder of a network does not choose. All that
// is no IP address is one peer.
func peerOf(remote string) netip.Addr {
	addr, err := netip.ParseAddr(remote)
	if port, portErr := netip.ParseAddrPort(remote); portErr == nil {
		addr, err = port.Addr(), nil
	}
	if err != nil {
		return netip.Addr{}
	}
	addr = addr.Unmap()
	if addr.Is6() {
		network, _ := addr.Prefix(64) // it has that many bits, and the zone is left out
		addr = network.Addr()
	}
	return addr
}
