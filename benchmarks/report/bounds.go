package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// A bound is something that the library must reach, and how to find out.
type bound struct {
	what, limit string
	measure     func(*run) []finding
}

// A finding is one place in which a bound is held against what was measured.
type finding struct {
	where  string
	checks []check
	note   string // what else is to be known
}

// A check is one figure of a finding.
type check struct {
	value   summary
	unit    string // printed after the figure
	limit   float64
	atLeast bool // it must not be below the limit; otherwise, not above
}

func atMost(value summary, unit string, limit float64) check {
	return check{value: value, unit: unit, limit: limit}
}

func atLeast(value summary, unit string, limit float64) check {
	return check{value: value, unit: unit, limit: limit, atLeast: true}
}

// A verdict says whether a figure keeps to its limit, worst last.
type verdict int

const (
	reached     verdict = iota
	reachedJust         // but the interval goes past the limit
	notQuite            // but the interval goes to the limit
	notReached
	notMeasured
	verdictsCount = iota
)

var verdictNames = [verdictsCount]string{
	reached:     "reached",
	reachedJust: "reached, within the noise",
	notQuite:    "**not reached**, within the noise",
	notReached:  "**not reached**",
	notMeasured: "not measured",
}

func (c check) verdict() verdict {
	center, worst, best := c.value.center, c.value.hi, c.value.lo
	limit := c.limit
	if c.atLeast {
		center, worst, best, limit = -center, -c.value.lo, -c.value.hi, -limit
	}
	switch keeps := center <= limit; {
	case keeps && (worst <= limit || !c.value.bounded()):
		return reached
	case keeps:
		return reachedJust
	case best <= limit && c.value.bounded():
		return notQuite
	}
	return notReached
}

func (f finding) verdict() verdict {
	worst := reached
	for _, c := range f.checks {
		worst = max(worst, c.verdict())
	}
	return worst
}

func (f finding) String() string {
	parts := make([]string, len(f.checks))
	for i, c := range f.checks {
		parts[i] = strings.TrimSpace(c.value.String() + " " + c.unit)
	}
	text := strings.Join(parts, "; ")
	if f.note != "" {
		text += " (" + f.note + ")"
	}
	return text
}

// writeBounds says of each bound in how many places it is reached, and which place
// is farthest from it; and then of every place.
func writeBounds(w io.Writer, g *run) {
	if !slices.ContainsFunc(bounds(), func(b bound) bool { return len(b.measure(g)) > 0 }) {
		return
	}
	fmt.Fprint(w, "\n## What it must reach\n\n")
	var places strings.Builder
	writeTableHead(w, []string{"", "bound", "reached", "farthest from it, or nearest to it", "measured there", ""}, nil)
	writeTableHead(&places, []string{"", "bound", "where", "measured", ""}, nil)
	for _, b := range bounds() {
		findings := b.measure(g)
		if len(findings) == 0 {
			writeCells(w, []string{b.what, b.limit, "", "", "", verdictNames[notMeasured]})
			continue
		}
		worst, n := findings[0], 0
		for _, f := range findings {
			writeCells(&places, []string{b.what, b.limit, f.where, f.String(), verdictNames[f.verdict()]})
			if v := f.verdict(); v == reached || v == reachedJust {
				n++
			}
			if f.verdict() > worst.verdict() || f.verdict() == worst.verdict() && f.share() > worst.share() {
				worst = f
			}
		}
		count := fmt.Sprintf("in %d of %d places", n, len(findings))
		writeCells(w, []string{b.what, b.limit, count, worst.where, worst.String(), verdictNames[worst.verdict()]})
	}
	fmt.Fprintf(w, "\n<details><summary>In every place</summary>\n\n%s\n</details>\n", places.String())
}

// share is how much of what its limit allows a figure takes, of the one that takes most.
func (f finding) share() (most float64) {
	for _, c := range f.checks {
		switch {
		case c.atLeast:
			most = max(most, c.limit/c.value.center)
		case c.limit > 0:
			most = max(most, c.value.center/c.limit)
		}
	}
	return most
}

// find returns the rows that have all of the keys, given as in a row's name.
func (g *run) find(base string, keys ...string) (rows []*row) {
	for _, r := range g.rows {
		if r.base == base && r.has(keys...) {
			rows = append(rows, r)
		}
	}
	return rows
}

func (r *row) has(keys ...string) bool {
	return !slices.ContainsFunc(keys, func(k string) bool {
		return !slices.ContainsFunc(r.keys, func(have key) bool { return have.String() == k }) && k != "with="+r.with
	})
}
