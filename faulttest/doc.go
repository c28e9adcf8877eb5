// Package faulttest answers, in go test, whether a service survives the failure of
// what it depends on.
//
// [Explore] takes an ordinary test and finds out which faults it does not survive:
//
//	func TestProductPage(t *testing.T) {
//		faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) {
//			page := getProductPage(t, inj) // made with httpmw.Transport(inj, "ratings", nil), …
//			require.Equal(t, 200, page.Status)
//			if faulttest.Injected(t, "ratings") { // what may degrade, and how
//				require.Empty(t, page.Ratings)
//			}
//		}, faulttest.Bubble())
//	}
//
// Each run is a subtest, and at the end stands a table:
//
//	ratings GET /ratings/7   delay 2s ✓ masked   503 ✓ masked   black hole ✗ took 10m (no timeout on this call: …)
//	…
//	1 failure, each with the fewest faults that it takes:
//		ratings GET /ratings/7: black hole: took 10m (no timeout on this call: …)
//			go test -run '^TestProductPage$' -faulttest.replay=13BsiWt8auAY6gO-Cf4U
//
// [New] returns a [Recorder], the injector of a test that chooses its faults itself:
// it fails where an expected rule never applied, waits until one does, and gives
// calls and events in an order that is the same in every run.
//
// [Critical] finds out which dependencies an ordinary test cannot do without.
// [VerifyBreaker], [VerifyRetries], [VerifyAmplification] and [VerifyTimeouts] hold
// what is to protect a service to what it is set to.
//
// # Usage
//
// What is tested has to make its calls through points of the injector that it is
// given: with the adapters (packages httpmw, grpcint, sqldriver) or points of its
// own. Package faulttest finds them by running the test twice without faults, then
// runs it with every single fault that can be injected into one of its calls, then
// with pairs, up to [MaxFaults]. Calls that are made only under faults, such as
// retries and fallbacks, get faults from the runs on in which they are known. What is
// injected is said by [Faults]; by default each kind of point has a handful.
//
// A fault is injected into one call: of two attempts the first, say. That the
// dependency is down for both is a pair, and for all attempts of a patient client more
// than that: [Outages] has every call at a point fail, too.
//
// A run that takes longer than [CaseLimit] has hung. The injector then lets go of
// what it holds, so that the test can end, and the subtest fails and says where it
// was held. What hangs by itself only go test -timeout ends. A panic on the goroutine
// of the test is a failure of its subtest; one on another goroutine ends the process,
// as ever.
//
// # Time
//
// With [Bubble] each run has a bubble of package testing/synctest, where delays and
// timeouts take no time. All that the test starts must then end with it, and must not
// wait for anything outside of it: real networks are outside, while [net.Pipe] and
// handlers that are called directly are not. Explore makes the bubbles, since in one
// there are no subtests. A Recorder that is used in a bubble is to be made in it.
//
// # Flags
//
//	-faulttest.replay=TOKEN   run one case again
//	-faulttest.timeout=D      begin no runs after D: see [Timeout]
//	-faulttest.update         write the files of [Saved]
//	-faulttest.noreduce[=N]   run what was skipped, too, or N of it, and fail where that was wrong
//	-faulttest.seed=N         which of it
//
// A test binary that does not import this package does not know them: name one
// package. go test -run with the name of a subtest runs the test without faults first,
// since it has to know the calls; subtests that are left out teach it nothing, so that
// cases in calls that only they make are not there. A token needs no other run. It
// stands for the test, the calls and the faults by their names, and survives edits
// elsewhere, but not new names of the functions that the calls are made in.
//
// # What is not run
//
// Of all combinations those are skipped whose outcome is implied by others:
//
//   - what is never reached together: if one fault keeps the test from making the call
//     that the other is for, there is nothing to inject into;
//   - what contains a known failure: the failure is reported with fewer faults;
//   - what is the same as another: two faults in the same call that were both masked,
//     after which the test made the same calls, was held for the same time (within a
//     tenth, or 20 ms) and had left as many calls behind, and with both or neither of
//     which the call itself succeeded, lead to the same from there on, and only the first
//     is combined with others. Faults that let the dependency carry out the call are never the same
//     as others, unless the operation only reads (GET, HEAD, OPTIONS, SELECT).
//
// This takes for granted that
//
//   - the test does the same in each run, but for what the faults change. Where it makes
//     calls at the same time and the failure of one calls off the others, which of those
//     are made is up to the scheduler, and so is what is explored;
//   - what it does after a fault depends on which calls fail and on time, and on the kind
//     of failure only in ways that the calls it then makes, or its own verdict, show. A
//     service that remembers the kind and acts on it when something else fails later is
//     not explored in full;
//   - the state of dependencies, too, is changed by the calls that reach them alone.
//
// -faulttest.noreduce tests that: it runs what was skipped and fails if something is
// reached after all, or comes to another end than what it was the same as. The report
// counts what was skipped, by reason, and what there was no time for.
//
// # Call identity
//
// Calls of two runs are taken for the same by their point, their operation, the
// functions on the stack of the goroutine, and how many such calls came before. Names
// of functions count, lines do not, and closures in one function count as one; this library, the standard library and gRPC are
// left out. The order of goroutines matters only to calls that are equal in all of it
// and made at the same time: which of them is the first is then up to the scheduler,
// and it should not matter to the test. Names that differ from run to run, such as
// "/orders/8f14e45f", are to be made the same by [Operations].
//
// # Concurrency
//
// Every test has an injector of its own, so that parallel tests do not meet. Methods
// of a Recorder may be called by many goroutines at once. There is one Recorder or
// exploration for each test or subtest.
//
// # Cost
//
// A run costs what the test costs, and some tenths of a millisecond. Every call at a
// point of a test's injector is looked at; other injectors are not affected.
//
// # Not promised
//
// That all bugs are found: exploration knows the faults of its catalogue, the calls
// that the test makes, and what it asserts. Nothing is tested where the library
// injects nothing: in a binary that is built with the tag misfit_off, tests are
// skipped; under MISFIT_DISABLED they fail, and say why.
//
// Names of subtests, tokens and the format of files may change before v1.
package faulttest
