package audit_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control/audit"
)

// forge gives a line a hash that fits it.
func forge(line string) string {
	body, _, _ := strings.Cut(line, `,"hash":"`)
	return fmt.Sprintf("%s,\"hash\":\"%x\"}\n", body, sha256.Sum256([]byte(body)))
}

func hash(line string) string { return line[len(line)-3-64 : len(line)-3] }

func TestVerify(t *testing.T) {
	_, l := record(t, 6)
	altered := strings.Replace(l[2], `"kim"`, `"max"`, 1)
	tests := []struct {
		name  string
		lines []string
		want  []string // the problems
	}{
		{"as written", l, nil},
		{"nothing", nil, nil},
		{"one", l[:1], nil},
		{"a line altered", []string{l[0], l[1], altered, l[3], l[4]}, []string{"line 3 was altered"}},
		{"a line forged", []string{l[0], l[1], forge(altered), l[3], l[4]}, []string{"line 4 does not follow the entry before"}},
		{"the last line altered", []string{l[0], l[1], altered}, []string{"line 3 was altered"}},
		{"a seq altered", []string{l[0], l[1], strings.Replace(l[2], `"seq":3`, `"seq":4`, 1), l[3]}, []string{"line 3 was altered"}},
		{"a seq forged", []string{l[0], l[1], forge(strings.Replace(l[2], `"seq":3`, `"seq":5`, 1)), l[3]}, []string{"line 3 has seq 5 after 2: what was between", "line 4 has seq 4 after 5"}},
		{"a line removed", []string{l[0], l[1], l[3], l[4]}, []string{"line 3 has seq 4 after 2: what was between them is missing"}},
		{"lines removed", []string{l[0], l[5]}, []string{"line 2 has seq 6 after 1: what was between them is missing"}},
		{"the first removed", l[1:], []string{"line 1 has seq 2 after 0: what was between them is missing"}},
		{"a line repeated", []string{l[0], l[1], l[1], l[2]}, []string{"line 3 has seq 2 after 2: it was inserted"}},
		{"a line inserted", []string{l[0], forge(strings.Replace(l[1], `"kim"`, `"max"`, 1)), l[1], l[2]}, []string{"line 3 has seq 2 after 2: it was inserted", "line 4 does not follow"}},
		{"lines exchanged", []string{l[0], l[2], l[1], l[3]}, []string{"line 2 has seq 3 after 1", "line 3 has seq 2 after 3: it was inserted, or put elsewhere"}},
		{"lines moved", []string{l[0], l[3], l[1], l[2], l[4]}, []string{"line 2 has seq 4 after 1", "line 3 has seq 2 after 4", "line 4 has seq 3 after 4"}},
		{"something inserted", []string{l[0], "hello\n", l[1]}, []string{"line 2 is not an entry"}},
		{"an empty line", []string{l[0], "\n", l[1]}, []string{"line 2 is empty"}},
		{"something in place of a line", []string{l[0], "{}\n", l[2], l[3]}, []string{"line 2 is not an entry"}},
		{"something in place of two lines", []string{l[0], "{}\n", l[3]}, []string{"line 2 is not an entry", "line 3 has seq 4 after 2: what was"}},
		{"a line cut off within", []string{l[0], l[1][:80] + "\n", l[2]}, []string{"line 2 is not an entry"}},
		{"a line cut off within, and its end", []string{l[0], l[1][:80], l[2], l[3]}, []string{"line 2 is not an entry", "line 3 has seq 4 after 2: what was"}},
		{"the end of a line removed", []string{l[0], strings.TrimSuffix(l[1], "\n"), l[2], l[3]}, []string{"line 2 is not an entry", "line 3 has seq 4 after 2: what was"}},
		{"ends for Windows", []string{l[0], strings.Replace(l[1], "\n", "\r\n", 1), l[2]}, []string{"line 2 is not an entry"}},
		{"zeros within", []string{l[0], strings.Repeat("\x00", len(l[1])-1) + "\n", l[2]}, []string{"line 2 has zeros in it"}},
		{"zeros without an end", []string{l[0], strings.Repeat("\x00", len(l[1])), l[2], l[3]}, []string{"line 2 has zeros in it", "line 3 has seq 4 after 2: what was"}},
		{"a long line", []string{l[0], strings.Repeat("x", 3*audit.MaxLine) + "\n", l[2]}, []string{"line 2 is longer than any entry"}},
		{"a long end", []string{l[0], strings.Repeat("x", 3*audit.MaxLine)}, []string{"line 2 is longer than any entry"}},
		{"a last line altered without an end", []string{l[0], l[1], strings.TrimSuffix(altered, "\n")}, []string{"line 3 was altered"}},
		{"another first", append([]string{forge(strings.Replace(l[0], `"kim"`, `"max"`, 1))}, l[1:]...), []string{"line 2 does not follow"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			report := verify(t, strings.Join(tt.lines, ""))
			require.Len(t, report.Problems, len(tt.want), report.Problems)
			for i, want := range tt.want {
				require.Contains(t, report.Problems[i].String(), want)
			}
			require.Equal(t, tt.want == nil, report.OK())
			require.Zero(t, report.Torn)
			require.Zero(t, report.Follows)
		})
	}
}

