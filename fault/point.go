package fault

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/scope"
)

// A Point is one place where a call can be made to fail: a kind, such as
// "http.client", and the name of a dependency. Get one from
// [Injector.Point] or [Injector.PointOf]. A nil Point injects nothing.
type Point struct {
	snapshot atomic.Pointer[snapshot] // nil while idle
	inj      *Injector
	kind     string
	name     string
	effects  []Effect
	reserved []string
}

// A Kind describes the points of one adapter.
type Kind struct {
	Name    string   // "http.client"; the points of a ".server" kind are faulted only when a rule names the kind
	Effects []Effect // what a point of the kind can produce

	// PassesOn says that points of the kind pass the identity of requests on
	// to other processes.
	PassesOn bool

	// Reserved are prefixes of operations' names that a rule is for only if one
	// of its operations begins with the same text, without a *. They keep what a
	// service needs to stay alive, such as health checks, out of rules that are
	// for everything.
	Reserved []string
}

// An Operation is what one call does: a verb, which may be empty, and a name.
// "GET" and "/ratings/{id}", or "" and "/pkg.Service/Method".
type Operation struct {
	Verb string
	Name string

	// Raw, if not empty, is what Name stands for in this call, such as
	// "/ratings/7". Rules match by either.
	Raw string
}

// String returns the verb and the name with a space between.
func (op Operation) String() string {
	if op.Verb == "" {
		return op.Name
	}
	return op.Verb + " " + op.Name
}

// String returns kind and name with a colon between.
func (p *Point) String() string {
	if p == nil {
		return ""
	}
	return p.kind + ":" + p.name
}

func (p *Point) can(e Effect) bool { return slices.Contains(p.effects, e) }

// Decide answers which rule, if any, applies to a call that is about to be
// made. The zero Decision means none. At a point with nothing aimed at it, it
// costs one atomic load and a nil check.
func (p *Point) Decide(ctx context.Context, op Operation) (d Decision) {
	if absent.Machinery || p == nil || p.snapshot.Load() == nil {
		return
	}
	return p.decide(ctx, &op, nil)
}

// DecideNamed is Decide for an operation whose name costs something to find:
// name is called only if a rule applies, and its answer takes the place of
// op's name, which becomes the raw one. Rules are matched by op as it is given.
func (p *Point) DecideNamed(ctx context.Context, op Operation, name func() string) (d Decision) {
	if absent.Machinery || p == nil || p.snapshot.Load() == nil {
		return
	}
	return p.decide(ctx, &op, name)
}

// DecideText is Decide for an operation that has to be found in a text, such as a
// statement: name is called only once somebody asks what the operation is. A call
// that the scopes of all rules leave out goes without.
func (p *Point) DecideText(ctx context.Context, text string, name func(context.Context, string) Operation) (d Decision) {
	if absent.Machinery || p == nil || p.snapshot.Load() == nil {
		return
	}
	return p.decideText(ctx, text, name)
}

// Armed reports whether calls at the point have to be decided: whether anything is
// aimed at it, or somebody watches.
func (p *Point) Armed() bool { return !absent.Machinery && p != nil && p.snapshot.Load() != nil }

// Inject is all that a call at a custom point needs: put it right before the
// real call and return the error if there is one.
//
//	if err := point.Inject(ctx, fault.Operation{Name: "GET"}); err != nil {
//		return err
//	}
//
// It waits out a delay or a black hole, panics if the fault says so, and
// returns nil if the call is to go on. A delay that pads the call needs
// [Point.Decide].
func (p *Point) Inject(ctx context.Context, op Operation) (err error) {
	if absent.Machinery || p == nil || p.snapshot.Load() == nil {
		return
	}
	return p.inject(ctx, &op)
}

func (p *Point) inject(ctx context.Context, op *Operation) error {
	d := p.decide(ctx, op, nil)
	if !d.Hit() {
		return nil
	}
	defer d.Done()
	if err := d.Before(ctx); err != nil {
		return err
	}
	return d.Err()
}

// A call is one call at a point while it is decided.
type call struct {
	point    *Point
	request  *scope.Request
	op       Operation
	unnamed  unnamed  // until op is known
	reserved string   // the prefix that reserves op, if one does
	luggage  *luggage // of the request, while one of the rules it carries is asked

	// What fires fills in when a rule applies.
	number  uint64        // of the hits of the rule, if something is drawn by it
	running *atomic.Int64 // counts the call until it is over
	drawn   uint64        // the number the percentage was drawn by
	start   time.Time     // of the call
}

// An unnamed operation is still to be found in a text. It has the context of the
// call because naming is part of the call, whenever it happens.
type unnamed struct {
	name func(context.Context, string) Operation
	ctx  context.Context
	text string
}

// operation returns what the call does.
func (c *call) operation() *Operation {
	if u := &c.unnamed; u.name != nil {
		c.setOperation(u.name(u.ctx, u.text))
		*u = unnamed{}
	}
	return &c.op
}

// decide takes op by its address, for which there are registers left.
func (p *Point) decide(ctx context.Context, op *Operation, name func() string) Decision {
	c := call{point: p}
	c.setOperation(*op)
	return c.decide(ctx, name)
}

//go:noinline
func (p *Point) decideText(ctx context.Context, text string, name func(context.Context, string) Operation) Decision {
	c := call{point: p, unnamed: unnamed{name, ctx, text}}
	return c.decide(ctx, nil)
}

func (c *call) decide(ctx context.Context, name func() string) Decision {
	s := c.point.snapshot.Load()
	if s == nil {
		return Decision{}
	}
	c.request = scope.From(ctx)
	noted := s.meter.begin(c)
	var l *liveRule
	if s.chooser != nil {
		l = s.chooser.choose(ctx, c, name)
	}
	if l == nil && s.carried {
		l = luggageOf(ctx).find(c)
	}
	if l == nil {
		l = s.find(c)
	}
	if l == nil || !l.admit(c) {
		return Decision{noted: noted}
	}
	noted.faulted()
	if op := c.operation(); name != nil {
		op.Raw, op.Name = op.Name, name()
	}
	d := newDecision(l, *c)
	d.noted = noted
	c.point.inj.telemetry.hit(ctx, d.f)
	if v := c.point.inj.verdicts; v != nil {
		v.hit(ctx, d.f)
	}
	return d
}

func newCall(p *Point, op Operation) call {
	c := call{point: p}
	c.setOperation(op)
	return c
}

func (c *call) setOperation(op Operation) {
	c.op = op
	for _, prefix := range c.point.reserved {
		if strings.HasPrefix(op.Name, prefix) && len(prefix) > len(c.reserved) {
			c.reserved = prefix
		}
	}
}

func (c *call) event(kind EventKind, l *liveRule) Event {
	e := Event{
		Kind:      kind,
		Point:     c.point.String(),
		Operation: *c.operation(),
		Rule:      l.rule.ID,
		Source:    l.source,
		By:        l.by,
	}
	if c.request != nil {
		e.Request = c.request.ID
		e.Customer = c.request.Customer
	}
	return e
}
