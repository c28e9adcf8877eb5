package faulttest

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// A session is one injector and what it saw: of a [Recorder], or of one run of an
// exploration.
type session struct {
	settings *settings
	plan     map[string]string // what to inject, by ID of call or of everyCall: the hash of an entry's name
	explores bool              // it is worth finding out what could be injected

	mu      sync.Mutex
	calls   []Call               // in the order in which they were made
	counts  map[[3]string]int    // of equal calls
	entries map[string][]Entry   // by ID of call: what can be injected there
	reached map[string]bool      // what of the plan has been injected, by ID of call
	rules   map[[2]string]string // by point and name of entry: the ID of the rule
	done    []Injection          // in the order in which they happened
	events  []fault.Event        // likewise
	waited  time.Duration        // by all calls that were held
	lenient map[string]bool      // IDs of rules whose calls go on in the end
	through int                  // calls that got a fault and went on all the same
	problem error                // the first one that the injector told of
	trouble []string             // what keeps the session from telling anything
	over    bool                 // nothing is of the run any more: what is above does not change
	late    map[[3]string]Call   // made since, and unlike all that was made before
	changed chan struct{}        // closed, and replaced, at each event
}

// An Injection is a fault in one call.
type Injection struct {
	Call  Call
	Fault string // the name of its [Entry], or the ID of a rule
}

// String returns the injection as it stands in reports.
func (i Injection) String() string { return i.Call.String() + ": " + i.Fault }

func newSession(s *settings, plan map[string]string) *session {
	return &session{
		settings: s,
		plan:     plan,
		counts:   make(map[[3]string]int),
		entries:  make(map[string][]Entry),
		reached:  make(map[string]bool),
		rules:    make(map[[2]string]string),
		lenient:  make(map[string]bool),
		late:     make(map[[3]string]Call),
		changed:  make(chan struct{}),
	}
}

// choose is the session's [fault.Chooser].
func (s *session) choose(ctx context.Context, about fault.Call) (fault.Choice, bool) {
	operation := about.Operation.String()
	if s.settings.operations != nil {
		operation = s.settings.operations(about.Operation)
	}
	c := newCall(about, operation)
	if deadline, ok := ctx.Deadline(); ok {
		c.bounded, c.deadline = true, time.Until(deadline)
	}
	if !s.note(&c) || !s.explores {
		return fault.Choice{}, false
	}
	entries, trouble := s.settings.possible(about, c.Operation) // asks the injector, with no lock held

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over { // since the call was noted: the injector may be halted by now
		return fault.Choice{}, false
	}
	s.entries[c.ID] = entries
	for _, text := range trouble {
		s.fail(text)
	}
	id := c.ID
	hash, planned := s.plan[id]
	if !planned {
		id = everyCall(c.Point)
		if hash, planned = s.plan[id]; !planned {
			return fault.Choice{}, false
		}
	}
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.hash() == hash })
	if i < 0 {
		if id != c.ID {
			return fault.Choice{}, false // it is for other operations
		}
		s.fail(fmt.Sprintf("what is to be injected into %s is none of what can be: %s", c, namesOf(entries)))
		return fault.Choice{}, false
	}
	e := entries[i]
	s.reached[id] = true
	s.done = append(s.done, Injection{Call: c, Fault: e.Name})
	rule := s.ruleOf(&c, e.Name)
	if e.goesOn() {
		s.lenient[rule] = true
		s.through++
	}
	return fault.Choice{Rule: rule, Fault: e.Fault}, true
}

// note counts a call, and reports whether it is one of the run.
func (s *session) note(c *Call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := [3]string{c.Point, c.Operation, c.place}
	if s.over {
		if s.counts[key] == 0 && len(s.settings.entriesOf(c.kind, c.name)) > 0 {
			s.late[key] = *c
		}
		return false
	}
	s.counts[key]++
	c.Nth = s.counts[key]
	c.identify()
	s.calls = append(s.calls, *c)
	s.signal()
	return true
}

// ruleOf returns the ID that a fault at a point is shown with. The caller holds mu.
func (s *session) ruleOf(c *Call, entry string) string {
	key := [2]string{c.Point, entry}
	if id := s.rules[key]; id != "" {
		return id
	}
	id := ruleID(c.name + " " + entry)
	for _, other := range s.rules {
		if other == id {
			id = ruleID(digest(key[:]...) + " " + id)
		}
	}
	s.rules[key] = id
	return id
}

