package sqldriver

import (
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

const operationsFile = "testdata/operations.txt"

// statements returns the lines of testdata/operations.txt, and the statement of
// each that has one: what stands before the last " => ", as a Go string where it
// begins with a quote.
func statements(t testing.TB) (lines []string, at map[int]string) {
	data, err := os.ReadFile(operationsFile)
	require.NoError(t, err)
	lines, at = strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"), map[int]string{}
	for i, line := range lines {
		end := strings.LastIndex(line, " => ")
		if end < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		at[i] = line[:end]
		if strings.HasPrefix(line, `"`) {
			at[i], err = strconv.Unquote(line[:end])
			require.NoError(t, err, line)
		}
	}
	return lines, at
}

// TestOperationTable reads testdata/operations.txt: a statement and the operation
// that it is.
func TestOperationTable(t *testing.T) {
	lines, at := statements(t)
	require.NotEmpty(t, at)
	var got strings.Builder
	for i, line := range lines {
		if query, ok := at[i]; ok {
			op := operationOf(query)
			requireNamed(t, op, query)
			line = line[:strings.LastIndex(line, " => ")] + " => " + op.String()
		}
		got.WriteString(line + "\n")
	}
	if flag.Lookup("update").Value.String() == "true" {
		require.NoError(t, os.WriteFile(operationsFile, []byte(got.String()), 0o644))
		return
	}
	require.Equal(t, strings.Join(lines, "\n")+"\n", got.String(), "if this is what it should be: go test ./sqldriver -run OperationTable -update")
}

// requireNamed holds what is true of every operation.
func requireNamed(t testing.TB, op fault.Operation, query string) {
	require.Empty(t, op.Raw)
	require.Equal(t, -1, strings.IndexFunc(op.Verb, func(c rune) bool { return c < 'A' || c > 'Z' }), "%q: %q", query, op.Verb)
	require.NotEmpty(t, op.Name, "%q", query)
	require.LessOrEqual(t, len(op.Name), maxNameBytes, "%q", query)
	require.True(t, utf8.ValidString(op.Name), "%q: %q", query, op.Name)
	require.Equal(t, -1, strings.IndexFunc(op.Name, func(c rune) bool { return c == '*' || unicode.IsSpace(c) || unicode.IsControl(c) }), "%q: %q", query, op.Name)
}

func TestNamesAreCut(t *testing.T) {
	long := strings.Repeat("a", maxNameBytes-1)
	for query, want := range map[string]string{
		"SELECT 1 FROM " + long + "bc":                         "SELECT " + long + "b",
		"SELECT 1 FROM " + long + "é":                          "SELECT " + long,
		"SELECT 1 FROM `" + strings.Repeat("é", 100) + "`":     "SELECT " + strings.Repeat("é", maxNameBytes/2),
		`SELECT 1 FROM ` + strings.Repeat(`"a".`, 200) + `"b"`: "SELECT " + strings.Repeat("a.", maxNameBytes/2),
		long + "bc": strings.ToUpper(long) + "B",
	} {
		op := operationOf(query)
		requireNamed(t, op, query)
		require.Equal(t, want, op.String())
	}
}

// TestOnlyTheBeginningIsLookedAt puts the table on either side of the limit, and
// a megabyte away.
func TestOnlyTheBeginningIsLookedAt(t *testing.T) {
	const before, after = "SELECT ", "1 FROM orders "
	room := lookedAt - len(before) - len(after)
	require.Equal(t, "SELECT orders", operationOf(before+strings.Repeat(" ", room)+after).String())
	require.Equal(t, "SELECT", operationOf(before+strings.Repeat(" ", room+len("orders "))+after).String())
	require.Equal(t, "SELECT", operationOf(before+strings.Repeat("'x', ", 200_000)+after).String())
}

// TestNamingAllocatesTheLexer holds that it allocates nothing else, and only one.
func TestNamingAllocatesTheLexer(t *testing.T) {
	for _, query := range []string{
		`SELECT o."id", s.o."total" FROM orders o`,
		"UPDATE `orders` SET `total` = ?",
		"DELETE FROM [orders] WHERE [id] = @p1",
	} {
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() { operationOf(query) }), 3.0, query)
	}
}

// FuzzOperation also holds that what lies after the limit makes no difference.
func FuzzOperation(f *testing.F) {
	_, at := statements(f)
	for _, query := range at {
		f.Add([]byte(query))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		query := string(data)
		op := operationOf(query)
		requireNamed(t, op, query)
		require.Equal(t, op, operationOf(query), "%q", query)
		if len(query) < lookedAt {
			query += strings.Repeat(" ", lookedAt-len(query))
			op = operationOf(query)
		}
		require.Equal(t, op, operationOf(query[:lookedAt]))
		require.Equal(t, op, operationOf(query+`x"'*/) FROM items`))
	})
}

func BenchmarkOperation(b *testing.B) {
	for _, c := range []struct{ name, query string }{
		{"short", `SELECT id, total FROM orders WHERE customer = $1`},
		{"update", "UPDATE `orders` SET `total` = ? WHERE `id` = ?"},
		{"cte", `WITH open AS (SELECT id FROM orders WHERE closed IS NULL) SELECT count(*) FROM open`},
		{"4KiB", "SELECT " + strings.Repeat(`o."id", o."total", `, lookedAt/20) + "1 FROM orders AS o"},
		{"4KiB-without-table", "SELECT " + strings.Repeat(`max(a, 'b'), `, lookedAt/13)},
		{"4KiB-worst", "SELECT " + strings.Repeat(`a"b"`, lookedAt/4)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				operationOf(c.query)
			}
		})
	}
}
