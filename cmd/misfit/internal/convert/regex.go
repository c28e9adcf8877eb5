package convert

import (
	"regexp/syntax"
	"strings"
	"unicode"

	"github.com/misfit-go/misfit/fault"
)

// maxAlternatives bounds how many patterns one regular expression becomes.
const maxAlternatives = 64

// fromRegex returns patterns that together match what a regular expression does
// that has to match the whole, or false if there are none: literal text, choices
// of it, .* for any text and [^/]+ for one segment of a path can be said.
func fromRegex(expression string) ([]string, bool) {
	if len(expression) > 4096 {
		return nil, false
	}
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil, false
	}
	return alternatives(re.Simplify())
}

// literals is fromRegex for expressions that match a list of texts.
func literals(expression string) ([]string, bool) {
	all, ok := fromRegex(expression)
	for _, text := range all {
		if strings.ContainsAny(text, "*{}") || text == "" {
			return nil, false
		}
	}
	return all, ok
}

func alternatives(re *syntax.Regexp) ([]string, bool) {
	switch re.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpEndText:
		// Those of the whole text are looked for in concatenation, where it
		// matters that they are at its ends.
		return []string{""}, re.Op == syntax.OpEmptyMatch
	case syntax.OpLiteral:
		text := string(re.Rune)
		foldable := func(r rune) bool { return unicode.SimpleFold(r) != r }
		if re.Flags&syntax.FoldCase != 0 && strings.ContainsFunc(text, foldable) {
			return nil, false
		}
		return []string{text}, !strings.ContainsAny(text, "*{}") // which have a meaning in patterns
	case syntax.OpCapture:
		return alternatives(re.Sub[0])
	case syntax.OpCharClass:
		return class(re.Rune)
	case syntax.OpQuest:
		some, ok := alternatives(re.Sub[0])
		return append([]string{""}, some...), ok && len(some) < maxAlternatives
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			some, ok := alternatives(sub)
			if all = append(all, some...); !ok || len(all) > maxAlternatives {
				return nil, false
			}
		}
		return all, true
	case syntax.OpStar:
		any := re.Sub[0].Op == syntax.OpAnyCharNotNL || re.Sub[0].Op == syntax.OpAnyChar
		return []string{"*"}, any
	case syntax.OpPlus:
		return []string{"{segment}"}, isSegmentClass(re.Sub[0])
	case syntax.OpConcat:
		return concatenation(re.Sub)
	}
	return nil, false
}

func concatenation(parts []*syntax.Regexp) ([]string, bool) {
	// The whole text has to match as it is.
	if len(parts) > 0 && parts[0].Op == syntax.OpBeginText {
		parts = parts[1:]
	}
	if n := len(parts); n > 0 && parts[n-1].Op == syntax.OpEndText {
		parts = parts[:n-1]
	}
	all := []string{""}
	for _, part := range parts {
		some, ok := alternatives(part)
		if !ok || len(all)*len(some) > maxAlternatives {
			return nil, false
		}
		var longer []string
		for _, begin := range all {
			for _, end := range some {
				longer = append(longer, begin+end)
			}
		}
		all = longer
	}
	return all, true
}

// class lists the characters of a small class.
func class(ranges []rune) ([]string, bool) {
	var all []string
	for i := 0; i+1 < len(ranges); i += 2 {
		if ranges[i+1]-ranges[i] >= maxAlternatives {
			return nil, false
		}
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			if strings.ContainsRune("*{}", r) || len(all) == maxAlternatives {
				return nil, false
			}
			all = append(all, string(r))
		}
	}
	return all, len(all) > 0
}

// isSegmentClass reports whether re is [^/].
func isSegmentClass(re *syntax.Regexp) bool {
	r := re.Rune
	return re.Op == syntax.OpCharClass && len(r) == 4 && r[0] == 0 && r[1] == '/'-1 && r[2] == '/'+1 && r[3] == unicode.MaxRune
}

// pathsFromRegex is fromRegex for paths.
func pathsFromRegex(expression string) ([]path, bool) {
	all, ok := fromRegex(expression)
	if !ok {
		return nil, false
	}
	var paths []path
	for _, text := range all {
		switch p := (path{text, patternPath}); {
		case text == "*" || text == "/*": // each path begins with a slash
			return []path{{}}, true
		case !strings.ContainsAny(text, "*{"):
			paths = append(paths, path{text, exactPath})
		case strings.IndexByte(text, '*') == len(text)-1 && !strings.Contains(text, "{"):
			paths = append(paths, path{strings.TrimSuffix(text, "*"), prefixPath})
		default:
			paths = append(paths, p)
		}
	}
	for _, p := range paths {
		if !canBePath(p) {
			return nil, false
		}
	}
	return paths, true
}

// canBePath reports whether a path of a call can be like p, and a rule can say so.
// A call's path is compared as it is once decoded, so what is written in code
// cannot be told apart from what is not.
func canBePath(p path) bool {
	if p.form == anyPath {
		return true
	}
	if !strings.HasPrefix(p.text, "/") && !strings.HasPrefix(p.text, "*") || strings.ContainsAny(p.text, " %?#") ||
		p.form != patternPath && strings.ContainsAny(p.text, "*{}") {
		return false
	}
	target := fault.Target{Points: []string{"*"}, Operations: []string{operation{path: p}.pattern()}}
	return target.Validate() == nil
}
