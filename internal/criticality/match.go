package criticality

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A pattern names points as the target of a rule does: "ratings" is every dependency
// of that name, "http.client:ratings" has the kind too, and * stands for any text.

// CheckPattern returns what is wrong with a pattern, or nil.
func CheckPattern(pattern string) error {
	kind, name, found := strings.Cut(pattern, ":")
	if pattern == "" || strings.TrimSpace(pattern) != pattern || found && (kind == "" || name == "") {
		return fmt.Errorf("%q names no dependency: give a name such as %q, or kind and name such as %q", pattern, "ratings", "http.client:ratings")
	}
	return nil
}

// Matches reports whether a pattern stands for a point.
func Matches(pattern, point string) bool {
	kind, name, _ := strings.Cut(point, ":")
	wantKind, wantName, found := strings.Cut(pattern, ":")
	if !found {
		return !strings.HasSuffix(kind, ".server") && matchText(pattern, name)
	}
	return matchText(wantKind, kind) && matchText(wantName, name)
}

func matchText(pattern, text string) bool {
	if !strings.Contains(pattern, "*") {
		return pattern == text
	}
	parts := strings.Split(pattern, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`^(?s:` + strings.Join(parts, ".*") + `)$`).MatchString(text)
}

// MatchesAny reports whether one of the patterns stands for a point.
func MatchesAny(patterns []string, point string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return Matches(p, point) })
}
