package fault

import (
	"strings"

	"github.com/misfit-go/misfit/internal/problem"
)

const (
	maxPatternBytes  = 512
	serverKindSuffix = ".server"
)

// matchPattern reports whether the whole of s matches pattern, in which *
// stands for any text. It takes time proportional to the product of their
// lengths at worst and never allocates.
func matchPattern(pattern, s string) bool {
	star, resume := -1, 0 // where to go back to, and how much the last * then covers
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			resume++
			p, i = star+1, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// A pointPattern selects injection points. "kind:name" matches both halves;
// a name alone matches a dependency, that is every kind but servers, so that
// the server side is faulted only when it is asked for.
type pointPattern struct {
	kind string // empty: any kind that is not a server
	name string
}

func parsePointPattern(text string) pointPattern {
	kind, name, found := strings.Cut(text, ":")
	if !found {
		return pointPattern{name: text}
	}
	return pointPattern{kind: kind, name: name}
}

func (pp pointPattern) match(kind, name string) bool {
	if pp.kind == "" {
		return !strings.HasSuffix(kind, serverKindSuffix) && matchPattern(pp.name, name)
	}
	return matchPattern(pp.kind, kind) && matchPattern(pp.name, name)
}

func (pp pointPattern) exact() bool {
	return pp.kind != "" && !strings.Contains(pp.kind, "*") && !strings.Contains(pp.name, "*")
}

// covers reports whether pp matches every point that other does. It may say no
// where a closer look at the two patterns would find that it does.
func (pp pointPattern) covers(other pointPattern) bool {
	// A * stands for any text, one of other's included.
	if !matchPattern(pp.name, other.name) {
		return false
	}
	switch {
	case pp.kind != "" && other.kind != "":
		return matchPattern(pp.kind, other.kind)
	case pp.kind != "":
		return strings.Trim(pp.kind, "*") == ""
	}
	return other.kind == "" || !strings.Contains(other.kind, "*") && !strings.HasSuffix(other.kind, serverKindSuffix)
}

// An operationPattern selects operations. In its text * stands for anything
// and {name} for one path segment.
type operationPattern struct {
	verb   string // empty: any
	name   string
	prefix string // of name: what every match begins with
}

func parseOperationPattern(text string) operationPattern {
	var op operationPattern
	verb, name, found := strings.Cut(text, " ")
	if op.name = text; found {
		op.verb, op.name = verb, name
	}
	op.prefix = op.name
	if i := strings.IndexAny(op.name, "*{"); i >= 0 {
		op.prefix = op.name[:i]
	}
	return op
}

func (op *operationPattern) match(o *Operation) bool {
	if op.verb != "" && !matchPattern(op.verb, o.Verb) {
		return false
	}
	return op.matchName(o.Name) || o.Raw != "" && op.matchName(o.Raw)
}

// matchName rules most names out by how they begin.
func (op *operationPattern) matchName(s string) bool {
	return strings.HasPrefix(s, op.prefix) && matchSegments(op.name, s)
}

// matchSegments is matchPattern with {name} standing for one path segment and
// {name...} for the rest.
func matchSegments(pattern, s string) bool {
	for {
		open := strings.IndexByte(pattern, '{')
		if open < 0 {
			return matchPattern(pattern, s)
		}
		end := strings.IndexByte(pattern[open:], '}')
		if end < 0 || strings.Contains(pattern[:open], "*") {
			// validateOperation refuses both
			return false
		}
		if !strings.HasPrefix(s, pattern[:open]) {
			return false
		}
		s = s[open:]
		if strings.HasSuffix(pattern[open:open+end], "...") {
			return true
		}
		pattern = pattern[open+end+1:]
		length := strings.IndexByte(s, '/')
		if length < 0 {
			length = len(s)
		}
		if length == 0 {
			return false
		}
		s = s[length:]
	}
}

func validatePoints(problems *problem.List, path string, patterns []string) {
	for i, text := range patterns {
		kind, name, found := strings.Cut(text, ":")
		switch {
		case len(text) > maxPatternBytes:
			problems.Addf(problem.Index(path, i), "has %d bytes; at most %d are allowed", len(text), maxPatternBytes)
		case text == "", found && (kind == "" || name == ""):
			problems.Addf(problem.Index(path, i), `%s names no point; use a dependency such as "ratings", or kind and name such as "http.client:ratings"`, quote(text))
		}
	}
}

func validateOperations(problems *problem.List, path string, patterns []string) {
	for i, text := range patterns {
		op := parseOperationPattern(text)
		switch {
		case len(text) > maxPatternBytes:
			problems.Addf(problem.Index(path, i), "has %d bytes; at most %d are allowed", len(text), maxPatternBytes)
		case op.name == "", strings.TrimSpace(text) != text, strings.HasPrefix(op.name, " "):
			problems.Addf(problem.Index(path, i), `%s names no operation; use for instance "GET /ratings/*" or "COMMIT"`, quote(text))
		case !segmentsWellFormed(op.name):
			problems.Addf(problem.Index(path, i), "%s: each {name} is a whole path segment, is closed, and no * stands before it", quote(text))
		}
	}
}

func segmentsWellFormed(pattern string) bool {
	for {
		open := strings.IndexAny(pattern, "{}")
		if open < 0 {
			return true
		}
		end := strings.IndexByte(pattern[open:], '}')
		if pattern[open] == '}' || end < 0 || strings.Contains(pattern[:open], "*") {
			return false
		}
		rest := pattern[open+end+1:]
		wholeSegment := strings.HasSuffix(pattern[:open], "/") && (rest == "" || rest[0] == '/')
		isRest := strings.HasSuffix(pattern[:open+end], "...")
		if !wholeSegment || isRest && rest != "" {
			return false
		}
		pattern = rest
	}
}
