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

func (h *Handler) putRule(w http.ResponseWriter, r *http.Request, id string) error {
	rule, err := readRule(w, r, id)
	if err != nil {
		return err
	}
	status, known, created, err := h.put(rule, r.Header)
	if err != nil {
		return err
	}
	code := http.StatusOK
	if created {
		code = http.StatusCreated
	}
	return h.answerRule(w, code, status, known)
}

// put gives the rule to the injector, and only if that takes it to the store.
func (h *Handler) put(rule fault.Rule, header http.Header) (status fault.RuleStatus, known *record, created bool, err error) {
	c := h.store.begin(h.inj)
	defer c.done()

	// What would be refused whatever the preconditions are comes before them,
	// as RFC 9110, section 13.2.1, wants it.
	if h.inj.Status().Halted {
		return status, nil, false, fault.ErrHalted
	}
	before, exists := c.live[rule.ID]
	if exists && before.Source != Source {
		return status, nil, false, fmt.Errorf("%w: %q was put by %q", fault.ErrOwned, rule.ID, before.Source)
	}
	old := c.of(before)
	if err := checkPreconditions(header, exists, old.tag()); err != nil {
		return status, nil, false, err
	}
	if err := h.inj.Source(Source).Put(rule); err != nil {
		return status, nil, false, err
	}
	status, ok := h.inj.Rule(rule.ID)
	if ok && status.Source == Source {
		known, err = c.save(status, old)
	} else { // its time was short, or it was deleted or halted already
		status = over(rule)
		c.drop(rule.ID)
	}
	if err == nil {
		err = c.commit()
	}
	return status, known, !exists, err
}

// over is what is left to say of a rule that was taken and ended at once.
func over(rule fault.Rule) fault.RuleStatus {
	if rule.Expires.IsZero() {
		rule.Expires = time.Now().Add(rule.TTL)
	}
	rule.TTL = 0
	return fault.RuleStatus{Rule: rule, Source: Source}
}

func (h *Handler) deleteRule(w http.ResponseWriter, r *http.Request, id string) error {
	c := h.store.begin(h.inj)
	defer c.done()
	status, ok := c.live[id]
	if !ok {
		return noRule(id)
	}
	if err := checkPreconditions(r.Header, true, c.of(status).tag()); err != nil {
		return err
	}
	if !h.inj.Delete(id) {
		return noRule(id)
	}
	c.drop(id)
	if err := c.commit(); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// halt waits for nothing: not for a writer, nor for a body that may be on its
// way. The records of the rules it ends are left for the next writer to drop.
func (h *Handler) halt(w http.ResponseWriter, _ *http.Request, _ string) error {
	return answer(w, http.StatusOK, struct {
		Halted bool         `json:"halted"`
		Ended  []fault.Rule `json:"ended"`
	}{true, present(h.inj.Halt())})
}

func (h *Handler) resume(w http.ResponseWriter, _ *http.Request, _ string) error {
	h.inj.Resume()
	return answer(w, http.StatusOK, struct {
		Halted bool `json:"halted"`
	}{false})
}

// readRule reads the rule with this ID from the body.
func readRule(w http.ResponseWriter, r *http.Request, id string) (fault.Rule, error) {
	if err := checkContent(w, r.Header); err != nil {
		return fault.Rule{}, err
	}
	body, err := readBody(w, r)
	if err != nil {
		return fault.Rule{}, err
	}
	var rule fault.Rule
	if err := rule.UnmarshalJSON(body); err != nil {
		if !json.Valid(body) || !utf8.Valid(body) {
			return fault.Rule{}, refusal{
				status: http.StatusBadRequest,
				kind:   "malformed", title: "Malformed JSON",
				detail: err.Error(),
			}
		}
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
