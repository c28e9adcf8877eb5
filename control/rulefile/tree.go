package rulefile

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/misfit-go/misfit/internal/problem"
	"go.yaml.in/yaml/v3"
)

// A tree is a file in YAML, as a place to look up lines. That of a file in
// JSON is empty.
type tree struct{ root *yaml.Node }

// explain returns the line that path is found on, or of the closest field
// around it that is there, and adds to detail what only YAML can tell.
func (t tree) explain(path, detail string) (int, string) {
	if t.root == nil {
		return 0, detail
	}
	n, line, rest := t.root, t.root.Line, path
	for rest != "" {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		child, at, after, ok := step(n, rest)
		if !ok {
			return line, detail
		}
		n, line, rest = child, at, after
	}
	plain := n.Kind == yaml.ScalarNode && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0
	if plain && strings.HasPrefix(detail, "want a string, got ") {
		detail += fmt.Sprintf(": quote it, as in %q", clip(n.Value, maxShown))
	}
	return line, detail
}

// step goes from n to the child that path begins with, and returns its line
// and the rest of path.
func step(n *yaml.Node, path string) (child *yaml.Node, line int, rest string, ok bool) {
	longest := 0
	try := func(prefix string, c *yaml.Node, at int) {
		if after, found := strings.CutPrefix(path, prefix); found && len(prefix) > longest &&
			(after == "" || after[0] == '.' || after[0] == '[') {
			longest, child, line, rest = len(prefix), c, at, strings.TrimPrefix(after, ".")
		}
	}
	switch n.Kind {
	case yaml.SequenceNode:
		if index, _, closed := strings.Cut(strings.TrimPrefix(path, "["), "]"); closed {
			if i, err := strconv.Atoi(index); err == nil && i >= 0 && i < len(n.Content) {
				try(problem.Index("", i), n.Content[i], n.Content[i].Line)
			}
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			try(segment(key.Value), n.Content[i+1], key.Line)
			try(key.Value, n.Content[i+1], key.Line) // as fault names headers and attributes
		}
	}
	return child, line, rest, longest > 0
}

// segment is the part of a path that stands for a field, as strictjson has it.
func segment(name string) string {
	special := func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}
	if name == "" || len(name) > maxShown || name[0] <= '9' || strings.ContainsFunc(name, special) {
		return "[" + strconv.Quote(clip(name, maxShown)) + "]"
	}
	return name
}

// maxShown is how many bytes of a text from the file an error repeats.
const maxShown = 64

func clip(s string, longest int) string {
	if len(s) <= longest {
		return s
	}
	for !utf8.RuneStart(s[longest]) {
		longest--
	}
	return s[:longest] + "…"
}
