package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"no command given":                         nil,
		`no command "bunch"`:                       {"bunch"},
		`bench takes no argument "Point"`:          {"bench", "Point"},
		"-passes 0: at least one pass is needed":   {"bench", "-passes", "0"},
		"flag provided but not defined":            {"write", "-bench", "x"},
		"no revision to compare with is given":     {"compare"},
		"no-such-dir" + string(filepath.Separator): {"write", "-dir", "no-such-dir"},
	} {
		require.ErrorContains(t, command(t.Context(), args, io.Discard, io.Discard), want)
	}
}

// repository makes a repository of a module with a library and its benchmarks, of
// two commits; the library of the first lacks what the benchmarks of the second use.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	git := func(args ...string) {
		cmd := exec.Command("git", append([]string{"-c", "commit.gpgsign=false", "-c", "user.name=x", "-c", "user.email=x@example.com", "-C", dir}, args...)...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	write := func(files map[string]string) {
		for name, content := range files {
			file := filepath.Join(dir, name)
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
			require.NoError(t, os.WriteFile(file, []byte(content), 0o666))
		}
		git("add", ".")
		git("commit", "-q", "-m", "x")
	}
	git("init", "-q")
	write(map[string]string{
		"go.mod":                   "module example.com/lib\n\ngo 1.26\n",
		"lib.go":                   "package lib\n\nfunc Old() {}\n",
		"benchmarks/go.mod":        "module example.com/lib/benchmarks\n\ngo 1.26\n\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ../\n",
		"benchmarks/doc.go":        "package benchmarks\n",
		"benchmarks/bench_test.go": benchmarkOf("Old"),
	})
	write(map[string]string{"lib.go": "package lib\n\nfunc Old() {}\n\nfunc New() {}\n"})
	write(map[string]string{"benchmarks/bench_test.go": benchmarkOf("New")})
	return dir
}

func benchmarkOf(name string) string {
	return `package benchmarks

import (
	"testing"

	"example.com/lib"
)

func Benchmark` + name + `(b *testing.B) {
	for b.Loop() {
		lib.` + name + `()
	}
}
`
}

func TestCompare(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles benchmarks")
	}
	dir := repository(t)
	t.Setenv("GOWORK", "off")
	compare := func(base string, o options) (out, progress string, err error) {
		var printed, said bytes.Buffer
		o.dir, o.progress, o.benchtime = filepath.Join(dir, "benchmarks"), &said, "1x"
		o.passes, o.stat = 2, []string{"sh", "-c", `for f; do cat "${f#*=}"; done`, "sh"}
		err = o.compare(t.Context(), base, &printed)
		requireClean(t, dir)
		return printed.String(), said.String(), err
	}

	out, progress, err := compare("HEAD~1", options{bench: everything})
	require.NoError(t, err)
	require.Equal(t, 4, strings.Count(out, "BenchmarkNew"), "the present benchmarks, of both: %s", out)
	require.Contains(t, progress, "pass 1 of 2: HEAD~1: BenchmarkNew in")
	require.Contains(t, progress, "pass 1 of 2: now: BenchmarkNew in")
	at := func(line string) int { return strings.Index(progress, line) }
	require.Less(t, at("pass 1 of 2: now"), at("pass 1 of 2: HEAD~1"))
	require.Less(t, at("pass 2 of 2: HEAD~1"), at("pass 2 of 2: now"), "the other one first")

	out, progress, err = compare("HEAD~2", options{bench: everything})
	require.NoError(t, err)
	require.Contains(t, progress, "the library of HEAD~2 is measured by its own benchmarks")
	require.Contains(t, progress, "undefined: lib.New", "why")
	require.Equal(t, 2, strings.Count(out, "BenchmarkOld"))

	_, _, err = compare("no-such", options{bench: everything})
	require.EqualError(t, err, `"no-such" is no revision of this repository: a branch, a tag or a commit is`)
	_, _, err = compare("HEAD", options{bench: "Nothing"})
	require.EqualError(t, err, `HEAD: no benchmark matches "Nothing"`)
}

// requireClean holds that nothing of the other revision is left.
func requireClean(t *testing.T, dir string) {
	t.Helper()
	out, err := exec.Command("git", "-C", dir, "worktree", "list").Output()
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(out), "\n"), "%s", out)
	out, err = exec.Command("git", "-C", dir, "status", "--porcelain").Output()
	require.NoError(t, err)
	require.Empty(t, string(out))
}

// TestBench runs benchmarks and reads what was written.
func TestBench(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles benchmarks")
	}
	dir := filepath.Join(repository(t), "benchmarks")
	t.Setenv("GOWORK", "off")
	var out, progress bytes.Buffer
	require.NoError(t, command(t.Context(), []string{"bench", "-dir", dir, "-passes", "2", "-benchtime", "1x"}, &out, &progress))
	require.Contains(t, progress.String(), "pass 2 of 2: 1 rows")
	require.Empty(t, out.String())
	got := readFile(t, filepath.Join(dir, rawName))
	require.Equal(t, []string{"1", "2"}, got.passes)
	for _, key := range []string{"go", "cores", "gomaxprocs", "revision", "system", "benchtime", "goos"} {
		require.NotEmpty(t, got.configOf(key), key)
	}
	require.NotContains(t, got.configOf("revision"), "changes")
	report, err := os.ReadFile(filepath.Join(dir, reportName))
	require.NoError(t, err)
	require.Contains(t, string(report), "\n## New\n")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "doc.go"), []byte("package benchmarks // changed\n"), 0o666))
	require.NoError(t, command(t.Context(), []string{"bench", "-dir", dir, "-bench", "New", "-passes", "1", "-benchtime", "1x"}, &out, &progress))
	require.Contains(t, out.String(), "with changes")
	kept, err := os.ReadFile(filepath.Join(dir, reportName))
	require.NoError(t, err)
	require.Equal(t, report, kept, "a part of the benchmarks does not replace the report")
}

func TestBenchtimeOf(t *testing.T) {
	for _, test := range []struct{ benchtime, name, want string }{
		{"20ms", "^BenchmarkPoint$", "20ms"},
		{"20ms", "^BenchmarkEndToEnd$", "1s"},
		{"1x", "^BenchmarkEndToEnd$", "1x"},
	} {
		o := options{benchtime: test.benchtime}
		require.Equal(t, test.want, o.benchtimeOf(test.name), "%s of %s", test.benchtime, test.name)
	}
}
