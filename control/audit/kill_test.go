package audit_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control/audit"
)

// appendForever appends from several goroutines, and prints what is acknowledged.
// Only long writes are torn when the process is killed, so that some entries are.
func appendForever(path string) error {
	log, _, err := audit.Open(path)
	if err != nil {
		return err
	}
	failed := make(chan error)
	long := json.RawMessage(`"` + strings.Repeat("x", 90<<10) + `"`)
	for w := range 8 {
		go func() {
			for i := 0; ; i++ {
				e := put(i)
				if w == 0 {
					e.Before, e.After = long, long
				}
				e, err := log.Append(e)
				if err != nil {
					failed <- err
					return
				}
				if _, err := fmt.Fprintf(os.Stdout, "%d %s\n", e.Seq, e.Hash); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return <-failed
}

// Whatever moment the process is killed at, what was acknowledged is there, the
// chain is whole, and the log goes on.
func TestKilled(t *testing.T) {
	times := 200
	if testing.Short() {
		times = 20
	}
	program, err := os.Executable()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "faults.jsonl")
	acknowledged := make(map[uint64]string)
	torn, finished := 0, 0
	entries := uint64(0)
	for i := range times {
		if i%5 == 4 { // or each round would verify more
			require.NoError(t, os.Rename(path, fmt.Sprint(path, i)))
			clear(acknowledged)
			entries = 0
		}
		killWhileAppending(t, program, path, 1+rand.IntN(12), acknowledged)

		log, repair, err := audit.Open(path, audit.KeepInMemory(10)) // all are verified below
		require.NoError(t, err)
		data := read(t, path)
		report := verify(t, data)
		require.Empty(t, report.Problems)
		require.Zero(t, report.Torn)
		require.Greater(t, report.Entries, entries)
		entries = report.Entries

		switch {
		case repair == nil:
		case repair.Bytes == 0:
			finished++
		default:
			torn++
			require.NoError(t, repair.Err)
			require.Len(t, read(t, repair.Saved), int(repair.Bytes))
			require.Contains(t, repair.String(), fmt.Sprint(repair.Bytes))
			require.Contains(t, repair.String(), repair.Saved)
			require.NoError(t, os.Remove(repair.Saved))
		}
		lines := strings.SplitAfter(data, "\n")
		for seq, want := range acknowledged {
			require.LessOrEqual(t, seq, report.Seq, "an acknowledged entry is lost")
			require.Equal(t, want, hash(lines[seq-1]))
		}
		e, err := log.Append(put(0))
		require.NoError(t, err)
		require.Equal(t, report.Seq+1, e.Seq)
		acknowledged[e.Seq] = e.Hash
		require.NoError(t, log.Close())
	}
	t.Logf("killed %d times; torn %d times, and %d times the end of a line was missing", times, torn, finished)
}

// killWhileAppending kills the process after it has acknowledged so many entries,
// and adds these to acknowledged, and those that came after.
func killWhileAppending(t *testing.T, program, path string, after int, acknowledged map[uint64]string) {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "MISFIT_AUDIT_CHILD=append", "MISFIT_AUDIT_FILE="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer cmd.Process.Kill()
	lines := bufio.NewReader(out)
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			require.GreaterOrEqual(t, n, after)
			break
		}
		var seq uint64
		var hash string
		_, err = fmt.Sscan(line, &seq, &hash)
		require.NoError(t, err)
		acknowledged[seq] = hash
		if n == after {
			time.Sleep(rand.N(3 * time.Millisecond)) // somewhere within a write or a sync
			require.NoError(t, cmd.Process.Kill())
		}
	}
	require.Error(t, cmd.Wait())
}
