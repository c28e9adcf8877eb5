package control_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
)

// A guesser sends requests from one address or another.
type guesser struct {
	t *testing.T
	h http.Handler
}

const wrongToken = "wrong-wrong-wrong-wrong-wrong"

func newGuesser(t *testing.T, options ...control.Option) guesser {
	options = append([]control.Option{control.WithAuthorizer(bearer(t, kimsToken, "kim", control.Operator))}, options...)
	return guesser{t, control.New(fault.New("checkout"), options...)}
}

// from sends a token from an address without a port. Without a token there are no
// credentials.
func (g guesser) from(peer, method, path, token string, header ...string) response {
	req := remote(method, path, header...)
	req.RemoteAddr = peer
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return direct(g.h, req)
}

func (g guesser) guess(peer string) int {
	return g.from(peer, "GET", "/v1/status", wrongToken).status
}

func (g guesser) try(peer string) int {
	return g.from(peer, "GET", "/v1/status", kimsToken).status
}

func TestGuessesAreSlowedByAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuesser(t)
		const attacker, operator = "192.0.2.1:1", "192.0.2.2:1"
		for range 10 {
			require.Equal(t, 401, g.guess(attacker))
		}
		got := g.from(attacker, "GET", "/v1/status", wrongToken)
		p := requireProblem(t, got, 429, "about:blank")
		require.Equal(t, "6", got.header.Get("Retry-After"))
		require.Empty(t, got.header.Get("WWW-Authenticate"))
		require.Contains(t, p.Detail, "try again in 6 s")

		require.Equal(t, 429, g.try(attacker), "right or wrong, it is not looked at")
		require.Equal(t, 429, g.from("192.0.2.1:65535", "GET", "/v1/status", kimsToken).status, "another port is the same address")
		require.Equal(t, 429, g.from("[::ffff:192.0.2.1]:1", "GET", "/v1/status", kimsToken).status, "and so is another spelling")
		require.Equal(t, 200, g.try(operator))

		// Asking on does not make it longer.
		time.Sleep(3 * time.Second)
		got = g.from(attacker, "GET", "/v1/status", wrongToken)
		require.Equal(t, 429, got.status)
		require.Equal(t, "3", got.header.Get("Retry-After"))

		time.Sleep(2500 * time.Millisecond)
		got = g.from(attacker, "GET", "/v1/status", wrongToken)
		require.Equal(t, 429, got.status)
		require.Equal(t, "1", got.header.Get("Retry-After"), "never less than it takes")
		time.Sleep(500 * time.Millisecond)
		require.Equal(t, 401, g.guess(attacker), "one more")
		require.Equal(t, 429, g.guess(attacker))

		time.Sleep(6 * time.Second)
		require.Equal(t, 200, g.try(attacker))
		require.Equal(t, 200, g.try(attacker), "what is right is not counted")
		require.Equal(t, 401, g.guess(attacker), "but it does not make up for what is wrong")
		require.Equal(t, 429, g.guess(attacker))

		time.Sleep(time.Hour)
		for range 10 {
			require.Equal(t, 401, g.guess(attacker))
		}
		require.Equal(t, 429, g.guess(attacker))
	})
}

// In an hour one address can have 10 guesses and one every 6 seconds looked at,
// however fast it asks.
func TestGuessesInAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuesser(t)
		looked := 0
		for start := time.Now(); time.Since(start) < time.Hour; {
			got := g.from("192.0.2.1:1", "GET", "/v1/status", wrongToken)
			if got.status == 401 {
				looked++
				require.Less(t, looked, 1000, "no end of it")
				continue
			}
			wait, err := strconv.Atoi(got.header.Get("Retry-After"))
			require.NoError(t, err)
			require.Positive(t, wait)
			time.Sleep(time.Duration(wait) * time.Second)
		}
		require.InDelta(t, 10+60*60/6, looked, 1)
	})
}

