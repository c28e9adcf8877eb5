package audit_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control/audit"
)

// theRecord is a file that is the same in every run, as the texts of a corpus
// are.
func theRecord(t testing.TB) []string {
	t.Helper()
	data, err := os.ReadFile("testdata/faults.jsonl")
	require.NoError(t, err)
	lines := strings.SplitAfter(string(data), "\n")
	return lines[:len(lines)-1]
}

// The file is part of what this package promises: it can be read by later
// versions.
func TestTheRecord(t *testing.T) {
	lines := theRecord(t)
	report := verify(t, strings.Join(lines, ""))
	require.True(t, report.OK(), report.Problems)
	require.EqualValues(t, len(lines), report.Entries)
	require.Equal(t, hash(lines[len(lines)-1]), report.LastHash)
}

// Whatever the file, looking at it ends and says something sensible, and what is
// in order can be gone on with.
func FuzzVerify(f *testing.F) {
	lines := theRecord(f)
	f.Add([]byte(strings.Join(lines, "")), "", "")
	f.Add([]byte(strings.Join(lines[1:], "")), hash(lines[2]), hash(lines[0]))
	f.Add([]byte(lines[0]+lines[2]+"\x00\n"+lines[1]+lines[1][:50]), hash(lines[0]), "")
	f.Add([]byte(lines[0]+"\n{}\n\x00\x00\n\x00"), "", "x")
	aHash := regexp.MustCompile("^([0-9a-f]{64})?$")
	f.Fuzz(func(t *testing.T, data []byte, expect, follows string) {
		report, err := audit.Verify(bytes.NewReader(data), audit.ExpectHash(expect), audit.ExpectFollows(follows))
		if !aHash.MatchString(expect) || !aHash.MatchString(follows) {
			require.ErrorContains(t, err, "is not a hash")
			return
		}
		require.NoError(t, err)
		pieces := uint64(bytes.Count(data, []byte("\n"))) + 1
		require.LessOrEqual(t, report.Entries, pieces)
		require.LessOrEqual(t, report.Torn, int64(len(data)))
		require.GreaterOrEqual(t, report.Torn, int64(0))
		require.LessOrEqual(t, len(report.Problems), 100)
		require.LessOrEqual(t, report.More, 2*pieces)
		require.Equal(t, report.OK(), len(report.Problems) == 0)
		for _, p := range report.Problems {
			require.LessOrEqual(t, p.Line, pieces)
			require.Less(t, len(p.What), 300)
		}
		if report.Entries == 0 {
			require.Zero(t, report.LastHash)
		} else {
			require.Contains(t, string(data), report.LastHash)
		}
		if report.OK() && expect != "" {
			require.Contains(t, string(data), `"hash":"`+expect)
		}
		if report.OK() {
			require.Equal(t, report.Entries, report.Seq)
			reopen(t, data, report)
		}
	})
}

// reopen holds what Open makes of a file against what Verify has.
func reopen(t *testing.T, data []byte, report audit.Report) {
	path := filepath.Join(t.TempDir(), "faults.jsonl")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	log, repair, err := audit.Open(path)
	if report.Entries == 0 && report.Torn > 0 && err != nil {
		require.ErrorIs(t, err, audit.ErrDamaged) // it is some other file
		return
	}
	if report.Torn > 1<<20 && err != nil {
		require.ErrorContains(t, err, "more than a crash leaves")
		return
	}
	require.NoError(t, err)
	defer log.Close()
	require.Equal(t, report.Torn > 0, repair != nil && repair.Bytes > 0)
	status := log.Status()
	require.Equal(t, report.Entries, status.Entries)
	if report.Entries > 0 {
		require.Equal(t, report.LastHash, status.Hash)
	}
}

// No change to a whole line escapes, whatever it is.
func FuzzTamper(f *testing.F) {
	lines := theRecord(f)
	text := []byte(strings.Join(lines, ""))
	f.Add(10, 12, []byte("x"))
	f.Add(len(lines[0]), len(lines[0])+len(lines[1]), []byte{})
	f.Add(len(lines[0]), len(lines[0]), []byte(lines[1]))
	f.Add(len(text), len(text), []byte("{}\n"))
	f.Fuzz(func(t *testing.T, from, to int, with []byte) {
		if from < 0 || to < from || to > len(text) {
			return
		}
		changed := append(append(bytes.Clone(text[:from]), with...), text[to:]...)
		report, err := audit.Verify(bytes.NewReader(changed), audit.ExpectHash(hash(lines[len(lines)-1])))
		require.NoError(t, err)
		// What is before a torn end has to be as it was.
		whole := changed[:int64(len(changed))-report.Torn]
		require.Equal(t, bytes.Equal(whole, text) || bytes.Equal(whole, text[:len(text)-1]), report.OK(), "%q", changed)
	})
}

// Whatever comes after the entries of a file, no line that was complete is lost,
// and no byte of anything.
func FuzzOpen(f *testing.F) {
	lines := theRecord(f)
	for n := range len(lines) {
		f.Add(n, []byte(lines[n]))
		f.Add(n, []byte(lines[n][:len(lines[n])-1]))
		f.Add(n, []byte(lines[n][:len(lines[n])/2]))
		f.Add(n, []byte(lines[n]+"\x00\x00\x00\n"+lines[n][:10]))
		f.Add(n, []byte("\x00\n"+lines[n]))
		f.Add(n, []byte("hello\n"))
	}
	f.Fuzz(func(t *testing.T, n int, tail []byte) {
		if n < 0 || n > len(lines) {
			return
		}
		text := strings.Join(lines[:n], "") + string(tail)
		path := filepath.Join(t.TempDir(), "faults.jsonl")
		write(t, path, text)
		log, repair, err := audit.Open(path, audit.KeepInMemory(2))
		if err != nil {
			require.ErrorIs(t, err, audit.ErrDamaged)
			require.Equal(t, text, read(t, path))
			require.Empty(t, beside(t, path))
			return
		}
		defer log.Close()
		got := read(t, path)
		switch {
		case repair == nil:
			require.Equal(t, text, got)
		case repair.Bytes == 0:
			require.Equal(t, text+"\n", got)
		default:
			require.Equal(t, text, got+read(t, repair.Saved))
			for _, line := range strings.SplitAfter(text[len(got):], "\n") {
				require.True(t, !strings.HasSuffix(line, "\n") || strings.Contains(line, "\x00"), "a line is cut off: %q", line)
			}
		}
		require.True(t, strings.HasPrefix(got, strings.Join(lines[:n], "")))
		e, err := log.Append(put(1))
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(read(t, path), got))
		require.EqualValues(t, strings.Count(got, "\n")+1, e.Seq)
		page, _, err := log.Entries(audit.Query{Limit: 100})
		require.NoError(t, err)
		require.Len(t, page, int(e.Seq))
		if n > 0 || len(got) == 0 {
			report := verify(t, read(t, path))
			require.True(t, report.OK(), report.Problems)
			require.Equal(t, e.Seq, report.Seq)
		}
	})
}
