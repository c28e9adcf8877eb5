// Package httpmw makes HTTP servers and clients places where faults can be
// injected, and carries a request's identity from one to the other.
//
// The two functions to know are [Middleware] and [Transport]:
//
//	inj := fault.New("storefront")
//	handler := httpmw.Middleware(inj)(mux)
//	client := &http.Client{Transport: httpmw.Transport(inj, "ratings", nil)}
//
// The client's requests must be made with the context of the request that is
// being served, as http.NewRequestWithContext takes it, or else they belong to
// no request.
//
// # What a client sees
//
// A class of failure is what net/http's Transport returns when it really
// happens, with the mark of [fault.Error] in the chain. refused, reset and
// connectTimeout are a *net.OpError, dns and dnsTimeout a *net.DNSError in one,
// tls a *tls.CertificateVerificationError. tlsTimeout, headerTimeout (and
// timeout, which is the same here), streamReset and goaway are of types that
// net/http does not export; theirs give the same answers to Timeout, errors.Is
// and errors.As. unavailable, overloaded, internal, badGateway and
// gatewayTimeout are complete responses with status 503, 429 (with
// Retry-After), 500, 502 and 504. Tests make each happen for real, over
// HTTP/1.1 and HTTP/2, and compare. A black hole ends with the request's context. A response made here has the header
// [StatusHeader]. A body that is cut ends with io.ErrUnexpectedEOF.
//
// net/http makes some calls again by itself: those that failed on a connection
// it had used before, or that an HTTP/2 server did not accept. That happens
// beneath the Transport, where no fault is injected, so that an injected reset
// is seen at once where a real one may have been made good. The failures here
// are what remains when it was not.
//
// # What a server does
//
// The same statuses, 504 for timeout, a dropped connection for reset and for a
// black hole whose client gave up. Classes that an accepted connection cannot
// fail with (refused, dns, tls, …) and errors by name are not armed at servers,
// and the rule's status says so. A server that has not read a request's body
// is not told by net/http that the client went away; a black hole on such a
// request lasts until its rule ends.
//
// The way to end a fault must not be under it: serve the control endpoint
// beside the middleware, or name its path with [Exempt].
//
// http.Server.Shutdown waits for held calls as it does for any that are slow.
// Let go of them first:
//
//	server.RegisterOnShutdown(func() { inj.Halt() })
//
// # Concurrency and cost
//
// Both are safe for concurrent use. While no rule is live, the middleware of a
// service without a Transport costs one atomic load; beside a Transport it
// also looks for the headers to pass on. The Transport costs one atomic load
// and one look-up in the context. None of this allocates; a request that has
// an identity costs a context, the reading of its headers once a rule or a
// client asks who it is, and at each call a copy of its header. The
// ResponseWriter is handed on as it is, unless a stream fault or a lost reply
// was chosen for the very request.
//
// # Not promised
//
// The wire is not there to ask. Whether a call would have used HTTP/2 is
// answered by what the base [http.Transport] offers; the addresses in errors
// are those of the URL, with no local end; a response has no TLS state. A
// value of a sentinel is found with errors.Is and not with ==. A Client whose
// Timeout ends a call replaces the error by its text, and the mark is then in
// the text only.
//
// Inbound identity is believed. A service that strangers reach should set it
// with [Identify], which goes before what the headers say. The Transport tells
// every dependency who the request is; one that must not know, such as a third
// party's, should get a client without it.
package httpmw
