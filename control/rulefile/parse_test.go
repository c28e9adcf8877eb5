package rulefile_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write the golden files anew")

const table = "testdata/parse.txt"

// cases reads files and what comes of them: a line "=== name", the file, a
// line "=>" and the rules as JSON, one a line, or every problem.
func cases(t testing.TB, visit func(name, input, want string)) {
	t.Helper()
	data, err := os.ReadFile(table)
	require.NoError(t, err)
	for _, text := range strings.Split(string(data), "\n=== ") {
		name, rest, _ := strings.Cut(strings.TrimPrefix(text, "=== "), "\n")
		input, want, found := strings.Cut(rest, "=>\n")
		require.True(t, found, name)
		visit(name, input, strings.Trim(want, "\n"))
	}
}

func TestParseTable(t *testing.T) {
	var all []string
	cases(t, func(name, input, want string) {
		got := ""
		if rules, err := rulefile.Parse([]byte(input)); err != nil {
			got = err.Error()
			require.Nil(t, rules)
		} else {
			for _, r := range rules {
				require.NoError(t, r.Validate())
				got += r.String() + "\n"
			}
			got = strings.TrimSuffix(got, "\n")
		}
		if !*update {
			require.Equal(t, want, got, "%s\n%s", name, input)
		}
		all = append(all, "=== "+name+"\n"+input+"=>\n"+got+"\n")
	})
	if *update {
		require.NoError(t, os.WriteFile(table, []byte(strings.Join(all, "\n")), 0o644))
	}
}

// What a file of text cannot hold, or not briefly.
func TestParseBounds(t *testing.T) {
	many := strings.Repeat("  - {}\n", 1000)
	for _, test := range []struct{ name, input, want string }{
		{"empty", "", `rulefile: is empty; a file without rules says so with "rules: []"`},
		{"blank", " \n\n", `rulefile: is empty; a file without rules says so with "rules: []"`},
		{"NUL", "rules:\n\x00", "rulefile: has a NUL byte (line 2)"},
		{"zeros, as after a crash", string(make([]byte, 4096)), "rulefile: has a NUL byte (line 1)"},
		{"not UTF-8", "rules: []\n# \xff\n", "rulefile: is not UTF-8 (line 2)"},
		{"UTF-16", "\xff\xfer\x00", "rulefile: has a NUL byte (line 1)"},
		{"a byte order mark", "\ufeff{\"rules\": []}", ""},
		{"a byte order mark in YAML", "\ufeffrules: []", ""},
		{
			"a byte order mark before what only YAML could read", "\ufeff{rules: []}",
			"rulefile: begins with { and is read as JSON: syntax error: invalid character 'r' looking for beginning of object key string at 1:2",
		},
		{"too many rules", "rules: [" + strings.Repeat("a,", 10_001) + "]", "rulefile: rules: has 10001 entries; at most 10000 are allowed (line 1)"},
		{"Windows line ends", "rules:\r\n  []\r\n", ""},
		{"as large as allowed", "rules: []\n#" + strings.Repeat(" ", 1<<20-11), ""},
		{"too large", "rules: []\n#" + strings.Repeat(" ", 1<<20-10), "rulefile: has more than 1048576 bytes"},
		{
			"too deep", "rules: " + strings.Repeat("[", 100) + strings.Repeat("]", 100),
			"rulefile: rules[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0…: nested more than 64 levels deep (line 1)",
		},
		{
			"too deep in JSON", `{"rules": ` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}",
			"rulefile: begins with { and is read as JSON: nested more than 64 levels deep at 1:74",
		},
		{"far too deep", strings.Repeat("[", 1<<20), "rulefile: syntax error: exceeded max depth of 10000"},
		{"far too deep in blocks", strings.Repeat("- ", 1<<19), "rulefile: syntax error: exceeded max depth of 10000"},
		{
			"a bomb", "rules:\n - &a [x,x,x,x,x,x,x,x,x,x]\n" + func() (s string) {
				for c := 'b'; c < 'm'; c++ {
					s += fmt.Sprintf(" - &%c [%s]\n", c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 10), ","))
				}
				return s
			}(),
			"rulefile: comes to more than 8388608 bytes with its aliases written out",
		},
		{
			"a bomb without text", "rules: &a [*a, *a, *a, *a]",
			"rulefile: rules[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0…: nested more than 64 levels deep (line 1)",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := rulefile.Parse([]byte(test.input))
			if test.want == "" {
				require.NoError(t, err)
			} else {
				require.EqualError(t, err, test.want)
			}
		})
	}
	_, err := rulefile.Parse([]byte("rules:\n" + many))
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 101)
	require.Equal(t, "and 5880 more", lines[100])
}

// A rule printed by the library, as JSON or turned into YAML by others, reads
// back.
func TestParseReadsWhatIsPrinted(t *testing.T) {
	cases(t, func(name, input, _ string) {
		rules, err := rulefile.Parse([]byte(input))
		if err == nil {
			readBack(t, rules)
		}
	})
}

func readBack(t testing.TB, rules []fault.Rule) {
	t.Helper()
	if rules == nil {
		rules = []fault.Rule{}
	}
	inJSON, err := json.Marshal(map[string]any{"rules": rules})
	require.NoError(t, err)
	var v any
	numbers := json.NewDecoder(strings.NewReader(string(inJSON)))
	require.NoError(t, numbers.Decode(&v))
	inYAML, err := yaml.Marshal(v)
	require.NoError(t, err)
	for _, text := range [][]byte{inJSON, inYAML} {
		again, err := rulefile.Parse(text)
		require.NoError(t, err, "%s", text)
		require.Len(t, again, len(rules))
		for i := range rules {
			require.Equal(t, rules[i].String(), again[i].String(), "%s", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	cases(f, func(_, input, _ string) { f.Add([]byte(input)) })
	f.Fuzz(func(t *testing.T, data []byte) {
		rules, err := rulefile.Parse(data)
		if err != nil {
			require.Nil(t, rules)
			require.True(t, strings.HasPrefix(err.Error(), "rulefile: "), err)
			require.NotContains(t, err.Error(), "internal error", "a panic was contained")
			require.Less(t, len(err.Error()), 1<<20)
			return
		}
		seen := make(map[string]bool)
		for _, r := range rules {
			require.NoError(t, r.Validate())
			require.False(t, seen[r.ID])
			seen[r.ID] = true
		}
		readBack(t, rules)
	})
}
