package rulefile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/strictjson"
	"go.yaml.in/yaml/v3"
)

// Checked is what [Check] found out about a text.
type Checked struct {
	// Findings are what [Parse] would refuse the text for, in its order. At most
	// 100 are told; Dropped counts the others.
	Findings []Finding
	Dropped  int

	// Rules are those without a finding, and Paths where each is: "rules[3]" in a
	// file, "[3]" in a list, "" if the text is one rule.
	Rules []fault.Rule
	Paths []string

	tree tree
}

// A Finding is one thing that is wrong.
type Finding struct {
	Path   string // of the field, such as "rules[3].ttl"; empty if it is about the whole text
	Detail string // what is wrong and what would be right

	// Line and Column count from 1, columns in characters. They are 0 where
	// there is no telling.
	Line, Column int
}

// Check reads a text for those who mend it: it goes on where [Parse] gives up,
// and knows lines and columns in JSON too. Besides files it takes, in JSON, what
// the control endpoint and tokens take: a rule, whose ID may then be missing,
// and a list of rules.
func Check(data []byte) Checked {
	p := parser{checking: true}
	if err := p.read(data); err != nil {
		detail, line, column := whereSaid(strings.TrimSpace(err.Error()))
		return Checked{Findings: []Finding{{Detail: detail, Line: line, Column: column}}}
	}
	c := Checked{Dropped: p.findings.dropped, tree: p.tree}
	for i, path := range p.places {
		if !p.findings.inRule(path) {
			c.Rules, c.Paths = append(c.Rules, p.rules[i]), append(c.Paths, path)
		}
	}
	lines := bytes.Split(data, []byte("\n"))
	for _, f := range p.findings.list {
		found := Finding{Path: f.Path, Detail: f.Detail}
		found.Line, found.Column = c.Place(f.Path)
		switch {
		case f.line == 0:
			_, found.Detail = p.tree.explain(f.Path, f.Detail)
		case f.line != found.Line: // such as the second of two fields of one name
			found.Line, found.Column = f.line, 1
			if f.line <= len(lines) {
				text := lines[f.line-1]
				found.Column += len(text) - len(bytes.TrimLeft(text, " -"))
			}
		}
		c.Findings = append(c.Findings, found)
	}
	slices.SortStableFunc(c.Findings, func(a, b Finding) int {
		return cmp.Or(a.Line-b.Line, a.Column-b.Column)
	})
	return c
}

// Place returns where the field at path is, or else the closest field around it
// that is there.
func (c *Checked) Place(path string) (line, column int) {
	if c.tree.root == nil {
		return 0, 0
	}
	_, at, _ := c.tree.find(path)
	return at.Line, at.Column
}

var (
	lineAndColumn = regexp.MustCompile(` at (\d+):(\d+)$`)
	lineAtEnd     = regexp.MustCompile(` \(line (\d+)\)$`)
	lineInside    = regexp.MustCompile(`\bline (\d+): `)
)

// whereSaid takes the place out of what a parser says.
func whereSaid(text string) (detail string, line, column int) {
	for _, pattern := range []*regexp.Regexp{lineAndColumn, lineAtEnd, lineInside} {
		if at := pattern.FindStringSubmatchIndex(text); at != nil {
			line, _ = strconv.Atoi(text[at[2]:at[3]])
			column = 1
			if len(at) > 4 {
				column, _ = strconv.Atoi(text[at[4]:at[5]])
			}
			return text[:at[0]] + text[at[1]:], line, column
		}
	}
	return text, 0, 0
}

// decodeAlone reads a rule, or a list of rules, that is no file.
func (p *parser) decodeAlone(data []byte) bool {
	if bytes.TrimLeft(data, " \t\r\n")[0] == '[' {
		var rules []json.RawMessage
		p.findings.add("", 0, strictjson.Unmarshal(data, &rules))
		if len(rules) > maxRules {
			p.findings.addf("", 0, "has %d entries; at most %d are allowed", len(rules), maxRules)
			return true
		}
		p.decodeList("", rules)
		return true
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil || fields["rules"] != nil || fields["fault"] == nil && fields["target"] == nil {
		return false
	}
	var r fault.Rule
	p.nulls("", data)
	p.findings.add("", 0, r.UnmarshalJSON(data))
	if !p.findings.none() {
		return true
	}
	named := r
	if named.ID == "" {
		named.ID = "unnamed" // the address it is put at says it
	}
	p.findings.add("", 0, named.Validate())
	if p.findings.none() {
		p.rules, p.places = []fault.Rule{r}, []string{""}
	}
	return true
}

// jsonTree returns well-formed JSON as the nodes that YAML would have.
func jsonTree(data []byte) tree {
	r := jsonReader{data: data, tokens: json.NewDecoder(bytes.NewReader(data)), line: 1, column: 1}
	r.tokens.UseNumber()
	return tree{r.value()}
}

type jsonReader struct {
	data   []byte
	tokens *json.Decoder

	seen, line, column int // the offset that all before was counted of, and its place
}

func (r *jsonReader) value() *yaml.Node {
	n := r.next()
	switch n.Value {
	case "{", "[":
		if n.Kind != 0 {
			break // text
		}
		n.Kind = yaml.SequenceNode
		if n.Value == "{" {
			n.Kind = yaml.MappingNode
		}
		n.Value = ""
		for r.tokens.More() {
			n.Content = append(n.Content, r.value())
		}
		r.next()
		return n
	}
	n.Kind = yaml.ScalarNode
	return n
}

// next takes one token. Its node has a kind if it is a text.
func (r *jsonReader) next() *yaml.Node {
	start := int(r.tokens.InputOffset())
	start += len(r.data[start:]) - len(bytes.TrimLeft(r.data[start:], " \t\r\n,:"))
	token, err := r.tokens.Token()
	if err != nil {
		panic(err) // the text was checked
	}
	passed := r.data[r.seen:start]
	r.seen = start
	if i := bytes.LastIndexByte(passed, '\n'); i >= 0 {
		r.line += bytes.Count(passed, []byte("\n"))
		r.column, passed = 1, passed[i+1:]
	}
	r.column += utf8.RuneCount(passed)
	n := &yaml.Node{Line: r.line, Column: r.column}
	if text, ok := token.(string); ok {
		n.Kind, n.Value, n.Style = yaml.ScalarNode, text, yaml.DoubleQuotedStyle
		return n
	}
	n.Value = string(bytes.TrimSpace(r.data[start:r.tokens.InputOffset()]))
	return n
}
