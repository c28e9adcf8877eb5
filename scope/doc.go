// Package scope says who a request is and which requests a rule is for.
//
// The two types to know are [Request], the identity that travels with a
// request, and [Scope], the plain data that selects requests:
//
//	ctx = scope.With(ctx, scope.Request{Customer: "42"})
//	one := scope.Customers("42")
//	some := scope.Percent(1, scope.PerCustomer)
//	all := scope.Everyone()
//
// # Propagation
//
// Inside a process the identity travels in the context: [With] puts it there,
// [From] reads it. Between processes it travels as W3C Trace Context and W3C
// Baggage: [Extract] reads the headers of an incoming request, [Inject] writes
// those of an outgoing one. Middleware calls [Arrive] or [Enter], and Inject.
//
// The members in baggage are misfit.id (left out where the trace ID is the
// identity), misfit.customer and misfit.attr.<name>. They are set on the
// OpenTelemetry baggage of the context, so that an OpenTelemetry propagator
// installed by the service writes the same members and nothing is written
// twice; of a request that has arrived and that nobody has asked about, they are
// still where they came from. No trace is ever started, sampled or un-sampled
// here: a trace that arrived is passed on, and a request without one gets a
// random identity.
//
// # Percentages
//
// Whether a unit (a request, a customer, a call, an attribute's value) is
// within a percentage is a pure function of the rule's salt and the unit's
// value, the same in every process and every language:
//
//	seed      = XXH64(salt, seed 0)
//	bucket    = XXH64(unit, seed) >> 11                  // 0 … 2^53-1
//	threshold = floor(percent / 100 * 2^53)              // IEEE 754 doubles
//	in        = bucket < threshold
//
// XXH64 is the published 64-bit xxHash. The resolution is 100/2^53 percent.
// Widening never drops anyone, since the bucket does not depend on the
// percentage; rules with different salts draw independently of each other and
// of trace sampling. testdata/percentage.json holds vectors to check another
// implementation against.
//
// # Concurrency and safety
//
// Everything here is safe for concurrent use. Values are read-only once they
// are in a context or a rule. Outside bytes are bounded before they are
// parsed: 8,192 bytes and 64 members of baggage together, as W3C Baggage has
// it, and the limits named at [Request]. Members of others are never dropped
// to make room: ours stay out when they do not fit.
//
// # Not promised
//
// Nothing here tells a genuine header from a forged one. A service that
// strangers can reach must not believe the identity they send.
package scope
