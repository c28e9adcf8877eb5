package rulefile_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/stretchr/testify/require"
)

// checked writes down what Check says: findings, then rules and their places.
func checked(text string) string {
	c := rulefile.Check([]byte(text))
	var lines []string
	for _, f := range c.Findings {
		line := fmt.Sprintf("%d:%d: ", f.Line, f.Column)
		if f.Path != "" {
			line += f.Path + ": "
		}
		lines = append(lines, line+f.Detail)
	}
	if c.Dropped > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", c.Dropped))
	}
	for i, r := range c.Rules {
		line, column := c.Place(c.Paths[i])
		lines = append(lines, fmt.Sprintf("good: %d:%d: %q %q", line, column, c.Paths[i], r.ID))
	}
	return strings.Join(lines, "\n")
}

func TestCheckTable(t *testing.T) {
	const table = "testdata/check.txt"
	data, err := os.ReadFile(table)
	require.NoError(t, err)
	var all []string
	for _, text := range strings.Split(string(data), "\n=== ") {
		name, rest, _ := strings.Cut(strings.TrimPrefix(text, "=== "), "\n")
		input, want, found := strings.Cut(rest, "=>\n")
		require.True(t, found, name)
		got := checked(input)
		if !*update {
			require.Equal(t, strings.Trim(want, "\n"), got, "%s\n%s", name, input)
		}
		all = append(all, "=== "+name+"\n"+input+"=>\n"+got+"\n")
	}
	if *update {
		require.NoError(t, os.WriteFile(table, []byte(strings.Join(all, "\n")), 0o644))
	}
}

func TestCheckBounds(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", `0:0: is empty; a file without rules says so with "rules: []"`},
		{"NUL", "rules:\n\x00", "2:1: has a NUL byte"},
		{"not UTF-8", "\n\n\xff", "3:1: is not UTF-8"},
		{"too large", "rules: []\n#" + strings.Repeat(" ", 1<<20), "0:0: has more than 1048576 bytes"},
		{"too many", "[" + strings.Repeat("1,", 10_000) + "1]", "1:1: has 10001 entries; at most 10000 are allowed"},
		{"far too deep", strings.Repeat("[", 1<<20), "1:65: begins with [ and is read as JSON: nested more than 64 levels deep"},
		{"far too deep in YAML", "- " + strings.Repeat("[", 1<<19), "0:0: syntax error: exceeded max depth of 10000"},
		{"aliases in a circle", "rules: &a [*a]", "1:1: rules[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0…: nested more than 64 levels deep"},
	} {
		t.Run(test.name, func(t *testing.T) { require.Equal(t, test.want, checked(test.text)) })
	}
	c := rulefile.Check([]byte(`{"rules": [` + strings.Repeat(`{}, `, 5000) + "{}]}")) // on one line
	require.Len(t, c.Findings, 100)
	require.NotZero(t, c.Dropped)
	require.Greater(t, c.Findings[99].Column, 50)
}

// What is read as a file is found good by both or by neither.
func checkAgreesWithParse(t testing.TB, data []byte) {
	t.Helper()
	c := rulefile.Check(data)
	rules, err := rulefile.Parse(data)
	require.Len(t, c.Paths, len(c.Rules))
	if err == nil {
		require.Empty(t, c.Findings)
		require.Len(t, c.Rules, len(rules))
		for i, r := range rules {
			require.Equal(t, r.String(), c.Rules[i].String())
			line, column := c.Place(c.Paths[i])
			require.Positive(t, line)
			require.Positive(t, column)
		}
		return
	}
	alone := len(c.Paths) > 0 && !strings.HasPrefix(c.Paths[0], "rules") || strings.HasPrefix(strings.TrimLeft(string(data), "\ufeff \t\r\n"), "[")
	require.True(t, alone || len(c.Findings) > 0, err)
	for _, f := range c.Findings {
		require.NotEmpty(t, f.Detail)
		require.NotContains(t, f.Detail, "internal error", "a panic was contained")
	}
}

func TestCheckAgreesWithParse(t *testing.T) {
	cases(t, func(_, input, _ string) { checkAgreesWithParse(t, []byte(input)) })
}

func FuzzCheck(f *testing.F) {
	cases(f, func(_, input, _ string) { f.Add([]byte(input)) })
	f.Add([]byte(`[{"id": "a", "target": {"points": ["x"]}, "scope": {"percent": 1}, "fault": {"panic": true}, "ttl": "1m"}]`))
	f.Add([]byte(`{"target": {"points": ["x"]}, "fault": {"panic": "true"}}`))
	f.Fuzz(checkAgreesWithParseFuzz)
}

func checkAgreesWithParseFuzz(t *testing.T, data []byte) { checkAgreesWithParse(t, data) }
