package httpmw

import (
	"net/http"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// RuleHeader is the request header in which a test client sends a rule for
// its own request, as JSON. It is read only behind [UnsafeRequestRules].
const RuleHeader = "Fault-Rule"

// TokenHeader is the request header in which a test client sends a token, which
// package token makes. It is read where the injector takes tokens
// ([fault.WithTokens]).
const TokenHeader = "Fault-Token"

// StatusHeader is the response header in which the library says what it did, on
// every response that it made itself, and on those to requests that carried a
// token or a rule. Its value is a structured field, RFC 9651: a list of
//
//   - applied, for each rule and point;
//   - skipped, if a limit held the rule back there, with the reason;
//   - missed, if calls were made there, none of them one that the rule is for;
//   - not-reached, if no such call is known of;
//   - refused, if what was sent is not taken, with the reason;
//   - not-carried, if it is taken and does not go on to the services behind.
//
// What services behind say is passed on. Those that lack the library say
// nothing, and so do connections that are hijacked, as for WebSockets.
const StatusHeader = "Fault-Status"

// An Option configures [Middleware].
type Option interface{ apply(*middleware) }

type option func(*middleware)

func (o option) apply(m *middleware) { o(m) }

// Identify tells the middleware who a request is. Fields that f leaves empty
// keep what the request's headers say; an empty ID with no trace becomes a
// random one.
//
// With this option every request gets an identity as soon as the process has
// any use for it: a live rule, somebody who watches traffic, or a Transport that
// passes it on. Put it on the services where requests enter. Without it a request
// that arrives without one gets one only while a live rule in this process draws by
// request.
//
// A panic in f is contained: the request then has the identity it came with.
func Identify(f func(*http.Request) scope.Request) Option {
	if f == nil {
		panic("httpmw: Identify needs a function")
	}
	return option(func(m *middleware) { m.identify = f })
}

// UnsafeRequestRules lets every client inject faults into its own requests:
// it may send a rule in the [RuleHeader], which then applies to that request
// here and in every service behind that has this option too. It is unsafe
// outside tests, since anyone who can send a request can send the header.
// Guardrails hold all the same, and a [PublicEndpoint] drops the header of
// strangers. By default it is ignored.
func UnsafeRequestRules() Option {
	return option(func(m *middleware) { m.believed = true })
}

// PublicEndpoint says that strangers can reach the endpoint. What a request says
// of itself is then not believed: who it is comes from [Identify] alone, or is
// random, so that nobody picks the percentage that he falls into. Our members of
// its baggage, [RuleHeader] and Envoy's fault headers are taken off the request
// that the handler sees, lest the handler pass them on. A token is honoured all
// the same. This holds in processes that inject nothing, too.
func PublicEndpoint() Option {
	return PublicEndpointFn(func(*http.Request) bool { return true })
}

// PublicEndpointFn is [PublicEndpoint] for the requests of which f returns true:
// those without a client certificate of the mesh, from outside of a network, or
// without what the gateway adds. A request for which f panics counts as a
// stranger's.
func PublicEndpointFn(f func(*http.Request) bool) Option {
	if f == nil {
		panic("httpmw: PublicEndpointFn needs a function")
	}
	return option(func(m *middleware) { m.public = f })
}

// EnvoyHeaders honours the request headers by which clients of Envoy's HTTP fault
// filter ask for faults: x-envoy-fault-delay-request, -abort-request,
// -abort-grpc-request and -throughput-response, with their percentages. They act
// at the entry of this service, as they would in the proxy before it. Anyone who
// can send a request can send them: a [PublicEndpoint] drops those of strangers.
// By default they are ignored. See [fault.EnvoyHeaders] for their ceilings, and
// docs/http.md for what differs from Envoy.
func EnvoyHeaders(h fault.EnvoyHeaders) Option {
	return option(func(m *middleware) { m.envoy = &h })
}

// Exempt keeps the middleware from faulting requests whose path begins with
// one of the prefixes, for instance those of the control endpoint, which has
// to stay within reach, and of health checks. By default no path is exempt.
func Exempt(prefixes ...string) Option {
	return option(func(m *middleware) { m.exempt = append(m.exempt, prefixes...) })
}
