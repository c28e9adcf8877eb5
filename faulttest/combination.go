package faulttest

import (
	"math/bits"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A pick is one entry in one of the calls that an explorer knows.
type pick struct {
	call  int // of explorer.calls
	entry int // of its entries
}

// A combination is faults in different calls, in the order of the calls.
type combination []pick

// key tells combinations apart.
func (c combination) key() string {
	var b strings.Builder
	for _, p := range c {
		b.WriteString(strconv.Itoa(p.call))
		b.WriteByte('.')
		b.WriteString(strconv.Itoa(p.entry))
		b.WriteByte(' ')
	}
	return b.String()
}

// with returns c and p, which is about another call.
func (c combination) with(p pick) combination {
	i, _ := slices.BinarySearchFunc(c, p, func(a, b pick) int { return a.call - b.call })
	return slices.Insert(slices.Clone(c), i, p)
}

// without returns c but for its pick i.
func (c combination) without(i int) combination {
	return slices.Delete(slices.Clone(c), i, i+1)
}

// compareCombinations sorts combinations as enumerate has them, smaller ones first.
func compareCombinations(a, b combination) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return slices.CompareFunc(a, b, func(p, q pick) int {
		if p.call != q.call {
			return p.call - q.call
		}
		return p.entry - q.entry
	})
}

// contains reports whether all of part is in c.
func (c combination) contains(part combination) bool {
	for _, p := range part {
		if !slices.Contains(c, p) {
			return false
		}
	}
	return true
}

// parts calls visit for every combination of up to most faults that is part of c and
// smaller, the empty one left out, until it returns false.
func (c combination) parts(most int, visit func(combination) bool) {
	for chosen := uint(1); chosen < 1<<len(c)-1; chosen++ {
		if bits.OnesCount(chosen) > most {
			continue
		}
		var part combination
		for i, p := range c {
			if chosen>>i&1 == 1 {
				part = append(part, p)
			}
		}
		if !visit(part) {
			return
		}
	}
}

// A known call is one that some run made.
type known struct {
	Call
	entries []Entry // what can be injected into it
	every   bool    // it stands for all calls at its point
}

// planOf returns the plan of a run with c.
func (e *explorer) planOf(c combination) map[string]string {
	plan := make(map[string]string, len(c))
	for _, p := range c {
		plan[e.calls[p.call].ID] = e.entryOf(p).hash()
	}
	return plan
}

func (e *explorer) entryOf(p pick) *Entry { return &e.calls[p.call].entries[p.entry] }

func (e *explorer) injectionsOf(c combination) []Injection {
	list := make([]Injection, len(c))
	for i, p := range c {
		list[i] = Injection{Call: e.calls[p.call].Call, Fault: e.entryOf(p).Name}
	}
	return list
}

// nameOf returns the name of the subtest that runs c.
func (e *explorer) nameOf(c combination) string {
	var parts []string
	for _, i := range e.injectionsOf(c) {
		parts = append(parts, subtestName(i.Call.String()+" "+i.Fault))
	}
	return strings.Join(parts, "_and_")
}

var unfit = regexp.MustCompile(`[^\pL\pN.-]+`)

// subtestName makes text fit for go test -run: in one piece, of nothing that has a
// meaning there or in a shell.
func subtestName(text string) string { return strings.Trim(unfit.ReplaceAllString(text, "_"), "_") }

// combinations returns how many there are of n faults, in calls with so many entries
// each, up to no more than most.
func combinations(entries []int, n, most int) int {
	counts := make([]int, n+1) // of each size, of the calls so far
	counts[0] = 1
	for _, many := range entries {
		for size := n; size > 0; size-- {
			counts[size] = min(counts[size]+counts[size-1]*many, most)
		}
	}
	return counts[n]
}
