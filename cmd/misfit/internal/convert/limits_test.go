package convert_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/cmd/misfit/internal/convert"
	"github.com/stretchr/testify/require"
)

// bomb is a text in YAML whose aliases come to 10^levels values.
func bomb(levels int) string {
	text := "a: &a0 [x]\n"
	for i := range levels {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 10), ", "))
	}
	return text
}

const header = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: x}\nspec:\n  hosts: [x]\n  http:\n"

func TestUnreadable(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "is empty"},
		{"blank", " \n\t\n", "is empty"},
		{"binary", "\x7fELF\x02\x01\x01\x00", "is no text: it has a NUL byte at byte 7"},
		{"not UTF-8", "a: \xff", "is no text: it is not UTF-8"},
		{"too large", strings.Repeat(" ", convert.MaxBytes+1), "has more than 8 MiB"},
		{"half of JSON", `{"a": [1, `, "begins with { and is no JSON: it ends in the middle"},
		{"no JSON", "{\n\"a\" 1}", "begins with { and is no JSON: line 2: invalid character '1' after object key"},
		{"no YAML", "a: [", "is no YAML: line 1: did not find expected node content"},
		{"a name given twice", "a: 1\nb:\n  c: 1\n  c: 2\n", "document 1, line 4: b.c is given more than once"},
		{"a name given twice in JSON", "{\"a\": [{\n\"b\": 1, \"b\": 2}]}", "line 2: a[0].b is given more than once"},
		{"a bomb", bomb(8), "document 1, comes to more than 500000 values with its aliases written out"},
		{"aliases in a circle", "a: &a [*a]", "document 1, line 1: nested more than 64 levels deep"},
		{"a merge in a circle", "a: &a {<<: *a}", "document 1, line 1: nested more than 64 levels deep"},
		{"a merge of text", "a: {<<: text}", "document 1, line 1: merges a text; only objects can be merged"},
		{"a list for a name", "? [a]\n: b", "document 1, line 1: has a name that is no text"},
		{"deep", strings.Repeat("[", 100) + strings.Repeat("]", 100), "line 1: nested more than 64 levels deep"},
		{"far too deep", strings.Repeat("[", 1<<20), "line 1: nested more than 64 levels deep"},
		{"far too deep in YAML", "- " + strings.Repeat("- ", 1<<19), "is no YAML: exceeded max depth of 10000"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, read := range []reader{convert.Istio, convert.Gremlin} {
				result, err := read([]byte(test.text), convert.Options{TTL: ttl})
				require.EqualError(t, err, test.want)
				require.Empty(t, result)
			}
			_, err := convert.Detect([]byte(test.text))
			require.EqualError(t, err, test.want)
		})
	}
}

func TestTooMuch(t *testing.T) {
	var routes, services, experiments strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&routes, "    - match: [{uri: {exact: /%d}}]\n      fault: {abort: {httpStatus: 500, percentage: {value: 50}}}\n", i)
	}
	for i := range 11_000 {
		fmt.Fprintf(&services, "%s    - fault: {abort: {httpStatus: 500, percentage: {value: 50}}}\n---\n", strings.ReplaceAll(header, "[x]", fmt.Sprintf("[x%d]", i)))
		fmt.Fprintf(&experiments, `{"failureFlagName": "x%d", "rate": 1, "effect": {"latency": 1}}`+"\n", i)
	}

	result, err := convert.Istio([]byte(header+routes.String()), convert.Options{TTL: ttl})
	require.NoError(t, err)
	require.True(t, result.Lossy())
	require.Len(t, result.Rules, 1000)
	good(t, result)

	_, err = convert.Istio([]byte(services.String()), convert.Options{TTL: ttl})
	require.ErrorContains(t, err, "more than 10000 rules")
	_, err = convert.Gremlin([]byte(experiments.String()), convert.Options{TTL: ttl})
	require.Error(t, err) // too many to compare, or too many rules
	require.ErrorContains(t, err, "convert it in parts")

	// Conditions that have to be compared, each with each.
	many := strings.Repeat("{uri: {prefix: /a}, method: {regex: 'A|B|C|D|E|F|G'}, headers: {h: {exact: X}}}, ", 900)
	text := header
	for i := range 20 {
		text += fmt.Sprintf("    - match: [%s]\n      fault: {abort: {httpStatus: 500, percentage: {value: 50}}}\n", strings.ReplaceAll(many, "X", fmt.Sprint(i%2)))
	}
	_, err = convert.Istio([]byte(text), convert.Options{TTL: ttl})
	if err != nil {
		require.ErrorContains(t, err, "convert it in parts")
	}

	// Many findings.
	text = header + strings.Repeat("    - {match: [{port: 1}], fault: {delay: {fixedDelay: x}}}\n", 900)
	result, err = convert.Istio([]byte(text), convert.Options{TTL: ttl})
	require.NoError(t, err)
	require.Len(t, result.Findings, 1000)
	require.Positive(t, result.Dropped)
	require.True(t, result.Lossy())

	// Rules whose exceptions come to too much for a file.
	text = header
	for i := range 900 {
		text += fmt.Sprintf("    - match: [{uri: {exact: /%d}}]\n", i)
	}
	for range 90 {
		text += "    - {match: [{headers: {h: {exact: X}}}], fault: {abort: {httpStatus: 500, percentage: {value: 50}}}}\n"
	}
	for i := range 90 {
		text = strings.Replace(text, "X", fmt.Sprintf("v%d", i), 1)
	}
	result, err = convert.Istio([]byte(text), convert.Options{TTL: ttl})
	require.NoError(t, err)
	_, err = result.YAML()
	require.ErrorContains(t, err, "convert it in parts")
}

func TestNames(t *testing.T) {
	text := strings.NewReplacer("{name: x}", `{name: "token-ü x", namespace: ""}`).Replace(header)
	long := strings.Repeat("y", 100)
	for _, name := range []string{long, long, "request-1", "..", "a b"} {
		text += fmt.Sprintf("    - {name: %q, match: [{method: {exact: M%d}}], fault: {abort: {httpStatus: 500, percentage: {value: 50}}}}\n", name, len(text))
	}
	result, err := convert.Istio([]byte(text), convert.Options{TTL: ttl})
	require.NoError(t, err)
	good(t, result)
	require.Len(t, result.Rules, 5)
	require.Equal(t, "rule-token-x-"+long[:51], result.Rules[0].ID)
	require.Equal(t, "rule-token-x-"+long[:49]+"-2", result.Rules[1].ID)
	require.Equal(t, "rule-token-x-request-1", result.Rules[2].ID)
	require.Equal(t, "rule-token-x", result.Rules[3].ID)
}

func TestPoints(t *testing.T) {
	text := []byte(strings.Replace(header, "[x]", "[x, y.ns, z.ns.svc.cluster.local, 'w:80', api.example.com]", 1) + "    - fault: {abort: {httpStatus: 500, percentage: {value: 50}}}\n")
	o := convert.Options{TTL: ttl, Points: map[string]string{
		"x.default.svc.cluster.local": "ex", "w:80": "http.client:double-u", "y.ns": "why",
	}}
	result, err := convert.Istio(text, o)
	require.NoError(t, err)
	good(t, result)
	require.Equal(t, []string{"http.client:ex", "http.client:why", "http.client:z", "http.client:double-u", "http.client:api.example.com"}, result.Rules[0].Target.Points)
	o.GRPC = true
	result, err = convert.Istio(text, o)
	require.NoError(t, err)
	require.Equal(t, "grpc.client:ex", result.Rules[0].Target.Points[0])
}
