package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/misfit-go/misfit/internal/problem"
	"go.yaml.in/yaml/v3"
)

type kind int

const (
	null kind = iota
	boolean
	number
	text
	list
	object
)

func (k kind) String() string {
	return [...]string{"nothing", "true or false", "a number", "a text", "a list", "an object"}[k]
}

// A value is a part of a document, with its place.
type value struct {
	kind         kind
	text         string // of scalars
	items        []*value
	names        []string // of fields, in order
	fields       map[string]*value
	line, column int
}

// A cursor is a value and how it was found. Where there is none, its kind is
// null, and its place that of what it would be in.
type cursor struct {
	*value
	document int
	path     string
}

func (c cursor) given() bool { return c.kind != null }

func (c cursor) field(name string) cursor {
	v := c.fields[name]
	if v == nil {
		v = &value{line: c.line, column: c.column}
	}
	return cursor{v, c.document, problem.Join(c.path, segment(name))}
}

func (c cursor) each() iter.Seq2[int, cursor] {
	return func(yield func(int, cursor) bool) {
		for i, item := range c.items {
			if !yield(i, cursor{item, c.document, problem.Index(c.path, i)}) {
				return
			}
		}
	}
}

// segment is the part of a path that stands for a field.
func segment(name string) string {
	if simpleName.MatchString(name) {
		return name
	}
	return fmt.Sprintf("[%q]", clip(name))
}

var simpleName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

const maxShown = 64

// clip keeps what is repeated in proportion.
func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	end := maxShown
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// Bounds on one text.
const (
	maxDepth  = 64
	maxValues = 500_000 // what is written once may be meant by many aliases
)

// read returns the documents in data: JSON if it begins with { or [, else YAML.
func read(data []byte) ([]cursor, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("has more than %d MiB", MaxBytes>>20)
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return nil, fmt.Errorf("is no text: it has a NUL byte at byte %d", i)
	}
	if !utf8.Valid(data) {
		return nil, errors.New("is no text: it is not UTF-8")
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	var r treeReader
	begin := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(begin) == 0:
		return nil, errors.New("is empty")
	case begin[0] == '{' || begin[0] == '[':
		return r.json(data)
	}
	return r.yaml(data)
}

type treeReader struct {
	values int
	path   []string
}

func (r *treeReader) within(part string, visit func() error) error {
	r.path = append(r.path, part)
	err := visit()
	r.path = r.path[:len(r.path)-1]
	return err
}

// enter counts a value.
func (r *treeReader) enter(line int) error {
	if r.values++; r.values > maxValues {
		return fmt.Errorf("comes to more than %d values with its aliases written out", maxValues)
	}
	if len(r.path) > maxDepth {
		return fmt.Errorf("line %d: nested more than %d levels deep", line, maxDepth)
	}
	return nil
}

// field reads a field of v and gives it the place of its name.
func (r *treeReader) field(v *value, name string, line, column int, content func() (*value, error)) error {
	return r.within(segment(name), func() error {
		if _, twice := v.fields[name]; twice {
			path := ""
			for _, part := range r.path {
				path = problem.Join(path, part)
			}
			return fmt.Errorf("line %d: %s is given more than once", line, path)
		}
		child, err := content()
		if err != nil {
			return err
		}
		child.line, child.column = line, column
		v.names = append(v.names, name)
		v.fields[name] = child
		return nil
	})
}

func (r *treeReader) yaml(data []byte) ([]cursor, error) {
	var documents []cursor
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for i := 1; ; i++ {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, fmt.Errorf("is no YAML: %s", clip(strings.TrimPrefix(err.Error(), "yaml: ")))
		}
		if len(doc.Content) != 1 {
			continue
		}
		v, err := r.node(doc.Content[0])
		if err != nil {
			return nil, fmt.Errorf("document %d, %w", i, err)
		}
		documents = append(documents, cursor{v, i, ""})
	}
}

func (r *treeReader) node(n *yaml.Node) (*value, error) {
	at := n
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	v := &value{line: at.Line, column: at.Column}
	if err := r.enter(v.line); err != nil {
		return nil, err
	}
	switch n.Kind {
	case yaml.SequenceNode:
		v.kind = list
		for i, item := range n.Content {
			err := r.within(problem.Index("", i), func() error {
				child, err := r.node(item)
				v.items = append(v.items, child)
				return err
			})
			if err != nil {
				return nil, err
			}
		}
	case yaml.MappingNode:
		v.kind, v.fields = object, make(map[string]*value, len(n.Content)/2)
		return v, r.mapping(v, n)
	default:
		v.kind, v.text = scalarKind(n), n.Value
	}
	return v, nil
}

