package fault

import (
	"slices"
	"time"

	"github.com/misfit-go/misfit/internal/problem"
)

// Guardrails are ceilings that the service's own code sets. A rule that asks
// for more is refused, never trimmed.
type Guardrails struct {
	// MaxDelay is the longest delay a rule may ask for, of a call or of one unit
	// of a stream. Default 5 minutes.
	MaxDelay time.Duration

	// MaxPercent is the largest share of traffic, in percent, that a rule may
	// select; a rule that lists requests or customers is not measured by it.
	// Default 100.
	MaxPercent float64

	// MaxTotalPercent is the largest share of this process's traffic, in percent,
	// that all live rules together may select at once. It is measured as the sum of
	// what MaxPercent measures, an upper bound: two rules may select the same calls,
	// or be aimed at points that see little. Rules that list requests or customers,
	// are paused, or are for other services count nothing, and neither do those that
	// requests carry. Default 0: no ceiling.
	MaxTotalPercent float64

	// MaxTTL is the longest a rule may live. Default 24 hours.
	MaxTTL time.Duration

	// MaxHeld is how many calls the process delays or holds at once; calls
	// beyond it pass untouched. Default 32,768.
	MaxHeld int

	// Blackouts are windows of time in which no rule is in force. When one begins
	// all live rules end, those that requests carry included, and the calls they
	// hold go on, as with [Injector.Halt]; until it is over none is taken
	// ([ErrBlackout]). None comes back by itself, but for those of a token that a
	// later request carries. Default none.
	Blackouts []Blackout

	// Protected are patterns of points, as in [Target.Points], that are never
	// faulted.
	Protected []string

	// Tokens are further ceilings, for what tokens ask for.
	Tokens TokenGuardrails
}

func (g Guardrails) withDefaults() Guardrails {
	if g.MaxDelay <= 0 {
		g.MaxDelay = 5 * time.Minute
	}
	if !(g.MaxPercent > 0) {
		g.MaxPercent = 100
	}
	if !(g.MaxTotalPercent > 0) {
		g.MaxTotalPercent = 0
	}
	if g.MaxTTL <= 0 {
		g.MaxTTL = 24 * time.Hour
	}
	if g.MaxHeld <= 0 {
		g.MaxHeld = 32_768
	}
	g.Blackouts = slices.Clone(g.Blackouts) // those of the caller
	for i, b := range g.Blackouts {
		g.Blackouts[i] = contained{b}
	}
	g.Tokens = g.Tokens.withDefaults(g)
	return g
}

// check reports every guardrail that r, living for ttl from now, goes past.
func (g Guardrails) check(r Rule, ttl time.Duration) error {
	var problems problem.List
	if d := r.Fault.Delay; d != nil && d.Longest() > g.MaxDelay {
		problems.Addf("fault.delay", "may last %v; the guardrail MaxDelay allows %v", d.Longest(), g.MaxDelay)
	}
	if s := r.Fault.Stream; s != nil && s.Delay != nil && s.Delay.Longest() > g.MaxDelay {
		problems.Addf("fault.stream.delay", "may last %v; the guardrail MaxDelay allows %v", s.Delay.Longest(), g.MaxDelay)
	}
	if share := r.Scope.Share(); share > g.MaxPercent {
		problems.Addf("scope.percent", "selects up to %v %% of traffic; the guardrail MaxPercent allows %v %%", share, g.MaxPercent)
	}
	if ttl > g.MaxTTL {
		path := "ttl"
		if r.TTL == 0 {
			path = "expires"
		}
		problems.Addf(path, "is %v away; the guardrail MaxTTL allows %v", ttl.Round(time.Second), g.MaxTTL)
	}
	for i, text := range r.Target.Points {
		pattern := parsePointPattern(text)
		if !pattern.exact() {
			continue // a pattern simply is not armed at protected points
		}
		for _, protected := range g.Protected {
			if parsePointPattern(protected).match(pattern.kind, pattern.name) {
				problems.Addf(problem.Index("target.points", i), "%s is protected by the guardrail %s", quote(text), quote(protected))
			}
		}
	}
	return problems.Err()
}
