package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/control/audit"
	"github.com/stretchr/testify/require"
)

func TestAuditVerify(t *testing.T) {
	noEnvironment(t)
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	log, _, err := audit.Open(path)
	require.NoError(t, err)
	shop := serve(t, "shop", nil, control.WithAudit(log))
	done(t, "apply", "-f", writeFile(t, "rules.yaml", rulesFile), "-url", shop.url)
	done(t, "halt", "-url", shop.url)
	done(t, "resume", "-url", shop.url)
	require.NoError(t, log.Close())

	out := done(t, "audit", "verify", path)
	require.Regexp(t, `(?m)^entries     4$`, out)
	require.Contains(t, out, "number 4")
	require.Contains(t, out, "whole")
	hash := fieldOf(t, out, "last hash")
	require.Contains(t, done(t, "audit", "verify", "-expect-hash", hash, path), "the expected hash is there")
	require.Contains(t, done(t, "audit", "verify", "-o", "json", path), `"lastHash": "`+hash+`"`)

	whole := read(t, path)
	lines := strings.SplitAfter(whole, "\n")
	for name, tt := range map[string]struct {
		text   string
		status int
		says   string
	}{
		"altered":    {strings.Replace(whole, `"halt"`, `"hold"`, 1), 1, "line 3"},
		"removed":    {lines[0] + lines[2] + lines[3], 1, "line 2"},
		"torn":       {strings.TrimSuffix(whole, "\"}\n"), 0, "torn"},
		"not a file": {"nothing\n", 1, "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := misfitWith(tt.text, "audit", "verify", "-")
			require.Equal(t, tt.status, r.status, r.out)
			require.Contains(t, r.out, tt.says)
			if tt.status == 1 {
				require.Contains(t, r.out, "WRONG")
				require.NotContains(t, r.out, "whole  ")
				require.Contains(t, r.err, "problem")
			}
		})
	}
	cut := misfitWith(lines[0]+lines[1], "audit", "verify", "-expect-hash", hash, "-")
	require.Equal(t, 1, cut.status)
	require.Contains(t, cut.out, "its end was cut off")

	require.Equal(t, 2, misfit("audit", "verify").status)
	require.Equal(t, 2, misfit("audit", "verify", "-expect-hash", "abc", path).status)
	require.Equal(t, 3, misfit("audit", "verify", path+".none").status)
	require.Equal(t, 3, misfit("audit", "verify", t.TempDir()).status)
}

func fieldOf(t *testing.T, text, name string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Fatalf("no %s in %s", name, text)
	return ""
}
