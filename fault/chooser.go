package fault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/scope"
)

// SourceTest is the source of the rules that a [Chooser]'s choices become.
const SourceTest = "test"

// A Call is a call that is about to be made, as a [Chooser] is asked about it.
type Call struct {
	Kind      string // "http.client"
	Name      string // "ratings"
	Operation Operation
	Request   *scope.Request // whom it is made for; nil if it belongs to no request; read-only

	point *Point
}

// Point returns kind and name with a colon between, such as "http.client:ratings".
func (c Call) Point() string { return c.Kind + ":" + c.Name }

// Effects returns what the point can produce, sorted.
func (c Call) Effects() []Effect {
	if c.point == nil {
		return nil
	}
	return slices.Clone(c.point.effects)
}

// Check returns why f cannot be injected into the call, or nil: it is not valid, a
// guardrail forbids it, it names an error that is not registered, the point cannot
// produce it, or the injector takes no rules now.
func (c Call) Check(f Fault) error {
	if absent.Machinery || c.point == nil {
		return errors.New("fault: a Call that no Chooser was asked about can be given no fault")
	}
	inj := c.point.inj
	inj.mu.Lock()
	defer inj.mu.Unlock()
	_, err := inj.compileChoice(c.point, Choice{Rule: "choice", Fault: f})
	return err
}

// A Choice is the fault that a [Chooser] chooses for a call.
type Choice struct {
	Rule  string // the ID of the rule that the fault is shown as: one for each fault at each point
	Fault Fault
}

// A Chooser is asked about every call at every point of an injector, before any rule
// is, on the goroutine that makes the call and before anything happens to it. It
// chooses a fault for this one call, or none. It is called by many goroutines at
// once, holds up the call for as long as it takes, and is not to panic.
//
// What is chosen is a live rule of the source [SourceTest] from then on, which
// selects no call by itself: errors, marks, events, spans, limits of the guardrails,
// [Injector.Delete] and [Injector.Halt] are those of any rule. A choice that
// [Call.Check] has something against changes nothing, and is a [Problem] that
// observers are told of.
type Chooser func(ctx context.Context, c Call) (Choice, bool)

// WithChooser has f asked about every call. It is for tests, such as those of
// package faulttest: no call at any point of the injector is idle any more. By
// default there is none. A disabled injector asks nobody.
func WithChooser(f Chooser) Option {
	if f == nil {
		panic("fault: WithChooser needs a chooser")
	}
	return option(func(inj *Injector) { inj.chooser = f })
}

// chosenTTL bounds the life of a chosen rule as that of every other one is bounded.
const chosenTTL = time.Hour

// choose asks about c, which is about to be decided, and returns the rule that was
// chosen, or nil.
//
//go:noinline
func (f Chooser) choose(ctx context.Context, c *call, name func() string) *liveRule {
	op := *c.operation()
	if name != nil {
		op.Raw, op.Name = op.Name, name()
	}
	p := c.point
	choice, ok := f(ctx, Call{Kind: p.kind, Name: p.name, Operation: op, Request: c.request, point: p})
	if !ok {
		return nil
	}
	l, err := p.inj.chosenRule(p, choice)
	if err != nil {
		p.inj.Report(err)
		return nil
	}
	c.start = time.Now()
	return l
}

// chosenRule returns the live rule of a choice, which is made at its first call.
func (inj *Injector) chosenRule(p *Point, choice Choice) (*liveRule, error) {
	inj.mu.Lock()
	defer inj.mu.Unlock()
	if l := inj.chosen[choice.Rule]; l != nil && !l.expired(time.Now()) {
		if l.rule.Target.Points[0] != p.String() || !reflect.DeepEqual(l.rule.Fault, choice.Fault) {
			return nil, fmt.Errorf("fault: rule %s was chosen for another fault, or at another point: choose another ID", quote(choice.Rule))
		}
		return l, nil
	}
	if inj.rules[choice.Rule] != nil {
		return nil, fmt.Errorf("%w: %s was put by %s", ErrOwned, quote(choice.Rule), quote(inj.rules[choice.Rule].source))
	}
	l, err := inj.compileChoice(p, choice)
	if err != nil {
		return nil, err
	}
	if inj.chosen == nil {
		inj.chosen = make(map[string]*liveRule)
	}
	l.cleanup = time.AfterFunc(time.Until(l.deadline), func() {
		inj.mu.Lock()
		defer inj.mu.Unlock()
		if inj.chosen[choice.Rule] == l {
			inj.endChosen(l)
		}
	})
	inj.chosen[choice.Rule] = l
	return l, nil
}

// compileChoice returns the rule that a choice becomes at p. The caller holds mu.
func (inj *Injector) compileChoice(p *Point, choice Choice) (*liveRule, error) {
	if err := inj.shut(); err != nil {
		return nil, err
	}
	r := Rule{
		ID:     choice.Rule,
		Note:   "Chosen for single calls by a test.",
		Target: Target{Points: []string{p.String()}},
		Scope:  scope.Requests("chosen"), // a share of traffic that is none, for guardrails
		Fault:  choice.Fault,
		TTL:    min(chosenTTL, inj.guardrails.MaxTTL),
	}
	now := time.Now()
	prepared, ttl, err := inj.prepareOne(r, now, true)
	if err != nil {
		return nil, ofRules([]Rule{r}, err)
	}
	l := inj.compile(prepared, SourceTest, nil, now.Add(ttl))
	var problems problem.List
	switch l.arming(inj, p) {
	case protectedHere:
		problems.Addf("", "a guardrail protects %s", p)
	case unsupportedHere:
		lacking := slices.DeleteFunc(slices.Clone(l.effects), p.can)
		problems.Addf("fault", "%s cannot produce %s; it can: %s", p, list(lacking), list(p.effects))
	}
	if err := problems.Err(); err != nil {
		return nil, ofRules([]Rule{r}, err)
	}
	return l, nil
}

// endChosen ends a rule that was chosen. The caller holds mu.
func (inj *Injector) endChosen(l *liveRule) {
	delete(inj.chosen, l.rule.ID)
	l.end(nil)
}

// chosenRules returns the rules that were chosen, in the order in which they are
// shown. The caller holds mu.
func (inj *Injector) chosenRules() []*liveRule {
	return slices.SortedFunc(maps.Values(inj.chosen), compareOrder)
}
