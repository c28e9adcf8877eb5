package control

import (
	"errors"
	"fmt"
	"log"
	"maps"
	"math"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A guard decides who may do what. Without authorizers, whoever is on this
// machine may write, and each check closes one way of seeming to be.
type guard struct {
	readOnly    bool
	loopback    bool // whoever is on this machine needs no credentials
	authorizers []Authorizer
	hosts       map[string]bool // what else this endpoint is called
	origins     *http.CrossOriginProtection
	throttle    *throttle
}

func newGuard() guard {
	return guard{hosts: make(map[string]bool), origins: http.NewCrossOriginProtection(), throttle: newThrottle()}
}

// admit returns who makes the request, or why what needs this role is not done.
// Somebody who is known, but may not, is returned with the refusal.
func (g *guard) admit(r *http.Request, need Role) (Principal, error) {
	return g.decide(r, need, false)
}

// admitHalt is admit for a halt, to which others' wrong credentials never bar the
// way.
func (g *guard) admitHalt(r *http.Request, need Role) (Principal, error) {
	return g.decide(r, need, true)
}

func (g *guard) decide(r *http.Request, need Role, always bool) (Principal, error) {
	switch {
	case g.readOnly && need != Viewer:
		return Principal{}, forbidden("this endpoint is read-only")
	case len(g.authorizers) > 0:
		// Browsers send certificates, and proxies what they know of a session,
		// along with what any web page asks for.
		if err := g.origins.Check(r); err != nil {
			return Principal{}, forbidden(err.Error())
		}
		p, err := g.identify(r, always)
		if err == nil {
			err = p.may(need)
		}
		return p, err
	case need == Viewer:
		return anyone, nil
	}
	if reasons := g.notLocal(r); len(reasons) > 0 {
		return Principal{}, forbidden("only a caller on the same machine may write: " + strings.Join(reasons, "; "))
	}
	return local, local.may(need)
}

// identify asks the authorizers. If it is always to be answered, they are asked
// however many credentials were wrong before.
func (g *guard) identify(r *http.Request, always bool) (Principal, error) {
	peer := peerOf(r.RemoteAddr)
	wait := g.throttle.wait(peer)
	for _, a := range g.authorizers {
		_, certificates := a.(*clientCertificates)
		if wait > 0 && !always && !certificates {
			continue // certificates cannot be guessed
		}
		p, ok, err := ask(a, r)
		switch {
		case errors.Is(err, errPanicked):
			return Principal{}, refusal{status: http.StatusInternalServerError, detail: "who you are could not be found out: the server's log says why"}
		case err != nil:
			return Principal{}, g.wrong(r, peer, wait)
		case ok:
			return g.known(r, p, peer, a)
		}
	}
	_, given := bearerToken(r.Header)
	switch {
	case given:
		return Principal{}, g.wrong(r, peer, wait)
	case g.loopback && len(g.notLocal(r)) == 0:
		return local, nil
	case wait > 0 && !always: // nobody has looked for other credentials
		return Principal{}, tooMany(wait)
	}
	return Principal{}, unauthorized(`this endpoint asks who you are: send a token, with curl -H "Authorization: Bearer $TOKEN", or come with a client certificate, whichever was set up here`, "")
}

// known is what is left to check of somebody whom an authorizer knows.
func (g *guard) known(r *http.Request, p Principal, peer netip.Addr, by Authorizer) (Principal, error) {
	g.throttle.succeeded(peer)
	checked := p
	if checked.Role == 0 {
		checked.Role = Viewer // it may have no role, and is then told so
	}
	if err := checked.Validate(); err != nil {
		return Principal{}, refusal{status: http.StatusForbidden, detail: "what the authorizer says of you cannot be used: " + err.Error()}
	}
	// A browser attaches no bearer token of its own accord, and a page that could
	// has the token. Which header there is says nothing, for a page that has
	// rebound its name can send any: what counts is what let the request in.
	_, bearer := by.(*bearerTokens)
	if !bearer && !g.knownHost(r) {
		return p, refusal{
			status: http.StatusForbidden, kind: "unknown-host", title: "Unknown host",
			detail: fmt.Sprintf("a web page may be behind the Host %q: call this endpoint by its address, over TLS, or by a name that it was given with AllowedHosts", r.Host),
		}
	}
	return p, nil
}

// knownHost reports whether no web page can have had its own name lead here.
func (g *guard) knownHost(r *http.Request) bool {
	if r.TLS != nil && len(proxyHeaders(r.Header)) == 0 {
		return true // the browser would not have found the page's name in the certificate
	}
	name := hostName(r.Host)
	_, err := netip.ParseAddr(name)
	return err == nil || name == "localhost" || g.hosts[name]
}

// wrong counts wrong credentials, and is the answer to them.
func (g *guard) wrong(r *http.Request, peer netip.Addr, wait time.Duration) error {
	if wait > 0 {
		return tooMany(wait)
	}
	g.throttle.failed(peer)
	challenge := ""
	if _, given := bearerToken(r.Header); given {
		challenge = `, error="invalid_token"`
	}
	return unauthorized("the credentials are not accepted", challenge)
}

var errPanicked = errors.New("control: an authorizer panicked")

// ask contains what an authorizer does.
func ask(a Authorizer, r *http.Request) (p Principal, ok bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			logf(r, "control: panic in %T, nobody was let in: %v\n%s", a, v, debug.Stack())
			p, ok, err = Principal{}, false, errPanicked
		}
	}()
	return a.Authorize(r)
}

