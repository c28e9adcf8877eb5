package audit_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control/audit"
)

// recordMixed is a log of entries of several kinds, of which so many are in
// memory. Without a path there is no file.
func recordMixed(t *testing.T, path string, n, keep int) *audit.Log {
	t.Helper()
	log := audit.New(audit.KeepInMemory(keep))
	if path != "" {
		log = open(t, path, audit.KeepInMemory(keep))
	}
	for i := 1; i <= n; i++ {
		e := audit.Entry{Actor: "kim", Action: "rule.put", Rule: "slow", Result: "done"}
		if i%3 == 0 {
			e.Actor = "max"
		}
		switch i % 4 {
		case 0:
			e.Action = "rule.delete"
		case 1:
			e.Action, e.Result, e.Rule = "ruler", "refused", "other"
		}
		_, err := log.Append(e)
		require.NoError(t, err)
	}
	return log
}

// pages asks until there is no more.
func pages(t *testing.T, log *audit.Log, q audit.Query) (all []uint64) {
	t.Helper()
	for asked := 0; ; asked++ {
		require.Less(t, asked, 1000)
		page, next, err := log.Entries(q)
		require.NoError(t, err)
		all = append(all, seqs(page)...)
		if q.Limit > 0 {
			require.LessOrEqual(t, len(page), q.Limit)
		}
		if next == 0 {
			return all
		}
		if q.Before != 0 {
			require.Less(t, next, q.Before)
		}
		q.Before = next
	}
}

func TestEntries(t *testing.T) {
	const n = 60
	dir := t.TempDir()
	logs := map[string]*audit.Log{
		"in memory":                recordMixed(t, "", n, n),
		"a file, all in memory":    recordMixed(t, filepath.Join(dir, "1"), n, 0),
		"a file, some in memory":   recordMixed(t, filepath.Join(dir, "2"), n, 13),
		"a file, one in memory":    recordMixed(t, filepath.Join(dir, "3"), n, 1),
		"opened, all in memory":    recordMixed(t, filepath.Join(dir, "4"), n, 5),
		"opened, little in memory": recordMixed(t, filepath.Join(dir, "5"), n, 5),
	}
	for name, keep := range map[string]int{"opened, all in memory": 1000, "opened, little in memory": 2} {
		path := logs[name].Status().Path
		require.NoError(t, logs[name].Close())
		logs[name] = open(t, path, audit.KeepInMemory(keep))
	}
	tests := []struct {
		query audit.Query
		want  func(i int) bool
	}{
		{audit.Query{}, func(int) bool { return true }},
		{audit.Query{Before: 31}, func(i int) bool { return i < 31 }},
		{audit.Query{Before: 1}, func(i int) bool { return false }},
		{audit.Query{Before: n + 1}, func(i int) bool { return true }},
		{audit.Query{Before: 1 << 63}, func(i int) bool { return true }},
		{audit.Query{Actor: "max"}, func(i int) bool { return i%3 == 0 }},
		{audit.Query{Actor: "ma"}, func(i int) bool { return false }},
		{audit.Query{Action: "rule."}, func(i int) bool { return i%4 != 1 }},
		{audit.Query{Action: "rule"}, func(i int) bool { return false }},
		{audit.Query{Action: "rule.put"}, func(i int) bool { return i%4 > 1 }},
		{audit.Query{Action: "ruler"}, func(i int) bool { return i%4 == 1 }},
		{audit.Query{Rule: "other"}, func(i int) bool { return i%4 == 1 }},
		{audit.Query{Result: "refused"}, func(i int) bool { return i%4 == 1 }},
		{audit.Query{Actor: "max", Action: "rule.", Rule: "slow", Result: "done", Before: 40}, func(i int) bool { return i%3 == 0 && i%4 != 1 && i < 40 }},
	}
	for name, log := range logs {
		for _, tt := range tests {
			var want []uint64
			for i := n; i > 0; i-- {
				if tt.want(i) {
					want = append(want, uint64(i))
				}
			}
			for _, limit := range []int{0, 1, 7, n, 1000} {
				tt.query.Limit = limit
				require.Equal(t, want, pages(t, log, tt.query), "%s: %+v", name, tt.query)
			}
		}
	}
	page, next, err := logs["in memory"].Entries(audit.Query{Limit: 3})
	require.NoError(t, err)
	require.Equal(t, []uint64{60, 59, 58}, seqs(page))
	require.EqualValues(t, 58, next)
}

func TestEntriesEmpty(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	for _, log := range []*audit.Log{audit.New(), open(t, path)} {
		for _, before := range []uint64{0, 1, 2, 1 << 63} {
			page, next, err := log.Entries(audit.Query{Before: before})
			require.NoError(t, err)
			require.Zero(t, next)
			require.Empty(t, page)
		}
	}
}