func scalarKind(n *yaml.Node) kind {
	switch n.ShortTag() {
	case "!!null":
		return null
	case "!!bool":
		return boolean
	case "!!int", "!!float":
		return number
	}
	return text
}

// mapping reads the fields of n, and those merged into it that it does not have.
func (r *treeReader) mapping(v *value, n *yaml.Node) error {
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, content := n.Content[i], n.Content[i+1]
		switch {
		case name.ShortTag() == "!!merge":
			merged = append(merged, content)
			continue
		case name.Kind != yaml.ScalarNode:
			return fmt.Errorf("line %d: has a name that is no text", name.Line)
		}
		err := r.field(v, name.Value, name.Line, name.Column, func() (*value, error) { return r.node(content) })
		if err != nil {
			return err
		}
	}
	for _, from := range merged {
		parts := []*yaml.Node{from}
		if from.Kind == yaml.SequenceNode {
			parts = from.Content
		}
		for _, part := range parts {
			if err := r.within("<<", func() error { return r.merge(v, part) }); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *treeReader) merge(v *value, part *yaml.Node) error {
	from, err := r.node(part)
	if err != nil {
		return err
	}
	if from.kind != object {
		return fmt.Errorf("line %d: merges %s; only objects can be merged", part.Line, from.kind)
	}
	for _, name := range from.names {
		if _, has := v.fields[name]; !has {
			v.names = append(v.names, name)
			v.fields[name] = from.fields[name]
		}
	}
	return nil
}

// jsonPlaces finds the lines of tokens.
type jsonPlaces struct {
	data               []byte
	tokens             *json.Decoder
	seen, line, column int
}

func (r *treeReader) json(data []byte) ([]cursor, error) {
	p := &jsonPlaces{data: data, tokens: json.NewDecoder(bytes.NewReader(data)), line: 1, column: 1}
	p.tokens.UseNumber()
	var documents []cursor
	for {
		v, err := r.token(p)
		if errors.Is(err, io.EOF) && len(documents) > 0 {
			return documents, nil
		}
		if err != nil {
			if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
				p.move(max(int(syntax.Offset)-1, p.seen))
				return nil, fmt.Errorf("begins with %c and is no JSON: line %d: %w", bytes.TrimLeft(data, " \t\r\n")[0], p.line, syntax)
			}
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = fmt.Errorf("begins with %c and is no JSON: it ends in the middle", bytes.TrimLeft(data, " \t\r\n")[0])
			}
			return nil, err
		}
		documents = append(documents, cursor{v, len(documents) + 1, ""})
	}
}

// move counts lines and columns up to an offset.
func (p *jsonPlaces) move(offset int) {
	passed := p.data[p.seen:min(offset, len(p.data))]
	p.seen += len(passed)
	if i := bytes.LastIndexByte(passed, '\n'); i >= 0 {
		p.line += bytes.Count(passed, []byte("\n"))
		p.column, passed = 1, passed[i+1:]
	}
	p.column += utf8.RuneCount(passed)
}

func (r *treeReader) token(p *jsonPlaces) (*value, error) {
	start := int(p.tokens.InputOffset())
	p.move(start + len(p.data[start:]) - len(bytes.TrimLeft(p.data[start:], " \t\r\n,:")))
	token, err := p.tokens.Token()
	if err != nil {
		return nil, err
	}
	v := &value{line: p.line, column: p.column}
	if err := r.enter(v.line); err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Delim:
		return v, r.compound(p, v, token)
	case string:
		v.kind, v.text = text, token
	case json.Number:
		v.kind, v.text = number, token.String()
	case bool:
		v.kind, v.text = boolean, fmt.Sprint(token)
	}
	return v, nil
}

func (r *treeReader) compound(p *jsonPlaces, v *value, open json.Delim) error {
	v.kind = list
	if open == '{' {
		v.kind, v.fields = object, make(map[string]*value)
	}
	child := func() (*value, error) { return r.token(p) }
	for i := 0; p.tokens.More(); i++ {
		var err error
		if v.kind == object {
			var name *value
			if name, err = r.token(p); err == nil {
				err = r.field(v, name.text, name.line, name.column, child)
			}
		} else {
			err = r.within(problem.Index("", i), func() error {
				item, err := child()
				v.items = append(v.items, item)
				return err
			})
		}
		if err != nil {
			return err
		}
	}
	_, err := p.tokens.Token()
	return err
}
