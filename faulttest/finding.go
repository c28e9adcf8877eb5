package faulttest

import (
	"fmt"
	"strings"
)

// A Finding is one way in which a breaker, retries or timeouts do something else than
// they were said to.
type Finding struct {
	Flaw  Flaw
	Point string // where it shows: as the test names it, or in full
	Text  string // what was seen, and what was to be, with numbers
}

// String returns the finding as a test logs it.
func (f Finding) String() string {
	return fmt.Sprintf("%s: %s: %s", f.Point, f.Flaw, f.Text)
}

// A Flaw is a kind of [Finding], by name.
type Flaw string

// Flaws of a circuit breaker: [VerifyBreaker].
const (
	OpensEarly     Flaw = "opens early"
	OpensLate      Flaw = "opens late"
	NeverOpens     Flaw = "never opens"
	CallsWhileOpen Flaw = "calls while open"          // some reached the dependency before it was time
	WrongFallback  Flaw = "wrong fallback"            // Breaker.Fallback has something against it
	TriesLate      Flaw = "tries late"                // half-open later than stated
	NeverTries     Flaw = "never tries"               // never half-open
	WrongProbes    Flaw = "wrong probes"              // half-open, it lets more or fewer calls through than stated
	NeverReopens   Flaw = "never opens again"         // half-open, failures do not open it
	NeverRecovers  Flaw = "never recovers"            // the dependency is well again, and calls do not get through
	SharedBreaker  Flaw = "shared breaker"            // another dependency is cut off too
	CountsHarmless Flaw = "counts what is no failure" // such as a 404
)

// Flaws of retries: [VerifyRetries] and [VerifyAmplification].
const (
	OverBudget    Flaw = "over budget"    // more attempts than stated
	NestedRetries Flaw = "nested retries" // likewise, as retries around retries make them
	NeverRetries  Flaw = "never retries"  // one attempt where there may be more
	NoBackoff     Flaw = "no backoff"     // attempts follow each other too fast
	NoGrowth      Flaw = "backoff not growing"
	NoJitter      Flaw = "no jitter"
	RetriesFinal  Flaw = "retries what is final"          // such as a 404
	RepeatsOnce   Flaw = "repeats what is to happen once" // such as a payment
	Amplifies     Flaw = "amplifies"                      // more calls per request than the bound
)

// Flaws of timeouts: [VerifyTimeouts]. NoDeadline is one of breakers and retries too.
const (
	NoDeadline           Flaw = "no deadline on this call"
	LongCall             Flaw = "longer than allowed"
	OutlastsCaller       Flaw = "the caller's timeout is shorter than the worst case"
	RetriesOutlastCaller Flaw = "retries can outlast the caller"
	IgnoresCaller        Flaw = "does not end with the caller"      // it returns later than its context ends
	GoesOn               Flaw = "goes on after the caller has gone" // calls are made, or held, that nobody waits for
)

// FlawsOf returns the names of the findings, each once, in the order of their first,
// joined by commas: what a test compares.
func FlawsOf(findings []Finding) string {
	var names []string
	seen := make(map[Flaw]bool)
	for _, f := range findings {
		if !seen[f.Flaw] {
			seen[f.Flaw] = true
			names = append(names, string(f.Flaw))
		}
	}
	return strings.Join(names, ", ")
}
