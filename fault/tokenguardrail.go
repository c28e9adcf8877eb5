package fault

import (
	"slices"
	"strings"
	"time"

	"github.com/misfit-go/misfit/internal/problem"
)

// TokenGuardrails are ceilings for what tokens may ask for, beside the other
// [Guardrails], which hold for tokens too. A token that asks for more is refused
// as a whole, never trimmed.
type TokenGuardrails struct {
	// MaxTTL is the longest life of a token, from NotBefore to Expires. Default 1
	// hour, and no more than Guardrails.MaxTTL.
	MaxTTL time.Duration

	// MaxDelay is the longest delay of a call or of one unit of a stream. Default
	// Guardrails.MaxDelay.
	MaxDelay time.Duration

	// MaxHold is the longest life of a token whose fault may hold a call until its
	// rule ends: a black hole, or a stream that stalls. Default MaxTTL.
	MaxHold time.Duration

	// MaxConcurrent is how many calls of the process tokens fault at once; calls
	// beyond it pass untouched and count as skipped. Default 100.
	MaxConcurrent int

	// Effects are what tokens may do, such as [EffectDelay]. Default everything
	// but [EffectPanic].
	Effects []Effect

	// Points are patterns, as in [Target.Points]. Each point that a token names
	// must lie within one of them: "http.client:ratings" and "ratings" lie within
	// "ratings", and "*" only within "*". Default everywhere.
	Points []string

	// RequireScope are conditions of which every rule of a token has to have one:
	// "requests", "customers", or "attributes.NAME". Default none.
	RequireScope []string
}

const (
	defaultTokenTTL        = time.Hour
	defaultTokenConcurrent = 100
)

func (g TokenGuardrails) withDefaults(all Guardrails) TokenGuardrails {
	if g.MaxTTL <= 0 {
		g.MaxTTL = defaultTokenTTL
	}
	g.MaxTTL = min(g.MaxTTL, all.MaxTTL)
	if g.MaxDelay <= 0 {
		g.MaxDelay = all.MaxDelay
	}
	if g.MaxHold <= 0 {
		g.MaxHold = g.MaxTTL
	}
	if g.MaxConcurrent <= 0 {
		g.MaxConcurrent = defaultTokenConcurrent
	}
	return g
}

// check reports every ceiling that t goes past.
func (g TokenGuardrails) check(t Token) error {
	var problems problem.List
	life := t.Expires.Sub(t.NotBefore)
	if life > g.MaxTTL {
		problems.Addf("expires", "is %v after notBefore; the guardrail Tokens.MaxTTL allows %v", life, g.MaxTTL)
	}
	for i, r := range t.Rules {
		problems.AddAt(problem.Index("rules", i), g.checkRule(r, life))
	}
	return problems.Err()
}

func (g TokenGuardrails) checkRule(r Rule, life time.Duration) error {
	var problems problem.List
	if d := r.Fault.Delay; d != nil && d.Longest() > g.MaxDelay {
		problems.Addf("fault.delay", "may last %v; the guardrail Tokens.MaxDelay allows %v", d.Longest(), g.MaxDelay)
	}
	stream := r.Fault.Stream
	if stream != nil && stream.Delay != nil && stream.Delay.Longest() > g.MaxDelay {
		problems.Addf("fault.stream.delay", "may last %v; the guardrail Tokens.MaxDelay allows %v", stream.Delay.Longest(), g.MaxDelay)
	}
	if holds := r.Fault.BlackHole || stream != nil && stream.Stall; holds && life > g.MaxHold {
		problems.Addf("fault", "may hold a call for the %v that the token lives; the guardrail Tokens.MaxHold allows %v", life, g.MaxHold)
	}
	for _, e := range r.Fault.Effects() {
		if !g.allows(e) {
			problems.Addf("fault", "may not do %s; the guardrail Tokens.Effects allows %s", e, g.allowed())
		}
	}
	if len(g.Points) > 0 {
		points := r.Target.Points
		if len(points) == 0 {
			points = []string{"*"}
		}
		for i, text := range points {
			if !g.coverPoint(text) {
				problems.Addf(problem.Index("target.points", i), "%s is not within the guardrail Tokens.Points: %s", quote(text), strings.Join(g.Points, ", "))
			}
		}
	}
	if len(g.RequireScope) > 0 && !slices.ContainsFunc(g.RequireScope, func(condition string) bool { return hasCondition(r, condition) }) {
		problems.Addf("scope", "has none of what the guardrail Tokens.RequireScope asks for: %s", strings.Join(g.RequireScope, ", "))
	}
	return problems.Err()
}

func (g TokenGuardrails) allows(e Effect) bool {
	if len(g.Effects) == 0 {
		return e != EffectPanic
	}
	return slices.Contains(g.Effects, e)
}

func (g TokenGuardrails) allowed() string {
	if len(g.Effects) == 0 {
		return "everything but " + string(EffectPanic)
	}
	return list(g.Effects)
}

func (g TokenGuardrails) coverPoint(text string) bool {
	asked := parsePointPattern(text)
	return slices.ContainsFunc(g.Points, func(allowed string) bool { return parsePointPattern(allowed).covers(asked) })
}

func hasCondition(r Rule, condition string) bool {
	switch condition {
	case "requests":
		return len(r.Scope.Requests) > 0
	case "customers":
		return len(r.Scope.Customers) > 0
	}
	name, ok := strings.CutPrefix(condition, "attributes.")
	return ok && len(r.Scope.Attributes[name]) > 0
}
