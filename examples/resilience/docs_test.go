package resilience_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func page(t testing.TB) string {
	data, err := os.ReadFile("../../docs/resilience.md")
	require.NoError(t, err)
	return string(data)
}

// TestDocs holds docs/resilience.md to the files that its code is from, and what it says
// is found to what the tests here hold to be found.
func TestDocs(t *testing.T) {
	page := page(t)
	blocks := regexp.MustCompile("(?s)<!-- (\\S+) -->\n```go\n(.*?)```").FindAllStringSubmatch(page, -1)
	require.Equal(t, strings.Count(page, "```go\n"), len(blocks), "each block says where it is from")
	require.NotEmpty(t, blocks)
	for _, block := range blocks {
		source, err := os.ReadFile(filepath.Join("../..", block[1]))
		require.NoError(t, err)
		require.Contains(t, string(source), block[2], block[1])
	}

	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	var tests strings.Builder
	for _, file := range files {
		if file != "docs_test.go" {
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			tests.Write(source)
		}
	}
	source := strings.ReplaceAll(tests.String(), `\"`, `"`)
	found := 0
	for _, table := range strings.Split(page, "| mistake | found as |\n|---|---|\n")[1:] {
		rows, _, _ := strings.Cut(table, "\n\n")
		for row := range strings.Lines(rows) {
			cells := strings.Split(strings.Trim(row, "| \n"), " | ")
			require.Len(t, cells, 2, row)
			require.Contains(t, source, strings.Trim(cells[1], "`"), row)
			found++
		}
	}
	require.Greater(t, found, 20)
}
