package main

import (
	"bytes"
	"encoding/xml"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files again")

func readFile(t *testing.T, name string) *run {
	t.Helper()
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	got, err := read(bytes.NewReader(raw), name)
	require.NoError(t, err)
	return got
}

func readText(text string) (*run, error) { return read(strings.NewReader(text), "text") }

// TestReport holds the report on a sample against a golden file.
func TestReport(t *testing.T) {
	files, err := readFile(t, "testdata/sample.txt").files()
	require.NoError(t, err)
	const golden = "testdata/sample.md"
	if *update {
		require.NoError(t, os.WriteFile(golden, files[reportName], 0o666))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(files[reportName]))
	for _, p := range plots() {
		svg := files[filepath.Join(plotsName, p.file)]
		require.NotEmpty(t, svg, p.file)
		requireSVG(t, svg)
		require.Contains(t, string(svg), p.title)
		require.Contains(t, string(files[reportName]), plotsName+"/"+p.file)
	}
}

// requireSVG holds that it is well-formed, and white behind whatever it shows.
func requireSVG(t *testing.T, svg []byte) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		_, err := d.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
	}
	width, height := strconv.Itoa(int(plotWidth)), strconv.Itoa(int(plotHeight))
	first := svg[bytes.Index(svg, []byte("<path")):]
	behind := `<path d="M0,0L` + width + `,0L` + width + `,` + height + `L0,` + height + `Z" style="fill:#FFFFFF" />`
	require.Equal(t, behind, string(first[:bytes.IndexByte(first, '>')+1]))
	require.Contains(t, string(svg), ",sans-serif;")
}

// TestResults holds that what is checked in is what the tool makes of what was
// measured, and that no plot is left over.
func TestResults(t *testing.T) {
	files, err := readFile(t, filepath.Join("..", rawName)).files()
	require.NoError(t, err)
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("..", name))
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "%s is not what %s gives: go run ./benchmarks/report write", name, rawName)
	}
	entries, err := os.ReadDir(filepath.Join("..", plotsName))
	require.NoError(t, err)
	for _, e := range entries {
		require.Contains(t, files, filepath.Join(plotsName, e.Name()))
	}
}

func TestBadInput(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"nothing":       {"", "text: no benchmark in it"},
		"another file":  {"# Title\n\nText.\n", "text: no benchmark in it"},
		"no iterations": {"BenchmarkX lots 5 ns/op\n", "text:1: parsing iteration count"},
		"no unit":       {"pass: 1\nBenchmarkX 1 5\n", "text:2: missing units"},
		"no measurement": {
			"BenchmarkX 1\n", "text:1: missing measurements",
		},
		"two machines": {
			"cpu: A\nBenchmarkX 1 5 ns/op\ncpu: B\nBenchmarkX 1 5 ns/op\n",
			"text:4: X: measured with {cpu: B}, the rows before it with {cpu: A}: a report is of one run",
		},
		"a pass that was interrupted": {
			"pass: 1\nBenchmarkX 1 5 ns/op\nBenchmarkY 1 5 ns/op\npass: 2\nBenchmarkX 1 5 ns/op\n",
			`text: pass "2" has sec/op of Y 0 times, not once`,
		},
		"a row twice": {
			"pass: 1\nBenchmarkX/with=a 1 5 ns/op\nBenchmarkX/with=a 1 5 ns/op\n",
			`text: pass "1" has sec/op of X/with=a 2 times, not once`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readText(test.text)
			require.ErrorContains(t, err, test.want)
		})
	}
}

// TestUnknownRows holds that what no table is made for is in one nevertheless.
func TestUnknownRows(t *testing.T) {
	got, err := readText(`
BenchmarkColours/red/size=1000-2     1      0 ns/op    12 apples/op
BenchmarkPlain-2                     1   1500 ns/op
BenchmarkUntimed/with=bare-2         1      3 ratio
BenchmarkUntimed/with=misfit-2       1      4 ratio
BenchmarkTimed/with=bare-2           1     10 ns/op     7 pears
BenchmarkTimed/with=misfit-2         1     15 ns/op     8 pears
`)
	require.NoError(t, err)
	var report strings.Builder
	got.write(&report)
	for _, want := range []string{
		"## Colours\n\n|  | size | GOMAXPROCS | time/op | apples/op |\n",
		"| red | 1,000 | 2 | 0 ns | 12 |\n",
		"## Plain\n",
		"| 2 | 1.5 µs |\n",
		"| bare | 2 | 3 |\n| misfit | 2 | 4 |\n",
		"| misfit | 2 | 15 ns | 8 |\n",       // because of the pears
		"|  |  | misfit | 15 | 5 | 1.5 |  |", // beside the floor
	} {
		require.Contains(t, report.String(), want)
	}
}

