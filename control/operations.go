package control

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/internal/strictjson"
	"github.com/misfit-go/misfit/scope"
)

// edit changes one thing about a rule that was made here.
func (h *Handler) edit(c *call, action string, change func(*fault.Rule) error) error {
	if err := h.writable(); err != nil {
		return err
	}
	tx := h.store.begin(h.inj)
	defer tx.done()
	before, exists := h.inj.Rule(c.arg)
	if !exists {
		return noRule(c.arg)
	}
	if before.Source != Source {
		return notOurs(before)
	}
	if err := checkPreconditions(c.r.Header, true, tx.of(before).tag()); err != nil {
		return err
	}
	rule := before.Rule
	if err := change(&rule); err != nil {
		return err
	}
	status, known, err := h.replace(c, tx, action, before, rule)
	if err != nil {
		return err
	}
	return h.answerRule(c, http.StatusOK, status, known)
}

func (h *Handler) pauseRule(c *call) error {
	return h.edit(c, actionPause, func(r *fault.Rule) error { r.Paused = true; return nil })
}

func (h *Handler) unpauseRule(c *call) error {
	return h.edit(c, actionUnpause, func(r *fault.Rule) error { r.Paused = false; return nil })
}

func (h *Handler) extendRule(c *call) error {
	var body struct {
		TTL time.Duration `json:"ttl"`
	}
	if err := readJSON(c.w, c.r, func(data []byte) error { return strictjson.Unmarshal(data, &body) }); err != nil {
		return err
	}
	if body.TTL <= 0 {
		var problems problem.List
		problems.Addf("ttl", `is required: how long the rule is to live from now on, such as "10m"`)
		return problems.Err()
	}
	return h.edit(c, actionExtend, func(r *fault.Rule) error {
		r.TTL, r.Expires = body.TTL, time.Time{}
		return nil
	})
}

// widenRule gives a rule another scope. A narrower one is always taken; a wider
// one is a step at most.
func (h *Handler) widenRule(c *call) error {
	var body struct {
		Scope scope.Scope `json:"scope"`
	}
	if err := readJSON(c.w, c.r, func(data []byte) error { return strictjson.Unmarshal(data, &body) }); err != nil {
		return err
	}
	if err := body.Scope.Validate(); err != nil {
		var problems problem.List
		problems.AddAt("scope", err)
		return problems.Err()
	}
	return h.edit(c, actionWiden, func(r *fault.Rule) error {
		from, to := r.Scope.Share(), body.Scope.Share()
		if most := nextStep(from); to > most {
			var problems problem.List
			problems.Addf("scope.percent", "selects up to %v %% of traffic; the rule selects up to %v %%, and may be widened to %v %% in one step", to, from, most)
			return problems.Err()
		}
		r.Scope = body.Scope
		return nil
	})
}

// steps are the shares of traffic, in percent, by which a rule is widened: from
// requests and customers that are named to the first, and from each to the next.
var steps = []float64{1, 5, 25, 50, 100}

// nextStep returns how far a rule of this share may be widened at once.
func nextStep(share float64) float64 {
	i, found := slices.BinarySearch(steps, share)
	if found {
		i++
	}
	return steps[min(i, len(steps)-1)]
}

// An estimateView is whom a rule would have hit of late.
type estimateView struct {
	Since        time.Time `json:"since,omitzero"`
	Calls        int       `json:"calls"`
	Hit          int       `json:"hit"`
	Requests     int       `json:"requests"`
	RequestsHit  int       `json:"requestsHit"`
	Customers    int       `json:"customers"`
	CustomersHit int       `json:"customersHit"`
}

// validateRule says what would come of a rule, and changes nothing.
func (h *Handler) validateRule(c *call) error {
	if err := h.writable(); err != nil {
		return err
	}
	var rule fault.Rule
	if err := readJSON(c.w, c.r, rule.UnmarshalJSON); err != nil {
		return err
	}
	if rule.ID == "" {
		rule.ID = "rule"
	}
	if live, ok := h.inj.Rule(rule.ID); ok && live.Source != Source {
		return notOurs(live)
	}
	if err := h.inj.Source(Source).Check(rule); err != nil {
		return err
	}
	h.inj.WatchTraffic(watchFor)
	armed, protected, unsupported := h.inj.Armed(rule)
	seen, err := h.inj.Estimate(rule)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	return answer(c.w, http.StatusOK, struct {
		Valid       bool         `json:"valid"`
		Points      []string     `json:"points"`
		Protected   []string     `json:"protected"`
		Unsupported []string     `json:"unsupported"`
		Estimate    estimateView `json:"estimate"`
	}{true, present(armed), present(protected), present(unsupported), estimateView{
		seen.Since, seen.Calls, seen.Hit, seen.Requests, seen.RequestsHit, seen.Customers, seen.CustomersHit,
	}})
}
