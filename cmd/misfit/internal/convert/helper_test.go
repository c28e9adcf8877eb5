package convert_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/cmd/misfit/internal/convert"
	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

const ttl = 10 * time.Minute

type reader = func([]byte, convert.Options) (convert.Result, error)

// described is a result as people read it: findings, and the file of rules.
func described(t testing.TB, r convert.Result) string {
	t.Helper()
	var out bytes.Buffer
	for _, f := range r.Findings {
		what := "left out"
		if f.Note {
			what = "note"
		}
		fmt.Fprintf(&out, "%s: document %d, %d:%d, %s: %s\n", what, f.Document, f.Line, f.Column, f.Path, f.Detail)
	}
	text, err := r.YAML()
	require.NoError(t, err)
	fmt.Fprintf(&out, "---\n%s", text)
	return out.String()
}

// good checks what holds for every result.
func good(t testing.TB, r convert.Result) {
	t.Helper()
	seen := make(map[string]bool)
	for _, rule := range r.Rules {
		require.NoError(t, rule.Validate())
		again, err := fault.ParseRule([]byte(rule.String()))
		require.NoError(t, err)
		require.Equal(t, rule.String(), again.String())
		require.False(t, seen[rule.ID], rule.ID)
		seen[rule.ID] = true
		require.Equal(t, ttl, rule.TTL)
		require.True(t, strings.HasPrefix(rule.Note, "from "), "it says where it is from")
	}
	text, err := r.YAML()
	if err != nil {
		require.ErrorContains(t, err, "convert it in parts")
		return
	}
	rules, err := rulefile.Parse(text)
	require.NoError(t, err, "%s", text)
	require.Len(t, rules, len(r.Rules))
	for i := range rules {
		require.Equal(t, r.Rules[i].String(), rules[i].String())
	}
}

// files converts each file of a folder and compares with what is beside it.
func files(t *testing.T, folder string, read reader, options map[string]convert.Options) {
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*"))
	require.NoError(t, err)
	ran := 0
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasSuffix(name, ".golden") {
			continue
		}
		ran++
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			o := options[name]
			o.TTL = ttl
			result, err := read(data, o)
			require.NoError(t, err)
			good(t, result)
			got := described(t, result)
			golden := path + ".golden"
			if *update {
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
			for range 5 { // the order of maps does not show
				again, err := read(data, o)
				require.NoError(t, err)
				require.Equal(t, got, described(t, again))
			}

			format, err := convert.Detect(data)
			require.NoError(t, err)
			require.Equal(t, convert.Format(folder), format)
		})
	}
	require.Positive(t, ran)
}

func TestIstioFiles(t *testing.T) {
	files(t, "istio", convert.Istio, map[string]convert.Options{
		"grpc.yaml": {GRPC: true, Points: map[string]string{"stock.example.com": "stock"}},
	})
}

func TestGremlinFiles(t *testing.T) {
	files(t, "gremlin", convert.Gremlin, map[string]convert.Options{
		"effect.json": {Points: map[string]string{"flag": "http.client:ratings"}},
	})
}
