//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func goThrough(t *testing.T, limit time.Duration, text string) *journeyRun {
	t.Helper()
	j, err := newJourney(script(t, text), nil, limit)
	require.NoError(t, err)
	r, err := j.run(t.Context(), []string{"MISFIT_FAILING=x"})
	require.NoError(t, err)
	return r
}

func TestJourneyRuns(t *testing.T) {
	t.Setenv("MISFIT_TOKEN", "the operator's")
	r := goThrough(t, time.Minute, `echo "${MISFIT_TOKEN-none} $MISFIT_FAILING"
echo "< fault-status: a" >&2; printf 'x Fault-Status:b\r\n'; printf 'FAULT-STATUS: c'
printf 'Fault-Status: d\nFault-Status: e' >> "$MISFIT_STATUS_FILE"`)
	require.True(t, r.passed)
	require.Contains(t, r.output, "none x\n")
	require.Equal(t, []string{"a", "b", "c", "d", "e"}, r.statuses)

	r = goThrough(t, time.Minute, `echo "out of stock"; echo FAIL; exit 7`)
	require.False(t, r.passed)
	require.Equal(t, "exit status 7: out of stock", r.why)
	r = goThrough(t, time.Minute, `rm "$MISFIT_STATUS_FILE"; kill -9 $$`)
	require.Equal(t, "signal: killed", r.why)
}

// Whatever a journey writes, little of it is kept.
func TestJourneyOutputIsBounded(t *testing.T) {
	var out journeyOutput
	line := strings.Repeat("x", 1000)
	for range 1000 {
		_, _ = out.Write([]byte(line)) // no end of a line
	}
	require.Len(t, out.line, longestLine)
	for range 2 * mostStatuses {
		_, _ = out.Write([]byte("\nFault-Status: y\n"))
	}
	out.end()
	require.Len(t, out.statuses, mostStatuses)
	require.LessOrEqual(t, cap(out.tail), 4*keptOutput)
	require.LessOrEqual(t, len(out.text()), keptOutput)

	// Statuses are found however the output is cut.
	text := "a\nx Fault-Status: one\r\n\nfault-status: two"
	for size := 1; size < len(text); size++ {
		var cut journeyOutput
		for rest := text; rest != ""; rest = rest[min(size, len(rest)):] {
			_, _ = cut.Write([]byte(rest[:min(size, len(rest))]))
		}
		cut.end()
		require.Equal(t, []string{"one", "two"}, cut.statuses)
	}
}

// What takes too long is ended with all that it has started, also if it does not want
// to; and so is what a journey that has passed leaves behind.
func TestJourneyLeavesNothingBehind(t *testing.T) {
	for name, test := range map[string]struct {
		text   string
		passed bool
	}{
		"hangs":             {`sleep 1000 & echo $! > "$CHILD"; wait`, false},
		"hangs, stubbornly": {`trap "" TERM; (trap "" TERM; sleep 1000; sleep 1000) & echo $! > "$CHILD"; wait; sleep 1000`, false},
		"passes":            {`sleep 1000 & echo $! > "$CHILD"`, true},
		"passes, detached":  {`sleep 1000 >/dev/null 2>&1 & echo $! > "$CHILD"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			child := writeFile(t, "child", "")
			t.Setenv("CHILD", child)
			limit := time.Second
			if test.passed {
				limit = time.Minute
			}
			r := goThrough(t, limit, test.text)
			for ; !test.passed && read(t, child) == ""; limit *= 2 { // it was killed before it had started anything
				r = goThrough(t, 2*limit, test.text)
			}
			require.Equal(t, test.passed, r.passed, r.why)
			if !test.passed {
				require.Equal(t, "took longer than "+inShort(limit)+", and was killed", r.why)
			}
			requireGone(t, child)
		})
	}
}

// requireGone waits until the process whose ID is in a file is no more.
func requireGone(t *testing.T, file string) {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(read(t, file)))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !alive(pid) }, time.Minute, 10*time.Millisecond)
}

// alive takes a process that nobody has asked about its end for one that has ended.
func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err != nil || !strings.Contains(string(stat), ") Z ")
}

// Ctrl-C ends the journey, what it has started, and the command.
func TestCriticalInterrupted(t *testing.T) {
	private, public := keys(t)
	newMarket(t, public)
	child := filepath.Join(t.TempDir(), "child")
	t.Setenv("CHILD", child)
	path := script(t, `sleep 1000 & echo $! > "$CHILD.new"; mv "$CHILD.new" "$CHILD"; wait`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(child); err == nil {
				_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	r := critical(private, []string{"-journey", path})
	require.Equal(t, statusFile, r.status)
	require.Contains(t, r.err, "misfit critical: stopped; the journey was ended")
	requireGone(t, child)
}

func TestNoSuchJourney(t *testing.T) {
	private, _ := keys(t)
	dir := t.TempDir()
	t.Chdir(dir)
	require.NoError(t, os.WriteFile("plain", []byte("#!/bin/sh\n"), 0o600))
	require.NoError(t, os.WriteFile("executable", []byte("#!/bin/sh\n"), 0o700))
	require.NoError(t, os.WriteFile("nothing", []byte("nothing"), 0o700))
	for path, want := range map[string]string{
		"./nowhere":  "-journey: there is no program ./nowhere",
		"./plain":    "-journey: ./plain cannot be executed: chmod +x ./plain",
		"executable": "-journey: executable is looked for in $PATH alone; for the one here write ./executable",
		"plain":      "-journey: plain is looked for in $PATH alone; for the one here write ./plain",
		"./nothing":  "exec format error",
		dir:          "-journey: ",
	} {
		r := critical(private, []string{"-journey", path})
		require.Equal(t, statusFile, r.status, path)
		require.Contains(t, r.err, want)
	}
}