// logf writes to where the server writes of panics in handlers.
func logf(r *http.Request, format string, args ...any) {
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && server.ErrorLog != nil {
		server.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}

func forbidden(detail string) error {
	return refusal{status: http.StatusForbidden, kind: "write-refused", title: "Write refused", detail: detail}
}

func unauthorized(detail, parameters string) error {
	return refusal{
		status: http.StatusUnauthorized, detail: detail,
		header: http.Header{"Www-Authenticate": {`Bearer realm="misfit"` + parameters}},
	}
}

func tooMany(wait time.Duration) error {
	seconds := strconv.Itoa(int(math.Ceil(wait.Seconds())))
	return refusal{
		status: http.StatusTooManyRequests,
		detail: "too many credentials were wrong, and none are looked at but to halt: try again in " + seconds + " s",
		header: http.Header{"Retry-After": {seconds}},
	}
}

// notLocal returns every reason why the request may not come from this machine,
// or not of its user's own accord.
func (g *guard) notLocal(r *http.Request) []string {
	var reasons []string
	if reason := checkPeer(r.RemoteAddr); reason != "" {
		reasons = append(reasons, reason)
	}
	for _, name := range proxyHeaders(r.Header) {
		reasons = append(reasons, fmt.Sprintf("the header %q says that a proxy has passed the request on, so it may come from another machine", name))
	}
	if name := hostName(r.Host); !isLoopback(name) && !g.hosts[name] {
		reasons = append(reasons, fmt.Sprintf("the Host %q is neither localhost nor a loopback address, so a web page may be behind it", r.Host))
	}
	if err := g.origins.Check(r); err != nil {
		reasons = append(reasons, err.Error())
	}
	return reasons
}

// checkPeer returns why the peer is not known to be on this machine.
func checkPeer(address string) string {
	peer, err := netip.ParseAddrPort(address)
	switch {
	case err != nil:
		// Middleware that puts a header's word in place of the address often
		// leaves out the port; a Unix socket may have a proxy at its other end.
		return fmt.Sprintf("the peer's address %q is not an IP address and port", address)
	case !peer.Addr().Unmap().IsLoopback():
		return fmt.Sprintf("the peer's address %s is not a loopback address", peer.Addr())
	}
	return ""
}

// proxyHeaders returns those headers that only proxies set. A proxy on this
// machine makes strangers look local.
func proxyHeaders(header http.Header) []string {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if isProxyHeader(http.CanonicalHeaderKey(name)) {
			found = append(found, name)
		}
	}
	return found
}

func isProxyHeader(name string) bool {
	switch name {
	case "Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip":
		return true
	}
	// The sidecar of a service mesh connects from a loopback address and may
	// tell of itself in these alone.
	return strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Envoy-")
}

// hostName is the Host of a request without its port, in lower case.
func hostName(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	return strings.ToLower(name)
}

// isLoopback reports whether a name is this machine's in a way that no DNS
// server has a say in.
func isLoopback(name string) bool {
	addr, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && addr.Unmap().IsLoopback()
}
