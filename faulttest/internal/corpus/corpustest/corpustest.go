// Package corpustest has what the tests of the corpus have in common.
package corpustest

import (
	"slices"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/faulttest"
)

// RequireFailures fails t unless an exploration has found exactly these failures, each
// written as in the report: "reviews GET /books/7: 503 + …". A * at the end of one
// stands for any text.
func RequireFailures(t testing.TB, report *faulttest.Report, want ...string) {
	t.Helper()
	var found []string
	for _, failure := range report.Failures() {
		text := failure.Faults()
		found = append(found, text)
		if !slices.ContainsFunc(want, func(pattern string) bool { return matches(pattern, text) }) {
			t.Errorf("found %s, which was not expected: %s", text, failure.Why)
		}
	}
	for _, pattern := range want {
		if !slices.ContainsFunc(found, func(text string) bool { return matches(pattern, text) }) {
			t.Errorf("%s was not found", pattern)
		}
	}
}

func matches(pattern, text string) bool {
	if prefix, open := strings.CutSuffix(pattern, "*"); open {
		return strings.HasPrefix(text, prefix)
	}
	return pattern == text
}
