package faulttest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/stretchr/testify/require"
)

// A specimen is a service of the corpus: with its bug, and without.
type specimen struct {
	name          string
	over          string
	broken, fixed func(t testing.TB, inj *fault.Injector)
	faults        []faulttest.Option // by default, what exploration has
	failures      []string           // all that are to be found, in the order of the report
	says          string             // part of why the first one is
}

func specimens() []specimen {
	down := faulttest.Faults("http.client", faulttest.Status(503), faulttest.Fail(fault.Refused), faulttest.BlackHole())
	return []specimen{
		{
			name: "missing timeout", over: "HTTP", broken: missingTimeout(false), fixed: missingTimeout(true),
			failures: []string{"reviews GET /books/7: black hole"},
			says:     "no timeout on this call: reviews GET /books/7, in missingtimeout.get",
		},
		{
			name: "unchecked error", over: "HTTP", broken: uncheckedError(false), fixed: uncheckedError(true),
			failures: []string{"prices GET /books/7: reset in body"},
			says:     "expected: 1299",
		},
		{
			name: "wrong fallback on one status", over: "HTTP", broken: wrongStatus(false), fixed: wrongStatus(true),
			faults: []faulttest.Option{faulttest.Faults("http.client", faulttest.Status(429), faulttest.Status(500),
				faulttest.Status(502), faulttest.Status(503), faulttest.Fail(fault.Refused))},
			failures: []string{"catalogue GET /books/7: 429"},
			says:     "Should NOT be empty",
		},
		{
			name: "retry of a call that is not idempotent", over: "gRPC", broken: doubleCharge(false), fixed: doubleCharge(true),
			faults:   []faulttest.Option{faulttest.Faults("grpc.client", faulttest.Code("UNAVAILABLE"), faulttest.LostReply(), faulttest.BlackHole())},
			failures: []string{"payments /payments.v1.Payments/Charge: lost reply"},
			says:     `"2" is not less than or equal to "1"`,
		},
		{
			name: "breaker shared by two dependencies", over: "HTTP", broken: sharedBreaker(false), fixed: sharedBreaker(true),
			faults:   []faulttest.Option{down},
			failures: downTwice("reviews GET /books/7", "reviews GET /books/7 #2"),
			says:     "the circuit is open",
		},
		{
			name: "fallback that calls what has failed", over: "HTTP", broken: selfFallback(false), fixed: selfFallback(true),
			faults:   []faulttest.Option{down},
			failures: downTwice("recommendations GET /for/7", "recommendations GET /bestsellers"),
			says:     "503",
		},
		{
			// No fault outlasts the transaction: once its context ends, whether database/sql rolls
			// it back or the service does is up to the scheduler.
			name: "error of a commit swallowed", over: "SQL", broken: lostCommit(false), fixed: lostCommit(true),
			faults: []faulttest.Option{faulttest.Faults("sql", faulttest.Fail(fault.Reset).As("bad conn"), faulttest.Fail(fault.Timeout),
				faulttest.LostReply().At("COMMIT", "INSERT*"))},
			failures: []string{"orders-db COMMIT: lost reply"},
			says:     "expected: true actual : false",
		},
		{
			name: "rows that end too soon", over: "SQL", broken: uncheckedRows(false), fixed: uncheckedRows(true),
			faults:   []faulttest.Option{faulttest.Faults("sql", faulttest.Fail(fault.Timeout), faulttest.CutBody(1).As("cut between rows").At("SELECT*"), faulttest.BlackHole())},
			failures: []string{"orders-db SELECT orders: cut between rows"},
			says:     "expected: 60",
		},
		{
			name: "bug that needs two faults", over: "custom points", broken: bothStores(false), fixed: bothStores(true),
			failures: []string{
				"primary GET: error + replica GET: error",
				"primary GET: error + replica GET: black hole",
				"primary GET: black hole + replica GET: delay 2s", // no time is left for it
				"primary GET: black hole + replica GET: error",
				"primary GET: black hole + replica GET: black hole",
			},
			says: "nil pointer dereference",
		},
	}
}

// downTwice are the failures of what is down for two calls in a row. Of the first,
// "refused" is not among them: it comes to the same as 503.
func downTwice(first, second string) (failures []string) {
	for _, one := range []string{"503", "black hole"} {
		for _, other := range []string{"503", "refused", "black hole"} {
			failures = append(failures, first+": "+one+" + "+second+": "+other)
		}
	}
	return failures
}

// TestCorpus has exploration find every bug of the corpus, with the fewest faults that
// it takes, and none in the twin that is corrected. What brute force finds is no more.
func TestCorpus(t *testing.T) {
	var table strings.Builder
	table.WriteString("| known bug | over | fewest faults that show it | combinations | runs | by brute force | corrected: runs | by brute force |\n" +
		"|---|---|---|---|---|---|---|---|\n")
	for _, s := range specimens() {
		var broken, brokenBrute, fixed, fixedBrute *faulttest.Report
		survey := func(t *testing.T, name string, f func(testing.TB, *fault.Injector), options ...faulttest.Option) (report *faulttest.Report) {
			t.Run(name, func(t *testing.T) {
				report = faulttest.Survey(t, f, append(append(options, faulttest.Bubble()), s.faults...)...)
			})
			return report
		}
		t.Run(s.name, func(t *testing.T) {
			broken = survey(t, "broken", s.broken)
			brokenBrute = survey(t, "broken by brute force", s.broken, faulttest.Brute())
			fixed = survey(t, "fixed", s.fixed, faulttest.Doubting())
			fixedBrute = survey(t, "fixed by brute force", s.fixed, faulttest.Brute())

			var found []string
			for _, failure := range broken.Failures() {
				found = append(found, failure.Faults())
			}
			require.Equal(t, s.failures, found)
			require.Contains(t, broken.Failures()[0].Why, s.says)
			inCalls := make(map[string]bool)
			for _, failure := range broken.Failures() {
				inCalls[calls(failure)] = true
			}
			for _, failure := range minimal(brokenBrute.Failures()) {
				require.True(t, inCalls[calls(failure)], "%s is not found", failure.Faults())
			}
			require.Empty(t, fixed.Failures())
			require.Empty(t, fixedBrute.Failures())
			require.Empty(t, fixed.Wrong)
		})
		if t.Failed() {
			continue
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %d | %d | %d | %d | %d |\n", s.name, s.over, s.failures[0],
			broken.Combinations, broken.Runs, brokenBrute.Runs, fixed.Runs-fixed.Doubted, fixedBrute.Runs)
	}
	t.Logf("\n%s", table.String())
	holdDoc(t, "corpus", table.String())
}