// A log in memory has the newest, and no end of pages that are gone.
func TestEntriesForgotten(t *testing.T) {
	log := recordMixed(t, "", 50, 10)
	require.Equal(t, []uint64{50, 49, 48, 47, 46, 45, 44, 43, 42, 41}, pages(t, log, audit.Query{Limit: 3}))
	require.Empty(t, pages(t, log, audit.Query{Before: 41}))
	require.EqualValues(t, 50, log.Status().Entries)
}

// Long entries take the room of many.
func TestMemoryIsBounded(t *testing.T) {
	log := audit.New()
	long := json.RawMessage(`"` + strings.Repeat("x", 90<<10) + `"`)
	for range 400 {
		_, err := log.Append(audit.Entry{Before: long, After: long})
		require.NoError(t, err)
	}
	page, next, err := log.Entries(audit.Query{Limit: 1000})
	require.NoError(t, err)
	require.Zero(t, next)
	require.InDelta(t, 32<<20/(180<<10), len(page), 2)
}

// A question that finds little in a long file is answered in parts.
func TestEntriesReadLittle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "faults.jsonl")
	log := open(t, path, audit.KeepInMemory(1))
	long := json.RawMessage(`"` + strings.Repeat("x", 90<<10) + `"`)
	const n = 100
	for i := range n {
		_, err := log.Append(audit.Entry{Actor: fmt.Sprint(i), Before: long, After: long})
		require.NoError(t, err)
	}
	asked, found := 0, 0
	for before := uint64(0); asked == 0 || before > 0; asked++ {
		page, next, err := log.Entries(audit.Query{Actor: "7", Before: before})
		require.NoError(t, err)
		found += len(page)
		before = next
	}
	require.Equal(t, 1, found)
	require.InDelta(t, n*180/(4<<10), asked, 2)
}

// What somebody has done to older lines is said, and hides no others.
func TestEntriesDamaged(t *testing.T) {
	path, l := record(t, 40)
	log := open(t, path, audit.KeepInMemory(3))
	for i, to := range map[int]string{10: strings.Replace(l[10], "kim", "max", 1), 20: strings.Repeat("x", len(l[20])-1) + "\n", 21: strings.Replace(l[21], `"seq":22`, `"seq":99`, 1)} {
		require.Len(t, to, len(l[i]))
		l[i] = to
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte(strings.Join(l, "")), 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())

	page, next, err := log.Entries(audit.Query{})
	require.ErrorIs(t, err, audit.ErrDamaged)
	require.ErrorContains(t, err, path+": ")
	require.ErrorContains(t, err, "3 entries before seq 38 are missing")
	require.Zero(t, next)
	require.Len(t, page, 37)
	require.False(t, slices.ContainsFunc(page, func(e audit.Entry) bool { return e.Seq == 11 || e.Seq == 21 || e.Seq == 22 }))
	page, next, err = log.Entries(audit.Query{Before: 21, Limit: 3})
	require.NoError(t, err)
	require.Equal(t, []uint64{20, 19, 18}, seqs(page))
	require.EqualValues(t, 18, next)

	for before := uint64(1); before < 40; before++ { // wherever it begins to read
		page, next, err = log.Entries(audit.Query{Before: before})
		want := int(before) - 1
		for _, missing := range []uint64{11, 21, 22} {
			if missing < before {
				want--
			}
		}
		require.Len(t, page, want)
		require.Zero(t, next)
		require.Equal(t, before > 11, err != nil)
	}

	require.NoError(t, os.Truncate(path, 100))
	_, _, err = log.Entries(audit.Query{})
	require.ErrorContains(t, err, "EOF")
	page, _, err = log.Entries(audit.Query{Limit: 3})
	require.NoError(t, err)
	require.Len(t, page, 3)
}

// Finding a place in a long file is a matter of a few reads, whatever is in it.
func TestEntriesLongFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "faults.jsonl")
	fill(t, path, 5000)
	log := open(t, path, audit.KeepInMemory(1))
	for _, before := range []uint64{2, 3, 1000, 2500, 4998, 4999, 5000, 5001} {
		page, next, err := log.Entries(audit.Query{Before: before, Limit: 2})
		require.NoError(t, err)
		want := []uint64{before - 1}
		if before > 2 {
			want = append(want, before-2)
		}
		require.Equal(t, want, seqs(page))
		if before > 3 {
			require.Equal(t, before-2, next)
		} else {
			require.Zero(t, next)
		}
	}
}
