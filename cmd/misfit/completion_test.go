package main

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

// words returns the answers to a shell that completes the last of args, without
// their descriptions, and the directive.
func words(t *testing.T, args ...string) (answers []string, directive string) {
	t.Helper()
	out := strings.TrimSpace(done(t, append([]string{"__complete"}, args...)...))
	for line := range strings.Lines(out) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		answers = append(answers, word)
	}
	last := len(answers) - 1
	return answers[:last], answers[last]
}

const (
	noFiles          = ":4"
	noFilesAndSpaces = ":6"
	files            = ":0"
)

func TestCompletion(t *testing.T) {
	var classes []string
	for _, class := range fault.Classes() {
		classes = append(classes, string(class))
	}
	classes = append(classes, "http=", "grpc=", "name=")
	for _, tt := range []struct {
		args      []string
		want      []string
		directive string
	}{
		{[]string{"k"}, []string{"keygen"}, noFiles},
		{[]string{"token", ""}, []string{"inspect", "verify"}, noFiles},
		{[]string{"token", "-dep"}, []string{"-dependency"}, noFiles},
		{[]string{"token", "--dep"}, []string{"--dependency"}, noFiles},
		{[]string{"token", "-panic", "-lost"}, []string{"-lost-reply"}, noFiles},
		{[]string{"token", "-error", ""}, classes, noFiles},
		{[]string{"token", "--error", "una"}, classes, noFiles},
		{[]string{"token", "-error=una"}, classes, noFiles},
		{[]string{"token", "-error", "http"}, classes, noFilesAndSpaces},
		{[]string{"token", "-for", ""}, []string{"customer=", "request=", "percent=", "attribute:"}, noFilesAndSpaces},
		{[]string{"token", "-unit", ""}, []string{"request", "customer", "call", "attribute:"}, noFiles},
		{[]string{"token", "-limit", ""}, []string{"concurrent=", "perSecond=", "total="}, noFilesAndSpaces},
		{[]string{"token", "-ttl", ""}, []string{}, noFiles},
		{[]string{"token", "-key", ""}, []string{}, files},
		{[]string{"token", "-rule", ""}, []string{}, files},
		{[]string{"token", "verify", "-keys", ""}, []string{}, files},
		{[]string{"token", "inspect", ""}, []string{}, noFiles},
		{[]string{"token", "inspect", "-o", ""}, []string{"text", "json"}, noFiles},
		{[]string{"keygen", "-algorithm", ""}, []string{"EdDSA", "HS256"}, noFiles},
		{[]string{"keygen", "-out", ""}, []string{}, files},
		{[]string{"completion", ""}, []string{"bash", "zsh", "fish", "powershell"}, noFiles},
		{[]string{"help", "token", ""}, []string{"inspect", "verify"}, noFiles},
	} {
		got, directive := words(t, tt.args...)
		require.Equal(t, tt.want, got, tt.args)
		require.Equal(t, tt.directive, directive, tt.args)
	}

	codes, _ := words(t, "token", "-error", "grpc=UN")
	require.Contains(t, codes, "grpc=UNAVAILABLE")
	all, _ := words(t, "keygen", "-")
	require.Subset(t, all, []string{"-key", "-out", "-h"})
	require.NotContains(t, done(t, "__complete", "keygen", "-"), "`")
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		script := done(t, "completion", shell)
		require.Contains(t, script, "misfit")
		require.Contains(t, script, "__complete")
		if path, err := exec.LookPath(shell); err == nil && shell != "powershell" {
			check := exec.Command(path, "-n")
			check.Stdin = strings.NewReader(script)
			out, err := check.CombinedOutput()
			require.NoError(t, err, "%s: %s", shell, out)
		}
	}
}
