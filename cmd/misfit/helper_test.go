package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A result is what a run of the command did.
type result struct {
	status int
	out    string
	err    string
}

// misfit runs the command without standard input.
func misfit(args ...string) result { return misfitWith("", args...) }

func misfitWith(stdin string, args ...string) result {
	var out, err bytes.Buffer
	status := run(args, strings.NewReader(stdin), &out, &err)
	return result{status, out.String(), err.String()}
}

// done runs a command that has to succeed, and returns what it printed.
func done(t testing.TB, args ...string) string {
	t.Helper()
	r := misfit(args...)
	require.Zero(t, r.status, r.err)
	return r.out
}

// keys makes a key pair: the files of both halves.
func keys(t testing.TB, flags ...string) (private, public string) {
	t.Helper()
	dir := t.TempDir()
	private, public = filepath.Join(dir, "key.json"), filepath.Join(dir, "services.json")
	done(t, append([]string{"keygen", "-key", private, "-out", public}, flags...)...)
	return private, public
}

func readKeys(t testing.TB, path string) token.KeySet {
	t.Helper()
	set, err := token.ParseKeySet([]byte(read(t, path)))
	require.NoError(t, err)
	return set
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	require.Equal(t, read(t, path), got)
}
