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
// JSON is empty, but for [Check].
type tree struct{ root *yaml.Node }

// explain returns the line that path is found on, or of the closest field
// around it that is there, and adds to detail what only YAML can tell.
func (t tree) explain(path, detail string) (int, string) {
	if t.root == nil {
		return 0, detail
	}
	n, at, found := t.find(path)
	if !found {
		return at.Line, detail
	}
	plain := n.Kind == yaml.ScalarNode && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0
	if plain && strings.HasPrefix(detail, "want a string, got ") {
		detail += fmt.Sprintf(": quote it, as in %q", clip(n.Value, maxShown))
	}
	return at.Line, detail
}

// find goes as far on path as there are fields, and returns the value of the
// last one and the node that it begins at, which is its name if it has one.
func (t tree) find(path string) (n, at *yaml.Node, found bool) {
	n, at = t.root, t.root
	for rest := path; rest != ""; {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		child, begins, after, ok := step(n, rest)
		if !ok {
			return n, at, false
		}
		n, at, rest = child, begins, after
	}
	return n, at, true
}

// step goes from n to the child that path begins with, and returns where that
// begins and the rest of path.
func step(n *yaml.Node, path string) (child, begins *yaml.Node, rest string, ok bool) {
	longest := 0
	try := func(prefix string, c, at *yaml.Node) {
		if after, found := strings.CutPrefix(path, prefix); found && len(prefix) > longest &&
			(after == "" || after[0] == '.' || after[0] == '[') {
			longest, child, begins, rest = len(prefix), c, at, strings.TrimPrefix(after, ".")
		}
	}
	switch n.Kind {
	case yaml.SequenceNode:
		if index, _, closed := strings.Cut(strings.TrimPrefix(path, "["), "]"); closed {
			if i, err := strconv.Atoi(index); err == nil && i >= 0 && i < len(n.Content) {
				try(problem.Index("", i), n.Content[i], n.Content[i])
			}
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			try(segment(key.Value), n.Content[i+1], key)
			try(key.Value, n.Content[i+1], key) // as fault names headers and attributes
		}
	}
	return child, begins, rest, longest > 0
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
