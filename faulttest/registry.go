package faulttest

import (
	"strings"
	"sync"
	"testing"
)

// sessions holds the sessions that are running, by the name of their test. It is a
// package's variable, against the house's rule, because t is all that the code of a
// test has in hand where it asks for [Injected]. Names of running tests are unique in
// a process; that of a subtest begins with that of its parent, and a test in a bubble
// of testing/synctest has the name of the test around it.
var sessions sync.Map

// register makes s the session of the test t until t and its clean-up are over.
func register(t testing.TB, s *session) {
	t.Helper()
	name := t.Name()
	if _, taken := sessions.LoadOrStore(name, s); taken {
		t.Fatalf("faulttest: %s has an injector already: one New or Explore is for one test; put the second into a subtest (t.Run)", name)
	}
	t.Cleanup(func() { sessions.Delete(name) })
}

// once keeps two explorations apart: a token would be for both.
func once(t testing.TB) {
	t.Helper()
	name := "exploration of " + t.Name()
	if _, taken := sessions.LoadOrStore(name, true); taken {
		t.Fatalf("faulttest: %s explores twice: put each into a subtest of its own (t.Run)", t.Name())
	}
	t.Cleanup(func() { sessions.Delete(name) })
}

// sessionOf returns the session of t, or of the nearest test that it is part of.
func sessionOf(t testing.TB) *session {
	t.Helper()
	for name := t.Name(); ; {
		if s, ok := sessions.Load(name); ok {
			return s.(*session)
		}
		slash := strings.LastIndexByte(name, '/')
		if slash < 0 {
			t.Fatalf("faulttest: %s has no injector of this package: call New, or be called by Explore or Survey", t.Name())
			return nil
		}
		name = name[:slash]
	}
}

// Injected reports whether a fault was injected at a point so far: in this run of an
// [Explore], or into the injector of this test's [Recorder]. The point is named in
// full, as "http.client:ratings", or by its name alone. t may also be of a subtest.
func Injected(t testing.TB, point string) bool {
	t.Helper()
	for _, i := range Injections(t) {
		if matchesPoint(i.Call, point) {
			return true
		}
	}
	return false
}

// Injections returns what was injected so far: like [Injected], with the calls and
// the faults. They are sorted by point and operation, and then as they happened.
func Injections(t testing.TB) []Injection {
	t.Helper()
	return sessionOf(t).injected()
}
