package control

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/problem"
)

const attributeParameter = "attribute." // and the attribute's name

// getExplain answers why a call would be faulted or not.
func (h *Handler) getExplain(c *call) error {
	q, err := readQuestion(c.r.URL.RawQuery)
	if err != nil {
		return invalidQuery(err)
	}
	e, err := h.inj.Explain(q)
	if err != nil {
		return invalidQuery(err)
	}
	return answer(c.w, http.StatusOK, e)
}

func invalidQuery(err error) error {
	r := invalid(problem.All(err))
	r.status, r.kind, r.title = http.StatusBadRequest, "invalid-query", "Invalid query"
	return r
}

// readQuestion reads the call to explain from a query. A parameter that is
// unknown or empty is a misunderstanding, as an unknown field of a rule is.
func readQuestion(query string) (fault.Question, error) {
	var q fault.Question
	values, err := url.ParseQuery(query)
	if err != nil {
		return q, err
	}
	var problems problem.List
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name][0]
		attribute, isAttribute := strings.CutPrefix(name, attributeParameter)
		switch {
		case len(values[name]) > 1:
			problems.Addf(name, "is given %d times", len(values[name]))
		case isAttribute:
			if q.Request.Attributes == nil {
				q.Request.Attributes = make(map[string]string)
			}
			q.Request.Attributes[attribute] = value // even an empty one can be selected by
		case value == "":
			problems.Addf(name, "is empty: leave it out or give a value")
		default:
			if !setParameter(&q, name, value) {
				problems.Addf(name, "is unknown; there are point, operation, raw, id, customer and attribute.<name>")
			}
		}
	}
	if values["point"] == nil {
		problems.Addf("point", `is required, for instance "http.client:ratings"`)
	}
	for _, p := range problem.All(q.Request.Validate()) {
		path := p.Path
		if name, ok := strings.CutPrefix(path, "attributes."); ok {
			path = attributeParameter + name
		}
		problems.Addf(path, "%s", p.Detail)
	}
	return q, problems.Err()
}

func setParameter(q *fault.Question, name, value string) bool {
	switch name {
	case "point":
		q.Point = value
	case "operation":
		verb, rest, found := strings.Cut(value, " ")
		if !found {
			verb, rest = "", value
		}
		q.Operation.Verb, q.Operation.Name = verb, rest
	case "raw":
		q.Operation.Raw = value
	case "id":
		q.Request.ID = value
	case "customer":
		q.Request.Customer = value
	default:
		return false
	}
	return true
}
