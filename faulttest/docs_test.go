package faulttest_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/faulttest"
	"github.com/stretchr/testify/require"
)

// holdDoc holds the table that docs/testing.md has below the comment with this name to
// what is true. -update writes it.
func holdDoc(t *testing.T, name, want string) {
	t.Helper()
	const file = "../docs/testing.md"
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(data), "<!-- "+name+": ")
	require.True(t, found, "%s has no table of %s", file, name)
	command, rest, _ := strings.Cut(rest, "\n")
	shown, after, found := strings.Cut(rest, "\n\n")
	require.True(t, found)
	want = strings.TrimSuffix(want, "\n")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(before+"<!-- "+name+": "+command+"\n"+want+"\n\n"+after), 0o644))
		return
	}
	require.Equal(t, want, shown, "-update writes it anew")
}

// TestDocs holds docs/testing.md to what is injected by default.
func TestDocs(t *testing.T) {
	var table strings.Builder
	table.WriteString("| kind | faults |\n|---|---|\n")
	catalogue := faulttest.DefaultCatalogue()
	kinds := slices.Sorted(maps.Keys(catalogue))
	slices.SortStableFunc(kinds, func(a, b string) int { return strings.Count(b, ".") - strings.Count(a, ".") })
	for _, kind := range append(slices.DeleteFunc(kinds, func(k string) bool { return k == "*" }), "*") {
		var faults []string
		for _, e := range catalogue[kind] {
			text := e.Name
			if len(e.Operations) > 0 {
				text += " (at " + strings.Join(quoted(e.Operations), ", ") + ")"
			}
			faults = append(faults, text)
		}
		label := "`" + kind + "`"
		if kind == "*" {
			label = "all others"
		}
		fmt.Fprintf(&table, "| %s | %s |\n", label, strings.Join(faults, " · "))
	}
	holdDoc(t, "defaults", table.String())
}

func quoted(list []string) []string {
	out := make([]string, len(list))
	for i, text := range list {
		out[i] = "`" + text + "`"
	}
	return out
}
