package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/problem"
)

const maxBodyBytes = 1 << 20

func (h *Handler) putRule(c *call) error {
	if err := h.writable(); err != nil {
		return err
	}
	rule, err := readRule(c.w, c.r, c.arg)
	if err != nil {
		return err
	}
	status, known, created, err := h.put(c, rule)
	if err != nil {
		return err
	}
	code := http.StatusOK
	if created {
		code = http.StatusCreated
	}
	return h.answerRule(c, code, status, known)
}

// writable returns why nothing can be changed, whatever it is.
func (h *Handler) writable() error {
	if h.inj.Disabled() {
		return fault.ErrDisabled
	}
	return nil
}

// put makes a rule, or edits one that was made here.
func (h *Handler) put(c *call, rule fault.Rule) (status fault.RuleStatus, known *record, created bool, err error) {
	tx := h.store.begin(h.inj)
	defer tx.done()

	// What would be refused whatever the preconditions are comes before them,
	// as RFC 9110, section 13.2.1, wants it.
	if h.inj.Status().Halted {
		return status, nil, false, fault.ErrHalted
	}
	before, exists := h.inj.Rule(rule.ID)
	if exists && before.Source != Source {
		return status, nil, false, notOurs(before)
	}
	if err := checkPreconditions(c.r.Header, exists, tx.of(before).tag()); err != nil {
		return status, nil, false, err
	}
	status, known, err = h.replace(c, tx, actionPut, before, rule)
	return status, known, !exists, err
}

func notOurs(live fault.RuleStatus) error {
	return fmt.Errorf("%w: %q was put by %q", fault.ErrOwned, live.Rule.ID, live.Source)
}

// replace puts a rule on record, gives it to the injector, and if that takes it
// to the store. The status before is empty if there was no such rule.
func (h *Handler) replace(c *call, tx *change, action string, before fault.RuleStatus, rule fault.Rule) (status fault.RuleStatus, known *record, err error) {
	source := h.inj.Source(Source)
	if err := source.Check(rule); err != nil {
		return status, nil, err
	}
	e := c.entry(action, resultDone)
	after := over(rule).Rule // with the time it ends, as it will be shown
	e.Rule, e.After = rule.ID, asJSON(&after)
	if before.Rule.ID != "" {
		e.Before = asJSON(&before.Rule)
	}
	if err := h.note(e); err != nil {
		return status, nil, err
	}
	if err := source.Put(rule); err != nil { // what was checked has changed meanwhile
		e.Result, e.Detail, e.Before, e.After = resultFailed, err.Error(), nil, nil
		h.noteAnyway(e)
		return status, nil, err
	}
	old := tx.of(before)
	status, ok := h.inj.Rule(rule.ID)
	if ok && status.Source == Source {
		known, err = tx.save(status, old)
	} else { // its time was short, or it was deleted or halted already
		status = over(rule)
	}
	if err == nil {
		err = tx.commit()
	}
	return status, known, err
}

// over is what there is to say of a rule that was taken, and of one that ended at
// once all there is.
func over(rule fault.Rule) fault.RuleStatus {
	if rule.Expires.IsZero() {
		rule.Expires = time.Now().Add(rule.TTL).UTC().Round(0)
	}
	rule.TTL = 0
	return fault.RuleStatus{Rule: rule, Source: Source}
}

func (h *Handler) deleteRule(c *call) error {
	if err := h.writable(); err != nil {
		return err
	}
	tx := h.store.begin(h.inj)
	defer tx.done()
	status, ok := h.inj.Rule(c.arg)
	if !ok {
		return noRule(c.arg)
	}
	if err := checkPreconditions(c.r.Header, true, tx.of(status).tag()); err != nil {
		return err
	}
	if !h.inj.Delete(c.arg) {
		return noRule(c.arg)
	}
	e := c.entry(actionDelete, resultDone)
	e.Before = asJSON(&status.Rule)
	h.noteAnyway(e)
	if err := tx.commit(); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// halt waits for nothing: not for a writer, nor for a body that may be on its
// way, nor for the record. The records of the rules it ends are left for the next
// writers to drop.
func (h *Handler) halt(c *call) error {
	if err := h.writable(); err != nil {
		return err
	}
	ended := present(h.inj.Halt())
	e := c.entry(actionHalt, resultDone)
	e.Detail = "ended " + count(len(ended), "rule")
	h.noteAnyway(e)
	return answer(c.w, http.StatusOK, struct {
		Halted bool         `json:"halted"`
		Ended  []fault.Rule `json:"ended"`
	}{true, ended})
}

func (h *Handler) resume(c *call) error {
	if err := h.writable(); err != nil {
		return err
	}
	if err := h.note(c.entry(actionResume, resultDone)); err != nil {
		return err
	}
	h.inj.Resume()
	return answer(c.w, http.StatusOK, struct {
		Halted bool `json:"halted"`
	}{false})
}

// readRule reads the rule with this ID from the body.
func readRule(w http.ResponseWriter, r *http.Request, id string) (fault.Rule, error) {
	var rule fault.Rule
	if err := readJSON(w, r, rule.UnmarshalJSON); err != nil {
		return fault.Rule{}, err
	}
	if rule.ID == "" {
		rule.ID = id
	}
	if rule.ID != id {
		var problems problem.List
		problems.Addf("id", "%q is not the ID in the path, %q", rule.ID, id)
		problems.AddAt("", rule.Validate())
		return fault.Rule{}, problems.Err()
	}
	return rule, nil
}

// readJSON has decode read the body of a request.
func readJSON(w http.ResponseWriter, r *http.Request, decode func([]byte) error) error {
	if err := checkContent(w, r.Header); err != nil {
		return err
	}
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	err = decode(body)
	if err != nil && (!json.Valid(body) || !utf8.Valid(body)) {
		return refusal{status: http.StatusBadRequest, kind: "malformed", title: "Malformed JSON", detail: err.Error()}
	}
	return err
}

// checkContent refuses a body that says it is not plain JSON.
func checkContent(w http.ResponseWriter, h http.Header) error {
	if coding := h.Get("Content-Encoding"); coding != "" && coding != "identity" {
		w.Header().Set("Accept-Encoding", "identity")
		return refusal{status: http.StatusUnsupportedMediaType, detail: fmt.Sprintf("Content-Encoding %q: send the rule uncompressed", coding)}
	}
	given := h.Values("Content-Type")
	if len(given) == 0 {
		return nil
	}
	if media, _, err := mime.ParseMediaType(given[0]); len(given) == 1 && err == nil && media == "application/json" {
		return nil
	}
	w.Header().Set("Accept", "application/json")
	return refusal{status: http.StatusUnsupportedMediaType, detail: fmt.Sprintf("Content-Type %q: send application/json, with curl: -H 'Content-Type: application/json'", given)}
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil { // a request that did not come from a server
		return nil, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	var tooLarge *http.MaxBytesError
	if err != nil && !errors.As(err, &tooLarge) {
		return nil, refusal{status: http.StatusBadRequest, detail: "reading the body: " + err.Error()}
	}
	return body, err
}
