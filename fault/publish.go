package fault

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/scope"
)

// SourceCode is the source of rules that the service's own code puts.
const SourceCode = "code"

// A Source is where rules come from: code, a file, an API. Every rule belongs
// to the source that put it and is edited by that one alone; anyone may
// delete it.
type Source struct {
	inj  *Injector
	name string
}

// Source returns the named source. The names [SourceRequest] and
// [SourceToken] are taken.
func (inj *Injector) Source(name string) *Source {
	if name == SourceRequest || name == SourceToken {
		panic("fault: the source " + strconv.Quote(name) + " is that of rules that requests carry")
	}
	return &Source{inj, name}
}

// Has reports whether a rule with this ID is live that the source put.
func (s *Source) Has(id string) bool {
	inj := s.inj
	if inj.Disabled() {
		return false
	}
	inj.mu.Lock()
	defer inj.mu.Unlock()
	l := inj.rules[id]
	return l != nil && l.source == s.name
}

// Fail says that what the source has to say now cannot be taken, while the
// rules it put before go on: err is shown in [Injector.Status] until the next
// call, which is with nil once all is well. Observers are told of it.
func (s *Source) Fail(err error) {
	inj := s.inj
	if inj.Disabled() {
		return
	}
	inj.mu.Lock()
	if err == nil {
		delete(inj.failing, s.name)
	} else {
		inj.failing[s.name] = SourceFailure{Source: s.name, Err: err, Since: time.Now()}
	}
	inj.mu.Unlock()
	inj.Report(err)
}

// Put is [Source.Put] for the source [SourceCode].
func (inj *Injector) Put(rules ...Rule) error { return inj.Source(SourceCode).Put(rules...) }

// Put adds rules, or edits those that are live under the same ID, keeping
// their counters. It takes all of them or none, and returns once they are in
// force. The error names everything that is wrong, each with its path.
func (s *Source) Put(rules ...Rule) error { return s.Change(rules, nil) }

// Change puts rules, as Put does, and ends those of this source whose IDs are
// in remove, in one step: at each point both show at once. An ID that is not
// live is passed over; one that is also put is an edit.
func (s *Source) Change(rules []Rule, remove []string) error {
	inj := s.inj
	if inj.Disabled() {
		return ErrDisabled
	}
	now := time.Now()
	prepared, ttls, err := inj.prepare(rules, now)
	if err != nil {
		return err
	}
	inj.lookAtBlackouts(now)
	inj.mu.Lock()
	defer inj.mu.Unlock()
	if err := s.refuses(prepared, remove); err != nil {
		return err
	}
	var c ruleChange
	put := make(map[string]bool, len(prepared))
	for i, r := range prepared {
		put[r.ID] = true
		var state *ruleState
		if old := inj.rules[r.ID]; old != nil {
			state = old.state
			c.gone = append(c.gone, old)
		}
		l := inj.compile(r, s.name, state, now.Add(ttls[i]))
		l.cleanup = time.AfterFunc(ttls[i], func() { inj.expire(l) })
		c.come = append(c.come, l)
	}
	for _, id := range remove {
		if l := inj.rules[id]; l != nil && l.source == s.name && !put[id] {
			c.gone = append(c.gone, l)
		}
	}
	c.sort()
	inj.publish(c)
	return nil
}

// prepare checks rules, and returns copies of them as they will be shown,
// with how long each is to live.
func (inj *Injector) prepare(rules []Rule, now time.Time) ([]Rule, []time.Duration, error) {
	var problems problem.List
	prepared := make([]Rule, len(rules))
	ttls := make([]time.Duration, len(rules))
	seen := make(map[string]bool, len(rules))
	for i, r := range rules {
		path := func() string {
			if len(rules) == 1 {
				return ""
			}
			return problem.Index("rules", i)
		}
		if seen[r.ID] {
			problems.Addf(problem.Join(path(), "id"), "%s is given twice", quote(r.ID))
		}
		seen[r.ID] = true
		var err error
		if prepared[i], ttls[i], err = inj.prepareOne(r, now, true); err != nil {
			problems.AddAt(path(), err)
		}
	}
	if err := problems.Err(); err != nil {
		return nil, nil, ofRules(rules, err)
	}
	return prepared, ttls, nil
}

// ofRules says what the problems in err are about, if there are any.
func ofRules(rules []Rule, err error) error {
	switch {
	case err == nil:
		return nil
	case len(rules) == 1:
		return fmt.Errorf("fault: rule %s: %w", quote(rules[0].ID), err)
	}
	return fmt.Errorf("fault: %w", err)
}

func (inj *Injector) prepareOne(r Rule, now time.Time, needsScope bool) (Rule, time.Duration, error) {
	var problems problem.List
	problems.AddAt("", r.problems(needsScope))
	ttl := r.TTL
	if !r.Expires.IsZero() {
		if ttl = r.Expires.Sub(now); ttl <= 0 {
			problems.Addf("expires", "%s is over", r.Expires.Format(time.RFC3339))
		}
	}
	if e := r.Fault.failure(); needsScope && e != nil && e.Name != "" && inj.named[e.Name] == nil {
		path := "fault.error.name"
		if e != r.Fault.Error {
			path = "fault.stream.error.name"
		}
		problems.Addf(path, "%s is not registered; there are: %s", quote(e.Name), list(inj.namedErrors()))
	}
	guarded := r
	if !needsScope {
		guarded.Scope = scope.Requests("the one that carries the rule")
	}
	problems.AddAt("", inj.guardrails.check(guarded, ttl))
	if err := problems.Err(); err != nil {
		return Rule{}, 0, err
	}
	r = r.clone()
	r.TTL = 0
	if r.Expires.IsZero() {
		r.Expires = now.Add(ttl).UTC().Round(0)
	}
	return r, ttl, nil
}

