package benchmarks_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// A contender is the library, something that would be used in its place, or
// nothing at all: the floor.
type contender struct {
	name string

	// prepare returns the call that is measured, which several goroutines may make
	// at once.
	prepare func(testing.TB, scenario) func() error

	// in are the names of the scenarios it takes part in; nil is all.
	in []string

	// each takes the place of prepare where goroutines may not share a call: it
	// returns a function that returns one for each of them.
	each func(testing.TB, scenario) func() func() error

	// variant is a further part of the rows' name, such as "headers=six".
	variant string

	serial bool // it is measured by one goroutine only
}

func (c contender) takesPart(s scenario) bool { return c.in == nil || slices.Contains(c.in, s.name) }

// calls returns a function that returns a call for each goroutine.
func (c contender) calls(tb testing.TB, s scenario) func() func() error {
	if c.each != nil {
		return c.each(tb, s)
	}
	do := c.prepare(tb, s)
	return func() func() error { return do }
}

// call returns the call of a single goroutine.
func (c contender) call(tb testing.TB, s scenario) func() error { return c.calls(tb, s)() }

// row is the name of what is measured, which benchstat takes apart.
func (c contender) row(mode string, s scenario) string {
	name := fmt.Sprintf("mode=%s/scenario=%s/rules=%d", mode, s.name, s.rules)
	if c.variant != "" {
		name += "/" + c.variant
	}
	return name + "/with=" + c.name
}

// measure runs in every scenario the contenders one after the other, so that they
// share the moods of the machine.
func measure(b *testing.B, contenders []contender) {
	b.Helper()
	for _, s := range scenarios() {
		tb := &scoped{TB: b}
		entered := slices.DeleteFunc(slices.Clone(contenders), func(c contender) bool { return !c.takesPart(s) })
		prepared := make([]func() func() func() error, len(entered)) // when the first row is not filtered out
		for i, c := range entered {
			prepared[i] = sync.OnceValue(func() func() func() error { return c.calls(tb, s) })
		}
		for i, c := range entered {
			b.Run(c.row("serial", s), func(b *testing.B) { serially(b, prepared[i]()()) })
		}
		for i, c := range entered {
			if s.parallel && !c.serial {
				b.Run(c.row("parallel", s), func(b *testing.B) { inParallel(b, prepared[i]()) })
			}
		}
		tb.release()
	}
}

// A scoped test cleans up when it is released: 10,000 rules that nobody needs any
// more are work for the garbage collector before every row.
type scoped struct {
	testing.TB
	cleanups []func()
}

func (s *scoped) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *scoped) release() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
	s.cleanups = nil
}

func serially(b *testing.B, do func() error) {
	b.ReportAllocs()
	for b.Loop() {
		if err := do(); err != nil {
			b.Fatal(err)
		}
	}
}

func inParallel(b *testing.B, calls func() func() error) {
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		do := calls()
		for pb.Next() {
			if err := do(); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// requireAimed holds that the rules of every scenario are where it says, lest a
// benchmark measures an idle library by mistake: no rule makes the call of c fail
// as it is, and each does that is widened, but for those elsewhere. Widened rules
// miss nevertheless in the scenarios that are named.
func requireAimed(t *testing.T, c contender, miss ...string) {
	t.Helper()
	for _, s := range scenarios() {
		if !c.takesPart(s) {
			continue
		}
		tb := &scoped{TB: t}
		if err := c.call(tb, s)(); err != nil {
			t.Errorf("%s: the call fails: %v", c.row("serial", s), err)
		}
		s.widened = true
		want := (s.widen != nil || s.token) && !slices.Contains(miss, s.name)
		if err := c.call(tb, s)(); (err != nil) != want {
			t.Errorf("%s: widened, it makes the call fail: %v; want %v (%v)", c.row("serial", s), !want, want, err)
		}
		tb.release()
	}
}
