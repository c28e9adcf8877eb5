package convert

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/misfit-go/misfit/internal/problem"
)

var (
	notInID = regexp.MustCompile(`[^A-Za-z0-9._-]+`)
	dashes  = regexp.MustCompile(`--+`)
)

const maxIDBytes = 64

// newID makes an ID of text that no other rule has.
func (c *converter) newID(text string) string {
	id := strings.Trim(dashes.ReplaceAllString(notInID.ReplaceAllString(text, "-"), "-"), "._-")
	for _, reserved := range []string{"request-", "token-"} { // those of rules that requests carry
		if id == "" || strings.HasPrefix(id, reserved) {
			id = "rule-" + id
		}
	}
	base := id[:min(len(id), maxIDBytes)]
	id = base
	for n := c.ids[base]; c.ids[id] > 0; n++ {
		suffix := fmt.Sprintf("-%d", n+1)
		id = base[:min(len(base), maxIDBytes-len(suffix))] + suffix
		c.ids[base]++
	}
	c.ids[id]++
	return id
}

// short is the first thing that is wrong.
func short(err error) string {
	all := problem.All(err)
	if len(all) == 0 {
		return err.Error()
	}
	return strings.TrimPrefix(all[0].Error(), "fault: ")
}

// matchStar reports whether the whole of s matches pattern, in which * stands
// for any text.
func matchStar(pattern, s string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == s
	}
	parts := strings.Split(pattern, "*")
	s, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}
