package convert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// maxFileBytes is how large a file of rules may be.
const maxFileBytes = 1 << 20

// YAML returns the rules as a file, in the form that package rulefile reads.
func (r Result) YAML() ([]byte, error) {
	rules := &yaml.Node{Kind: yaml.SequenceNode}
	if len(r.Rules) == 0 {
		rules.Style = yaml.FlowStyle
	}
	for _, rule := range r.Rules {
		data, err := json.Marshal(rule)
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", rule.ID, err)
		}
		tokens := json.NewDecoder(bytes.NewReader(data))
		tokens.UseNumber()
		n, err := inBlocks(tokens)
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", rule.ID, err)
		}
		rules.Content = append(rules.Content, n)
	}
	file := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: "rules"}, rules}}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(file); err != nil {
		return nil, err
	}
	if out.Len() > maxFileBytes {
		return nil, fmt.Errorf("comes to %d bytes of rules, and a file of rules may have %d: convert it in parts", out.Len(), maxFileBytes)
	}
	return out.Bytes(), nil
}

// inBlocks turns the next JSON value into YAML, with its fields in their order.
func inBlocks(tokens *json.Decoder) (*yaml.Node, error) {
	token, err := tokens.Token()
	if err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(token)}
	switch token := token.(type) {
	case string:
		if !plain.MatchString(token) || likeOther.MatchString(token) {
			n.Style = yaml.DoubleQuotedStyle
		}
	case json.Delim:
		n.Value, n.Kind = "", yaml.MappingNode
		if token == '[' {
			n.Kind = yaml.SequenceNode
		}
		width := 0
		for tokens.More() {
			child, err := inBlocks(tokens)
			if err != nil {
				return nil, err
			}
			width += len(child.Value) + 4
			n.Content = append(n.Content, child)
		}
		if n.Kind == yaml.SequenceNode && width < 80 {
			n.Style = yaml.FlowStyle
		}
		if _, err := tokens.Token(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

var (
	plain = regexp.MustCompile(`^([A-Za-z/]([A-Za-z0-9 ._/-]*[A-Za-z0-9_/-])?|([0-9]+(\.[0-9]+)?(h|m|s|ms))+)$`)

	// likeOther is what some reader of YAML takes for something else than text.
	likeOther = regexp.MustCompile(`(?i)^(true|false|yes|no|y|n|on|off|null|nan|inf)$`)
)