// Whichever byte is changed, it shows.
func TestVerifyEveryByte(t *testing.T) {
	_, lines := record(t, 3)
	text := strings.Join(lines, "")
	last := len(text) - 1
	for i := range text {
		for _, to := range []byte{text[i] ^ 0x20, '\n', 'x', 0} {
			if to == text[i] {
				continue
			}
			report := verify(t, text[:i]+string(to)+text[i+1:])
			switch {
			case i == last, to == 0 && i >= last-len(lines[2]):
				require.NotZero(t, report.Torn, "byte %d is %q", i, to) // as a crash can leave it
			default:
				require.False(t, report.OK(), "byte %d is %q", i, to)
			}
		}
		report := verify(t, text[:i]+text[i+1:])
		require.True(t, !report.OK() || i == last, "byte %d is missing", i)
	}
}

func TestVerifyTorn(t *testing.T) {
	_, l := record(t, 3)
	whole := l[0] + l[1]
	for name, end := range map[string]string{
		"a byte":                  "{",
		"half of a line":          l[2][:len(l[2])/2],
		"all but the brace":       l[2][:len(l[2])-2],
		"something else":          "\xff\xfe hello",
		"zeros":                   strings.Repeat("\x00", 5000),
		"more zeros than a line":  strings.Repeat("\x00", 3*audit.MaxLine/4),
		"zeros within a line":     l[2][:20] + strings.Repeat("\x00", 80) + l[2][100:],
		"zeros, and half a line":  "\x00\x00\n" + l[2][:40],
		"zeros in several lines":  "\x00\x00\n\x00\n{\"seq\":\x00\x00\n",
		"a line that ends in one": strings.Replace(l[2], "\n", "\x00", 1),
	} {
		t.Run(name, func(t *testing.T) {
			report := verify(t, whole+end)
			require.Empty(t, report.Problems)
			require.True(t, report.OK())
			require.EqualValues(t, len(end), report.Torn)
			require.EqualValues(t, 2, report.Entries)
			require.Equal(t, hash(l[1]), report.LastHash)
		})
	}
	t.Run("all but the end of the line", func(t *testing.T) {
		report := verify(t, whole+strings.TrimSuffix(l[2], "\n"))
		require.True(t, report.OK())
		require.Zero(t, report.Torn)
		require.EqualValues(t, 3, report.Entries)
	})
}

// Nothing in a file shows what was cut off at its end; what was noted does.
func TestVerifyExpectations(t *testing.T) {
	path, l := record(t, 4)
	text := strings.Join(l, "")
	end := hash(l[3])
	require.Equal(t, end, verify(t, text).LastHash)
	require.True(t, verify(t, text, audit.ExpectHash(end)).OK())
	require.True(t, verify(t, text, audit.ExpectHash(hash(l[1]))).OK(), "the file may have grown since")
	require.True(t, verify(t, text, audit.ExpectHash(""), audit.ExpectFollows("")).OK())

	short := strings.Join(l[:3], "")
	require.True(t, verify(t, short).OK())
	report := verify(t, short, audit.ExpectHash(end))
	require.Len(t, report.Problems, 1)
	require.Equal(t, "the file has no entry with the hash "+end+": its end was cut off, or it is not the file that had it", report.Problems[0].String())
	require.False(t, verify(t, "", audit.ExpectHash(end)).OK())
	for _, bad := range []string{"x", end[1:], strings.ToUpper(end), end + "0"} {
		_, err := audit.Verify(strings.NewReader(text), audit.ExpectHash(bad))
		require.ErrorContains(t, err, "audit: ExpectHash: \""+bad+"\" is not a hash: give the 64 hex digits")
		_, err = audit.Verify(strings.NewReader(text), audit.ExpectFollows(bad))
		require.ErrorContains(t, err, "audit: ExpectFollows: ")
	}

	second := path + ".2"
	fill(t, second, 2, audit.Follows(end))
	text = read(t, second)
	report = verify(t, text)
	require.True(t, report.OK())
	require.Equal(t, end, report.Follows)
	require.True(t, verify(t, text, audit.ExpectFollows(end)).OK())
	report = verify(t, text, audit.ExpectFollows(hash(l[0])))
	require.Len(t, report.Problems, 1)
	require.Contains(t, report.Problems[0].String(), "line 1 does not begin the log: its prev is "+end)
	require.False(t, verify(t, short, audit.ExpectFollows(end)).OK())
	require.False(t, verify(t, l[1], audit.ExpectFollows(hash(l[0]))).OK(), "a following file begins with 1")
}

func TestVerifyReport(t *testing.T) {
	_, l := record(t, 3)
	report := verify(t, strings.Join(l, ""))
	require.EqualValues(t, 3, report.Entries)
	require.WithinDuration(t, time.Now(), report.First, time.Minute)
	require.False(t, report.Last.Before(report.First))

	report = verify(t, strings.Repeat("x\n", 1000))
	require.Len(t, report.Problems, 100)
	require.EqualValues(t, 900, report.More)
	require.Zero(t, report.Entries)
}

func TestVerifyReadError(t *testing.T) {
	_, l := record(t, 3)
	broken := errors.New("the disk is broken")
	report, err := audit.Verify(io.MultiReader(strings.NewReader(l[0]+l[1]+"{"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "line 3")
	require.EqualValues(t, 2, report.Entries)
}

// A file of any length and of any lines takes little memory.
func TestVerifyBounded(t *testing.T) {
	line := strings.Repeat("x", 1<<20)
	for name, text := range map[string]string{"one line": line, "lines": line[:len(line)/2-1] + "\n" + line[:len(line)/2], "zeros": strings.Repeat("\x00", 1<<10) + "\n"} {
		readers := make([]io.Reader, 16)
		for i := range readers {
			readers[i] = strings.NewReader(text)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := audit.Verify(io.MultiReader(readers...))
		require.NoError(t, err)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20), name, name)
	}
}
