package control

import (
	"net/http"

	"github.com/misfit-go/misfit/fault"
)

// A guardrailsView is what the service's code forbids. A duration is a text.
type guardrailsView struct {
	MaxDelay        string              `json:"maxDelay"`
	MaxPercent      float64             `json:"maxPercent"`
	MaxTotalPercent float64             `json:"maxTotalPercent"` // 0: no ceiling
	MaxTTL          string              `json:"maxTTL"`
	MaxHeld         int                 `json:"maxHeld"`
	Protected       []string            `json:"protected"`
	Blackouts       []string            `json:"blackouts"` // the windows; the status says whether one is active
	Tokens          tokenGuardrailsView `json:"tokens"`
	WidenSteps      []float64           `json:"widenSteps"`
	Classes         []fault.Class       `json:"classes"` // of errors that there are
}

type tokenGuardrailsView struct {
	Taken         bool           `json:"taken"`
	MaxTTL        string         `json:"maxTTL"`
	MaxDelay      string         `json:"maxDelay"`
	MaxHold       string         `json:"maxHold"`
	MaxConcurrent int            `json:"maxConcurrent"`
	Effects       []fault.Effect `json:"effects"` // empty: everything but panic
	Points        []string       `json:"points"`  // empty: everywhere
	RequireScope  []string       `json:"requireScope"`
}

func (h *Handler) getGuardrails(c *call) error {
	g := h.inj.Guardrails()
	view := guardrailsView{
		MaxDelay: g.MaxDelay.String(), MaxPercent: g.MaxPercent, MaxTotalPercent: g.MaxTotalPercent, MaxTTL: g.MaxTTL.String(),
		MaxHeld: g.MaxHeld, Protected: present(g.Protected), Blackouts: windows(g),
		Tokens: tokenGuardrailsView{
			Taken:  h.inj.TakesTokens(),
			MaxTTL: g.Tokens.MaxTTL.String(), MaxDelay: g.Tokens.MaxDelay.String(), MaxHold: g.Tokens.MaxHold.String(),
			MaxConcurrent: g.Tokens.MaxConcurrent, Effects: present(g.Tokens.Effects), Points: present(g.Tokens.Points),
			RequireScope: present(g.Tokens.RequireScope),
		},
		WidenSteps: steps, Classes: fault.Classes(),
	}
	return answer(c.w, http.StatusOK, view)
}

func windows(g fault.Guardrails) []string {
	names := make([]string, len(g.Blackouts))
	for i, b := range g.Blackouts {
		names[i] = windowName(b)
	}
	return names
}

// windowName contains a panic of what may be anybody's, and nil.
func windowName(b fault.Blackout) (name string) {
	defer func() {
		if recover() != nil {
			name = "(a blackout that cannot say its name)"
		}
	}()
	return b.String()
}
