package fault

import (
	"context"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/misfit-go/misfit/internal/problem"
)

// SourceRequest is the source of rules that requests carry in the clear.
const SourceRequest = "request"

const (
	maxCarriedBytes   = 4096
	defaultCarriedTTL = time.Minute
	requestIDPrefix   = "request-"
	longestCarriedID  = 64 - len(requestIDPrefix) - len("-01234567")
)

// WithRequestRule returns a context whose request is subject to a rule of its
// own: text is a rule in JSON, in which ID, scope and expiry may be left out.
// It is then for the whole request, for a minute. Such a rule comes before all
// others but those of a token. An error says why the text is refused; the
// context is then as it was.
//
// It believes the text. Who may send one is for the caller to decide.
func (inj *Injector) WithRequestRule(ctx context.Context, text string) (context.Context, error) {
	if inj.Disabled() {
		return ctx, ErrDisabled
	}
	c, err := inj.takeRule(text)
	if err != nil {
		return ctx, err
	}
	return withLuggage(ctx, inj, c), nil
}

// takeRule returns what a rule in the clear brings.
func (inj *Injector) takeRule(text string) (*carriage, error) {
	if inj.Disabled() {
		return nil, ErrDisabled
	}
	if len(text) > maxCarriedBytes {
		return nil, fmt.Errorf("fault: per-request rule of %d bytes; at most %d are allowed", len(text), maxCarriedBytes)
	}
	now := time.Now()
	inj.glanceAtBlackouts(now)
	inj.mu.Lock()
	defer inj.mu.Unlock()
	if err := inj.shut(); err != nil {
		return nil, err
	}
	old := inj.carried.all()[text]
	if old != nil && now.Before(old.rules[0].deadline.Add(-defaultCarriedTTL/2)) {
		return old, nil // still good for a while
	}
	if err := inj.roomForCarriage(old); err != nil {
		return nil, err
	}
	r, ttl, err := inj.parseCarried(text, now)
	if err != nil {
		return nil, fmt.Errorf("fault: per-request rule: %w", err)
	}
	var state *ruleState
	if old != nil {
		state = old.rules[0].state
	}
	c := &carriage{text: text, rules: []*liveRule{inj.compile(r, SourceRequest, state, now.Add(ttl))}}
	inj.carry(c, old, ttl)
	return c, nil
}

// roomForCarriage reports whether another one may be live, in place of old if
// that is not nil. The caller holds mu.
func (inj *Injector) roomForCarriage(old *carriage) error {
	if old == nil && len(inj.carried.all()) >= maxCarried {
		return fmt.Errorf("fault: %d different tokens and per-request rules are live already; wait for some to expire", maxCarried)
	}
	return nil
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
	r.ID = fmt.Sprintf("%s%s%08x", requestIDPrefix, r.ID, uint32(xxhash.Sum64String(text)))
	if r.TTL == 0 && r.Expires.IsZero() {
		r.TTL = defaultCarriedTTL
	}
	return inj.prepareOne(r, now, false)
}
