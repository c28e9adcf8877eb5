package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

func TestHelp(t *testing.T) {
	for cmd := range commands(newRoot(&streams{})) {
		path := strings.Fields(cmd.CommandPath())[1:]
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			r := misfit(append(path, "-h")...)
			require.Zero(t, r.status)
			require.Empty(t, r.err)
			golden(t, "help/"+strings.Join(append([]string{"misfit"}, path...), "-")+".txt", r.out)
			for line := range strings.Lines(r.out) {
				require.LessOrEqual(t, len(line), 96, "a terminal would break %s", line)
			}
			cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if f.Name != "help" && f.Name != "version" {
					require.Contains(t, r.out, "-"+f.Name+" ", "the flag is explained")
					require.NotContains(t, r.out, "--"+f.Name+" ", "flags are written in one way")
				}
			})
			require.Equal(t, r, misfit(append(path, "--help")...))
			require.Equal(t, r, misfit(append(path, "-help")...))
			require.Equal(t, r, misfit(append([]string{"help"}, path...)...))
		})
	}

	defer func(args []string) { os.Args = args }(os.Args)
	os.Args = []string{"misfit", "nosuch"} // which are not those of this run
	require.Equal(t, misfit("-h"), misfit(), "no command at all")
}

// The examples that help gives are right: each is run.
func TestExamplesInHelp(t *testing.T) {
	private, public := keys(t)
	text := strings.TrimSpace(done(t, "token", "-key", private, "-dependency", "x", "-panic"))
	t.Chdir(t.TempDir())
	ran := 0
	for cmd := range commands(newRoot(&streams{})) {
		for line := range strings.Lines(cmd.Long) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), "  #")
			switch {
			case strings.HasPrefix(line, "TOKEN=$("):
				line = strings.TrimSuffix(strings.TrimPrefix(line, "TOKEN=$("), ")") + " -key " + private
			case strings.HasPrefix(line, "-dependency"):
				line, _, _ = strings.Cut(line, "     ")
				line = "misfit token " + line + " -key " + private
			case strings.HasPrefix(line, "misfit keygen"):
				if !strings.Contains(line, "-key") {
					line += " -key " + filepath.Join(t.TempDir(), "key.json")
				}
			case strings.HasPrefix(line, "misfit token verify"):
				line = strings.ReplaceAll(line, "services.json", public)
			case !strings.HasPrefix(line, "misfit token inspect"):
				continue
			}
			args := split(t, strings.ReplaceAll(line, "$TOKEN", text))
			r := misfit(args[1:]...)
			require.Zero(t, r.status, "%s\n%s", line, r.err)
			ran++
		}
	}
	require.Greater(t, ran, 10)
}

// Mistakes are answered with what would be right. testdata/mistakes.txt has a
// command line, what it prints on standard error, and its exit status.
func TestMistakes(t *testing.T) {
	want := read(t, "testdata/mistakes.txt")
	private, public := keys(t, "-id", "k1")
	wd, err := os.Getwd()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Rename(private, filepath.Join(dir, "key.json")))
	require.NoError(t, os.Rename(public, filepath.Join(dir, "services.json")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "text"), []byte("nothing"), 0o600))
	t.Chdir(dir)

	var all []string
	for _, text := range strings.Split(strings.TrimSpace(want), "\n\n") {
		line, _, _ := strings.Cut(text, "\n")
		command, ok := strings.CutPrefix(line, "$ misfit")
		require.True(t, ok, line)
		r := misfitWith("nothing", split(t, command)...)
		require.NotZero(t, r.status, line)
		require.Empty(t, r.out, line)
		got := fmt.Sprintf("%s\n%s%d", line, r.err, r.status)
		if !*update {
			require.Equal(t, text, got)
		}
		all = append(all, got)
	}
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join(wd, "testdata/mistakes.txt"), []byte(strings.Join(all, "\n\n")+"\n"), 0o644))
	}
}

// split takes a command line apart as a shell does, as far as is needed here.
func split(t *testing.T, line string) []string {
	t.Helper()
	var args []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		end := strings.IndexByte(line+" ", ' ')
		if quote := line[0]; quote == '"' || quote == '\'' {
			end = strings.IndexByte(line[1:], quote) + 2
			require.Greater(t, end, 1, line)
			args = append(args, line[1:end-1])
		} else {
			args = append(args, line[:end])
		}
		line = line[end:]
	}
	return args
}

func TestVersion(t *testing.T) {
	require.True(t, strings.HasPrefix(done(t, "version"), "misfit "))
	require.Equal(t, misfit("version"), misfit("-version"))
	require.Equal(t, misfit("version"), misfit("--version"))

	info := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123"},
		{Key: "vcs.modified", Value: "true"},
	}}
	require.True(t, strings.HasPrefix(describeBuild(info), "misfit (devel), commit 0123456789ab, with changes, go"))
	info.Main.Version = "v1.2.3"
	info.Settings = nil
	require.True(t, strings.HasPrefix(describeBuild(info), "misfit v1.2.3, go"))
}

func TestExitStatusesAreDocumented(t *testing.T) {
	for _, status := range []int{statusDone, statusNo, statusUsage, statusFile} {
		require.Contains(t, done(t), fmt.Sprintf("\n  %d  ", status))
	}
}

func TestCommandsComeWithHelp(t *testing.T) {
	for cmd := range commands(newRoot(&streams{})) {
		require.NotEmpty(t, cmd.Short, cmd.Name())
		require.True(t, cmd.Args != nil || cmd.Name() == "help", "%s checks its arguments", cmd.Name())
	}
}
