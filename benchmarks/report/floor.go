package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

const (
	floorName = "bare"
	ourName   = "misfit"

	timeUnit  = "sec/op"
	bytesUnit = "B/op"
	allocUnit = "allocs/op"
)

// ours reports whether the contender is the library, in whatever way it is used.
func ours(with string) bool { return with == ourName || strings.HasPrefix(with, ourName+"-") }

// A group is one call in one scenario: the rows of which only the contender differs.
type group struct {
	rows  []*row
	floor *row
	ours  *row // as it is used by default
}

// groups returns the groups that have a floor and whose time was taken, in order.
func (g *run) groups() []*group {
	byName := make(map[string]*group)
	var all []*group
	for _, r := range g.rows {
		name := r.group()
		gr := byName[name]
		if gr == nil {
			gr = new(group)
			byName[name] = gr
			all = append(all, gr)
		}
		gr.rows = append(gr.rows, r)
		switch r.with {
		case floorName:
			gr.floor = r
		case ourName:
			gr.ours = r
		}
	}
	return slices.DeleteFunc(all, func(gr *group) bool {
		untimed := func(r *row) bool { return len(r.values[timeUnit]) == 0 }
		return gr.floor == nil || len(gr.rows) == 1 || slices.ContainsFunc(gr.rows, untimed)
	})
}

// first is the row that has the keys that all rows of the group share.
func (gr *group) first() *row { return gr.rows[0] }

// added is what the row costs more than the floor.
func (gr *group) added(r *row, unit string) (summary, bool) { return paired(r, gr.floor, unit, minus) }

// writeFloors writes a table for every call at every adapter, beside the floor. The
// groups of a table need not follow one another.
func writeFloors(w io.Writer, g *run) {
	var bases []string
	tables := make(map[string][]string) // of a base
	groups := make(map[string][]*group) // of a table
	for _, gr := range g.groups() {
		r := gr.first()
		table := r.without("scenario", "rules")
		bases = union(bases, []string{r.base})
		tables[r.base] = union(tables[r.base], []string{table})
		groups[table] = append(groups[table], gr)
	}
	for _, base := range bases {
		fmt.Fprintf(w, "\n## %s\n", base)
		for _, table := range tables[base] {
			fmt.Fprintf(w, "\n%s\n\n", tableName(groups[table][0].first()))
			writeTableHead(w, []string{"scenario", "rules", "with"},
				[]string{"ns/op", "added ns", "÷ bare", "allocs/op", "added", "B/op", "misfit ÷ it", "its added ns ÷ misfit’s"})
			for _, gr := range groups[table] {
				for _, r := range gr.rows {
					writeCells(w, gr.cells(r))
				}
			}
		}
	}
}

// tableName names what all rows of a table share.
func tableName(r *row) string {
	var parts []string
	for _, k := range r.keys {
		if k.name != "scenario" && k.name != "rules" {
			parts = append(parts, "`"+k.String()+"`")
		}
	}
	return "### " + strings.Join(append(parts, "GOMAXPROCS "+r.procs), ", ")
}

func (gr *group) cells(r *row) []string {
	cells := []string{r.key("scenario"), thousands(r.key("rules")), r.with}
	t, _ := r.of(timeUnit)
	cells = append(cells, t.scale(1e9).String())
	if r == gr.floor {
		cells = append(cells, "", "")
	} else {
		cells = append(cells, gr.compare(r, timeUnit, 1e9, minus), gr.compare(r, timeUnit, 1, over))
	}
	allocs, bytes := "", ""
	if s, ok := r.of(allocUnit); ok {
		allocs = s.String()
	}
	if s, ok := r.of(bytesUnit); ok {
		bytes = s.String()
	}
	addedAllocs := ""
	if r != gr.floor {
		addedAllocs = gr.compare(r, allocUnit, 1, minus)
	}
	return append(cells, allocs, addedAllocs, bytes, gr.beside(r), gr.addedBeside(r))
}

func (gr *group) compare(r *row, unit string, factor float64, f func(a, b float64) float64) string {
	s, ok := paired(r, gr.floor, unit, f)
	if !ok {
		return ""
	}
	return s.scale(factor).String()
}

// beside is what a call costs with the library, over what it costs with a peer.
func (gr *group) beside(peer *row) string {
	if peer == gr.floor || ours(peer.with) {
		return ""
	}
	s, ok := paired(gr.ours, peer, timeUnit, over)
	if !ok {
		return ""
	}
	return s.String()
}

// addedBeside is the same the other way round, of what the two add to the call.
func (gr *group) addedBeside(peer *row) string {
	if peer == gr.floor || ours(peer.with) {
		return ""
	}
	s, ok := gr.timesOurs(peer)
	if !ok {
		return ""
	}
	return s.String()
}

// timesOurs is how many times the library's added cost a peer adds. Each end of the
// interval is of the ends that make it widest. It has no upper end, or even no
// middle, where the library may add nothing at all.
func (gr *group) timesOurs(peer *row) (summary, bool) {
	own, ok := gr.added(gr.ours, timeUnit)
	theirs, ok2 := gr.added(peer, timeUnit)
	if !ok || !ok2 {
		return summary{}, false
	}
	times := func(theirs, own float64) float64 {
		if own <= 0 {
			return math.Inf(1)
		}
		return theirs / own
	}
	ratio := summary{center: times(theirs.center, own.center), lo: math.Inf(-1), hi: math.Inf(1)}
	if own.bounded() && theirs.bounded() {
		ratio.lo, ratio.hi = times(theirs.lo, own.hi), times(theirs.hi, own.lo)
	}
	return ratio, true
}
