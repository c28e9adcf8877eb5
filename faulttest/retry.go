package faulttest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// Retries say what is expected of the code that calls a dependency again when it
// fails.
type Retries struct {
	// Call is what the service does for one request: it calls the dependency, and
	// again when that fails.
	Call func(ctx context.Context) error

	Point string // the dependency's: "ratings", or "http.client:ratings"

	// Attempts is how often the dependency may be called for one Call, the first time
	// included.
	Attempts int

	// MinGap is the shortest time from the end of an attempt to the next one. Default
	// 1 ms: anything but at once.
	MinGap time.Duration

	// Growing says that the last gap is to be longer than the first, by a tenth at
	// least on the average of 50 Calls, so that jitter does not matter. By default it
	// need not.
	Growing bool

	// Jittered says that the gaps are to be random, so that those who failed together
	// do not come back together. By default they need not. It tells nothing outside a
	// bubble, where no two times are the same.
	Jittered bool

	// Fault is how attempts fail that are to be retried. Default
	// Fail(fault.Unavailable).
	Fault Entry

	// Final are failures that are not to be retried, such as Status(404).
	Final []Entry

	// Once, if not nil, does something at Point that is not to happen twice, such as a
	// payment: it is not to be retried when it fails as Fault has it, when the
	// connection breaks, or when its reply is lost.
	Once func(ctx context.Context) error

	// Patience is when a call counts as one that never ends. Default 5 minutes.
	Patience time.Duration
}

func (x *Retries) validate() error {
	var errs []error
	if x.Call == nil && x.Once == nil {
		errs = append(errs, errors.New("no Call: it is to call the dependency, with its retries"))
	}
	if x.Point == "" {
		errs = append(errs, errors.New(`no Point: it is the dependency's injection point, such as "http.client:ratings"`))
	}
	if x.Call != nil && x.Attempts < 1 {
		errs = append(errs, errors.New("no Attempts: it is how often one Call may call the dependency"))
	}
	return errors.Join(errs...)
}

// VerifyRetries finds out whether retries do what x says, with r's rules at the
// dependency, and fails t with each deviation: how many attempts there are, what is
// between them, and that there is one only where there is to be no other.
//
// Made for a bubble of [testing/synctest], where pauses take no time and are exact.
// A circuit breaker that opens meanwhile is in the way: leave it out, or give it a
// threshold beyond 50 times Attempts.
func VerifyRetries(t testing.TB, r *Recorder, x Retries) []Finding {
	t.Helper()
	if err := x.validate(); err != nil {
		t.Fatalf("faulttest: VerifyRetries: %v", err)
	}
	if x.MinGap <= 0 {
		x.MinGap = time.Millisecond
	}
	if len(x.Fault.Fault.Effects()) == 0 {
		x.Fault = Fail(fault.Unavailable)
	}
	v := &retryCheck{drill: newDrill(t, r, "retries", x.Patience), Retries: x}
	v.run()
	return v.end()
}

type retryCheck struct {
	*drill
	Retries
}

func (v *retryCheck) run() {
	v.t.Helper()
	if v.Call != nil {
		v.attempts()
		for _, e := range v.Final {
			if n := v.count(v.Call, e, true); n > 1 {
				v.found(RetriesFinal, v.Point, "%q came to %s: it would be the same the next time", e.Name, count(n, "call"))
			}
		}
	}
	if v.Once != nil {
		for _, e := range []Entry{v.Fault, Fail(fault.Reset), LostReply()} {
			if n := v.count(v.Once, e, e.Name == v.Fault.Name); n > 1 {
				v.found(RepeatsOnce, v.Point, "with %q it was done %d times: the first may have been carried out", e.Name, n)
			}
		}
	}
}

