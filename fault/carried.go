package fault

import (
	"context"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/scope"
)

// SourceRequest is the source of rules that requests carry.
const SourceRequest = "request"

const (
	maxCarriedBytes   = 4096
	maxCarriedRules   = 1024
	defaultCarriedTTL = time.Minute
	carriedIDPrefix   = "request-"
	longestCarriedID  = 64 - len(carriedIDPrefix) - len("-01234567")
)

type carriedKey struct{}

// WithRequestRule returns a context whose request is subject to a rule of its
// own: text is a rule in JSON, in which ID, scope and expiry may be left out.
// It is then for the whole request, for a minute. Such a rule comes before all
// others. An error says why the text is refused; the context is then as it
// was.
//
// It believes the text. Who may send one is for the caller to decide.
func (inj *Injector) WithRequestRule(ctx context.Context, text string) (context.Context, error) {
	l, err := inj.carry(text)
	if err != nil {
		return ctx, err
	}
	return context.WithValue(ctx, carriedKey{}, l), nil
}

// TakeRequestRule is [Injector.WithRequestRule] for adapters, where requests
// enter: the rule is the one that the caller sent, in a field that may stand
// once, or else the one that the request carries in its baggage, in which it
// goes on to the services behind. The error says what is ignored and why; the
// context is good all the same.
func (inj *Injector) TakeRequestRule(ctx context.Context, sent []string) (context.Context, error) {
	var text string
	switch len(sent) {
	case 0:
		if text = scope.RuleFrom(ctx); text == "" {
			return ctx, nil
		}
	case 1:
		text = sent[0]
	default:
		return ctx, fmt.Errorf("fault: %d per-request rules sent; send one", len(sent))
	}
	ruled, err := inj.WithRequestRule(ctx, text)
	if err != nil {
		return ctx, err
	}
	carried, err := scope.WithRule(ruled, text)
	if err != nil {
		return ruled, fmt.Errorf("fault: the per-request rule holds in this service only: %w", err)
	}
	return carried, nil
}

func (inj *Injector) carry(text string) (*liveRule, error) {
	if inj.Disabled() {
		return nil, ErrDisabled
	}
	if len(text) > maxCarriedBytes {
		return nil, fmt.Errorf("fault: per-request rule of %d bytes; at most %d are allowed", len(text), maxCarriedBytes)
	}
	inj.mu.Lock()
	defer inj.mu.Unlock()
	if inj.halted {
		return nil, ErrHalted
	}
	now := time.Now()
	old := inj.carried[text]
	if old != nil && now.Before(old.deadline.Add(-defaultCarriedTTL/2)) {
		return old, nil // still good for a while
	}
	if old == nil && len(inj.carried) >= maxCarriedRules {
		return nil, fmt.Errorf("fault: per-request rule refused: %d different ones are live already", maxCarriedRules)
	}
	r, ttl, err := inj.parseCarried(text, now)
	if err != nil {
		return nil, fmt.Errorf("fault: per-request rule: %w", err)
	}
	var state *ruleState
	if old != nil {
		state = old.state
	}
	l := inj.compile(r, SourceRequest, state, now.Add(ttl))
	l.cleanup = time.AfterFunc(ttl, func() { inj.expireCarried(text, l) })
	inj.carried[text] = l
	if old != nil {
		old.end(l)
	}
	if len(inj.carried) == 1 {
		inj.publishCarried()
	}
	return l, nil
}

func (inj *Injector) parseCarried(text string, now time.Time) (Rule, time.Duration, error) {
	var r Rule
	if err := r.UnmarshalJSON([]byte(text)); err != nil {
		return Rule{}, 0, err
	}
	if len(r.ID) > longestCarriedID {
		var problems problem.List
		problems.Addf("id", "has %d bytes; at most %d are allowed", len(r.ID), longestCarriedID)
		return Rule{}, 0, problems.Err()
	}
	if r.ID != "" {
		r.ID += "-" // two texts may give the same
	}
	r.ID = fmt.Sprintf("%s%s%08x", carriedIDPrefix, r.ID, uint32(xxhash.Sum64String(text)))
	if r.TTL == 0 && r.Expires.IsZero() {
		r.TTL = defaultCarriedTTL
	}
	return inj.prepareOne(r, now, false)
}

// publishCarried brings every point up to date when the first rule is carried
// or the last one is gone. The caller holds mu.
func (inj *Injector) publishCarried() {
	carried := len(inj.carried) > 0
	inj.updateUses()
	for _, p := range inj.points.all() {
		switch s := p.snapshot.Load(); {
		case s != nil && (carried || len(s.rules) > 0):
			next := *s
			next.carried = carried
			p.snapshot.Store(&next)
		default:
			p.snapshot.Store(newSnapshot(nil, carried))
		}
	}
}

func (inj *Injector) expireCarried(text string, l *liveRule) {
	inj.mu.Lock()
	defer inj.mu.Unlock()
	if inj.carried[text] == l {
		inj.removeCarried(l)
	}
}

func (inj *Injector) removeCarried(l *liveRule) {
	for text, live := range inj.carried {
		if live == l {
			delete(inj.carried, text)
		}
	}
	if len(inj.carried) == 0 {
		inj.publishCarried()
	}
	l.end(nil)
}

// findCarried returns the rule that the call's request carries, if it selects
// the call.
func findCarried(ctx context.Context, c *call) *liveRule {
	l, _ := ctx.Value(carriedKey{}).(*liveRule)
	l = l.current()
	if l == nil || l.arming(c.point.inj, c.point) != armedHere || !l.selects(c) {
		return nil
	}
	return l
}

// current returns the version in force: this one, or one that replaced it, or
// nil.
func (l *liveRule) current() *liveRule {
	for l != nil {
		select {
		case <-l.ended:
			l = l.next
		default:
			return l
		}
	}
	return nil
}