// ruleID makes an ID of a text: of at most 60 letters, digits, dots and dashes.
func ruleID(text string) string {
	id := strings.Trim(separators.ReplaceAllString(text, "-"), "-.")
	switch {
	case id == "":
		id = digest(text)
	case strings.HasPrefix(id, "request-"), strings.HasPrefix(id, "token-"): // which no rule but those of requests has
		id = "at-" + id
	}
	return id[:min(len(id), 60)]
}

var separators = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// possible returns the entries that can be injected into a call, and what is wrong
// with those that the test asked for and that cannot.
func (s *settings) possible(about fault.Call, operation string) (entries []Entry, trouble []string) {
	for _, e := range s.entriesOf(about.Kind, about.Name) {
		if !e.isFor(operation) {
			continue
		}
		err := about.Check(e.Fault)
		switch {
		case err == nil && slices.ContainsFunc(entries, func(other Entry) bool { return other.Name == e.Name }):
			trouble = append(trouble, fmt.Sprintf("two faults for %s %s are called %q: call one of them something else (Entry.As)", about.Point(), operation, e.Name))
		case err == nil:
			entries = append(entries, e)
		case e.asked:
			trouble = append(trouble, fmt.Sprintf("%q cannot be injected at %s: %v", e.Name, about.Point(), err))
		}
	}
	return entries, trouble
}

// fail notes what keeps the session from telling anything. The caller holds mu.
func (s *session) fail(text string) {
	if !slices.Contains(s.trouble, text) {
		s.trouble = append(s.trouble, text)
	}
}

func namesOf(entries []Entry) string {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strconv.Quote(e.Name)
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// Observe implements [fault.Observer].
func (s *session) Observe(e fault.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over { // what is left of a run tells nothing of it, and nobody looks
		return
	}
	s.events = append(s.events, e)
	switch {
	case e.Kind == fault.Release:
		s.waited += e.Waited
		if e.Released == fault.ReleaseContext && s.lenient[e.Rule] { // its caller gave up
			s.through--
		}
	case e.Kind == fault.Problem && s.problem == nil:
		s.problem = e.Err
	case e.Kind == fault.Skip && e.Source == fault.SourceTest && s.problem == nil:
		s.problem = fmt.Errorf("held back: %s", e.Reason)
	case e.Kind == fault.Hit && e.Source != fault.SourceTest:
		kind, name, _ := strings.Cut(e.Point, ":")
		s.done = append(s.done, Injection{Call: Call{Point: e.Point, Operation: e.Operation.String(), Nth: 1, kind: kind, name: name}, Fault: e.Rule})
	}
	s.signal()
}

// signal wakes who waits for a change. The caller holds mu.
func (s *session) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// await returns nil once done does, which is asked with mu held, or what ended ctx.
// It blocks on nothing but channels made with the session, which is what makes time
// pass in a bubble of testing/synctest.
func (s *session) await(ctx context.Context, done func() bool) error {
	for {
		s.mu.Lock()
		ready, changed := done(), s.changed
		s.mu.Unlock()
		if ready {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}

// sorted returns the calls in an order that is the same in every run in which the
// same ones were made: by point, operation and place, and then as they were made.
func (s *session) sorted() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := slices.Clone(s.calls)
	slices.SortStableFunc(calls, compareCalls)
	return calls
}

// lateCalls returns those that were made when the test's function had returned.
func (s *session) lateCalls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.late), compareCalls)
}

func compareCalls(a, b Call) int {
	for _, pair := range [][2]string{{a.Point, b.Point}, {a.Operation, b.Operation}, {a.place, b.place}} {
		if c := strings.Compare(pair[0], pair[1]); c != 0 {
			return c
		}
	}
	return a.Nth - b.Nth
}

// injected returns what was injected, in the same order.
func (s *session) injected() []Injection {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := slices.Clone(s.done)
	slices.SortStableFunc(done, func(a, b Injection) int { return compareCalls(a.Call, b.Call) })
	return done
}

// matchesPoint reports whether a point is the one that text names, in full or by name.
func matchesPoint(c Call, text string) bool { return c.Point == text || c.name == text }