// count returns how many calls f comes to under a fault. One that need not be
// possible at the point does not end the test if it is not.
func (v *retryCheck) count(f func(context.Context) error, e Entry, needed bool) int {
	v.t.Helper()
	defer v.lift()
	rule := idOf("retries", e.Name)
	before := v.eventCount()
	v.inject(rule, e, v.Point)
	o := v.do(v.t.Context(), f, v.Point)
	if needed {
		v.requireApplied(rule, e, v.Point)
	}
	if len(v.eventsOf(rule, before)) == 0 {
		return 0
	}
	v.hung(o, e)
	return o.reached
}

func (v *retryCheck) hung(o outcome, e Entry) {
	if o.hung {
		v.found(NoDeadline, v.Point, "with %q it took %s, until the test ended it, and came to %s by then", e.Name, readable(v.patience), count(o.reached, "call"))
	}
}

// attempts has Call fail, and looks at how many attempts there are and at the time
// between them.
func (v *retryCheck) attempts() {
	v.t.Helper()
	defer v.lift()
	rounds := 2
	if v.Growing || v.Jittered {
		rounds = 50
	}
	rule := idOf("retries", v.Point)
	v.inject(rule, v.Fault, v.Point)
	var all [][]time.Duration
	for range rounds {
		before := v.eventCount()
		o := v.do(v.t.Context(), v.Call, v.Point)
		v.requireApplied(rule, v.Fault, v.Point)
		if v.hung(o, v.Fault); o.hung {
			return
		}
		v.budget(o.reached)
		gaps := gapsOf(v.eventsOf(rule, before))
		for i, gap := range gaps {
			if gap < v.MinGap {
				v.found(NoBackoff, v.Point, "attempt %d came %v after attempt %d had failed, not %v or more", i+2, gap, i+1, v.MinGap)
			}
		}
		all = append(all, gaps)
		v.pause(brief)
	}
	v.shape(all)
}

// budget looks at the number of attempts of one call.
func (v *retryCheck) budget(n int) {
	switch {
	case n > v.Attempts && v.Attempts > 1 && n%v.Attempts == 0:
		v.found(NestedRetries, v.Point, "one request came to %s, not %d at most: as %d tries of %d attempts come to, so look for retries around these", count(n, "call"), v.Attempts, n/v.Attempts, v.Attempts)
	case n > v.Attempts:
		v.found(OverBudget, v.Point, "one request came to %s, not %d at most", count(n, "call"), v.Attempts)
	case n == 1 && v.Attempts > 1:
		v.found(NeverRetries, v.Point, "%q came to one call: it is not retried, and %d are allowed", v.Fault.Name, v.Attempts)
	}
}

// gapsOf returns the times from the end of one attempt to the next.
func gapsOf(events []fault.Event) []time.Duration {
	var gaps []time.Duration
	var ended time.Time
	for _, e := range events { // a release comes after its hit
		if e.Kind == fault.Hit && !ended.IsZero() {
			gaps = append(gaps, e.Time.Sub(ended))
		}
		ended = e.Time
	}
	return gaps
}

// shape looks at the gaps of several calls together.
func (v *retryCheck) shape(all [][]time.Duration) {
	var mean []time.Duration
	same := true
	for i := 0; ; i++ {
		var sum time.Duration
		n := 0
		for _, gaps := range all {
			if i < len(gaps) {
				sum += gaps[i]
				n++
				same = same && gaps[i] == all[0][min(i, len(all[0])-1)]
			}
		}
		if n == 0 {
			break
		}
		mean = append(mean, sum/time.Duration(n))
	}
	if last := len(mean) - 1; v.Growing && last > 0 && mean[last] <= mean[0]+mean[0]/10 {
		v.found(NoGrowth, v.Point, "the pause after attempt 1 is %v on average, that after attempt %d %v", mean[0].Round(brief), last+1, mean[last].Round(brief))
	}
	if v.Jittered && len(mean) > 0 && same {
		v.found(NoJitter, v.Point, "in %d requests the pauses were the same each time: %v", len(all), all[0])
	}
}
