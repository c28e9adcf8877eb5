// Package grpcint makes gRPC clients and servers places where faults can be
// injected, and carries a request's identity from one to the other.
//
// The two functions to know are [DialOptions] and [ServerOptions]:
//
//	inj := fault.New("storefront")
//	server := grpc.NewServer(grpcint.ServerOptions(inj)...)
//	conn, err := grpc.NewClient("dns:///ratings:50051",
//		append(options, grpcint.DialOptions(inj, "ratings")...)...)
//
// The client's calls must be made with the context of the request that is being
// served, or else they belong to no request. A rule names an operation by its
// method, such as "/shop.v1.Ratings/Get"; "/shop.v1.Ratings/*" are all of a
// service's. Health checks (grpc.health.v1.Health) and reflection are faulted
// only by rules with an operation that begins with the service's whole name:
// neither "*" nor a rule without operations is for them.
//
// # What a client sees
//
// A class of failure is the status that grpc-go gives when it really happens,
// text included. refused, connectTimeout, dns, dnsTimeout, tls and tlsTimeout are
// UNAVAILABLE, from the call that makes the stream; a call that waits for ready
// goes on waiting, until its deadline. timeout is DEADLINE_EXCEEDED; reset and
// goaway are UNAVAILABLE, streamReset INTERNAL; unavailable is UNAVAILABLE,
// overloaded RESOURCE_EXHAUSTED (with a google.rpc.RetryInfo), internal INTERNAL,
// and badGateway and gatewayTimeout are what grpc makes of a proxy's page. An
// exact status is {"error": {"grpc": {"code": "ABORTED", …}}}. Of a delay or a
// black hole that outlasts the call, DEADLINE_EXCEEDED or CANCELLED remains. The
// tests named TestInjectedAgainstReal make each happen for real, and compare.
//
// A stream fault counts messages. A unary call is a stream of one message each
// way.
//
// # Told apart
//
// Every injected status is [fault.ErrInjected] where it is made, and has a
// google.rpc.ErrorInfo as its last detail and the trailer [StatusKey] wherever
// it gets to. [FromError] finds the rule and the point in either.
//
// # Retries
//
// The retry policy of a service config is beneath a client's interceptors: what
// [DialOptions] injects is not retried by it, and counts as one call.
// [AttemptDialOptions] injects into each attempt instead. What a server injects
// is retried like any status of the server's.
//
// # Concurrency and cost
//
// Everything is safe for concurrent use. While no rule is live, the server's side
// of a service without clients costs one atomic load; beside a client it also
// looks for the metadata to pass on. The client's side costs one atomic load and
// one look-up in the context. None of this allocates; a request that has an
// identity costs a context, the reading of its metadata once a rule or a client
// asks who it is, and at each call a copy of the outgoing metadata. A
// stream is handed on as it is unless a fault that acts in mid-stream was chosen
// for it, but for the server's stream of a request with an identity, which gets
// a context of its own and nothing else.
//
// # Not promised
//
// A server cannot drop one call's connection without all the others on it: where
// a fault breaks the transport at a server, the client gets the status that it
// would have made of that. A panic at a server needs [Recovered]. grpc-go itself
// sends no hedged calls. The texts of statuses are those of the grpc-go release
// that this module requires.
//
// Inbound identity is believed. A service that strangers reach should set it with
// [Identify], which goes before what the metadata say. A client tells every
// dependency who the request is; one that must not know, such as a third
// party's, should be dialled without it.
package grpcint
