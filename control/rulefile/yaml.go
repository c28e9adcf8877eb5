package rulefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/misfit-go/misfit/internal/problem"
	"go.yaml.in/yaml/v3"
)

var errEmpty = errors.New(`is empty; a file without rules says so with "rules: []"`)

const (
	maxDepth    = 64      // as deep as strictjson goes
	maxExpanded = 8 << 20 // bytes of JSON: what is written once may be meant by many aliases
)

// decodeYAML reads a file in YAML by writing it out as JSON, so that both have
// the same rules and messages. What YAML has beyond JSON is refused where two
// readers could disagree on what it means.
func (p *parser) decodeYAML(data []byte) error {
	root, err := readYAML(data)
	if err != nil {
		return err
	}
	p.tree = tree{root}
	w := jsonWriter{findings: &p.findings}
	if err := w.value("", root, 0); err != nil {
		return err
	}
	p.decode(w.out.Bytes())
	return nil
}

// readYAML returns the root of the one document in data.
func readYAML(data []byte) (*yaml.Node, error) {
	documents := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := documents.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, errEmpty
	case err != nil:
		return nil, syntaxError(data, err)
	}
	var second yaml.Node
	switch err := documents.Decode(&second); {
	case err == nil:
		return nil, fmt.Errorf("has more than one document (line %d)", second.Line)
	case !errors.Is(err, io.EOF):
		return nil, syntaxError(data, err)
	}
	if len(doc.Content) != 1 || isNull(doc.Content[0]) {
		return nil, errEmpty
	}
	return doc.Content[0], nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

var tabIndent = regexp.MustCompile(`(?m)^ *\t`)

func syntaxError(data []byte, err error) error {
	text := "syntax error: " + clip(strings.TrimPrefix(err.Error(), "yaml: "), 200)
	if tab := tabIndent.FindIndex(data); tab != nil {
		text += fmt.Sprintf("; line %d is indented with a tab, and YAML wants spaces", 1+bytes.Count(data[:tab[1]], []byte("\n")))
	}
	return errors.New(text)
}

// A jsonWriter writes YAML as JSON. In place of what it has to report it
// writes something, so that all the rest can be checked too.
type jsonWriter struct {
	out      bytes.Buffer
	findings *findings
}

// value returns an error only for what cannot be written out at all.
func (w *jsonWriter) value(path string, n *yaml.Node, depth int) error {
	if w.out.Len() > maxExpanded {
		return fmt.Errorf("comes to more than %d bytes with its aliases written out", maxExpanded)
	}
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Style&yaml.TaggedStyle != 0 {
		w.findings.addf(path, n.Line, "has the tag %s: tags are not read; text that looks like something else is quoted", clip(n.Tag, maxShown))
	}
	if n.Kind == yaml.ScalarNode {
		w.scalar(path, n)
		return nil
	}
	if depth++; depth > maxDepth {
		return fmt.Errorf("%s: nested more than %d levels deep (line %d)", clip(path, maxShown), maxDepth, n.Line)
	}
	if n.Kind == yaml.SequenceNode {
		return w.sequence(path, n, depth)
	}
	return w.mapping(path, n, depth)
}

func (w *jsonWriter) sequence(path string, n *yaml.Node, depth int) error {
	w.out.WriteByte('[')
	for i, elem := range n.Content {
		if i > 0 {
			w.out.WriteByte(',')
		}
		if err := w.value(problem.Index(path, i), elem, depth); err != nil {
			return err
		}
	}
	w.out.WriteByte(']')
	return nil
}

func (w *jsonWriter) mapping(path string, n *yaml.Node, depth int) error {
	first := make(map[string]int, len(n.Content)/2) // lines
	w.out.WriteByte('{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if fault := notAName(key); fault != "" {
			w.findings.addf(path, key.Line, "%s", fault)
			continue
		}
		at := problem.Join(path, segment(key.Value))
		if line, twice := first[key.Value]; twice {
			w.findings.addf(at, key.Line, "given more than once; first on line %d", line)
			continue
		}
		if len(first) > 0 {
			w.out.WriteByte(',')
		}
		first[key.Value] = key.Line
		w.text(key.Value)
		w.out.WriteByte(':')
		if err := w.value(at, n.Content[i+1], depth); err != nil {
			return err
		}
	}
	w.out.WriteByte('}')
	return nil
}

// notAName says why a key cannot be the name of a field.
func notAName(key *yaml.Node) string {
	shown := clip(key.Value, maxShown)
	switch {
	case key.Kind == yaml.AliasNode:
		return fmt.Sprintf("has the alias *%s for a name: write the name out", shown)
	case key.Kind != yaml.ScalarNode:
		return "has a list or a mapping for a name: a name is text"
	case key.Style&yaml.TaggedStyle != 0:
		return fmt.Sprintf("the name %q has the tag %s: tags are not read", shown, clip(key.Tag, maxShown))
	case key.ShortTag() == "!!merge":
		return "has the merge key <<: write the fields out"
	case key.ShortTag() != "!!str":
		return fmt.Sprintf("has %s for a name, which is not text: quote it, as in %q", shown, shown)
	}
	return ""
}

var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func (w *jsonWriter) scalar(path string, n *yaml.Node) {
	tag := n.ShortTag()
	if n.Style&yaml.TaggedStyle != 0 {
		tag = "" // it may not be what it says it is
	}
	switch tag {
	case "!!null":
		w.out.WriteString("null")
	case "!!bool":
		w.out.WriteString(strings.ToLower(n.Value))
	case "!!int", "!!float":
		if jsonNumber.MatchString(n.Value) {
			w.out.WriteString(n.Value)
			return
		}
		// 010 is 8 to some readers and 10 to others.
		w.findings.addf(path, n.Line, "%s is a number only in YAML: quote it if it is text, or write it as in JSON, such as 10 or 0.5", clip(n.Value, maxShown))
		w.out.WriteByte('0')
	default: // text, and times, which JSON has as text
		w.text(n.Value)
	}
}

func (w *jsonWriter) text(s string) {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // no string has one
	}
	w.out.Write(text)
}
