package fault

import (
	"errors"
	"fmt"
	"slices"
	"time"
	"weak"
)

// WithTokens has the injector honour the tokens that v accepts: a request that
// carries one is subject to the token's rules, before all others, here and in
// every service behind whose injector accepts it too. By default tokens are
// ignored.
func WithTokens(v TokenVerifier) Option {
	if v == nil {
		panic("fault: WithTokens needs a verifier")
	}
	return option(func(inj *Injector) { inj.tokens.verifier = v })
}

const tokenIDPrefix = "token-"

// TakesTokens reports whether requests may carry tokens.
func (inj *Injector) TakesTokens() bool { return !inj.Disabled() && inj.tokens.verifier != nil }

// tokenDesk is where an injector takes tokens.
type tokenDesk struct {
	verifier TokenVerifier
	epoch    uint64               // how often tokens were revoked; guarded by Injector.mu
	taken    map[string]time.Time // IDs that were taken back here, until the token expires; likewise
}

// takeToken returns what a token brings. It is verified when it is new to this
// process, and again when tokens or keys are revoked.
func (inj *Injector) takeToken(text string) (*carriage, error) {
	if c := inj.carried.all()[text]; c != nil {
		return c, nil
	}
	if len(text) > MaxTokenBytes {
		return nil, fmt.Errorf("fault: token of %d bytes, at most %d are looked at: %w", len(text), MaxTokenBytes, ErrNotGenuine)
	}
	const attempts = 3 // tokens may be revoked while one is verified
	for range attempts {
		epoch := inj.tokenEpoch()
		t, err := inj.verify(text)
		if err != nil {
			return nil, err
		}
		c, fresh, err := inj.admitToken(text, t, epoch)
		if fresh {
			inj.emit(Event{Kind: Taken, Rule: tokenIDPrefix + t.ID, Source: SourceToken, By: t.Subject})
		}
		if c != nil || err != nil {
			return c, err
		}
	}
	return nil, errors.New("fault: tokens are being revoked; try again")
}

func (inj *Injector) tokenEpoch() uint64 {
	inj.mu.Lock()
	defer inj.mu.Unlock()
	return inj.tokens.epoch
}

// verify contains a panic of a verifier, which may be anybody's.
func (inj *Injector) verify(text string) (t Token, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("fault: the TokenVerifier panicked: %v: %w", v, ErrNotGenuine)
		}
	}()
	t, err = inj.tokens.verifier.VerifyToken(text)
	if err == nil {
		err = t.Validate()
	}
	return t, err
}

// admitToken makes the rules of a token live that was verified in epoch, if they
// are not yet. It returns nil if that epoch is over.
func (inj *Injector) admitToken(text string, t Token, epoch uint64) (c *carriage, fresh bool, err error) {
	now := time.Now()
	prepared, err := inj.prepareToken(t, now)
	if err != nil {
		return nil, false, fmt.Errorf("fault: token %s: %w", t.ID, err)
	}
	inj.glanceAtBlackouts(now)
	inj.mu.Lock()
	defer inj.mu.Unlock()
	if inj.tokens.epoch != epoch {
		return nil, false, nil
	}
	if err := inj.shut(); err != nil {
		return nil, false, err
	}
	if _, ok := inj.tokens.taken[t.ID]; ok {
		return nil, false, fmt.Errorf("fault: token %s was taken back here: make another one", t.ID)
	}
	if c := inj.carried.all()[text]; c != nil {
		return c, false, nil // another request was faster
	}
	if err := inj.roomForCarriage(nil); err != nil {
		return nil, false, err
	}
	c = &carriage{text: text, token: t.ID, expires: t.Expires}
	deadline := now.Add(t.Expires.Sub(now)) // with a monotonic reading
	for _, r := range prepared {
		l := inj.compile(r, SourceToken, nil, deadline)
		l.by = t.Subject
		c.rules = append(c.rules, l)
	}
	slices.SortStableFunc(c.rules, func(a, b *liveRule) int { return b.rule.Priority - a.rule.Priority })
	inj.carry(c, nil, deadline.Sub(now))
	return c, true, nil
}

// prepareToken checks a token against the guardrails and returns its rules as
// they will be shown: none if it is for other services.
func (inj *Injector) prepareToken(t Token, now time.Time) ([]Rule, error) {
	if err := inj.guardrails.Tokens.check(t); err != nil {
		return nil, err
	}
	prepared := make([]Rule, len(t.Rules))
	for i, r := range t.Rules {
		r.ID = tokenIDPrefix + t.ID
		if len(t.Rules) > 1 {
			r.ID = fmt.Sprintf("%s-%d", r.ID, i+1)
		}
		r.Expires = t.Expires
		var err error
		if prepared[i], _, err = inj.prepareOne(r, now, false); err != nil {
			return nil, err
		}
	}
	if len(t.Services) > 0 && !slices.Contains(t.Services, inj.service) {
		return nil, nil
	}
	return prepared, nil
}

// recheckTokens asks again about every token that is live, after some were
// revoked, and ends those that are not accepted any more.
func (inj *Injector) recheckTokens() {
	inj.mu.Lock()
	inj.tokens.epoch++
	inj.mu.Unlock()
	for text, c := range inj.carried.all() {
		if c.token == "" {
			continue
		}
		if _, err := inj.verify(text); err != nil {
			inj.Report(fmt.Errorf("fault: token %s is over: %w", c.token, err))
			inj.expireCarriage(c)
		}
	}
}

// followRevocations has recheckTokens called. A verifier may outlive the injectors
// of tests, and must not keep them.
func (inj *Injector) followRevocations() {
	this := weak.Make(inj)
	inj.tokens.verifier.OnRevocation(func() {
		if inj := this.Value(); inj != nil {
			inj.recheckTokens()
		}
	})
}

// takeBack ends what c brought, and every token with its ID, for good. The caller
// holds mu.
func (inj *Injector) takeBack(c *carriage) {
	if c.token == "" {
		inj.drop(c)
		return
	}
	now := time.Now()
	for id, expires := range inj.tokens.taken {
		if now.After(expires) {
			delete(inj.tokens.taken, id)
		}
	}
	for _, same := range inj.carried.all() {
		if same.token != c.token {
			continue
		}
		if same.expires.After(inj.tokens.taken[c.token]) {
			inj.tokens.taken[c.token] = same.expires
		}
		inj.drop(same)
	}
}
