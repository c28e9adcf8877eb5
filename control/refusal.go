package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/problem"
)

// A refusal is why a request was not done. It is sent as a problem document,
// RFC 9457.
type refusal struct {
	status int
	kind   string // after typePrefix; empty: the status says it all
	title  string // of the kind
	detail string
	fields []*problem.Problem
	header http.Header // to answer with
}

func (r refusal) Error() string { return r.detail }

const (
	typePrefix = "urn:misfit:problem:"
	blankType  = "about:blank"

	// maxFields bounds the answer to a body that is wrong all over.
	maxFields = 100
)

type problemBody struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail,omitempty"`
	Errors []fieldError `json:"errors,omitempty"`
}

type fieldError struct {
	Path   string `json:"path"`
	Detail string `json:"detail"`
}

// refusalOf says what err, of whatever origin, means to the client.
func refusalOf(err error) refusal {
	var r refusal
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, fault.ErrHalted):
		return refusal{status: http.StatusConflict, kind: "halted", title: "Halted", detail: err.Error()}
	case errors.Is(err, fault.ErrBlackout):
		return refusal{status: http.StatusConflict, kind: "blackout", title: "Blackout", detail: err.Error()}
	case errors.Is(err, fault.ErrDisabled):
		return refusal{status: http.StatusConflict, kind: "disabled", title: "Disabled", detail: err.Error()}
	case errors.Is(err, fault.ErrOwned):
		return refusal{status: http.StatusConflict, kind: "owned", title: "Rule of another source", detail: err.Error()}
	case errors.As(err, &tooLarge):
		return refusal{
			status: http.StatusRequestEntityTooLarge,
			detail: fmt.Sprintf("the body is larger than %d bytes", tooLarge.Limit),
		}
	case problem.Found(err):
		return invalid(problem.All(err))
	}
	return refusal{status: http.StatusInternalServerError, detail: err.Error()}
}

// invalid is the refusal of a rule in which all this was found.
func invalid(found []*problem.Problem) refusal {
	r := refusal{status: http.StatusUnprocessableEntity, kind: "invalid-rule", title: "Invalid rule", fields: found}
	switch n := len(found); {
	case n == 1:
		r.detail = found[0].Error()
	case n <= maxFields:
		r.detail = fmt.Sprintf("%d things are wrong", n)
	default:
		r.detail = fmt.Sprintf("%d things are wrong; the first %d are listed", n, maxFields)
		r.fields = found[:maxFields]
	}
	return r
}

// refuse answers with err as a problem document.
func refuse(w http.ResponseWriter, err error) {
	r := refusalOf(err)
	body := problemBody{Type: blankType, Title: http.StatusText(r.status), Status: r.status, Detail: r.detail}
	if r.kind != "" {
		body.Type, body.Title = typePrefix+r.kind, r.title
	}
	for _, f := range r.fields {
		body.Errors = append(body.Errors, fieldError{f.Path, f.Detail})
	}
	maps.Copy(w.Header(), r.header)
	data, _ := json.Marshal(body) // texts and a number: it cannot fail
	send(w, r.status, "application/problem+json", append(data, '\n'))
}

// answer sends v as JSON.
func answer(w http.ResponseWriter, status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	send(w, status, "application/json", append(data, '\n'))
	return nil
}

func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may be gone; nobody else wants to know
}
