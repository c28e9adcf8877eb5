package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control/audit"
)

// Some tests need a process that can be killed, or that has limits of its own.
func TestMain(m *testing.M) {
	if role := os.Getenv("MISFIT_AUDIT_CHILD"); role != "" {
		os.Exit(child(role, os.Getenv("MISFIT_AUDIT_FILE")))
	}
	os.Exit(m.Run())
}

func child(role, path string) int {
	roles := map[string]func(string) error{"append": appendForever, "full": appendToFull}
	if err := roles[role](path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// onASlowDisk is for tests that hold something of entries that must not wait: a sync
// of a busy disk can take longer than their usual tenth of a second.
var onASlowDisk = audit.BestEffortWithin(time.Minute)

func put(i int) audit.Entry {
	return audit.Entry{
		Actor: "kim", Role: "operator", Action: "rule.put", Rule: fmt.Sprintf("r%d", i), Result: "done",
		After: json.RawMessage(`{"id": "slow <&> ü"}`), Remote: "127.0.0.1:5123",
	}
}

func open(t testing.TB, path string, options ...audit.Option) *audit.Log {
	t.Helper()
	log, repair, err := audit.Open(path, options...)
	require.NoError(t, err)
	require.Nil(t, repair)
	t.Cleanup(func() { log.Close() })
	return log
}

// record writes a file of n entries and returns its lines, each with its end.
func record(t testing.TB, n int, options ...audit.Option) (path string, lines []string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "faults.jsonl")
	fill(t, path, n, options...)
	return path, strings.SplitAfter(read(t, path), "\n")[:n]
}

// fill appends n entries to the file, all at once: a sync each takes long.
func fill(t testing.TB, path string, n int, options ...audit.Option) {
	t.Helper()
	log := open(t, path, options...)
	results := make(chan error, n)
	for i := range n {
		go func() {
			_, err := log.Append(put(i))
			results <- err
		}()
	}
	for range n {
		require.NoError(t, <-results)
	}
	require.NoError(t, log.Close())
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func verify(t testing.TB, text string, options ...audit.VerifyOption) audit.Report {
	t.Helper()
	report, err := audit.Verify(strings.NewReader(text), options...)
	require.NoError(t, err)
	return report
}

// requireWhole verifies a file that has to have n entries and no flaw.
func requireWhole(t testing.TB, path string, n int) audit.Report {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	report, err := audit.Verify(bytes.NewReader(data))
	require.NoError(t, err)
	require.Empty(t, report.Problems)
	require.Zero(t, report.Torn)
	require.EqualValues(t, n, report.Entries)
	require.EqualValues(t, n, report.Seq)
	return report
}

// beside lists the other files in the directory of path.
func beside(t testing.TB, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			names = append(names, filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	return names
}

// seqs are the numbers of entries.
func seqs(entries []audit.Entry) []uint64 {
	list := []uint64{}
	for _, e := range entries {
		list = append(list, e.Seq)
	}
	return list
}
