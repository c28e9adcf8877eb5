package fault

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/misfit-go/misfit/internal/faultstatus"
	"github.com/misfit-go/misfit/scope"
)

// A liveRule is one version of a rule, compiled. It does not change but for
// next, which is set before ended is closed.
type liveRule struct {
	rule   Rule // as it is shown: with Expires
	source string
	by     string // of a token's rule: who asked for it

	points     []pointPattern
	except     []pointPattern
	operations []operationPattern
	exceptOps  []operationPattern
	scope      *scope.Matcher
	salt       string
	named      error // of the name in Fault.failure
	unnamed    bool  // that name is not registered here, as may be with a rule that requests carry
	effects    []Effect
	faultText  string // of verdicts; empty while nobody asks for them
	waits      bool   // may hold a call
	draws      bool   // something of the fault by the number of the hit

	state    *ruleState
	deadline time.Time     // has a monotonic reading, so a clock that jumps back prolongs nothing
	cleanup  *time.Timer   // takes the rule away at its deadline; firing checks for itself
	ended    chan struct{} // closed when this version is over
	next     *liveRule     // the version that replaced it, if one did
}

// ruleState is what outlives an edit of the rule.
type ruleState struct {
	skips    [len(skipReasons)]atomic.Uint64
	held     atomic.Int64
	calls    atomic.Uint64 // numbers the calls that are drawn for one by one
	limiter  limiter
	attempts attempts
}

func (inj *Injector) compile(r Rule, source string, state *ruleState, deadline time.Time) *liveRule {
	if state == nil {
		state = new(ruleState)
	}
	l := &liveRule{
		rule:      r,
		source:    source,
		scope:     r.Scope.Matcher(r.ID),
		salt:      r.ID,
		effects:   r.Fault.Effects(),
		waits:     r.Fault.waits(),
		draws:     r.Fault.draws(),
		faultText: inj.faultText(r.Fault),
		state:     state,
		deadline:  deadline,
		ended:     make(chan struct{}),
	}
	patterns := r.Target.Points
	if len(patterns) == 0 {
		patterns = []string{"*"}
	}
	for _, text := range patterns {
		l.points = append(l.points, parsePointPattern(text))
	}
	for _, text := range r.Target.Operations {
		l.operations = append(l.operations, parseOperationPattern(text))
	}
	if except := r.Target.Except; except != nil {
		for _, text := range except.Points {
			l.except = append(l.except, parsePointPattern(text))
		}
		for _, text := range except.Operations {
			l.exceptOps = append(l.exceptOps, parseOperationPattern(text))
		}
	}
	if r.Scope.Salt != "" {
		l.salt = r.Scope.Salt
	}
	if e := r.Fault.failure(); e != nil && e.Name != "" {
		l.named = inj.named[e.Name]
		l.unnamed = l.named == nil
	}
	return l
}

// An arming says whether a rule is armed at a point, or why not.
type arming int

const (
	notTargeted arming = iota
	armedHere
	protectedHere   // by a guardrail
	unsupportedHere // the point cannot produce the fault
)

func (l *liveRule) arming(inj *Injector, p *Point) arming {
	if len(l.rule.Target.Services) > 0 && !slices.Contains(l.rule.Target.Services, inj.service) {
		return notTargeted
	}
	if !anyPoint(l.points, p) || len(l.exceptOps) == 0 && anyPoint(l.except, p) {
		return notTargeted
	}
	if anyPoint(inj.protected, p) {
		return protectedHere
	}
	if l.unnamed {
		return unsupportedHere
	}
	for _, e := range l.effects {
		if !p.can(e) {
			return unsupportedHere
		}
	}
	return armedHere
}

func anyPoint(patterns []pointPattern, p *Point) bool {
	for _, pattern := range patterns {
		if pattern.match(p.kind, p.name) {
			return true
		}
	}
	return false
}

// matchOperation asks the part of the target that differs from call to call
// at a point where the rule is armed.
func (l *liveRule) matchOperation(c *call) bool {
	if len(l.operations) == 0 && len(l.exceptOps) == 0 && len(c.point.reserved) == 0 {
		return true
	}
	op := c.operation()
	if c.reserved != "" && !l.names(c) || len(l.operations) > 0 && !anyOperation(l.operations, op) {
		return false
	}
	if len(l.exceptOps) == 0 || !anyOperation(l.exceptOps, op) {
		return true
	}
	return len(l.except) > 0 && !anyPoint(l.except, c.point)
}

// names reports whether the rule spells out the reserved operation of the call.
func (l *liveRule) names(c *call) bool {
	return slices.ContainsFunc(l.operations, func(pattern operationPattern) bool {
		return strings.HasPrefix(pattern.prefix, c.reserved) && pattern.match(&c.op)
	})
}

func anyOperation(patterns []operationPattern, op *Operation) bool {
	for i := range patterns {
		if patterns[i].match(op) {
			return true
		}
	}
	return false
}

func (l *liveRule) expired(now time.Time) bool {
	// Round strips the monotonic reading: either clock can end a rule.
	return !now.Before(l.deadline) || !now.Round(0).Before(l.rule.Expires)
}

func (l *liveRule) skip(c *call, reason SkipReason) {
	l.state.skips[slices.Index(skipReasons[:], reason)].Add(1)
	inj := c.point.inj
	inj.telemetry.skip(l, c.point, reason)
	if c.luggage != nil {
		c.luggage.noteCall(faultstatus.Skipped, l, c.point, "held back: "+string(reason))
	}
	if inj.observers.any() {
		e := c.event(Skip, l)
		e.Reason = reason
		inj.emit(e)
	}
}

// carried reports whether it is a rule that requests carry.
func (l *liveRule) carried() bool { return l.source == SourceToken || l.source == SourceRequest }

// compareOrder sorts rules into the order in which they are asked.
func compareOrder(a, b *liveRule) int {
	if a.rule.Priority != b.rule.Priority {
		return b.rule.Priority - a.rule.Priority
	}
	switch {
	case a.rule.ID < b.rule.ID:
		return -1
	case a.rule.ID > b.rule.ID:
		return 1
	}
	return 0
}
