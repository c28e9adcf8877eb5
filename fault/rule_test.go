package fault_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestRuleTable reads testdata/rules.txt: paragraphs of a rule in JSON and,
// indented below, what comes of it: the rule printed again or every problem.
func TestRuleTable(t *testing.T) {
	const file = "testdata/rules.txt"
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var out strings.Builder
	for _, paragraph := range strings.Split(strings.TrimSpace(string(data)), "\n\n") {
		var comment, input, want []string
		for _, line := range strings.Split(paragraph, "\n") {
			switch {
			case strings.HasPrefix(line, "#"):
				comment = append(comment, line)
			case strings.HasPrefix(line, "\t"):
				want = append(want, line[1:])
			default:
				input = append(input, line)
			}
		}
		text := strings.Join(input, "\n")
		got := ""
		if r, err := fault.ParseRule([]byte(text)); err != nil {
			got = err.Error()
		} else {
			got = r.String()
			again, err := fault.ParseRule([]byte(got))
			require.NoError(t, err)
			require.Equal(t, r, again)
		}
		if !*update {
			require.Equal(t, strings.Join(want, "\n"), got, text)
		}
		for _, line := range append(append(comment, input...), strings.Split("\t"+strings.ReplaceAll(got, "\n", "\n\t"), "\n")...) {
			out.WriteString(line + "\n")
		}
		out.WriteString("\n")
	}
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(strings.TrimSuffix(out.String(), "\n")), 0o644))
	}
}

func TestRuleOfGoIsRuleOfJSON(t *testing.T) {
	r := rule("r", fault.Fault{Delay: &fault.Delay{Fixed: 1500 * time.Millisecond}}, limits(fault.Limits{Total: 3}))
	text, err := json.Marshal(r)
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"r","target":{"points":["db"]},"scope":{"percent":100,"unit":"request"},
		"fault":{"delay":{"fixed":"1.5s"}},"limits":{"total":3},"ttl":"1h0m0s"}`, string(text))
	var again fault.Rule
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, r, again)
}

func FuzzParseRule(f *testing.F) {
	data, err := os.ReadFile("testdata/rules.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(line, "{") {
			f.Add([]byte(line))
		}
	}
	inj := fault.New("svc")
	db := inj.Point("custom", "db")
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := fault.ParseRule(data)
		if err != nil {
			return
		}
		again, err := fault.ParseRule([]byte(r.String()))
		if err != nil {
			t.Fatalf("%s does not read back: %v", r, err)
		}
		if again.String() != r.String() {
			t.Fatalf("%s reads back as %s", r, again)
		}
		if inj.Put(r) == nil {
			d := db.Decide(customer("42"), fault.Operation{Verb: "GET", Name: "/x/y"})
			d.Done()
			inj.Delete(r.ID)
		}
	})
}

// FuzzPattern holds the patterns against arbitrary operations.
func FuzzPattern(f *testing.F) {
	f.Add("GET /ratings/{id}", "GET", "/ratings/7")
	f.Add("/a/{b}/c/{rest...}", "", "/a/x/c/y/z")
	f.Add("*a*a*a*a*b", "", strings.Repeat("a", 1000))
	f.Fuzz(func(t *testing.T, pattern, verb, name string) {
		r := rule("r", unavailable)
		r.Target.Operations = []string{pattern}
		inj := fault.New("svc")
		if inj.Put(r) != nil {
			return
		}
		defer inj.Halt() // the timer of a live rule keeps its injector
		d := inj.Point("custom", "db").Decide(t.Context(), fault.Operation{Verb: verb, Name: name})
		d.Done()
		literal := !strings.ContainsAny(pattern, "*{}")
		if op := (fault.Operation{Verb: verb, Name: name}); literal && d.Hit() && !strings.HasSuffix(op.String(), pattern) {
			t.Fatalf("%q matches %q", pattern, op)
		}
	})
}

// TestEffectsOfNothing holds that a fault that does nothing has no list of effects,
// not one without entries: events and answers show it.
func TestEffectsOfNothing(t *testing.T) {
	require.Nil(t, fault.Fault{}.Effects())
}