// Nobody's wrong credentials bar the way to a halt.
func TestGuessesDoNotBarTheWayToHalt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuesser(t)
		const shared = "192.0.2.1:1" // by the attacker and the operator
		for range 200 {
			for i := range 10 {
				g.guess(fmt.Sprintf("198.51.100.%d:1", i))
			}
			g.guess(shared)
			require.Equal(t, 200, g.from(shared, "POST", "/v1/halt", kimsToken).status)
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, 429, g.try(shared))
		require.Equal(t, 429, g.from(shared, "PUT", "/v1/rules/r", kimsToken).status)
		require.Equal(t, 200, g.from("203.0.113.9:1", "POST", "/v1/halt", kimsToken).status, "from where nobody came before")

		// A wrong one is no better off there: it is told no more than elsewhere.
		require.Equal(t, 429, g.from(shared, "POST", "/v1/halt", wrongToken).status)
		require.Equal(t, 401, g.from(shared, "POST", "/v1/halt", "").status)
	})
}

// Guessing at the halt route does not keep the rest shut for longer.
func TestGuessesAtHaltAreCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuesser(t)
		for range 1000 {
			g.from("192.0.2.1:1", "POST", "/v1/halt", wrongToken)
		}
		require.Equal(t, 200, g.try("192.0.2.2:1"), "all the others' share is not used up")
		time.Sleep(6 * time.Second)
		require.Equal(t, 200, g.try("192.0.2.1:1"))
	})
}

func TestGuessesFromManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuesser(t)
		require.Equal(t, 200, g.try("10.0.0.1:1"), "an operator who was there before")
		for i := range 100 {
			require.Equal(t, 401, g.guess(fmt.Sprintf("198.51.100.%d:1", i)))
		}
		require.Equal(t, 429, g.guess("198.51.100.200:1"))
		require.Equal(t, 429, g.try("198.51.100.201:1"), "who was never here")
		require.Equal(t, 200, g.try("10.0.0.1:1"))
		require.Equal(t, 401, g.guess("10.0.0.1:1"), "only its own failures count there")

		time.Sleep(200 * time.Millisecond)
		require.Equal(t, 200, g.try("198.51.100.201:1"))

		// Someone known has no more guesses than others at an address of its own.
		for range 9 {
			require.Equal(t, 401, g.guess("10.0.0.1:1"))
		}
		require.Equal(t, 429, g.guess("10.0.0.1:1"))
	})
}

func TestGuessesByNetwork(t *testing.T) {
	tests := []struct {
		name, first, second string
		same                bool
	}{
		{"IPv6, one network", "[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff:ffff:ffff:ffff]:1", true},
		{"IPv6, two networks", "[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false},
		{"IPv6, with a zone", "[fe80::1%eth0]:1", "[fe80::2%eth1]:1", true},
		{"IPv4, one network", "192.0.2.1:1", "192.0.2.2:1", false},
		{"IPv4 in IPv6, two addresses", "[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:1", false},
		{"without ports", "192.0.2.1", "192.0.2.1:1", true},
		{"no address", "@", "", true},
		{"names", "a.example:1", "b.example:1", true},
		{"a name and an address", "a.example:1", "192.0.2.1:1", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGuesser(t)
				for range 10 {
					require.Equal(t, 401, g.guess(tt.first))
				}
				require.Equal(t, 429, g.guess(tt.first))
				require.Equal(t, tt.same, g.guess(tt.second) == 429)
			})
		})
	}
}

// What is no guess is not counted.
func TestWhatIsNoGuess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuesser(t)
		const peer = "192.0.2.1:1"
		for range 500 {
			require.Equal(t, 401, g.from(peer, "GET", "/v1/status", "").status)
			require.Equal(t, 401, g.from(peer, "GET", "/v1/status", "", "Authorization", "Basic a2ltOg==").status)
			require.Equal(t, 403, g.from(peer, "POST", "/v1/resume", kimsToken).status)
			require.Equal(t, 403, g.from(peer, "POST", "/v1/halt", wrongToken, "Sec-Fetch-Site", "cross-site").status)
		}
		require.Equal(t, 200, g.try(peer))
	})
}

