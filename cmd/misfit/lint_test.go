package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

// TestLintTable reads testdata/lint.txt: a line "=== name", a file, a line "=>"
// and what is found in it.
func TestLintTable(t *testing.T) {
	const table = "testdata/lint.txt"
	var all []string
	for _, text := range strings.Split(read(t, table), "\n=== ") {
		name, rest, _ := strings.Cut(strings.TrimPrefix(text, "=== "), "\n")
		input, want, found := strings.Cut(rest, "=>\n")
		require.True(t, found, name)
		r := misfitWith(input, "lint")
		if !*update {
			require.Equal(t, strings.Trim(want, "\n"), strings.Trim(r.out, "\n"), "%s\n%s", name, input)
		}
		require.Equal(t, r.out == "", r.status == statusDone, name)
		all = append(all, "=== "+name+"\n"+input+"=>\n"+r.out)

		// In JSON there is the same.
		var report lintReport
		inJSON := misfitWith(input, "lint", "-o", "json")
		require.Equal(t, r.status, inJSON.status)
		require.NoError(t, json.Unmarshal([]byte(inJSON.out), &report))
		require.Len(t, report.Findings, strings.Count(r.out, "\n"), name)
		require.Equal(t, len(report.Findings), report.Errors+report.Warnings, name)

		// Without warnings only what is wrong is left.
		wrong := misfitWith(input, "lint", "-errors")
		require.NotContains(t, wrong.out, "warning: ")
		require.LessOrEqual(t, strings.Count(wrong.out, "\n"), report.Errors)
	}
	if *update {
		require.NoError(t, os.WriteFile(table, []byte(strings.Join(all, "\n")), 0o644))
	}
}

func TestLintFiles(t *testing.T) {
	const rule = `{"id": "%s", "target": {"points": ["%s"]}, "scope": {"percent": 1}, "fault": {"panic": true}, "ttl": "10m"}`
	t.Chdir(t.TempDir())
	write := func(name, text string) { require.NoError(t, os.WriteFile(name, []byte(text), 0o600)) }
	write("a.json", fmt.Sprintf("["+rule+", "+rule+"]", "one", "x", "two", "y"))
	write("b.json", fmt.Sprintf(rule, "two", "y"))
	write("c.yaml", "rules: []\n")
	write("d.yaml", "rules:\n  - idd: a\n")

	require.Equal(t, result{}, misfit("lint", "c.yaml", "a.json"))
	require.Equal(t, result{
		statusNo, "b.json:1:2: warning: id: \"two\" is also a rule in a.json\n",
		"misfit lint: 0 wrong, 1 suspicious\n",
	}, misfit("lint", "a.json", "b.json", "c.yaml"))
	require.Equal(t, result{}, misfit("lint", "-errors", "a.json", "b.json"))
	require.Equal(t, result{}, misfitWith(read(t, "b.json"), "lint", "-"))

	r := misfit("lint", "nosuch.yaml", "d.yaml", ".")
	require.Equal(t, statusFile, r.status, "what can be read is checked")
	require.Equal(t, "d.yaml:2:5: rules[0].idd: unknown field \"idd\"; did you mean \"id\"?\n", r.out)
	require.Contains(t, r.err, "nosuch.yaml")
	require.Equal(t, 2, strings.Count(r.err, "\n"))

	golden := misfit("lint", "-o", "json", "a.json", "b.json", "d.yaml")
	require.JSONEq(t, `{"files": [{"file": "a.json", "rules": 2}, {"file": "b.json", "rules": 1}, {"file": "d.yaml", "rules": 0}],
		"findings": [
			{"file": "b.json", "line": 1, "column": 2, "path": "id", "severity": "warning", "message": "\"two\" is also a rule in a.json"},
			{"file": "d.yaml", "line": 2, "column": 5, "path": "rules[0].idd", "severity": "error", "message": "unknown field \"idd\"; did you mean \"id\"?"}
		], "errors": 1, "warnings": 1}`, golden.out)
	require.JSONEq(t, `{"files": [{"file": "c.yaml", "rules": 0}], "findings": [], "errors": 0, "warnings": 0}`, done(t, "lint", "-o", "json", "c.yaml"))
}

// What is found is written so that it cannot steer a terminal.
func TestLintEscapes(t *testing.T) {
	r := misfitWith("{\"\\u001b[31m\\nrules\": 1}", "lint")
	require.Equal(t, statusNo, r.status)
	require.NotContains(t, r.out, "\x1b")
	require.Equal(t, 1, strings.Count(r.out, "\n"))
}

