package absent_test

import "regexp"

// machinery are the functions that decide, wait, fail and take rules. A name that
// ends in a point stands for all that begin so.
var machinery = []string{
	// Which rule a call meets.
	"fault.(*Point).decide",
	"fault.(*snapshot).find",
	"fault.(*liveRule).",
	"fault.(*attempts).",
	"fault.newDecision",
	"scope.bucket",
	"scope.(*Matcher).draw",

	// Who a request is, but for a stranger's.
	"httpmw.(*middleware).identified",
	"grpcint.(*server).identified",
	"httpmw.withIdentity",
	"grpcint.withIdentity",

	// What is done to a call.
	"fault.(*firing).",
	"fault.(*Stream).throttle",
	"fault.(*corruption).",
	"fault.Delay.sample",
	"fault.(*telemetry).",

	// What is noted of calls.
	"fault.(*meter).",
	"fault.(*second).",
	"fault.(*recentCalls).",
	"fault.(*liveRule).estimate",
	"fault.(*verdicts).",
	"fault.(*verdictRows).",
	"fault.(*verdictRow).",
	"fault.(*endpoints).",
	"fault.(*Trial).end",
	"fault.(*Trial).note",

	// Where rules come from.
	"fault.(*Injector).prepareOne",
	"fault.(*Injector).compile",
	"fault.(*Injector).publish",
	"fault.(*Injector).publishAt",
	"fault.(*Injector).updateUses",
	"fault.snapshot.after",
	"fault.(*Injector).takeRule",
	"fault.(*Injector).takeToken",
	"fault.(*Injector).verify",
	"fault.(*Injector).recheckTokens",
	"fault.(*luggage).",
	"fault.(*luggageLog).",
	"fault.(*Point).envoyAbort",
	"envoyfault.Parse",
	"faultstatus.",
	"rulefile.(*Watcher).follow",
	"rulefile.parse",

	// What faults look like over HTTP.
	"httpmw.(*middleware).serve",
	"httpmw.(*middleware).decide",
	"httpmw.(*middleware).serveFaulted",
	"httpmw.(*middleware).serveTried",
	"httpmw.(*seen).",
	"httpmw.(*middleware).serveLost",
	"httpmw.(*middleware).serveStream",
	"httpmw.(*transport).roundTrip",
	"httpmw.(*transport).faulted",
	"httpmw.(*transport).send",
	"httpmw.(*faultyBody).",
	"httpmw.(*faultyWriter).",
	"httpmw.failServer",
	"httpmw.refused",
	"httpmw.answering",

	// Over gRPC.
	"grpcint.(*server).serveUnary",
	"grpcint.(*server).serveStream",
	"grpcint.(*server).begin",
	"grpcint.(*client).callUnary",
	"grpcint.(*client).openStream",
	"grpcint.(*attempts).",
	"grpcint.(*faultedCall).",
	"grpcint.(*clientStream).",
	"grpcint.(*serverStream).",
	"grpcint.(*injected).",
	"grpcint.statusOf",

	// At databases: nothing is wrapped at all.
	"sqldriver.newDatabase",
	"sqldriver.newConn",
	"sqldriver.decided",
	"sqldriver.under",
	"sqldriver.(*conn",
	"sqldriver.(*session).",
	"sqldriver.(*stmt",
	"sqldriver.(*rows",
	"sqldriver.(*tx).",
	"sqldriver.(*result).",
	"sqldriver.operationOf",
	"go-sqllexer.(*Lexer).",
}

// adapters matches the functions of the packages that calls go through.
var adapters = regexp.MustCompile(`^(httpmw|grpcint|sqldriver)\.`)

