package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/perf/benchmath"
)

// confidence is that of every interval in a report.
const confidence = 0.95

// A summary is the median of what several passes measured, and the interval that
// it lies in with the confidence above. The interval is unbounded if the passes
// are too few for one.
type summary struct{ center, lo, hi float64 }

// summarize supposes nothing of how the values are distributed.
func summarize(values []float64) summary {
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(values, &benchmath.DefaultThresholds), confidence)
	return summary{s.Center, s.Lo, s.Hi}
}

func (s summary) scale(factor float64) summary {
	return summary{s.center * factor, s.lo * factor, s.hi * factor}
}

// bounded reports whether the interval says more than the median.
func (s summary) bounded() bool { return !math.IsInf(s.lo, -1) }

// of summarizes a unit of the row.
func (r *row) of(unit string) (summary, bool) {
	list := r.values[unit]
	if len(list) == 0 {
		return summary{}, false
	}
	values := make([]float64, len(list))
	for i, m := range list {
		values[i] = m.value
	}
	return summarize(values), true
}

// paired summarizes what f makes of the values of two rows that were measured in
// the same pass, and so in the same mood of the machine.
func paired(a, b *row, unit string, f func(a, b float64) float64) (summary, bool) {
	if a == nil || b == nil {
		return summary{}, false
	}
	inPass := make(map[string]float64)
	for _, m := range b.values[unit] {
		inPass[m.pass] = m.value
	}
	var values []float64
	for _, m := range a.values[unit] {
		if other, ok := inPass[m.pass]; ok {
			values = append(values, f(m.value, other))
		}
	}
	if len(values) == 0 {
		return summary{}, false
	}
	return summarize(values), true
}

func minus(a, b float64) float64 { return a - b }
func over(a, b float64) float64  { return a / b }

// figure prints a number with three digits that count, and commas.
func figure(v float64) string {
	switch abs := math.Abs(v); {
	case math.IsNaN(v):
		return "–"
	case math.IsInf(v, 0):
		return "∞"
	case abs >= 99.95:
		return commas(strconv.FormatFloat(v, 'f', 0, 64))
	case abs >= 9.995:
		return trim(strconv.FormatFloat(v, 'f', 1, 64))
	default:
		return trim(strconv.FormatFloat(v, 'f', 2, 64))
	}
}

func trim(text string) string {
	text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	if text == "-0" {
		return "0"
	}
	return text
}

func commas(text string) string {
	digits := strings.TrimPrefix(text, "-")
	sign := text[:len(text)-len(digits)]
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// String prints the median and, if there is one, the interval.
func (s summary) String() string {
	if !s.bounded() || figure(s.lo) == figure(s.hi) {
		return figure(s.center)
	}
	return fmt.Sprintf("%s [%s, %s]", figure(s.center), figure(s.lo), figure(s.hi))
}

// A scale is a unit that people read.
type scale struct {
	factor float64 // from the base unit
	name   string
}

// quantity prints a summary of a unit as the benchmarks report it.
func quantity(s summary, unit string) string {
	sc := scaleOf(math.Abs(s.center), unit)
	text := s.scale(sc.factor).String()
	if sc.name == "" {
		return text
	}
	return text + " " + sc.name
}

func scaleOf(v float64, unit string) scale {
	switch classOf(unit) {
	case "time":
		return pick(v, scale{1e9, "ns"}, scale{1e6, "µs"}, scale{1e3, "ms"}, scale{1, "s"})
	case "bytes":
		return pick(v, scale{1, "B"}, scale{1.0 / (1 << 10), "KiB"}, scale{1.0 / (1 << 20), "MiB"}, scale{1.0 / (1 << 30), "GiB"})
	}
	return scale{1, ""}
}

// pick returns the largest scale in which v is not below 1.
func pick(v float64, scales ...scale) scale {
	best := scales[0]
	for _, s := range scales[1:] {
		if v*s.factor >= 1 {
			best = s
		}
	}
	return best
}

// classOf tells by one of the words of a unit what it counts.
func classOf(unit string) string {
	numerator, _, _ := strings.Cut(unit, "/")
	for word := range strings.SplitSeq(numerator, "-") {
		switch word {
		case "sec":
			return "time"
		case "B":
			return "bytes"
		}
	}
	return ""
}

// title is the name of a unit's column, where the cells say ns or ms themselves.
func title(unit string) string {
	numerator, rest, ok := strings.Cut(unit, "/")
	words := strings.Split(numerator, "-")
	for i, word := range words {
		if word == "sec" {
			words[i] = "time"
		}
	}
	numerator = strings.Join(words, "-")
	if ok {
		return numerator + "/" + rest
	}
	return numerator
}