func TestLintLarge(t *testing.T) {
	var text strings.Builder
	text.WriteString("rules:\n")
	for i := range 5000 {
		fmt.Fprintf(&text, "- {id: r%d, target: {points: [x]}, scope: {percent: 1}, fault: {panic: true}, ttl: 1m}\n", i)
	}
	require.Equal(t, result{}, misfitWith(text.String(), "lint"))
	r := misfitWith(strings.ReplaceAll(text.String(), "ttl", "tttl"), "lint")
	require.Equal(t, statusNo, r.status)
	require.Equal(t, 101, strings.Count(r.out, "\n"))
	require.Contains(t, r.out, "and 4900 more")
	require.Equal(t, "misfit lint: 5000 wrong, 0 suspicious\n", r.err)

	r = misfitWith(strings.Repeat(" ", 1<<20+1), "lint")
	require.Equal(t, "standard input: has more than 1048576 bytes\n", r.out)
	require.Equal(t, statusFile, misfitWith(strings.Repeat(" ", 17<<20), "lint").status)
}

// A rule that is told to be never reached is not: where it is told, no call gets
// past the earlier one.
func TestShadowsAreDead(t *testing.T) {
	text := read(t, "testdata/lint.txt")
	told := 0
	for _, part := range strings.Split(text, "\n=== ") {
		_, rest, _ := strings.Cut(part, "\n")
		input, _, _ := strings.Cut(rest, "=>\n")
		rules, err := rulefile.Parse([]byte(input))
		if err != nil {
			continue
		}
		dead := make(map[string]bool)
		paths := make([]string, len(rules))
		for i := range rules {
			paths[i] = rules[i].ID
		}
		for _, s := range shadows(rules, paths) {
			dead[s.rule] = true
			told++
		}
		if len(dead) == 0 {
			continue
		}
		inj := fault.New("shop")
		for _, r := range rules {
			r.Expires = time.Time{}
			r.TTL = time.Hour
			require.NoError(t, inj.Put(r))
		}
		hits := tryCalls(t, inj)
		for id := range dead {
			require.Zero(t, hits[id], "%s\n%s", id, input)
		}
	}
	require.Greater(t, told, 5)
}

func TestSuspiciousPoints(t *testing.T) {
	for point, want := range map[string]string{
		"ratings":             "",
		"*":                   "",
		"http.client:ratings": "",
		"sql:orders":          "",
		"*:ratings":           "",
		"*.server:shop":       "",
		"kafka:orders":        "",
		"shop":                `is a dependency named like the service that the rule is for; its entry is "http.server:shop" or "grpc.server:shop"`,
		"http.cleint:a":       `"http.cleint" is no kind of points that an adapter has; did you mean "http.client:a"?`,
		"http-server:a":       `"http-server" is no kind of points that an adapter has; did you mean "http.server:a"?`,
		"server:a":            `"server" is no kind of points that an adapter has; did you mean "http.server:a" or "grpc.server:a"?`,
		"grpc:a":              `"grpc" is no kind of points that an adapter has; did you mean "grpc.client:a" or "grpc.server:a"?`,
		"HTTP.client:a":       `"HTTP.client" is no kind of points that an adapter has; did you mean "http.client:a"?`,
	} {
		require.Equal(t, want, suspectPoint(point, []string{"shop"}), point)
	}
}

func FuzzLint(f *testing.F) {
	for _, text := range strings.Split(read(f, "testdata/lint.txt"), "\n=== ") {
		_, rest, _ := strings.Cut(text, "\n")
		input, _, _ := strings.Cut(rest, "=>\n")
		f.Add(input)
	}
	paths, err := filepath.Glob("internal/convert/testdata/*/*")
	require.NoError(f, err)
	for _, path := range paths {
		f.Add(read(f, path))
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := lintCommand{now: time.Now(), ids: make(map[string]string)}
		var report lintReport
		c.check(&report, "file", []byte(text))
		require.Equal(t, len(report.Findings) == 0, report.Errors+report.Warnings == 0)
		for _, found := range report.Findings {
			require.NotEmpty(t, found.Message)
			require.NotContains(t, found.Message, "internal error", "a panic was contained")
			require.Equal(t, found.Line == 0, found.Column == 0)
			require.LessOrEqual(t, found.Line, strings.Count(text, "\n")+strings.Count(text, "\r")+2)
			require.NotContains(t, printable(found.String()), "\n")
		}
		if _, err := rulefile.Parse([]byte(text)); err == nil {
			require.Zero(t, report.Errors, "what a service takes is not wrong")
		}
	})
}
