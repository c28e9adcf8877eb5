package rulefile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/internal/strictjson"
)

// How large a file may be.
const (
	maxBytes = 1 << 20
	maxRules = 10_000
)

// Parse reads the rules of a file in YAML or JSON and validates them. A text
// that begins with { is read as JSON. The error names everything that is wrong,
// each finding with its path and, in YAML, its line. What depends on the
// injector (guardrails, named errors) is checked when the rules are put.
func Parse(data []byte) ([]fault.Rule, error) {
	doc, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("rulefile: %w", err)
	}
	return doc.rules, nil
}

// A document is what a file says, and where.
type document struct {
	rules []fault.Rule
	tree  tree
}

func parse(data []byte) (*document, error) {
	var p parser
	if err := p.read(data); err != nil {
		return nil, err
	}
	if err := p.findings.err(p.tree); err != nil {
		return nil, err
	}
	return &document{p.rules, p.tree}, nil
}

type parser struct {
	rules    []fault.Rule
	places   []string // the path of each
	findings findings
	tree     tree
	checking bool // for [Check], which also knows places in JSON, and single rules
}

// read returns an error if data cannot be read at all.
func (p *parser) read(data []byte) (err error) {
	// A reload happens in a goroutine of the library: a panic in a parser
	// would end a service that no rule has selected.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("internal error: %v", r)
		}
	}()
	if len(data) > maxBytes {
		return fmt.Errorf("has more than %d bytes", maxBytes)
	}
	if line := firstLine(data, "\x00"); line > 0 {
		return fmt.Errorf("has a NUL byte (line %d)", line)
	}
	if !utf8.Valid(data) {
		return fmt.Errorf("is not UTF-8 (line %d)", firstInvalidLine(data))
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF")) // as some editors begin every file

	text := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(text) == 0:
		return errEmpty
	case text[0] == '{' || p.checking && text[0] == '[':
		if err := strictjson.Unmarshal(data, new(json.RawMessage)); err != nil {
			return fmt.Errorf("begins with %c and is read as JSON: %w", text[0], err)
		}
	default:
		return p.decodeYAML(data)
	}
	if p.checking {
		p.tree = jsonTree(data)
		if p.decodeAlone(data) {
			return nil
		}
	}
	p.decode(data)
	return nil
}

// decode reads a file in JSON, which is well-formed.
func (p *parser) decode(data []byte) {
	var file struct {
		Rules []json.RawMessage `json:"rules"`
	}
	p.findings.add("", 0, strictjson.Unmarshal(data, &file))
	if file.Rules == nil && p.findings.none() {
		p.findings.addf("rules", 0, `is required; a file without rules says so with "rules: []"`)
	}
	if len(file.Rules) > maxRules {
		p.findings.addf("rules", 0, "has %d entries; at most %d are allowed", len(file.Rules), maxRules)
		return
	}
	p.decodeList("rules", file.Rules)
}

func (p *parser) decodeList(list string, rules []json.RawMessage) {
	seen := make(map[string]bool, len(rules))
	for i, text := range rules {
		path := problem.Index(list, i)
		var r fault.Rule
		p.nulls(path, text)
		p.findings.add(path, 0, r.UnmarshalJSON(text))
		if p.findings.inRule(path) {
			continue // what was not understood has no value to validate
		}
		p.findings.add(path, 0, r.Validate())
		if seen[r.ID] {
			p.findings.addf(path+".id", 0, "%q is given twice", r.ID)
		}
		seen[r.ID] = true
		p.rules, p.places = append(p.rules, r), append(p.places, path)
	}
}

// nulls reports every null. Elsewhere in JSON that is another way to leave a
// field out; in YAML it is what stays when the lines below "except:" are
// commented out, and the rule would reach further than anybody wrote.
func (p *parser) nulls(path string, text []byte) {
	if !bytes.Contains(text, []byte("null")) {
		return
	}
	var v any
	if json.Unmarshal(text, &v) == nil {
		p.nullsIn(path, v)
	}
}

func (p *parser) nullsIn(path string, v any) {
	switch v := v.(type) {
	case nil:
		p.findings.addf(path, 0, "has no value: give one, or leave the field out")
	case []any:
		for i, elem := range v {
			p.nullsIn(problem.Index(path, i), elem)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			p.nullsIn(problem.Join(path, segment(name)), v[name])
		}
	}
}

// firstLine returns the line that text is first found in, or 0.
func firstLine(data []byte, text string) int {
	before, _, found := bytes.Cut(data, []byte(text))
	if !found {
		return 0
	}
	return 1 + bytes.Count(before, []byte("\n"))
}

func firstInvalidLine(data []byte) int {
	line := 1
	for text := range bytes.Lines(data) {
		if !utf8.Valid(text) {
			break
		}
		line++
	}
	return line
}
