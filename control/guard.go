package control

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// A guard decides who may write. Until there are roles that is whoever is on
// this machine, and each check closes one way of seeming to be.
type guard struct {
	readOnly bool
	origins  *http.CrossOriginProtection
}

func newGuard() guard {
	return guard{origins: http.NewCrossOriginProtection()}
}

// check returns every reason why the request may not write, or nil.
func (g guard) check(r *http.Request) error {
	if g.readOnly {
		return forbidden("this endpoint is read-only")
	}
	var reasons []string
	if reason := checkPeer(r.RemoteAddr); reason != "" {
		reasons = append(reasons, reason)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if isProxyHeader(http.CanonicalHeaderKey(name)) {
			reasons = append(reasons, fmt.Sprintf("the header %q says that a proxy has passed the request on, so it may come from another machine", name))
		}
	}
	if !isLoopbackHost(r.Host) {
		reasons = append(reasons, fmt.Sprintf("the Host %q is neither localhost nor a loopback address, so a web page may be behind it", r.Host))
	}
	if err := g.origins.Check(r); err != nil {
		reasons = append(reasons, err.Error())
	}
	if len(reasons) == 0 {
		return nil
	}
	return forbidden("only a caller on the same machine may write: " + strings.Join(reasons, "; "))
}

func forbidden(detail string) error {
	return refusal{status: http.StatusForbidden, kind: "write-refused", title: "Write refused", detail: detail}
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

// isProxyHeader reports whether only proxies set the header. A proxy on this
// machine makes strangers look local.
func isProxyHeader(name string) bool {
	switch name {
	case "Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip":
		return true
	}
	// The sidecar of a service mesh connects from a loopback address and may
	// tell of itself in these alone.
	return strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Envoy-")
}

// isLoopbackHost reports whether a Host header names this machine in a way
// that no DNS server has a say in.
func isLoopbackHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Unmap().IsLoopback()
}
