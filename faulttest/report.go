package faulttest

import "time"

// A Verdict is what became of one run with faults.
type Verdict string

const (
	Masked     Verdict = "masked"      // the test passed
	Failed     Verdict = "failed"      // the test failed
	Hung       Verdict = "hung"        // it took longer than CaseLimit
	Panicked   Verdict = "panicked"    // the test, or what it called, panicked
	NotReached Verdict = "not reached" // a call that was to get a fault was not made
	NotRun     Verdict = "not run"     // go test did not run it: -run, -failfast
)

// bad reports whether it is a failure of the test.
func (v Verdict) bad() bool { return v == Failed || v == Hung || v == Panicked }

// A Result is one run with faults.
type Result struct {
	Name       string // of the subtest, without that of the test
	Injections []Injection
	Verdict    Verdict
	Why        string        // of one that is not masked: its first line
	Took       time.Duration // virtual with [Bubble]
	Calls      []Call        // that were made, in a fixed order
	Token      string        // for -faulttest.replay
}

// A Reason says why a combination of faults was not run.
type Reason string

const (
	// One of the calls is not made when the other faults happen: there is nothing to
	// inject into. Of more than 262,144 combinations of one size, those that no run
	// leads to count here, whatever else is true of them, or with those that were left
	// out, if some were.
	NeverTogether Reason = "never reached together"

	// Some of the faults alone have failed.
	ContainsFailure Reason = "contain a known failure"

	// Another fault in the same call came to the same calls and the same outcome, and
	// was run in this combination.
	SameAsAnother Reason = "same as another"

	// MaxRuns or the timeout.
	LeftOut Reason = "left out for want of runs or time"
)

// A Report is what an exploration found.
type Report struct {
	Test    string
	Calls   []Call   // that were made in any run
	Results []Result // of each run with faults: those with one first, then by call and entry
	Runs    int      // of the test, those without a fault included
	Took    time.Duration

	// Combinations are all that there are, of up to MaxFaults faults in different
	// calls: as many as brute force would run.
	Combinations int
	Skipped      map[Reason]int

	// Unrepeatable are calls that only one of two runs without faults made. Nothing is
	// injected into them.
	Unrepeatable []Call

	// Late are calls that were made without faults, and only once the test's function
	// had returned: by subtests of it that call T.Parallel, by what it cleans up with,
	// or by what it does not wait for. Nothing is injected into them.
	Late []Call

	// Unused are the places that [Faults] was given and at which no call was made.
	Unused []string

	// Saved is the file that the cases were taken from, and New are calls that it does
	// not have. They were explored.
	Saved string
	New   []Call

	// Doubted is how many of the combinations that were skipped -faulttest.noreduce
	// ran, and Wrong says which of them came to something else than was taken for
	// granted.
	Doubted int
	Wrong   []string

	wrongReplays []string // of the same

	// Broken is why there is nothing to explore: the test fails without any fault.
	Broken string
}

// Failures returns the results that are failures. Each is minimal: with any one of
// its faults left out, the test passes, or was not run.
func (r *Report) Failures() []Result {
	var failures []Result
	for _, result := range r.Results {
		if result.Verdict.bad() {
			failures = append(failures, result)
		}
	}
	return failures
}
