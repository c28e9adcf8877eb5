package faulttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/scope"
)

// A Recorder is the injector of one test and what it saw. Make it with [New]. Its
// methods may be called by several goroutines at once.
type Recorder struct {
	t   testing.TB
	s   *session
	inj *fault.Injector
}

// New returns a recorder for t, with an injector of its own. When t ends the
// injector is halted, so that no call is held any longer.
//
// In a bubble of package testing/synctest the recorder is to be made inside.
func New(t testing.TB, options ...Option) *Recorder {
	t.Helper()
	settings := newSettings(options)
	r := &Recorder{t: t, s: newSession(&settings, nil)}
	register(t, r.s)
	r.inj = settings.injector(r.s.choose, r.s)
	requireMachinery(t, r.inj)
	t.Cleanup(func() { r.inj.Halt() })
	return r
}

// requireMachinery ends a test of faults where none are injected, rather than have it
// pass: with a skip where the binary was built for that, and else with a failure.
func requireMachinery(t testing.TB, inj *fault.Injector) {
	t.Helper()
	switch {
	case absent.Machinery:
		t.Skipf("faulttest: nothing is tested: %v", fault.ErrDisabled)
	case inj.Disabled():
		t.Fatalf("faulttest: nothing can be tested: %v", fault.ErrDisabled)
	}
}

// Injector returns the injector.
func (r *Recorder) Injector() *fault.Injector { return r.inj }

// Put puts rules into the injector. The test fails at once if they are not taken.
func (r *Recorder) Put(rules ...fault.Rule) {
	r.t.Helper()
	if err := r.inj.Put(rules...); err != nil {
		r.t.Fatalf("faulttest: %v", err)
	}
}

// Expect is [Recorder.Put] for rules that are to apply: the test fails at its end if
// one of them never has.
func (r *Recorder) Expect(rules ...fault.Rule) {
	r.t.Helper()
	r.Put(rules...)
	ids := make([]string, len(rules))
	for i, rule := range rules {
		ids[i] = rule.ID
	}
	r.t.Cleanup(func() {
		r.t.Helper()
		r.check(ids)
	})
}

// Inject has an entry, such as [Status](503), injected into every call at a point
// from now on, until [fault.Injector.Delete] of the ID that it returns, and expects it
// to be. The point is "http.client:ratings", or "ratings".
func (r *Recorder) Inject(point string, e Entry) (rule string) {
	r.t.Helper()
	id := ruleID(point[strings.LastIndexByte(point, ':')+1:] + " " + e.Name)
	for n := 2; ; n++ {
		if _, taken := r.inj.Rule(id); !taken {
			break
		}
		id = fmt.Sprintf("%s-%d", ruleID(point+" "+e.Name), n)
	}
	r.Expect(fault.Rule{
		ID:     id,
		Target: fault.Target{Points: []string{point}, Operations: e.Operations},
		Scope:  scope.Everyone(),
		Fault:  e.Fault,
		TTL:    min(time.Hour, r.inj.Guardrails().MaxTTL),
	})
	return id
}

// RequireFired fails the test at once if one of these rules has applied to no call so
// far, and says which calls were seen instead.
func (r *Recorder) RequireFired(rules ...string) {
	r.t.Helper()
	if !r.check(rules) {
		r.t.FailNow()
	}
}

// check reports whether each of these rules has applied to a call.
func (r *Recorder) check(rules []string) bool {
	r.t.Helper()
	fine := true
	for _, id := range rules {
		if len(r.Hits(id)) > 0 {
			continue
		}
		fine = false
		r.t.Errorf("faulttest: rule %q applied to no call%s\ncalls seen:%s", id, r.skips(id), listCalls(r.Calls()))
	}
	return fine
}

// skips says what held a rule back, if anything did.
func (r *Recorder) skips(id string) string {
	var reasons []string
	for _, e := range r.Events() {
		if text := string(e.Reason); e.Rule == id && e.Kind == fault.Skip && !slices.Contains(reasons, text) {
			reasons = append(reasons, text)
		}
	}
	if len(reasons) == 0 {
		return ""
	}
	return ": it was held back by " + strings.Join(reasons, ", ")
}

// listCalls returns a line for each call, with how often equal ones were made.
func listCalls(calls []Call) string {
	if len(calls) == 0 {
		return " none"
	}
	const most = 20
	var b strings.Builder
	counts := make(map[[3]string]int)
	var order [][3]string
	for _, c := range calls {
		key := [3]string{c.Point, c.Operation, c.In}
		if counts[key]++; counts[key] == 1 {
			order = append(order, key)
		}
	}
	for i, key := range order {
		if i == most {
			fmt.Fprintf(&b, "\n\tand %d more", len(order)-most)
			break
		}
		fmt.Fprintf(&b, "\n\t%s %s, in %s", key[0], key[1], key[2])
		if n := counts[key]; n > 1 {
			fmt.Fprintf(&b, ", %d times", n)
		}
	}
	return b.String()
}

// WaitFired waits until a rule has applied to n calls, and returns what ended ctx if
// that is before. In a bubble it is durably blocked meanwhile.
func (r *Recorder) WaitFired(ctx context.Context, rule string, n int) error {
	err := r.s.await(ctx, func() bool { return r.s.hits(rule) >= n })
	if err != nil {
		return fmt.Errorf("faulttest: rule %q applied to %d calls of %d: %w; calls seen:%s", rule, len(r.Hits(rule)), n, err, listCalls(r.Calls()))
	}
	return nil
}

// hits counts the calls that a rule applied to. The caller holds mu.
func (s *session) hits(rule string) int {
	n := 0
	for i := range s.events {
		if s.events[i].Kind == fault.Hit && s.events[i].Rule == rule {
			n++
		}
	}
	return n
}

// Calls returns the calls that were made so far, whether a rule applied to them or
// not: all, or those at these points. They are sorted by point and operation, and
// then as they were made.
func (r *Recorder) Calls(points ...string) []Call {
	calls := r.s.sorted()
	if len(points) == 0 {
		return calls
	}
	return slices.DeleteFunc(calls, func(c Call) bool {
		return !slices.ContainsFunc(points, func(p string) bool { return matchesPoint(c, p) })
	})
}

// Events returns what the injector did so far, sorted by point, operation and rule,
// and then as it happened.
func (r *Recorder) Events() []fault.Event { return r.s.sortedEvents() }

// Hits returns the events of calls that rules applied to: of all rules, or of these.
func (r *Recorder) Hits(rules ...string) []fault.Event {
	return slices.DeleteFunc(r.Events(), func(e fault.Event) bool {
		return e.Kind != fault.Hit || len(rules) > 0 && !slices.Contains(rules, e.Rule)
	})
}

func (s *session) sortedEvents() []fault.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := slices.Clone(s.events)
	slices.SortStableFunc(events, func(a, b fault.Event) int {
		for _, pair := range [][2]string{{a.Point, b.Point}, {a.Operation.String(), b.Operation.String()}, {a.Rule, b.Rule}} {
			if c := strings.Compare(pair[0], pair[1]); c != 0 {
				return c
			}
		}
		return 0
	})
	return events
}
