package control

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/misfit-go/misfit/control/audit"
	"github.com/misfit-go/misfit/fault"
)

// What the record calls what is done.
const (
	actionPut     = "rule.put"
	actionWiden   = "rule.widen"
	actionExtend  = "rule.extend"
	actionPause   = "rule.pause"
	actionUnpause = "rule.unpause"
	actionDelete  = "rule.delete"
	actionHalt    = "halt"
	actionResume  = "resume"
	actionReset   = "verdicts.reset"
	actionTaken   = "token.taken"

	resultDone    = "done"
	resultRefused = "refused"
	resultFailed  = "failed"
)

// actions say what the routes that change something do.
var actions = map[string]string{
	http.MethodPut + " " + rulePath:               actionPut,
	http.MethodDelete + " " + rulePath:            actionDelete,
	http.MethodPost + " " + rulePath + "/widen":   actionWiden,
	http.MethodPost + " " + rulePath + "/extend":  actionExtend,
	http.MethodPost + " " + rulePath + "/pause":   actionPause,
	http.MethodPost + " " + rulePath + "/unpause": actionUnpause,
	http.MethodPost + " " + haltPath:              actionHalt,
	http.MethodPost + " v1/resume":                actionResume,
	http.MethodDelete + " v1/verdicts":            actionReset,
}

// entry is what the record says of a call.
func (c *call) entry(action, result string) audit.Entry {
	return audit.Entry{Actor: c.who.Name, Role: roleName(c.who), Action: action, Rule: c.arg, Result: result, Remote: c.r.RemoteAddr}
}

func roleName(p Principal) string {
	if p == (Principal{}) {
		return ""
	}
	return p.Role.String()
}

// note puts an entry on record. It returns once that cannot be lost any more.
func (h *Handler) note(e audit.Entry) error {
	written, err := h.log.Append(e)
	if err != nil {
		return refusal{
			status: http.StatusServiceUnavailable, kind: "not-recorded", title: "Not recorded",
			detail: "the change is not made, since it cannot be put on record: " + err.Error(),
		}
	}
	h.store.remember(written)
	return nil
}

// noteAnyway puts on record what is not to wait for that, or not to fail for want
// of it: what takes faults back.
func (h *Handler) noteAnyway(e audit.Entry) {
	written, err := h.log.AppendBestEffort(e)
	if err != nil {
		h.inj.Report(fmt.Errorf("control: %s is not on record yet: %w", e.Action, err))
	}
	h.store.remember(written)
}

// noteRefusal puts on record that a call was not done. Anyone can be refused, so
// that only so many in a second are recorded one by one.
func (h *Handler) noteRefusal(c *call, route route, err error) {
	action, changes := actions[route.method+" "+route.path]
	if !changes {
		action = route.method + " /" + route.path
	}
	if !changes && c.who != (Principal{}) {
		return // a question that made no sense
	}
	e := c.entry(action, resultRefused)
	r := refusalOf(err)
	if e.Detail = r.detail; r.status >= http.StatusInternalServerError {
		e.Result = resultFailed
	}
	missed, ok := h.quiet.take(time.Now())
	if !ok {
		return
	}
	if missed > 0 {
		e.Detail += fmt.Sprintf(" (and %d more were refused that are not on record)", missed)
	}
	h.noteAnyway(e)
}

// refusals bounds how many are recorded.
type refusals struct {
	mu     sync.Mutex
	second time.Time
	taken  int
	missed int
}

const maxRefusals = 20 // in a second

func (q *refusals) take(now time.Time) (missed int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.second) >= time.Second || now.Before(q.second) {
		q.second, q.taken = now, 0
	}
	if q.taken >= maxRefusals {
		q.missed++
		return 0, false
	}
	q.taken++
	missed, q.missed = q.missed, 0
	return missed, true
}

// observe puts on record what happens without a call here.
func (h *Handler) observe(e fault.Event) {
	var entry audit.Entry
	switch e.Kind {
	case fault.Taken:
		entry = audit.Entry{Actor: e.By, Action: actionTaken, Rule: e.Rule}
	case fault.BlackoutBegin, fault.BlackoutEnd:
		entry = audit.Entry{Action: string(e.Kind)}
	default:
		return
	}
	entry.Result = resultDone
	go h.noteAnyway(entry) // this is called on the way of a request
}

// remember has the store know what earlier processes put on record.
func (h *Handler) remember() {
	page, _, err := h.log.Entries(audit.Query{Limit: maxRemembered})
	h.inj.Report(err)
	for i := len(page) - 1; i >= 0; i-- {
		h.store.remember(page[i])
	}
}

// asJSON is a rule as the record shows it.
func asJSON(r *fault.Rule) json.RawMessage {
	if r == nil {
		return nil
	}
	return json.RawMessage(r.String())
}
