package grpcint

import (
	"context"

	"github.com/misfit-go/misfit/scope"
)

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
// any use for it: a live rule, or a client that passes it on. Put it on the
// services where requests enter. Without it a request that arrives without one
// gets one only while a live rule in this process draws by request.
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
// Guardrails hold all the same. By default the metadata are ignored.
func UnsafeRequestRules() Option {
	return option(func(s *server) { s.requestRules = true })
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
