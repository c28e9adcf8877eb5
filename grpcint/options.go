package grpcint

import (
	"context"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// TokenKey is the key of the metadata in which a test client sends a token, which
// package token makes. It is read where the injector takes tokens
// ([fault.WithTokens]).
const TokenKey = "fault-token"

// RuleKey is the key of the metadata in which a test client sends a rule for
// its own call, as JSON. It is read only behind [UnsafeRequestRules].
const RuleKey = "fault-rule"

// An Option configures a server.
type Option interface{ apply(*server) }

type option func(*server)

func (o option) apply(s *server) { o(s) }

// Identify tells the server who a request is, by the call's context, which has
// its metadata and its peer, and the method, such as "/pkg.Service/Method".
// Fields that f leaves empty keep what the metadata say; an empty ID with no
// trace becomes a random one.
//
// With this option every request gets an identity as soon as the process has
// any use for it: a live rule, somebody who watches traffic, or a client that
// passes it on. Put it on the services where requests enter. Without it a request
// that arrives without one gets one only while a live rule in this process draws by
// request.
//
// A panic in f is contained: the request then has the identity it came with.
func Identify(f func(ctx context.Context, method string) scope.Request) Option {
	if f == nil {
		panic("grpcint: Identify needs a function")
	}
	return option(func(s *server) { s.identify = f })
}

// UnsafeRequestRules lets every client inject faults into its own requests: it
// may send a rule in the metadata ([RuleKey]), which then applies to that
// request here and in every service behind that has this option too. It is
// unsafe outside tests, since anyone who can make a call can send it.
// Guardrails hold all the same, and a [PublicEndpoint] drops what strangers send.
// By default the metadata are ignored.
func UnsafeRequestRules() Option {
	return option(func(s *server) { s.believed = true })
}

// PublicEndpoint says that strangers can reach the server. What a call says of
// itself is then not believed: who it is comes from [Identify] alone, or is
// random, so that nobody picks the percentage that he falls into. Our members of
// its baggage, [RuleKey] and Envoy's fault headers are taken out of the metadata
// that the handler sees, lest the handler pass them on. A token is honoured all
// the same. This holds in processes that inject nothing, too.
func PublicEndpoint() Option {
	return PublicEndpointFn(func(context.Context, string) bool { return true })
}

// PublicEndpointFn is [PublicEndpoint] for the calls of which f returns true:
// those without a client certificate of the mesh, from outside of a network, or
// without what the gateway adds. It is given the call's context, which has its
// metadata and its peer, and the method. A call for which f panics counts as a
// stranger's.
func PublicEndpointFn(f func(ctx context.Context, method string) bool) Option {
	if f == nil {
		panic("grpcint: PublicEndpointFn needs a function")
	}
	return option(func(s *server) { s.public = f })
}

// EnvoyHeaders honours the metadata by which clients of Envoy's HTTP fault filter
// ask for faults: x-envoy-fault-delay-request, -abort-request and
// -abort-grpc-request, with their percentages. They act at the entry of this
// service, as they would in the proxy before it. Anyone who can make a call can
// send them: a [PublicEndpoint] drops those of strangers. By default they are
// ignored. See [fault.EnvoyHeaders] for their ceilings, and docs/grpc.md for what
// differs from Envoy.
func EnvoyHeaders(h fault.EnvoyHeaders) Option {
	return option(func(s *server) { s.envoy = &h })
}

// Recovered says that panics are recovered outside the interceptor, so that
// rules may inject them. A server of grpc-go does not do that by itself: a panic
// in a handler ends the process, for everyone. By default rules that panic are
// not armed at servers, and their status says so.
//
// The option is one of the server's, not of the interceptor's: where the unary
// and the stream interceptor are made one by one, give it to both.
func Recovered() Option {
	return option(func(s *server) { s.recovered = true })
}