// TestTables holds that rows of one table come together, though others came between.
func TestTables(t *testing.T) {
	var text strings.Builder
	for _, scenario := range []string{"idle", "hit"} {
		for _, mode := range []string{"serial", "parallel"} {
			for _, with := range []string{"bare", "misfit"} {
				text.WriteString("BenchmarkX/mode=" + mode + "/scenario=" + scenario + "/rules=0/with=" + with + "-2 1 5 ns/op\n")
			}
		}
	}
	got, err := readText(text.String())
	require.NoError(t, err)
	var report strings.Builder
	got.write(&report)
	require.Equal(t, 1, strings.Count(report.String(), "### `mode=serial`, GOMAXPROCS 2\n"))
	require.Equal(t, 1, strings.Count(report.String(), "### `mode=parallel`, GOMAXPROCS 2\n"))
}

// rows has passes of a floor and of the library.
func rows(t *testing.T, text string) *group {
	t.Helper()
	got, err := readText(text)
	require.NoError(t, err)
	require.Len(t, got.groups(), 1)
	return got.groups()[0]
}

// TestPaired holds that rows are compared within a pass: the machine is slower in
// every other one, and the library adds 5 ns in all of them.
func TestPaired(t *testing.T) {
	var text strings.Builder
	for pass, mood := range []string{"1", "9", "1", "9", "1", "9"} {
		text.WriteString("pass: " + string(rune('1'+pass)) + "\n")
		text.WriteString("BenchmarkX/with=bare-2 1 " + mood + "0 ns/op\nBenchmarkX/with=misfit-2 1 " + mood + "5 ns/op\n")
	}
	gr := rows(t, text.String())
	added, ok := gr.added(gr.ours, timeUnit)
	require.True(t, ok)
	require.InDelta(t, 5e-9, added.center, 1e-15)
	require.InDelta(t, 5e-9, added.lo, 1e-15)
	require.InDelta(t, 5e-9, added.hi, 1e-15)
	took, _ := gr.ours.of(timeUnit)
	require.Equal(t, "55 [15, 95]", took.scale(1e9).String())
}

// TestTimesOurs holds what is said of a peer where the library may add nothing.
func TestTimesOurs(t *testing.T) {
	for name, test := range map[string]struct {
		ours []string
		want string
	}{
		"something":       {[]string{"12", "12", "12", "12", "12", "12"}, "50"},
		"perhaps nothing": {[]string{"9", "12", "12", "12", "12", "14"}, "50 [25, ∞]"},
		"nothing":         {[]string{"9", "9", "9", "9", "9", "9"}, "∞"},
	} {
		t.Run(name, func(t *testing.T) {
			var text strings.Builder
			for pass, ours := range test.ours {
				text.WriteString("pass: " + string(rune('1'+pass)) + "\nBenchmarkX/with=bare-2 1 10 ns/op\nBenchmarkX/with=peer-2 1 110 ns/op\n")
				text.WriteString("BenchmarkX/with=misfit-2 1 " + ours + " ns/op\n")
			}
			gr := rows(t, text.String())
			require.Equal(t, test.want, gr.addedBeside(gr.rows[1]))
		})
	}
}

func TestVerdict(t *testing.T) {
	unknown := summary{2, math.Inf(-1), math.Inf(1)}
	for _, test := range []struct {
		check check
		want  verdict
	}{
		{atMost(summary{2, 1, 3}, "", 3), reached},
		{atMost(summary{2, 1, 3}, "", 2.5), reachedJust},
		{atMost(summary{2, 1, 3}, "", 1.5), notQuite},
		{atMost(summary{2, 1, 3}, "", 0.5), notReached},
		{atMost(unknown, "", 2), reached},
		{atMost(unknown, "", 1), notReached},
		{atLeast(summary{2, 1, 3}, "", 1), reached},
		{atLeast(summary{2, 1, 3}, "", 1.5), reachedJust},
		{atLeast(summary{2, 1, 3}, "", 2.5), notQuite},
		{atLeast(summary{2, 1, 3}, "", 3.5), notReached},
	} {
		require.Equal(t, test.want, test.check.verdict(), "%+v", test.check)
	}
	both := finding{checks: []check{atMost(summary{2, 2, 2}, "ns", 3), atMost(summary{1, 1, 1}, "allocs", 0)}}
	require.Equal(t, notReached, both.verdict(), "the worst of its figures")
	require.Equal(t, "2 ns; 1 allocs", both.String())
}

func TestFigures(t *testing.T) {
	for want, v := range map[string]float64{
		"0": 0, "1.23": 1.234, "12.3": 12.34, "123": 123.4, "1,234,568": 1_234_567.8, "-1,235": -1234.8,
		"10": 9.999, "100": 99.99, "∞": math.Inf(1), "–": math.NaN(), "-0.02": -0.02,
	} {
		require.Equal(t, want, figure(v))
	}
	require.Equal(t, "0", figure(-0.001))
	for want, q := range map[string]struct {
		v    float64
		unit string
	}{
		"1.5 µs": {1.5e-6, "sec/op"}, "2 ms": {2e-3, "p99-late-sec"}, "1.5 KiB": {1536, "heap-B"}, "12": {12, "allocs/op"}, "0 ns": {0, "sec/op"},
	} {
		require.Equal(t, want, quantity(summary{q.v, q.v, q.v}, q.unit))
	}
}
