package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/inwords"
)

// where says at which points a rule is armed, or why at none, and for which
// operations.
func where(status fault.RuleStatus) string {
	var out []string
	if n := len(status.Protected); n > 0 {
		out = append(out, fmt.Sprintf("%d protected", n))
	}
	if n := len(status.Unsupported); n > 0 {
		out = append(out, fmt.Sprintf("%d cannot do this", n))
	}
	text := few(status.Points, "nowhere")
	if len(out) > 0 {
		text += " (" + strings.Join(out, ", ") + ")"
	}
	target := status.Rule.Target
	if len(target.Operations) > 0 {
		text += ", only " + inwords.Few(target.Operations)
	}
	if except := target.Except; except != nil && len(except.Operations) > 0 {
		text += ", not " + inwords.Few(except.Operations)
		if len(except.Points) > 0 {
			text += " at " + inwords.Few(except.Points)
		}
	}
	return text
}

func skips(by map[fault.SkipReason]uint64) string {
	if len(by) == 0 {
		return "0"
	}
	var texts []string
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		texts = append(texts, fmt.Sprintf("%d %s", by[reason], reason))
	}
	return strings.Join(texts, ", ")
}

// few names the first entries of a list, or says that there is none.
func few(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return inwords.Few(list)
}
