package faulttest

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// A caseRun is one run of the test under exploration, with the faults of its session's
// plan.
type caseRun struct {
	*session
	single  bool       // a fault in one call that is made without any fault
	doubted bool       // it is not run but for -faulttest.noreduce
	log     testing.TB // has what the test has logged
	replay  string     // the command that makes the same run again

	// What became of it.
	executed bool
	finished bool
	failed   bool
	skipped  bool
	panicked bool
	hung     bool
	missed   bool // something that is planned was not reached
	why      string
	places   map[string]bool // of a run without faults: where it logged
	took     time.Duration
	left     int64 // calls that were still held when the test was over
}

func newCaseRun(s *settings, plan map[string]string) *caseRun {
	c := &caseRun{session: newSession(s, plan), single: len(plan) == 1}
	c.explores = true
	return c
}

// run calls f, which is the test, on the test's own goroutine.
func (c *caseRun) run(t testing.TB, f func(inj *fault.Injector)) {
	c.executed = true
	if c.log == nil {
		c.log = t
	}
	register(t, c.session)
	inj := c.settings.injector(c.choose, c)
	requireMachinery(t, inj)
	start := time.Now()
	watchdog := time.AfterFunc(c.settings.caseLimit, func() { c.hang(inj) })
	defer func() {
		p := recover()
		watchdog.Stop()
		c.end()
		c.took, c.left = time.Since(start), inj.Status().Held
		inj.Halt() // what is held goes on, so that what the test has started can end
		c.finished = true
		c.judge(t, p)
	}()
	f(inj)
}

// end makes calls from now on none of the run's.
func (c *caseRun) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
}

// hang ends a run that takes too long.
func (c *caseRun) hang(inj *fault.Injector) {
	held := make(map[string]bool)
	for _, status := range inj.Rules() {
		if status.Held > 0 {
			held[status.Rule.ID] = true
		}
	}
	c.mu.Lock()
	if c.over {
		c.mu.Unlock()
		return
	}
	c.over, c.hung = true, true
	c.why = c.hangText(held)
	c.mu.Unlock()
	inj.Halt()
}

// hangText says where a run hangs, given the rules that hold calls. The caller holds
// mu.
func (c *caseRun) hangText(held map[string]bool) string {
	limit := c.settings.caseLimit
	var texts []string
	for _, done := range c.done {
		at := done.Call
		if id := c.rules[[2]string{at.Point, done.Fault}]; !held[cmp.Or(id, done.Fault)] { // or a rule of the test's own
			continue
		}
		lack := "no timeout on this call"
		if at.bounded {
			lack = "its timeout is " + readable(at.deadline.Round(time.Millisecond))
		}
		text := fmt.Sprintf("took %s (%s: %s", readable(limit), lack, at)
		if at.In != "" {
			text += ", in " + at.In + ", " + at.line
		}
		texts = append(texts, text+")")
	}
	if len(texts) == 0 {
		return fmt.Sprintf("took %s, and no fault holds a call: what was tested waits for something of its own", readable(limit))
	}
	return strings.Join(texts, "; ")
}

// judge says what became of the run, of which p is the panic, if not nil.
func (c *caseRun) judge(t testing.TB, p any) {
	t.Helper()
	if c.hung { // hang is over: it had to let go of the test first, or it has not begun
		t.Errorf("faulttest: %s", c.why)
	}
	if p != nil {
		c.panicked = true
		c.why = firstOf(fmt.Sprint(p))
		t.Errorf("faulttest: panic: %v\n%s", p, debug.Stack())
	}
	c.mu.Lock()
	c.doubtInjections()
	trouble, missing := slices.Clone(c.trouble), c.missing()
	c.mu.Unlock()
	for _, text := range trouble {
		t.Errorf("faulttest: %s", text)
	}
	c.skipped = t.Skipped()
	if c.missed = missing > 0; c.missed && !t.Failed() && !c.skipped {
		const text = "faulttest: %d of the calls that were to get a fault were not made: the test does not do the same in each run\ncalls seen:%s"
		switch {
		case c.single:
			t.Errorf(text, missing, listCalls(c.sorted()))
		case c.doubted:
			defer t.Skipf("faulttest: %d of the calls that were to get a fault were not made, as was taken for granted", missing)
		default:
			defer t.Skipf(text, missing, listCalls(c.sorted()))
		}
	}
	c.failed = t.Failed()
	if t, ok := c.log.(*testing.T); ok && len(c.plan) == 0 {
		c.places = placesIn(logOf(t))
	}
	c.explain(c.failed)
	if c.failed && c.replay != "" {
		t.Logf("faulttest: the same again: %s", c.replay)
	}
}

// explain finds out why the run failed, if it did. It is asked once more when the
// test's clean-up is over.
func (c *caseRun) explain(failed bool) {
	if failed && c.why == "" {
		c.why = firstLogged(c.log, c.settings.harmless)
	}
}

// doubtInjections looks for faults that were chosen and that the injector did not
// take. The caller holds mu.
func (c *caseRun) doubtInjections() {
	for _, done := range c.done {
		if rule := c.rules[[2]string{done.Call.Point, done.Fault}]; rule != "" && c.problem != nil && c.hits(rule) == 0 {
			c.fail(fmt.Sprintf("%q was not injected into %s: %v", done.Fault, done.Call, c.problem))
		}
	}
}

// missing counts the calls that were to get a fault and were not made. The caller
// holds mu.
func (c *caseRun) missing() int { return len(c.plan) - len(c.reached) }

// verdict sums it up. ok is what the subtest came to, its clean-up included.
func (c *caseRun) verdict(ok bool) Verdict {
	switch {
	case !c.executed:
		return NotRun
	case c.hung:
		return Hung
	case c.panicked:
		return Panicked
	case !ok || c.failed:
		return Failed
	case c.missed || c.skipped:
		return NotReached
	}
	return Masked
}

// readable writes a time without the zeros behind: "10m", not "10m0s".
func readable(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func firstOf(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}