// Certificates cannot be guessed, and those who have one go on.
func TestCertificatesAreNotSlowed(t *testing.T) {
	certificates, err := control.ClientCertificates(map[string]control.Principal{"cn:lee": {Name: "lee", Role: control.Operator}})
	require.NoError(t, err)
	for name, options := range map[string][]control.Option{
		"certificates last":  {control.WithAuthorizer(bearer(t, kimsToken, "kim", control.Viewer), certificates)},
		"certificates first": {control.WithAuthorizer(certificates, bearer(t, kimsToken, "kim", control.Viewer))},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours := authority("ours")
				lee := issue(ours, x509.Certificate{Subject: pkix.Name{CommonName: "lee"}})
				g := guesser{t, control.New(fault.New("checkout"), options...)}
				for range 20 {
					g.guess("192.0.2.1:1")
				}
				require.Equal(t, 429, g.try("192.0.2.1:1"))
				for _, token := range []string{"", wrongToken} {
					req := remote("PUT", "/v1/rules/r", "Authorization", token)
					req.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{lee.Leaf, ours.Leaf}}}
					require.NotContains(t, []int{401, 403, 429}, direct(g.h, req).status)
				}
			})
		})
	}
}

// Who is let in by being on this machine has nothing to guess.
func TestLoopbackIsNotSlowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuesser(t, control.AllowLoopback())
		for range 20 {
			g.guess("127.0.0.1:1")
		}
		require.Equal(t, 429, g.try("127.0.0.1:1"))
		require.Equal(t, 200, direct(g.h, local("GET", "/v1/status", "")).status)
	})
}

// An authorizer of the user's own is slowed by its errors, and spared from then
// on.
func TestErrorsOfAuthorizersAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		h := control.New(fault.New("checkout"), control.WithAuthorizer(control.AuthorizerFunc(func(*http.Request) (control.Principal, bool, error) {
			asked++
			return control.Principal{}, false, errors.New("no such session")
		})))
		for range 100 {
			direct(h, remote("GET", "/v1/status", "Cookie", "session=x"))
		}
		require.Equal(t, 10, asked)
		require.Equal(t, 429, direct(h, remote("GET", "/v1/status")).status)
	})
}

// Requests that are looked at at the same time may be more than the limit, but
// then it takes longer, up to twice as long.
func TestGuessesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := control.AuthorizerFunc(func(*http.Request) (control.Principal, bool, error) {
			time.Sleep(time.Second)
			return control.Principal{}, false, errors.New("wrong")
		})
		h := control.New(fault.New("checkout"), control.WithAuthorizer(slow))
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { direct(h, remote("GET", "/v1/status")) })
		}
		wg.Wait()
		got := direct(h, remote("GET", "/v1/status"))
		require.Equal(t, 429, got.status)
		require.Equal(t, "66", got.header.Get("Retry-After"))
	})
}

func TestThrottleConcurrently(t *testing.T) {
	g := newGuesser(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			own, many := fmt.Sprintf("10.0.0.%d:1", i), 0
			for j := range 100 {
				if g.guess("192.0.2.1:1") == 401 {
					many++
				}
				g.guess(fmt.Sprintf("[2001:db8:%x:%x::1]:1", i, j))
				if status := g.from(own, "POST", "/v1/halt", kimsToken).status; status != 200 {
					t.Errorf("halt: %d", status)
				}
				if status := g.try(own); status != 200 {
					t.Errorf("an operator who was there before: %d", status)
				}
			}
			if many > 50 {
				t.Errorf("%d guesses from one address were looked at", many)
			}
		})
	}
	wg.Wait()
}
