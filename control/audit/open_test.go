package audit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control/audit"
)

// Wherever a crash has cut the file off, Open finds its way.
func TestRepairEveryCut(t *testing.T) {
	_, lines := record(t, 2)
	text := strings.Join(lines, "")
	path := filepath.Join(t.TempDir(), "faults.jsonl")
	for cut := range len(text) + 1 {
		write(t, path, text[:cut])
		log, repair, err := audit.Open(path)
		require.NoError(t, err, cut)
		require.NoError(t, log.Close())

		whole := strings.Count(text[:cut], "\n")
		torn := cut - len(strings.Join(lines[:whole], ""))
		switch {
		case torn == 0:
			require.Nil(t, repair)
		case torn == len(lines[whole])-1: // only the end of the line is missing
			whole++
			require.Equal(t, &audit.Repair{Path: path}, repair)
			require.Contains(t, repair.String(), "whole but for the end of its line")
		default:
			require.EqualValues(t, torn, repair.Bytes)
			require.NoError(t, repair.Err)
			require.Equal(t, text[cut-torn:cut], read(t, repair.Saved))
			require.Equal(t, []string{repair.Saved}, beside(t, path))
			require.NoError(t, os.Remove(repair.Saved))
		}
		require.Equal(t, strings.Join(lines[:whole], ""), read(t, path))
		require.EqualValues(t, whole, log.Status().Entries)
		require.Empty(t, beside(t, path))
	}
}

func TestRepair(t *testing.T) {
	_, l := record(t, 3)
	for name, end := range map[string]string{
		"something else":             "\xff\xfe hello",
		"zeros":                      strings.Repeat("\x00", 5000),
		"zeros within a line":        l[2][:20] + strings.Repeat("\x00", 80) + l[2][100:],
		"zeros in several lines":     "\x00\x00\n\x00\n{\"seq\":\x00\x00\n",
		"zeros, and half a line":     "\x00\x00\n" + l[2][:40],
		"as much as a crash can cut": strings.Repeat("\x00", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "faults.jsonl")
			write(t, path, l[0]+l[1]+end)
			log, repair, err := audit.Open(path)
			require.NoError(t, err)
			defer log.Close()
			require.EqualValues(t, len(end), repair.Bytes)
			require.Equal(t, end, read(t, repair.Saved))
			require.Equal(t, l[0]+l[1], read(t, path))
			_, err = log.Append(put(3))
			require.NoError(t, err)
			requireWhole(t, path, 3)
		})
	}
	t.Run("nothing but zeros", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "faults.jsonl")
		write(t, path, strings.Repeat("\x00", 5000))
		log, repair, err := audit.Open(path)
		require.NoError(t, err)
		defer log.Close()
		require.EqualValues(t, 5000, repair.Bytes)
		require.Empty(t, read(t, path))
	})
}

