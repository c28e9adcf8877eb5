package audit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control/audit"
)

func TestAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "faults.jsonl")
	logs := map[string]*audit.Log{"in memory": audit.New(), "in a file": open(t, path, onASlowDisk)}
	for name, log := range logs {
		t.Run(name, func(t *testing.T) {
			before := time.Now()
			first, err := log.Append(put(1))
			require.NoError(t, err)
			require.EqualValues(t, 1, first.Seq)
			require.Equal(t, strings.Repeat("0", 64), first.Prev)
			require.Len(t, first.Hash, 64)
			require.False(t, first.Time.Before(before.Round(0)))
			require.Equal(t, time.UTC, first.Time.Location())
			require.JSONEq(t, string(put(1).After), string(first.After))

			halt, err := log.AppendBestEffort(audit.Entry{Actor: "kim", Action: "halt", Result: "done"})
			require.NoError(t, err)
			require.EqualValues(t, 2, halt.Seq)
			require.Equal(t, first.Hash, halt.Prev)
			require.Zero(t, halt.Written)

			entries, next, err := log.Entries(audit.Query{})
			require.NoError(t, err)
			require.Zero(t, next)
			require.Equal(t, []audit.Entry{halt, first}, entries)
			status := log.Status()
			require.EqualValues(t, 2, status.Entries)
			require.Equal(t, halt.Hash, status.Hash)
			require.NoError(t, status.Err)
		})
	}
	require.Equal(t, path, logs["in a file"].Status().Path)
	requireWhole(t, path, 2)
}

// What programs read in a line is what JSON makes of the entry.
func TestLineIsEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "faults.jsonl")
	log := open(t, path)
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	for _, e := range []audit.Entry{
		{},
		put(1),
		{Actor: "k\nim\x00\"", Detail: "<b>\u2028 \xff", Before: json.RawMessage(" [1, {\"a\" : null}]\n"), Seq: 9, Prev: "no", Hash: "no", Pending: true, Written: time.Now()},
	} {
		e, err := log.Append(e)
		require.NoError(t, err)
		require.NoError(t, enc.Encode(e))
	}
	// Text that is not UTF-8 is changed on the way.
	require.Equal(t, strings.ReplaceAll(want.String(), "\xff", `\ufffd`), read(t, path))
	requireWhole(t, path, 3)
}

// The command in the documentation gives the hash.
func TestHashByHand(t *testing.T) {
	for _, tool := range []string{"sh", "sed", "tr", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	path, lines := record(t, 8)
	var e audit.Entry
	require.NoError(t, json.Unmarshal([]byte(lines[6]), &e))
	command := `sed -n '7s/,"hash":"[0-9a-f]*"}$//p' faults.jsonl | tr -d '\n' | sha256sum`
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = filepath.Dir(path)
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Equal(t, e.Hash, strings.Fields(string(out))[0])
}

func TestReopen(t *testing.T) {
	path, _ := record(t, 3)
	log := open(t, path, audit.KeepInMemory(2))
	e, err := log.Append(put(4))
	require.NoError(t, err)
	require.EqualValues(t, 4, e.Seq)
	require.NoError(t, log.Close())
	require.NoError(t, log.Close())
	requireWhole(t, path, 4)

	_, err = log.Append(put(5))
	require.ErrorIs(t, err, audit.ErrClosed)
	require.ErrorContains(t, err, path)
	_, err = log.AppendBestEffort(put(5))
	require.ErrorIs(t, err, audit.ErrClosed)
	entries, _, err := log.Entries(audit.Query{Limit: 2})
	require.NoError(t, err)
	require.Equal(t, []uint64{4, 3}, seqs(entries))
	_, _, err = log.Entries(audit.Query{Limit: 3})
	require.ErrorContains(t, err, "closed")

	memory := audit.New()
	require.NoError(t, memory.Close())
	_, err = memory.Append(put(1))
	require.ErrorIs(t, err, audit.ErrClosed)
}

// A record has the name of its first entry, whoever writes it and how much of it is
// in memory.
func TestFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "faults.jsonl")
	log := open(t, path)
	require.Empty(t, log.Status().First)
	first, err := log.Append(put(1))
	require.NoError(t, err)
	_, err = log.Append(put(2))
	require.NoError(t, err)
	require.Equal(t, first.Hash, log.Status().First)
	require.NoError(t, log.Close())
	log = open(t, path, audit.KeepInMemory(1))
	require.Equal(t, first.Hash, log.Status().First)
	require.NoError(t, log.Close())

	text := read(t, path)
	write(t, path, text[:strings.Index(text, "\n")]) // all of one entry but the end of its line
	log, repair, err := audit.Open(path)
	require.NoError(t, err)
	require.NotNil(t, repair)
	require.Equal(t, first.Hash, log.Status().First)
	require.NoError(t, log.Close())

	write(t, path, strings.Replace(text, "{", "[", 1)) // it still is the same each time
	log = open(t, path, audit.KeepInMemory(1))
	damaged := log.Status().First
	require.Regexp(t, `^[0-9a-f]{64}$`, damaged)
	_, err = log.Append(put(3))
	require.NoError(t, err)
	require.NoError(t, log.Close())
	require.Equal(t, damaged, open(t, path, audit.KeepInMemory(1)).Status().First)

	memory := audit.New()
	first, err = memory.Append(put(1))
	require.NoError(t, err)
	_, err = memory.Append(put(2))
	require.NoError(t, err)
	require.Equal(t, first.Hash, memory.Status().First)
}