// Delete ends the rule with this ID, whatever its source, and lets go of the
// calls it holds. With a rule of a token the whole token ends, and is not taken
// again by this process. It reports whether there was one.
func (inj *Injector) Delete(id string) bool {
	if inj.Disabled() {
		return false
	}
	inj.mu.Lock()
	defer inj.mu.Unlock()
	switch l := inj.find(id); {
	case l == nil:
		return false
	case l.carried():
		inj.takeBack(inj.carriageOf(l))
	case inj.chosen[id] == l:
		inj.endChosen(l)
	default:
		inj.remove(l)
	}
	return true
}

// Halt ends every rule at once, lets go of every held call and refuses new
// rules until [Injector.Resume]. It returns the rules it ended; none of them
// comes back by itself, but for those of a token that a later request carries:
// revoke it, or delete its rule, to end it for good.
func (inj *Injector) Halt() []Rule {
	if inj == nil {
		return nil
	}
	inj.mu.Lock()
	defer inj.mu.Unlock()
	inj.halted = true
	if inj.Disabled() {
		return nil // there is nothing to end
	}
	return inj.endAll()
}

// endAll ends every rule, those that requests carry included, and returns them.
// The caller holds mu.
func (inj *Injector) endAll() []Rule {
	ending := slices.Concat(inj.ordered, slices.Collect(inj.carried.rules()), inj.chosenRules())
	clear(inj.rules)
	clear(inj.chosen)
	inj.carried.clear()
	inj.ordered = nil
	inj.tally = tally{}
	inj.updateUses()
	for _, p := range inj.points.all() {
		p.change(func(s *snapshot) { *s = snapshot{meter: s.meter, chooser: s.chooser} })
	}
	ended := make([]Rule, len(ending))
	for i, l := range ending {
		l.end(nil)
		ended[i] = l.rule.clone()
	}
	return ended
}

// Resume lets new rules in again. It brings none back.
func (inj *Injector) Resume() {
	if inj == nil {
		return
	}
	inj.mu.Lock()
	inj.halted = false
	inj.mu.Unlock()
}

// expire takes away l, if it is still live, and with it whatever has expired
// besides: rules that were put together end together.
func (inj *Injector) expire(l *liveRule) {
	inj.mu.Lock()
	defer inj.mu.Unlock()
	if inj.rules[l.rule.ID] != l {
		return
	}
	now := time.Now()
	over := ruleChange{come: inj.ordered}.where(func(other *liveRule) bool {
		return other == l || !now.Before(other.deadline)
	})
	inj.publish(ruleChange{gone: over.come})
}

func (inj *Injector) remove(l *liveRule) {
	inj.publish(ruleChange{gone: []*liveRule{l}})
}

// end is called once, after the version is out of every snapshot.
func (l *liveRule) end(next *liveRule) {
	if l.cleanup != nil {
		l.cleanup.Stop()
	}
	l.next = next
	close(l.ended)
}

// publish puts a change in force: at each point where one of its rules is or was
// armed, all of it at once. The caller holds mu.
func (inj *Injector) publish(c ruleChange) {
	inj.verdicts.prune() // before a rule takes up an ID again
	for _, l := range c.gone {
		delete(inj.rules, l.rule.ID)
		inj.tally.drop(inj, l)
	}
	for _, l := range c.come {
		inj.rules[l.rule.ID] = l
		inj.tally.add(inj, l)
	}
	inj.ordered = c.of(inj.ordered)
	inj.updateUses()
	for _, p := range inj.points.all() {
		inj.publishAt(p, c)
	}
	for _, l := range c.gone {
		l.end(inj.rules[l.rule.ID])
	}
}

func (inj *Injector) publishAt(p *Point, c ruleChange) {
	here := c.where(func(l *liveRule) bool { return !l.rule.Paused && l.arming(inj, p) == armedHere })
	if !here.empty() {
		p.change(func(s *snapshot) { *s = s.after(here) })
	}
}

func (r Rule) clone() Rule {
	r.Target.Services = slices.Clone(r.Target.Services)
	r.Target.Points = slices.Clone(r.Target.Points)
	r.Target.Operations = slices.Clone(r.Target.Operations)
	if e := r.Target.Except; e != nil {
		r.Target.Except = &Except{slices.Clone(e.Points), slices.Clone(e.Operations)}
	}
	r.Scope.Requests = slices.Clone(r.Scope.Requests)
	r.Scope.Customers = slices.Clone(r.Scope.Customers)
	r.Scope.Attributes = maps.Clone(r.Scope.Attributes)
	for name, values := range r.Scope.Attributes {
		r.Scope.Attributes[name] = slices.Clone(values)
	}
	if r.Scope.Percent != nil {
		r.Scope.Percent = new(*r.Scope.Percent)
	}
	if r.Fault.Delay != nil {
		r.Fault.Delay = new(*r.Fault.Delay)
	}
	r.Fault.Error = r.Fault.Error.clone()
	if r.Fault.Stream != nil {
		r.Fault.Stream = new(*r.Fault.Stream)
		r.Fault.Stream.Error = r.Fault.Stream.Error.clone()
		if r.Fault.Stream.Delay != nil {
			r.Fault.Stream.Delay = new(*r.Fault.Stream.Delay)
		}
	}
	return r
}
