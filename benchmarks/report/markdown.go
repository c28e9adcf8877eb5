package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

func writeTableHead(w io.Writer, names, figures []string) {
	writeCells(w, append(append([]string(nil), names...), figures...))
	fmt.Fprintln(w, "|"+strings.Repeat(" --- |", len(names))+strings.Repeat(" ---: |", len(figures)))
}

func writeCells(w io.Writer, cells []string) {
	for _, c := range cells {
		fmt.Fprint(w, "| ", strings.ReplaceAll(c, "|", `\|`), " ")
	}
	fmt.Fprintln(w, "|")
}

func thousands(n string) string {
	if _, err := strconv.Atoi(n); err != nil {
		return n
	}
	return commas(n)
}

const introduction = `# Results

<!-- Written by "make bench" from results.txt; what is changed by hand here is lost. -->

What was measured, and how, is in [README.md](README.md). Every figure is the median of %d passes over
all benchmarks and, in brackets, the interval that has it with a confidence of %.0f %%, whatever the
distribution; where all passes agree in the digits shown, there is no interval. Differences and ratios are
taken within each pass, of rows that ran one after the other, before the median is.
`

// write prints the report.
func (g *run) write(w io.Writer) {
	fmt.Fprintf(w, introduction, len(g.passes), confidence*100)
	if len(g.passes) < fewestPasses {
		fmt.Fprintf(w, "\n**This run has too few passes for intervals: it takes %d.**\n", fewestPasses)
	}
	g.writeMachine(w)
	writeBounds(w, g)
	writePlots(w, g)
	writeFloors(w, g)
	writeOthers(w, g)
}

// fewestPasses is how many values an interval takes that has the median with
// 95 % confidence.
const fewestPasses = 6

func (g *run) writeMachine(w io.Writer) {
	fmt.Fprint(w, "\n## Where\n\n")
	writeTableHead(w, []string{"", ""}, nil)
	for _, c := range g.config {
		if c.Key == "pkg" {
			continue
		}
		value := string(c.Value)
		if c.Key == modulesKey {
			value = strings.ReplaceAll(value, ", ", "<br>")
		}
		writeCells(w, []string{c.Key, value})
	}
}

// writeOthers lists what has no floor to be compared with: all the rows that the
// tables before do not have, whatever they are, or not with all of their units.
func writeOthers(w io.Writer, g *run) {
	shown := make(map[*row]bool)
	for _, gr := range g.groups() {
		for _, r := range gr.rows {
			shown[r] = !slices.ContainsFunc(r.units, func(unit string) bool {
				return unit != timeUnit && unit != bytesUnit && unit != allocUnit
			})
		}
	}
	for i := 0; i < len(g.rows); i++ {
		r := g.rows[i]
		if shown[r] {
			continue
		}
		fmt.Fprintf(w, "\n## %s\n\n", r.base)
		var names []string // of the keys of the rows
		var rows []*row
		for _, other := range g.rows[i:] {
			if other.base == r.base && !shown[other] {
				shown[other] = true
				rows = append(rows, other)
				names = union(names, keyNames(other))
			}
		}
		writeTable(w, names, rows)
	}
}

func writeTable(w io.Writer, names []string, rows []*row) {
	var units, titles []string
	for _, r := range rows {
		units = union(units, r.units)
	}
	for _, u := range units {
		titles = append(titles, title(u))
	}
	writeTableHead(w, names, titles)
	for _, r := range rows {
		var cells []string
		for _, name := range names {
			switch name {
			case "with":
				cells = append(cells, r.with)
			case "GOMAXPROCS":
				cells = append(cells, r.procs)
			default:
				cells = append(cells, thousands(r.key(name)))
			}
		}
		for _, u := range units {
			cell := ""
			if s, ok := r.of(u); ok {
				cell = quantity(s, u)
			}
			cells = append(cells, cell)
		}
		writeCells(w, cells)
	}
}

func keyNames(r *row) (names []string) {
	for _, k := range r.keys {
		names = append(names, k.name)
	}
	if r.with != "" {
		names = append(names, "with")
	}
	return append(names, "GOMAXPROCS")
}

// union appends to a those of b that it lacks.
func union(a, b []string) []string {
	for _, name := range b {
		if !slices.Contains(a, name) {
			a = append(a, name)
		}
	}
	return a
}
