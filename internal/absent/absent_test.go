package absent_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBinary builds a service that uses everything, as it is and with the tag, and
// compares what it does and what is in it.
func TestBinary(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two programs")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("there is no go command to build programs with: %v", err)
	}
	watch(t, filepath.Join("..", ".."))
	with := build(t, "")
	without := build(t, "misfit_off")

	t.Run("does", func(t *testing.T) {
		for _, what := range with.run(t) {
			require.Contains(t, what, ": failed", "a rule is for this call")
		}
		for _, what := range without.run(t) {
			require.Contains(t, what, ": untouched")
		}
		require.Len(t, without.run(t), len(with.run(t)))
	})

	t.Run("has", func(t *testing.T) {
		has, lacks := with.functions(t), without.functions(t)
		for _, name := range machinery {
			require.True(t, has.any(name), "%s is not in a binary with the machinery: has it been renamed, or inlined?", name)
			require.False(t, lacks.any(name), "%s is in a binary without the machinery", name)
		}
		var left []string
		for name := range lacks {
			if adapters.MatchString(name) && !slices.ContainsFunc(mayStay, func(f string) bool { return isOf(name, f) }) {
				left = append(left, name)
			}
		}
		slices.Sort(left)
		require.Empty(t, left, "of the adapters, only what passes calls through and what protects others may stay: see mayStay")
		t.Logf("functions of misfit and of what it alone uses: %d with the machinery, %d without", len(has), len(lacks))
		t.Logf("bytes: %d with the machinery, %d without", with.size(t), without.size(t))
	})
}

// A binary is the path of a program.
type binary string

// build builds the service.
func build(t *testing.T, tags string) binary {
	t.Helper()
	path := filepath.Join(t.TempDir(), "service.exe")
	command(t, "go", "build", "-tags="+tags, "-o", path, "./testdata/service")
	return binary(path)
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), "MISFIT_DISABLED=")
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w\n%s", err, exit.Stderr)
	}
	require.NoError(t, err, "%s %s", name, strings.Join(args, " "))
	return string(out)
}

// run returns a line for each call that the service makes.
func (b binary) run(t *testing.T) []string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(command(t, string(b))), "\n")
	require.Greater(t, len(lines), 10)
	return lines
}

func (b binary) size(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(string(b))
	require.NoError(t, err)
	return info.Size()
}

// A functionSet is a set of functions, each by its package's name and its own, as
// in "fault.(*Point).Decide".
type functionSet map[string]bool

const (
	module = "github.com/misfit-go/misfit/"
	lexer  = "github.com/DataDog/go-sqllexer."
)

// inside matches what the compiler adds to the name of a function for what is
// inside of it or is made of it.
var inside = regexp.MustCompile(`(\[.*|-fm|-range\d+|\.func\d.*|\.deferwrap\d+|\.gowrap\d+)+$`)

// functions lists those of the library, and of what nobody else uses.
func (b binary) functions(t *testing.T) functionSet {
	t.Helper()
	found := functionSet{}
	for line := range strings.Lines(command(t, "go", "tool", "nm", string(b))) {
		fields := strings.Fields(line) // address, kind and name; the name may have spaces
		if len(fields) < 3 || !strings.EqualFold(fields[1], "t") {
			continue
		}
		name := strings.Join(fields[2:], " ")
		if strings.HasPrefix(name, module) || strings.HasPrefix(name, lexer) {
			name = inside.ReplaceAllString(name, "")
			found[name[strings.LastIndex(name, "/")+1:]] = true
		}
	}
	require.NotEmpty(t, found, "no symbols: is -s among the flags of the linker?")
	return found
}

// isOf reports whether name is that of f, or of a function inside of f or of one
// that was inlined there.
func isOf(name, f string) bool {
	rest, ok := strings.CutPrefix(name, f)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '-')
}

// any reports whether the function, or any of those that begin so if name ends in
// a point, is in the set.
func (s functionSet) any(name string) bool {
	if !strings.HasSuffix(name, ".") {
		return s[name]
	}
	for f := range s {
		if strings.HasPrefix(f, name) {
			return true
		}
	}
	return false
}

// watch looks at every file of Go in the module: go test keeps a passing result for
// as long as the files that the test itself has looked at are unchanged, and does
// not see what go build reads.
func watch(t *testing.T, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go"), d.Name() == "go.mod":
			_, err = os.Stat(path)
		}
		return err
	})
	require.NoError(t, err)
}
