package control

import (
	"fmt"
	"net/http"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/problem"
)

// A verdictView is what became of the requests to one endpoint in which one fault
// happened.
type verdictView struct {
	Rule      string      `json:"rule"`
	Source    string      `json:"source"`
	Point     string      `json:"point"`
	Operation string      `json:"operation"`
	Fault     fault.Fault `json:"fault"`
	Endpoint  string      `json:"endpoint"`

	Masked   uint64 `json:"masked"`
	Degraded uint64 `json:"degraded"`
	Surfaced uint64 `json:"surfaced"`

	Unmeasured uint64 `json:"unmeasured"`
	Late       uint64 `json:"late"`
	Unfollowed uint64 `json:"unfollowed"`
	Reason     string `json:"reason,omitempty"`

	P50   string `json:"p50"`
	P99   string `json:"p99"`
	Added string `json:"added,omitempty"` // only if there is something to compare with
}

// An endpointView is the requests to one endpoint in which no fault happened.
type endpointView struct {
	Endpoint string `json:"endpoint"`
	Requests uint64 `json:"requests"`
	Failed   uint64 `json:"failed"`
	Degraded uint64 `json:"degraded"`
	P50      string `json:"p50"`
	P99      string `json:"p99"`
	Enough   bool   `json:"enough"`
}

type verdictsView struct {
	On          bool           `json:"on"`
	Judging     bool           `json:"judging"`
	MinAdded    string         `json:"minAdded"`
	MinBaseline int            `json:"minBaseline"`
	Keep        string         `json:"keep"`
	Verdicts    []verdictView  `json:"verdicts"`
	Endpoints   []endpointView `json:"endpoints"`
	Uncounted   uint64         `json:"uncounted"`
	Crowded     uint64         `json:"crowded"`
}

// getVerdicts says what became of the requests in which faults happened: of all
// rules, or of one.
func (h *Handler) getVerdicts(c *call) error {
	var problems problem.List
	rule := readQuery(&problems, c.r.URL.RawQuery, "rule")["rule"]
	if err := problems.Err(); err != nil {
		return invalidQuery(err)
	}
	report := h.inj.Verdicts()
	view := verdictsView{
		On: report.On, Judging: report.Judging,
		MinAdded: report.Settings.MinAdded.String(), MinBaseline: report.Settings.MinBaseline, Keep: report.Settings.Keep.String(),
		Verdicts: []verdictView{}, Endpoints: []endpointView{},
		Uncounted: report.Uncounted, Crowded: report.Crowded,
	}
	for _, r := range report.Rows {
		if rule == "" || r.Rule == rule {
			view.Verdicts = append(view.Verdicts, viewOfVerdict(r))
		}
	}
	for _, e := range report.Endpoints {
		view.Endpoints = append(view.Endpoints, endpointView{e.Endpoint, e.Requests, e.Failed, e.Degraded, latency(e.P50), latency(e.P99), e.Enough})
	}
	return answer(c.w, http.StatusOK, view)
}

// resetVerdicts forgets them: of all rules, and what they are compared with, or of one
// rule. What is lost is on record first.
func (h *Handler) resetVerdicts(c *call) error {
	if err := h.writable(); err != nil {
		return err
	}
	var problems problem.List
	rule := readQuery(&problems, c.r.URL.RawQuery, "rule")["rule"]
	if err := problems.Err(); err != nil {
		return invalidQuery(err)
	}
	var rules []string
	if rule != "" {
		rules = []string{rule}
	}
	e := c.entry(actionReset, resultDone)
	e.Rule, e.Detail = rule, h.inSum(rule)
	if err := h.note(e); err != nil {
		return err
	}
	return answer(c.w, http.StatusOK, struct {
		Forgotten int `json:"forgotten"`
	}{h.inj.ResetVerdicts(rules...)})
}

// inSum is what there are of verdicts of a rule, or of all.
func (h *Handler) inSum(rule string) string {
	var rows int
	var masked, degraded, surfaced uint64
	for _, r := range h.inj.Verdicts().Rows {
		if rule == "" || r.Rule == rule {
			rows, masked, degraded, surfaced = rows+1, masked+r.Masked, degraded+r.Degraded, surfaced+r.Surfaced
		}
	}
	return fmt.Sprintf("forgot %s: %d masked, %d degraded, %d surfaced", count(rows, "row"), masked, degraded, surfaced)
}

func viewOfVerdict(r fault.VerdictRow) verdictView {
	v := verdictView{
		Rule: r.Rule, Source: r.Source, Point: r.Point, Operation: r.Operation, Fault: r.Fault, Endpoint: r.Endpoint,
		Masked: r.Masked, Degraded: r.Degraded, Surfaced: r.Surfaced,
		Unmeasured: r.Unmeasured, Late: r.Late, Unfollowed: r.Unfollowed, Reason: r.Reason,
		P50: latency(r.P50), P99: latency(r.P99),
	}
	if r.Compared {
		v.Added = latency(r.Added)
	}
	return v
}

// latency drops digits that nobody reads.
func latency(d time.Duration) string {
	switch size := max(d, -d); {
	case size >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case size >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(100 * time.Nanosecond).String()
}