// In the bubble it is the year 2000, so the clock is set back by decades.
func TestClockSetBack(t *testing.T) {
	path, _ := record(t, 2)
	synctest.Test(t, func(t *testing.T) {
		log, repair, err := audit.Open(path)
		require.NoError(t, err)
		require.Nil(t, repair)
		e, err := log.Append(put(3))
		require.NoError(t, err)
		require.EqualValues(t, 3, e.Seq)
		require.Equal(t, 2000, e.Time.Year())
		require.NoError(t, log.Close())
	})
	report := requireWhole(t, path, 3)
	require.EqualValues(t, 1, report.Backwards)
	require.Greater(t, report.First.Year(), 2000)
	require.Equal(t, 2000, report.Last.Year())
}

func TestConcurrentWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "faults.jsonl")
	log := open(t, path)
	const writers, each = 100, 20
	var wg sync.WaitGroup
	var mu sync.Mutex
	acknowledged := make(map[uint64]audit.Entry)
	for w := range writers {
		wg.Go(func() {
			last := uint64(0)
			for i := range each {
				add := log.Append
				if i%5 == 0 {
					add = log.AppendBestEffort
				}
				e, err := add(audit.Entry{Actor: fmt.Sprint(w), Action: "rule.put", Detail: fmt.Sprint(i), Result: "done"})
				if err != nil {
					require.ErrorIs(t, err, audit.ErrPending) // a slow disk
					continue
				}
				require.Greater(t, e.Seq, last)
				last = e.Seq
				mu.Lock()
				acknowledged[e.Seq] = e
				mu.Unlock()
			}
		})
		wg.Go(func() {
			for next := uint64(0); ; {
				page, n, err := log.Entries(audit.Query{Before: next, Limit: 7, Actor: fmt.Sprint(w)})
				require.NoError(t, err)
				require.LessOrEqual(t, len(page), 7)
				if next = n; next == 0 {
					return
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, log.Close())
	requireWhole(t, path, writers*each)

	again := open(t, path)
	entries, _, err := again.Entries(audit.Query{Limit: writers * each})
	require.NoError(t, err)
	require.Len(t, entries, writers*each)
	for _, e := range entries {
		if want, ok := acknowledged[e.Seq]; ok {
			require.Equal(t, want, e)
		}
		delete(acknowledged, e.Seq)
	}
	require.Empty(t, acknowledged)
}

func TestLongEntries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "faults.jsonl")
	log := open(t, path)

	most := json.RawMessage(`"` + strings.Repeat("x", 96<<10-2) + `"`)
	e, err := log.Append(audit.Entry{Before: most, After: append(most[:len(most)-1:len(most)-1], `x"`...)})
	require.NoError(t, err)
	require.Equal(t, string(most), string(e.Before))
	var omitted struct {
		Omitted bool
		Bytes   int
		SHA256  string
	}
	require.NoError(t, json.Unmarshal(e.After, &omitted))
	require.True(t, omitted.Omitted)
	require.Equal(t, 96<<10+1, omitted.Bytes)
	require.Len(t, omitted.SHA256, 64)

	// The longest there can be: each byte is escaped as six.
	text := strings.Repeat("\x01", 1<<20)
	e, err = log.Append(audit.Entry{Actor: text, Role: text, Action: text, Rule: text, Result: text, Detail: text, Remote: text, Before: most, After: most})
	require.NoError(t, err)
	require.LessOrEqual(t, len(e.Actor), 512)
	require.Regexp(t, "^\x01+… \\(10480[0-9]+ bytes more\\)$", e.Actor)
	longest := 0
	for line := range strings.Lines(read(t, path)) {
		longest = max(longest, len(line))
	}
	require.Less(t, longest, audit.MaxLine)
	require.Greater(t, longest, audit.MaxLine*3/4, "the bounds are needlessly low")

	// It is cut between characters.
	e, err = log.Append(audit.Entry{Actor: strings.Repeat("ü", 400), Detail: "x" + strings.Repeat("世", 4<<10)})
	require.NoError(t, err)
	require.Regexp(t, `^ü+… \([0-9]+ bytes more\)$`, e.Actor)
	require.Regexp(t, `^x世+… \([0-9]+ bytes more\)$`, e.Detail)

	for _, bad := range []string{"{", "{} {}", `"` + "\n" + `"`, strings.Repeat("[", 100_000)} {
		_, err = log.Append(audit.Entry{Before: json.RawMessage(bad)})
		require.ErrorContains(t, err, "before is not JSON")
		_, err = log.AppendBestEffort(audit.Entry{After: json.RawMessage(bad)})
		require.ErrorContains(t, err, "after is not JSON")
	}
	require.NoError(t, log.Close())
	requireWhole(t, path, 3)
	open(t, path)
}
