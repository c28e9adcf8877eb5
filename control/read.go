package control

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/inwords"
	"github.com/misfit-go/misfit/internal/problem"
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

	Share    float64             `json:"share"` // of traffic, in percent, that the live rules may select together
	Blackout *blackoutStatusView `json:"blackout,omitempty"`

	Failing []failingView `json:"failing"`

	You youView `json:"you"`
}

// A youView is who asks, and why nothing but reading is open to them, if so.
type youView struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
	Why  string `json:"why,omitempty"`
}

// whoIs is known before anything is tried: who cannot halt should not learn it when
// that is needed.
func (h *Handler) whoIs(c *call) youView {
	p, err := h.guard.admit(c.r, Operator)
	if err != nil {
		return youView{c.who.Name, Viewer, err.Error()}
	}
	return youView{p.Name, p.Role, ""}
}

// A blackoutStatusView is whether rules are taken by the clock, and when that
// changes.
type blackoutStatusView struct {
	Active bool      `json:"active"`
	Window string    `json:"window"`
	Until  time.Time `json:"until,omitzero"`
	Next   time.Time `json:"next,omitzero"`
}

// A failingView is a source whose latest word could not be taken, such as a
// file that is not good.
type failingView struct {
	Source string    `json:"source"`
	Error  string    `json:"error"`
	Since  time.Time `json:"since"`
}

func (h *Handler) getStatus(c *call) error {
	s := h.inj.Status()
	view := statusView{
		Service: s.Service, Disabled: s.Disabled, Halted: s.Halted, Rules: s.Rules, Points: s.Points, Held: s.Held,
		Overflow: s.Overflow, Problems: s.Problems, ObserverPanics: s.ObserverPanics,
		Share:   s.Share,
		Failing: make([]failingView, len(s.Failing)),
		You:     h.whoIs(c),
	}
	if b := s.Blackout; b != nil {
		view.Blackout = &blackoutStatusView{b.Active, b.Window, b.Until.UTC(), b.Next.UTC()}
	}
	for i, f := range s.Failing {
		view.Failing[i] = failingView{f.Source, f.Err.Error(), f.Since.UTC()}
	}
	return answer(c.w, http.StatusOK, view)
}

type pointView struct {
	Point   string         `json:"point"`
	Kind    string         `json:"kind"`
	Name    string         `json:"name"`
	Effects []fault.Effect `json:"effects"`
	Rules   []string       `json:"rules"`
	Traffic trafficView    `json:"traffic"`
}

// A trafficView is the calls at a point of late. They are noted only while
// somebody reads them.
type trafficView struct {
	Watching bool         `json:"watching"`
	Since    time.Time    `json:"since,omitzero"`
	Seconds  []secondView `json:"seconds"` // oldest first
}

type secondView struct {
	At      time.Time `json:"at"`
	Calls   uint64    `json:"calls"`
	Errors  uint64    `json:"errors"`
	Faulted uint64    `json:"faulted"`
	P50     string    `json:"p50"`
	P99     string    `json:"p99"`
}

// watchFor is how long calls are noted after somebody has looked.
const watchFor = 2 * time.Minute

func viewOfTraffic(t fault.Traffic) trafficView {
	v := trafficView{Watching: t.Watching, Since: t.Since.UTC(), Seconds: make([]secondView, len(t.Seconds))}
	for i, s := range t.Seconds {
		v.Seconds[i] = secondView{s.At.UTC(), s.Calls, s.Errors, s.Faulted, s.P50.String(), s.P99.String()}
	}
	return v
}

func (h *Handler) getPoints(c *call) error {
	h.inj.WatchTraffic(watchFor)
	traffic := make(map[string]fault.Traffic)
	for _, t := range h.inj.Traffic() {
		traffic[t.Point] = t
	}
	points := h.inj.Points()
	views := make([]pointView, len(points))
	for i, p := range points {
		name := p.Kind + ":" + p.Name
		views[i] = pointView{name, p.Kind, p.Name, present(p.Effects), present(p.Rules), viewOfTraffic(traffic[name])}
		slices.Sort(views[i].Effects)
	}
	return answer(c.w, http.StatusOK, struct {
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
	return "armed nowhere yet: it matches no injection point of this process so far; there are " + inwords.Few(names)
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

// getRules lists the rules in the order in which they are asked, a page at a time.
// A page begins after a rule, and at the front again if that is gone.
func (h *Handler) getRules(c *call) error {
	var problems problem.List
	values := readQuery(&problems, c.r.URL.RawQuery, "limit", "after")
	limit := readLimit(&problems, values, maxPage)
	if err := problems.Err(); err != nil {
		return invalidQuery(err)
	}
	known := h.store.records()
	live := h.inj.Rules()
	from := slices.IndexFunc(live, func(s fault.RuleStatus) bool { return s.Rule.ID == values["after"] }) + 1
	page := live[from:min(from+limit, len(live))]
	next := ""
	if from+limit < len(live) {
		next = page[len(page)-1].Rule.ID
	}
	views := make([]ruleView, len(page))
	for i, status := range page {
		views[i] = h.viewOf(status, known.of(status))
	}
	return answer(c.w, http.StatusOK, struct {
		Halted bool       `json:"halted"`
		Rules  []ruleView `json:"rules"`
		Next   string     `json:"next,omitempty"`
	}{h.inj.Status().Halted, views, next})
}

func (h *Handler) getRule(c *call) error {
	known := h.store.records()
	status, ok := h.inj.Rule(c.arg)
	if !ok {
		return noRule(c.arg)
	}
	return h.answerRule(c, http.StatusOK, status, known.of(status))
}

func (h *Handler) answerRule(c *call, code int, status fault.RuleStatus, known *record) error {
	if known != nil {
		c.w.Header().Set("ETag", known.tag())
	}
	return answer(c.w, code, h.viewOf(status, known))
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
