// Package control lets people and programs see and change the rules of a
// running service over HTTP.
//
// The two things to know are [New], which makes the handler, and the rule in
// JSON, which is that of [fault.Rule]. A service mounts the handler where it
// likes:
//
//	inj := fault.New("checkout")
//	mux.Handle("/debug/faults/", http.StripPrefix("/debug/faults", control.New(inj)))
//
// and whoever is on the same machine can then say
//
//	curl -X PUT localhost:8080/debug/faults/v1/rules/slow-ratings \
//		-H 'Content-Type: application/json' -d '{
//		"target": {"points": ["ratings"]},
//		"scope":  {"percent": 1},
//		"fault":  {"delay": {"fixed": "250ms"}},
//		"ttl":    "10m"
//	}'
//
// # Usage
//
//	GET    /                       the page for people, or the same as text for a terminal
//	GET    /openapi.json           all of this, for programs
//	GET    /v1/status              halted or not, calls held, counters, who you are
//	GET    /v1/guardrails          what the service's code forbids
//	GET    /v1/points              the injection points, what is armed there, and their traffic
//	GET    /v1/verdicts            what became of the requests in which faults happened
//	DELETE /v1/verdicts            forgets that, so that counts start anew
//	GET    /v1/explain             which rule would apply to a call, and why no other
//	GET    /v1/events              what happens, as server-sent events
//	GET    /v1/audit               who did what, newest first
//	GET    /v1/rules               every live rule, whoever put it
//	GET    /v1/rules/{id}          one of them
//	PUT    /v1/rules/{id}          makes a rule, or edits one made here
//	DELETE /v1/rules/{id}          ends a rule, whoever put it
//	POST   /v1/rules/{id}/widen    gives it another scope, a step wider at most
//	POST   /v1/rules/{id}/extend   has it live for so long from now on
//	POST   /v1/rules/{id}/pause    has it apply to nothing; unpause lets it again
//	POST   /v1/validate            says what would come of a rule
//	POST   /v1/halt                ends all rules and refuses new ones
//	POST   /v1/resume              lets new ones in again
//
// A change is answered once it is on record and in force in this process. What is
// refused is answered with a problem document, RFC 9457, that names every wrong
// field by its path. docs/control.md has the rest.
//
// The call to explain is in the query:
//
//	point            kind and name, or the name alone if one point only has it
//	operation        what the call does, such as "GET /ratings/{id}"; none if left out
//	raw              what the operation's name stands for, such as "/ratings/7"
//	id, customer     whom it is made for; without any of these, for no request
//	attribute.NAME   a further attribute of the request
//
// The answer is that of [fault.Injector.Explain], and asking changes nothing.
//
// A rule made here has a revision, which is also its ETag and never comes
// twice while the handler lives. PUT and DELETE with If-Match change a rule
// only if it is still the one that was read; PUT with "If-None-Match: *" only
// makes new ones.
//
// # The record
//
// What is done and what is refused is on record: in memory, or in a file
// ([WithAudit]), with who did it. What makes a rule reach further is on record
// before it is in force, and is not done if that fails. What takes faults back never
// waits for the record.
//
// # Concurrency
//
// A [Handler] is safe for concurrent use. Changes are made one after the
// other; reads wait for none of them, and halt does not either. Make one
// handler for an injector and mount it as often as needed: a second one does
// not know the first one's revisions.
//
// Readers of events that are slow lose some, and are told how many. They hold up
// nobody.
//
// # Safety
//
// With authorizers ([WithAuthorizer]) everybody needs a role: viewer to read, operator
// to change, admin to resume. Without any, everyone who can reach the handler may
// read, and only callers on the same machine may write: the peer is a loopback
// address, no header says that a proxy has passed the request on, the Host is
// localhost or a loopback address, so that a web page cannot get in by rebinding a
// name, and a browser does not say that another origin sent it. What is read names
// customers if rules do: mount the handler where strangers do not come.
//
// Mount the handler beside the httpmw middleware, not inside, or exempt its
// path there: a rule that is aimed at the service's own entry would otherwise
// bar the way to its own end.
//
// Bodies are at most 1 MiB. Unknown fields, fields given twice and values out
// of range are errors.
//
// # Not promised
//
// A proxy that forwards bare connections (TCP) or adds no header of its own
// cannot be told from a local caller. Behind one, use [ReadOnly].
//
// Rules live in this process alone and end with it. Between the check of
// If-Match and the change that follows, a rule may still expire or be deleted
// by the service's own code; an edit then makes it anew.
package control
