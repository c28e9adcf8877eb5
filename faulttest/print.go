package faulttest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// String returns the table of what was masked and what was not, what was skipped and
// why, and for each failure how to run it again.
func (r *Report) String() string {
	var b strings.Builder
	if r.Broken != "" {
		fmt.Fprintf(&b, "faulttest: %s is not explored: %s\n", r.Test, r.Broken)
		return b.String()
	}
	r.printTable(&b)
	r.printCounts(&b)
	r.printFailures(&b)
	return b.String()
}

// printTable has a line for each call, and one for each set of calls that several
// faults in it have shown something about.
func (r *Report) printTable(b *strings.Builder) {
	width := 0
	cells := make(map[string][]string)
	var order []string
	for _, result := range r.Results {
		if result.Verdict == NotRun || len(result.Injections) > 1 && result.Verdict == Masked {
			continue
		}
		label := result.calls()
		if cells[label] == nil {
			order = append(order, label)
			if len(result.Injections) == 1 {
				width = max(width, utf8.RuneCountInString(label))
			}
		}
		cells[label] = append(cells[label], result.shortFaults()+" "+result.mark())
	}
	for _, label := range order {
		fmt.Fprintf(b, "%-*s   %s\n", width, label, strings.Join(cells[label], "   "))
	}
}

func (r *Report) printCounts(b *strings.Builder) {
	sizes := make(map[int]int)
	largest, unwanted := 0, 0
	for _, result := range r.Results {
		if result.Verdict == NotRun {
			unwanted++
			continue
		}
		sizes[len(result.Injections)]++
		largest = max(largest, len(result.Injections))
	}
	fmt.Fprintf(b, "%d runs in %v:", r.Runs, r.Took.Round(time.Millisecond))
	for n := 1; n <= largest; n++ {
		fmt.Fprintf(b, " %d with %s,", sizes[n], count(n, "fault"))
	}
	fmt.Fprintf(b, " of %s\n", count(r.Combinations, "combination"))
	var reasons []string
	for _, reason := range []Reason{NeverTogether, ContainsFailure, SameAsAnother, LeftOut} {
		if n := r.Skipped[reason]; n > 0 {
			reasons = append(reasons, fmt.Sprintf("%d %s", n, reason))
		}
	}
	if unwanted > 0 {
		reasons = append(reasons, fmt.Sprintf("%d that go test was not to run (-run, -failfast)", unwanted))
	}
	if len(reasons) > 0 {
		fmt.Fprintf(b, "not run: %s\n", strings.Join(reasons, ", "))
	}
	if r.Doubted > 0 {
		fmt.Fprintf(b, "run all the same: %d of those, and %d came to something else than was taken for granted\n", r.Doubted, len(r.Wrong))
	}
	for i, text := range r.Wrong {
		fmt.Fprintf(b, "\tWRONGLY SKIPPED: %s\n\t\t%s\n", text, r.wrongReplays[i])
	}
	if len(r.Unrepeatable) > 0 {
		fmt.Fprintf(b, "two runs without faults did not make the same calls; these are left out:%s\n", listCalls(r.Unrepeatable))
	}
	if len(r.Late) > 0 {
		fmt.Fprintf(b, "made once the test's function had returned, and left out (parallel subtests, clean-up, what nobody waits for):%s\n", listCalls(r.Late))
	}
	if len(r.Unused) > 0 && len(r.Calls) > 0 {
		fmt.Fprintf(b, "Faults for %s are unused: no call was made there; there were calls at %s\n", strings.Join(r.Unused, ", "), strings.Join(r.points(), ", "))
	}
	if len(r.New) > 0 {
		fmt.Fprintf(b, "calls that %s does not have (-faulttest.update adds them):%s\n", r.Saved, listCalls(r.New))
	}
}

// points lists where calls were made.
func (r *Report) points() []string {
	var points []string
	for _, c := range r.Calls {
		if !slices.Contains(points, c.Point) {
			points = append(points, c.Point)
		}
	}
	return points
}

// printFailures has the replay of each failure, but for those in the same calls as an
// earlier one: they are mostly the same mistake, and their subtests have it.
func (r *Report) printFailures(b *strings.Builder) {
	failures := r.Failures()
	if len(failures) == 0 {
		return
	}
	fmt.Fprintf(b, "%s, each with the fewest faults that it takes:\n", count(len(failures), "failure"))
	more := make(map[string][]string)
	for _, failure := range failures {
		calls := failure.calls()
		more[calls] = append(more[calls], failure.shortFaults())
	}
	for _, failure := range failures {
		others := more[failure.calls()]
		if others == nil {
			continue
		}
		delete(more, failure.calls())
		fmt.Fprintf(b, "\t%s: %s\n", failure.Faults(), failure.Why)
		fmt.Fprintf(b, "\t\t%s\n", replayLine(r.Test, failure.Token))
		if len(others) > 1 {
			fmt.Fprintf(b, "\t\tin the same calls: %s\n", strings.Join(others[1:], ", "))
		}
	}
}

// replayLine is the command that runs one case again.
func replayLine(test, token string) string {
	return fmt.Sprintf("go test -run '%s' -faulttest.replay=%s", onlyTest(test), token)
}

// calls lists the calls that got a fault.
func (r *Result) calls() string {
	parts := make([]string, len(r.Injections))
	for i, injection := range r.Injections {
		parts[i] = injection.Call.String()
	}
	return strings.Join(parts, " + ")
}

// shortFaults lists the faults without their calls.
func (r *Result) shortFaults() string {
	parts := make([]string, len(r.Injections))
	for i, injection := range r.Injections {
		parts[i] = injection.Fault
	}
	return strings.Join(parts, " + ")
}

// Faults lists what was injected, as it stands in the report.
func (r *Result) Faults() string {
	parts := make([]string, len(r.Injections))
	for i, injection := range r.Injections {
		parts[i] = injection.String()
	}
	return strings.Join(parts, " + ")
}

// mark is the verdict as it stands in the table.
func (r *Result) mark() string {
	switch r.Verdict {
	case Masked:
		return "✓ masked"
	case NotReached:
		return "– " + r.Why
	case Panicked:
		return "✗ panicked: " + r.Why
	}
	return "✗ " + r.Why
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// onlyTest returns what go test -run takes for this test and no other.
func onlyTest(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(slices.Clip(parts), "/")
}
