package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/misfit-go/misfit/cmd/misfit/internal/endpoint"
)

// How many characters are shown of what endpoints say.
const (
	maxName  = 64 // which is the longest ID of a rule
	maxCell  = 48
	maxText  = 400
	maxLines = 20
)

// cell is text from an endpoint in one line and of bounded width.
func cell(text string, most int) string {
	text = printable(text)
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

// foreign is text from an endpoint of a few lines.
func foreign(text string) string {
	lines := strings.Split(text, "\n")
	if n := len(lines); n > maxLines {
		lines = append(lines[:maxLines], fmt.Sprintf("and %d more", n-maxLines))
	}
	for i, line := range lines {
		lines[i] = cell(line, maxText)
	}
	return strings.Join(lines, "\n")
}

// A table prints rows in columns.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer, columns ...string) table {
	t := table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	t.row(columns...)
	return t
}

// row takes cells that are of bounded width already.
func (t table) row(cells ...string) {
	for i, text := range cells {
		if cells[i] = printable(text); text == "" {
			cells[i] = "-"
		}
	}
	fmt.Fprintln(t.w, "  "+strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}

// end prints it, and an empty line.
func (t table) end() error {
	fmt.Fprintln(t.w)
	return t.w.Flush()
}

// fewOf lists the first few values and counts the others.
func fewOf(values []string) string {
	const shown = 3
	if n := len(values); n > shown {
		return strings.Join(values[:shown], ", ") + fmt.Sprintf(" and %d more", n-shown)
	}
	return strings.Join(values, ", ")
}

// counted is how often each reason was given.
func counted(by map[string]uint64) string {
	var texts []string
	for _, reason := range slices.Sorted(maps.Keys(by)) {
		texts = append(texts, fmt.Sprintf("%d %s", by[reason], reason))
	}
	return strings.Join(texts, ", ")
}

// plural counts things.
func plural[N int | int64 | uint64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// understand reads an answer.
func understand(answer json.RawMessage, to any) error {
	if err := json.Unmarshal(answer, to); err != nil {
		return &endpoint.Unreached{Err: fmt.Errorf("its answer is not understood: %w", err), Answered: true}
	}
	return nil
}