// What no crash leaves is not touched.
func TestDamaged(t *testing.T) {
	_, l := record(t, 4)
	altered := strings.Replace(l[2], `"kim"`, `"max"`, 1)
	for name, tt := range map[string]struct{ text, want string }{
		"another file":               {"hello\n", "the line at byte 0 is not an entry"},
		"another file without lines": {"hello", "it has no entry; name another file"},
		"another file, long":         {strings.Repeat("x", 2<<20), "more than a crash leaves"},
		"another file, JSON":         {`{"seq":2,`, "it has no entry"},
		"a file of zeros":            {strings.Repeat("\x00", 2<<20), "more than a crash leaves"},
		"many lines of zeros":        {l[0] + strings.Repeat(strings.Repeat("\x00", 1000)+"\n", 2000), "more than a crash leaves"},
		"a line altered":             {l[0] + l[1] + altered + l[3], fmt.Sprintf("the line at byte %d was", len(l[0]+l[1])) + " altered"},
		"the last line altered":      {l[0] + l[1] + altered, fmt.Sprintf("the line at byte %d was", len(l[0]+l[1])) + " altered"},
		"the last line, without end": {l[0] + l[1] + strings.TrimSuffix(altered, "\n"), "its last line was altered"},
		"a line removed":             {l[0] + l[2] + l[3], fmt.Sprintf("the line at byte %d has", len(l[0])) + " seq 3 after 1"},
		"the line before the last":   {l[0] + l[2], "has seq 3 after 1"},
		"it, and no end":             {l[0] + strings.TrimSuffix(l[2], "\n"), "its last line has seq 3 after 1"},
		"the first removed":          {l[1] + l[2], "the line at byte 0 has seq 2 after 0"},
		"something added":            {l[0] + l[1] + "hello\n", fmt.Sprintf("the line at byte %d is", len(l[0]+l[1])) + " not an entry"},
		"an empty line added":        {l[0] + l[1] + "\n", "is empty"},
		"zeros, and a line":          {l[0] + "\x00\x00\n" + l[2], "has seq 3 after 0"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "faults.jsonl")
			write(t, path, tt.text)
			_, repair, err := audit.Open(path)
			require.ErrorIs(t, err, audit.ErrDamaged)
			require.ErrorContains(t, err, "audit: "+path+": ")
			if name != "zeros, and a line" { // it is not even an entry
				require.ErrorContains(t, err, tt.want)
			}
			require.Nil(t, repair)
			require.Equal(t, tt.text, read(t, path))
			require.Empty(t, beside(t, path))
			// It is not locked.
			write(t, path, l[0])
			open(t, path)
		})
	}
}

// Open looks at what it takes into memory, so that it starts as fast with a file
// of years.
func TestOpenLooksAtTheEnd(t *testing.T) {
	path, l := record(t, 10)
	l[3] = strings.Replace(l[3], `"kim"`, `"max"`, 1)
	write(t, path, strings.Join(l, ""))
	log := open(t, path, audit.KeepInMemory(5))
	e, err := log.Append(put(11))
	require.NoError(t, err)
	require.EqualValues(t, 11, e.Seq)
	require.NoError(t, log.Close())
	_, _, err = audit.Open(path, audit.KeepInMemory(10))
	require.ErrorIs(t, err, audit.ErrDamaged)
}

func TestFollows(t *testing.T) {
	old, l := record(t, 3)
	last := hash(l[2])
	path := filepath.Join(t.TempDir(), "faults.jsonl")
	log := open(t, path, audit.Follows(last))
	require.Equal(t, last, log.Status().Hash)
	first, err := log.Append(put(1))
	require.NoError(t, err)
	require.Equal(t, last, first.Prev)
	require.EqualValues(t, 1, first.Seq)
	require.NoError(t, log.Close())

	fill(t, path, 2, audit.Follows(last), audit.KeepInMemory(1)) // the service's options stay
	fill(t, path, 2)
	require.Equal(t, last, requireWhole(t, path, 5).Follows)

	for _, keep := range []int{1, 100} {
		for _, path := range []string{path, old} {
			text := read(t, path)
			_, _, err = audit.Open(path, audit.Follows(hash(l[0])), audit.KeepInMemory(keep))
			require.ErrorIs(t, err, audit.ErrDamaged)
			require.ErrorContains(t, err, hash(l[0]))
			require.Equal(t, text, read(t, path))
		}
	}
	for _, bad := range []string{"x", last[1:], strings.ToUpper(last), last + "0"} {
		_, _, err = audit.Open(filepath.Join(t.TempDir(), "x"), audit.Follows(bad))
		require.ErrorContains(t, err, "Follows: ")
	}
	// Also when the first entry was torn.
	for _, cut := range []int{30, 1} {
		text := strings.Split(read(t, path), "\n")[0] + "\n"
		write(t, path, text[:len(text)-cut])
		log, repair, err := audit.Open(path, audit.Follows(last))
		require.NoError(t, err)
		require.NotNil(t, repair)
		require.NoError(t, log.Close())
		if cut > 1 {
			require.Empty(t, read(t, path))
			write(t, path, text)
		}
	}
	require.Equal(t, last, requireWhole(t, path, 1).Follows)
}

func TestNilRepair(t *testing.T) {
	var r *audit.Repair
	require.Empty(t, r.String())
}
