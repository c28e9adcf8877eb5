package control

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// tag is the entity tag of the record's revision; a rule that was not made
// here has none.
func (r *record) tag() string {
	if r == nil {
		return ""
	}
	return strconv.Quote(strconv.FormatUint(r.Revision, 10))
}

// checkPreconditions holds the request against the rule as it is, RFC 9110,
// section 13.1. The tag is empty if the rule has none.
func checkPreconditions(h http.Header, exists bool, tag string) error {
	if values := h.Values("If-Match"); len(values) > 0 {
		wanted, err := parseTags("If-Match", values)
		if err != nil {
			return err
		}
		if !exists || !wanted.any && !slices.Contains(wanted.tags, tag) {
			return preconditionFailed("If-Match", values, exists, tag)
		}
	}
	if values := h.Values("If-None-Match"); len(values) > 0 {
		unwanted, err := parseTags("If-None-Match", values)
		if err != nil {
			return err
		}
		for i, weak := range unwanted.tags {
			unwanted.tags[i] = strings.TrimPrefix(weak, "W/")
		}
		if exists && (unwanted.any || slices.Contains(unwanted.tags, tag)) {
			return preconditionFailed("If-None-Match", values, exists, tag)
		}
	}
	return nil
}

func preconditionFailed(header string, values []string, exists bool, tag string) error {
	state := "there is no such rule"
	switch {
	case tag != "":
		state = "the rule is at revision " + tag
	case exists:
		state = "the rule was not made here and has no revision"
	}
	return refusal{
		status: http.StatusPreconditionFailed,
		detail: fmt.Sprintf("%s, but the request has %s: %s", state, header, strings.Join(values, ", ")),
	}
}

// A tagList is the value of If-Match or If-None-Match.
type tagList struct {
	any  bool     // "*"
	tags []string // with their quotes; weak ones, which If-Match never matches, with W/
}

func parseTags(header string, values []string) (tagList, error) {
	rest := strings.TrimSpace(strings.Join(values, ","))
	if rest == "*" {
		return tagList{any: true}, nil
	}
	bad := refusal{
		status: http.StatusBadRequest,
		detail: fmt.Sprintf(`%s: %q is neither * nor a list of revisions in double quotes, such as "7"`, header, strings.Join(values, ", ")),
	}
	var list tagList
	for {
		rest = strings.TrimLeft(rest, " \t,")
		if rest == "" {
			break
		}
		start := len("W/")
		if !strings.HasPrefix(rest, "W/") {
			start = 0
		}
		if !strings.HasPrefix(rest[start:], `"`) {
			return tagList{}, bad
		}
		length := strings.IndexByte(rest[start+1:], '"')
		if length < 0 {
			return tagList{}, bad
		}
		end := start + 1 + length + 1
		list.tags = append(list.tags, rest[:end])
		rest = strings.TrimLeft(rest[end:], " \t")
		if rest != "" && rest[0] != ',' {
			return tagList{}, bad
		}
	}
	if len(list.tags) == 0 {
		return tagList{}, bad
	}
	return list, nil
}
