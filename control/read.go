package control

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/misfit-go/misfit/fault"
)

type statusView struct {
	Service        string `json:"service"`
	Disabled       bool   `json:"disabled"`
	Halted         bool   `json:"halted"`
	Rules          int    `json:"rules"`
	Points         int    `json:"points"`
	Held           int64  `json:"held"`
	Overflow       uint64 `json:"overflow"`
	Problems       uint64 `json:"problems"`
	ObserverPanics uint64 `json:"observerPanics"`

	Failing []failingView `json:"failing"`
}

// A failingView is a source whose latest word could not be taken, such as a
// file that is not good.
type failingView struct {
	Source string    `json:"source"`
	Error  string    `json:"error"`
	Since  time.Time `json:"since"`
}

func (h *Handler) getStatus(w http.ResponseWriter, _ *http.Request, _ string) error {
	s := h.inj.Status()
	view := statusView{
		Service: s.Service, Disabled: s.Disabled, Halted: s.Halted, Rules: s.Rules, Points: s.Points, Held: s.Held,
		Overflow: s.Overflow, Problems: s.Problems, ObserverPanics: s.ObserverPanics,
		Failing: make([]failingView, len(s.Failing)),
	}
	for i, f := range s.Failing {
		view.Failing[i] = failingView{f.Source, f.Err.Error(), f.Since.UTC()}
	}
	return answer(w, http.StatusOK, view)
}

type pointView struct {
	Point   string         `json:"point"`
	Kind    string         `json:"kind"`
	Name    string         `json:"name"`
	Effects []fault.Effect `json:"effects"`
	Rules   []string       `json:"rules"`
}

func (h *Handler) getPoints(w http.ResponseWriter, _ *http.Request, _ string) error {
	points := h.inj.Points()
	views := make([]pointView, len(points))
	for i, p := range points {
		views[i] = pointView{p.Kind + ":" + p.Name, p.Kind, p.Name, present(p.Effects), present(p.Rules)}
		slices.Sort(views[i].Effects)
	}
	return answer(w, http.StatusOK, struct {
		Points []pointView `json:"points"`
	}{views})
}

// A ruleView is a live rule as it is shown. The last three fields are there
// only for a rule made here.
type ruleView struct {
	Rule        fault.Rule                  `json:"rule"`
	Source      string                      `json:"source"`
	By          string                      `json:"by,omitempty"` // of a token's rule: who asked for it
	Points      []string                    `json:"points"`
	Protected   []string                    `json:"protected"`
	Unsupported []string                    `json:"unsupported"`
	Hits        uint64                      `json:"hits"`
	Skips       map[fault.SkipReason]uint64 `json:"skips"`
	Held        int64                       `json:"held"`
	Left        string                      `json:"left"`
	Hint        string                      `json:"hint,omitempty"`
	Revision    uint64                      `json:"revision,omitempty"`
	Created     time.Time                   `json:"created,omitzero"`
	Updated     time.Time                   `json:"updated,omitzero"`
}

// hint says what may be wrong with a rule that is armed nowhere: that is no
// error, since its points may come with the first call.
func hint(status fault.RuleStatus, points []fault.PointStatus) string {
	if len(status.Points) > 0 {
		return ""
	}
	if len(status.Protected)+len(status.Unsupported) > 0 {
		return "armed nowhere: every point it is aimed at is protected or cannot produce this fault"
	}
	if len(points) == 0 {
		return "armed nowhere yet: this process has no injection points so far"
	}
	names := make([]string, len(points))
	for i, p := range points {
		names[i] = p.Kind + ":" + p.Name
	}
	return "armed nowhere yet: it matches no injection point of this process so far; there are " + few(names, "")
}

func (h *Handler) viewOf(status fault.RuleStatus, known *record) ruleView {
	v := ruleView{
		Rule:        status.Rule,
		Source:      status.Source,
		By:          status.By,
		Points:      present(status.Points),
		Protected:   present(status.Protected),
		Unsupported: present(status.Unsupported),
		Hits:        status.Hits,
		Skips:       status.Skips,
		Held:        status.Held,
		Left:        timeLeft(status.Left),
	}
	if len(v.Points) == 0 {
		v.Hint = hint(status, h.inj.Points())
	}
	if v.Skips == nil {
		v.Skips = make(map[fault.SkipReason]uint64)
	}
	if known != nil {
		v.Revision, v.Created, v.Updated = known.Revision, known.Created, known.Updated
	}
	return v
}

func (h *Handler) getRules(w http.ResponseWriter, _ *http.Request, _ string) error {
	known := h.store.records()
	live := h.inj.Rules()
	views := make([]ruleView, len(live))
	for i, status := range live {
		views[i] = h.viewOf(status, known.of(status))
	}
	return answer(w, http.StatusOK, struct {
		Halted bool       `json:"halted"`
		Rules  []ruleView `json:"rules"`
	}{h.inj.Status().Halted, views})
}

func (h *Handler) getRule(w http.ResponseWriter, _ *http.Request, id string) error {
	known := h.store.records()
	status, ok := h.inj.Rule(id)
	if !ok {
		return noRule(id)
	}
	return h.answerRule(w, http.StatusOK, status, known.of(status))
}

func (h *Handler) answerRule(w http.ResponseWriter, code int, status fault.RuleStatus, known *record) error {
	if known != nil {
		w.Header().Set("ETag", known.tag())
	}
	return answer(w, code, h.viewOf(status, known))
}

func noRule(id string) error {
	return refusal{status: http.StatusNotFound, detail: fmt.Sprintf("no live rule has the ID %q", id)}
}

// timeLeft drops digits that nobody reads.
func timeLeft(d time.Duration) string {
	if d >= time.Minute {
		return d.Round(time.Second).String()
	}
	return d.Round(time.Millisecond).String()
}

// present keeps an empty list from becoming null.
func present[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