// mayStay are those of the adapters that may be in a binary without the machinery.
// Some are there only if the program has a use for them, or the compiler did not
// inline them.
var mayStay = []string{
	// What users call, which gives back what it is given.
	"httpmw.Middleware",
	"httpmw.Transport",
	"httpmw.option.apply", "httpmw.(*option).apply",
	"httpmw.transportOption.apply", "httpmw.(*transportOption).apply",
	"grpcint.ServerOptions",
	"grpcint.DialOptions",
	"grpcint.AttemptDialOptions",
	"grpcint.UnaryServerInterceptor", "grpcint.StreamServerInterceptor",
	"grpcint.UnaryClientInterceptor", "grpcint.StreamClientInterceptor",
	"grpcint.newServer", "grpcint.newClient",
	"grpcint.option.apply", "grpcint.(*option).apply",
	"grpcint.clientOption.apply", "grpcint.(*clientOption).apply",
	"sqldriver.Wrap",
	"sqldriver.WrapDriver",
	"httpmw.init", "httpmw.map.init.0", "grpcint.init", "sqldriver.init", // of what kinds of points there are

	// Methods that make a type what net/http takes it for. They pass the call on.
	"httpmw.(*middleware).ServeHTTP",
	"httpmw.(*transport).RoundTrip",
	"httpmw.(*transport).CloseIdleConnections", "httpmw.transport.CloseIdleConnections",
	"httpmw.(*transport).Unwrap", "httpmw.transport.Unwrap",
	"httpmw.(*wrapped).CloseIdleConnections", "httpmw.wrapped.CloseIdleConnections",
	"httpmw.(*wrapped).Unwrap", "httpmw.wrapped.Unwrap",

	// Public endpoints, which keep what strangers say of themselves from the
	// services behind, and give them an identity of their own.
	"httpmw.(*middleware).withoutFaults",
	"httpmw.(*middleware).isStranger",
	"httpmw.disowned", "httpmw.withoutFaultHeaders", "httpmw.handBack",
	"grpcint.(*server).unaryWithoutFaults", "grpcint.(*server).streamWithoutFaults",
	"grpcint.(*server).isStranger",
	"grpcint.disowned", "grpcint.withoutFaultMetadata",
	"grpcint.metadataOf", "grpcint.has",
	"httpmw.(*headers).Get", "httpmw.headers.Get",
	"httpmw.(*headers).Keys", "httpmw.headers.Keys",
	"httpmw.(*headers).Set", "httpmw.headers.Set",
	"httpmw.(*headers).Values", "httpmw.headers.Values",
	"grpcint.(*carrier).Get", "grpcint.carrier.Get",
	"grpcint.(*carrier).Keys", "grpcint.carrier.Keys",
	"grpcint.(*carrier).Set", "grpcint.carrier.Set",
	"grpcint.(*carrier).Values", "grpcint.carrier.Values",
	"grpcint.(*askedKey).Value",
	"grpcint.(*askedKey).Deadline", "grpcint.(*askedKey).Done", "grpcint.(*askedKey).Err",
	"grpcint.askedKey.Deadline", "grpcint.askedKey.Done", "grpcint.askedKey.Err",
	"grpcint.(*identifiedStream).Context", "grpcint.identifiedStream.Context",
	"grpcint.(*identifiedStream).RecvMsg", "grpcint.identifiedStream.RecvMsg",
	"grpcint.(*identifiedStream).SendHeader", "grpcint.identifiedStream.SendHeader",
	"grpcint.(*identifiedStream).SendMsg", "grpcint.identifiedStream.SendMsg",
	"grpcint.(*identifiedStream).SetHeader", "grpcint.identifiedStream.SetHeader",
	"grpcint.(*identifiedStream).SetTrailer", "grpcint.identifiedStream.SetTrailer",

	// Third parties, who are told nothing of ours.
	"httpmw.(*discreet).RoundTrip", "httpmw.discreet.RoundTrip",
	"httpmw.(*discreet).CloseIdleConnections", "httpmw.discreet.CloseIdleConnections",
	"httpmw.(*discreet).Unwrap", "httpmw.discreet.Unwrap",
	"httpmw.anonymous",
	"grpcint.anonymous",
}
