// Package envoyfault reads the request headers with which clients of Envoy's
// HTTP fault filter ask for a fault in their own request. It only decodes: who
// may send these headers, and making the fault happen, is up to its callers.
//
//	request, problems := envoyfault.Parse(r.Header, config) // or a gRPC metadata.MD
//	injected := request.Draw(rand.Float64)
//
// # The headers
//
//	x-envoy-fault-delay-request                   milliseconds to wait before all else
//	x-envoy-fault-delay-request-percentage
//	x-envoy-fault-abort-request                   HTTP status, 200 to 599, to answer with
//	x-envoy-fault-abort-grpc-request              gRPC status code to answer with, any uint32
//	x-envoy-fault-abort-request-percentage        for either kind of abort
//	x-envoy-fault-throughput-response             KiB per second that the response body flows at
//	x-envoy-fault-throughput-response-percentage
//
// A value is a decimal whole number. White space around it, a plus sign and
// leading zeros are allowed; a minus sign, a fraction, an exponent, digit
// separators and another base are not. Of several values of a header only the
// first is used; "1, 2" on one line is one malformed value. A malformed header
// counts as absent.
//
// The delay comes before the abort. Delay, abort and throughput are drawn
// independently of one another, each with the share of requests the endpoint
// is configured with or the one in the percentage header, whichever is less. A
// malformed percentage leaves the configured one. A delay and a throughput of
// 0 are none.
//
// The HTTP status wins over the gRPC code. The gRPC header is read where the
// status is absent, malformed or outside of 200 to 599. What is answered
// depends on the request too, see [Abort].
//
// # Where this differs from Envoy
//
//   - A delay over [Config.MaxDelay] is refused, not shortened, and the rest of
//     the request stands. Envoy waits as long as it is told.
//   - A percentage header is always a number of percent. To Envoy it is a
//     numerator over the denominator it is configured with, which is a hundred
//     unless someone chose otherwise.
//   - gRPC codes end at 4294967295, as in Envoy's documentation and in gRPC;
//     Envoy's code passes larger ones on.
//   - Values are at most 64 bytes long. A throughput too large for an int64 of
//     bytes per second is the largest there is.
//   - What is ignored is reported; Envoy is silent.
//   - The names are fixed, while Envoy can be configured with another prefix
//     than x-envoy.
package envoyfault
