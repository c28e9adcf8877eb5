package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

const samples = "internal/convert/testdata/"

func TestConvertIstio(t *testing.T) {
	file := samples + "istio/many-documents.yaml"
	r := misfit("convert", file)
	require.Zero(t, r.status, "what is left out is a warning")
	golden(t, "convert/istio.yaml", r.out)
	golden(t, "convert/istio.err", r.err)
	rules, err := rulefile.Parse([]byte(r.out))
	require.NoError(t, err)
	require.Len(t, rules, 2)

	require.Equal(t, r, misfit("convert", "-from", "istio", file))
	piped := misfitWith(read(t, file), "convert", "-")
	require.Equal(t, r.out, piped.out)
	require.Equal(t, strings.ReplaceAll(r.err, file, "standard input"), piped.err)
	require.Equal(t, piped, misfitWith(read(t, file), "convert"))

	strict := misfit("convert", "-strict", file)
	require.Equal(t, statusNo, strict.status)
	require.Empty(t, strict.out, "no half of a file")
	require.Contains(t, strict.err, r.err)
}

func TestConvertGremlin(t *testing.T) {
	file := samples + "gremlin/effect.json"
	r := misfit("convert", "-point", "effect=http.client:ratings", "-exception", "grpc=UNAVAILABLE", "-ttl", "90s", "-strict", file)
	require.Equal(t, result{statusDone, `# Made by "misfit convert -from gremlin"; a ttl begins when a service first sees the rule.
rules:
  - id: effect
    note: "from Gremlin: effect"
    target:
      points: ["http.client:ratings"]
    scope:
      percent: 100
    fault:
      delay:
        min: 2s
        max: 2.2s
      error:
        grpc:
          code: UNAVAILABLE
    ttl: 1m30s
`, ""}, r)
	require.Equal(t, r, misfit("convert", "-from=gremlin", "-point", "effect=http.client:ratings", "-exception", "grpc=UNAVAILABLE", "-ttl", "90s", "-strict", file))
}

// What is converted has nothing that lint finds wrong, and a service takes it.
func TestConvertedIsTaken(t *testing.T) {
	paths, err := filepath.Glob(samples + "*/*")
	require.NoError(t, err)
	for _, path := range paths {
		if strings.HasSuffix(path, ".golden") {
			continue
		}
		r := misfit("convert", "-point", "effect=x", path)
		require.Zero(t, r.status, "%s: %s", path, r.err)
		require.Equal(t, result{}, misfitWith(r.out, "lint", "-errors"), path)

		rules, err := rulefile.Parse([]byte(r.out))
		require.NoError(t, err)
		inj := fault.New("shop", fault.WithNamedError("deadlock detected", io.ErrClosedPipe), fault.WithGuardrails(fault.Guardrails{MaxDelay: usualLongestRule}))
		for _, rule := range rules {
			require.NoError(t, inj.Put(rule))
		}
	}
}

func TestConvertOptions(t *testing.T) {
	file := samples + "istio/user-delay.yaml"
	require.Contains(t, done(t, "convert", "-grpc", file), "grpc.client:ratings")
	require.Contains(t, done(t, "convert", "-customer", "x-user", file), "end-user: [maria]")
	require.Contains(t, done(t, "convert", "-point", "ratings=sql:stars", "-ttl", "1h", file), `points: ["sql:stars"]`)
	r := misfit("convert", "-ttl", "25h", file)
	require.Zero(t, r.status)
	require.Contains(t, r.err, "misfit: warning: services refuse a rule of more than 24h unless they are set to allow it\n")
}

// Findings repeat what the text says, which must not steer a terminal.
func TestConvertEscapes(t *testing.T) {
	r := misfitWith("[{\"failureFlagName\": \"\\u001b[31m a\\nb\", \"rate\": 1, \"effect\": {\"latency\": 1}}]", "convert")
	require.Zero(t, r.status)
	require.NotContains(t, r.err, "\x1b")
	require.Equal(t, 2, strings.Count(r.err, "\n"), r.err)
}

func TestConvertLarge(t *testing.T) {
	r := misfitWith(strings.Repeat(" ", 9<<20), "convert")
	require.Equal(t, result{statusFile, "", "misfit convert: standard input: has more than 8 MiB\n"}, r)
}

// The examples in the help are right.
func TestExamplesInHelpOfFiles(t *testing.T) {
	manifests := read(t, samples+"istio/user-delay.yaml")
	experiments := read(t, samples+"gremlin/sidecar.json")
	t.Chdir(t.TempDir())
	require.NoError(t, os.Mkdir("deploy", 0o700))
	for name, text := range map[string]string{"virtualservices.yaml": manifests, "experiments.json": experiments, "rules.yaml": "rules: []\n", "deploy/a.yaml": "rules: []\n"} {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	ran := 0
	for line := range strings.Lines(convertLong + "\n" + lintLong) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "misfit ") && !strings.HasPrefix(line, "kubectl ") {
			continue
		}
		in := manifests
		for _, command := range strings.Split(strings.TrimSuffix(line, " > rules.yaml"), " | ") {
			args := split(t, strings.ReplaceAll(command, "deploy/*.yaml", "deploy/a.yaml"))
			if args[0] != "misfit" {
				continue
			}
			r := misfitWith(in, args[1:]...)
			require.Zero(t, r.status, "%s\n%s%s", command, r.err, r.out)
			in = r.out
			ran++
		}
	}
	require.Equal(t, 7, ran)
}
