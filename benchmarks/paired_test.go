package benchmarks_test

import (
	"testing"
	"time"
)

// Two things are compared by turns: short slices of the one and of the other, close
// enough to share what else the machine does, and of each turn the ratio. What is said
// of them all is the median, with its interval. Of two that are alike one is often a
// per cent quicker for as long as it lives, for where its memory is and who wakes whom:
// so there are several pairs, whose turn it is by turns.

// A pair is the two, each of which is asked to do n operations and returns once they
// are done.
type pair struct{ one, other func(n int) }

// A comparison is what was found, turn by turn.
type comparison struct {
	ratios    []float64 // the throughput of the other over that of the one
	cpuRatios []float64 // the same, of throughput per time that the process had a processor
	perSec    []float64 // the throughput of the other
}

// compare takes turns for as long as the benchmark runs: one of its iterations is one.
func compare(b *testing.B, pairs ...pair) comparison {
	b.Helper()
	// A slice is shorter than what other processes get of a processor at once, so that
	// most turns are not disturbed at all.
	const slice = time.Millisecond
	for _, p := range pairs {
		p.one(1_000) // until both are warm, and their connections made
		p.other(1_000)
	}
	n := operations(slice, pairs[0].one)
	var found comparison
	for turn := 0; b.Loop(); turn++ {
		p := pairs[turn%len(pairs)]
		one, other := p.take(n, turn/len(pairs)%2 == 0)
		found.ratios = append(found.ratios, float64(one.time)/float64(other.time))
		if one.cpu > 0 && other.cpu > 0 {
			found.cpuRatios = append(found.cpuRatios, float64(one.cpu)/float64(other.cpu))
		}
		found.perSec = append(found.perSec, 2*float64(n)/other.time.Seconds())
	}
	return found
}

// take has each do n operations twice, so that what goes steadily up or down cancels
// out: one of the two before the other and after it.
func (p pair) take(n int, oneOutside bool) (one, other spent) {
	if !oneOutside {
		other, one = pair{p.other, p.one}.take(n, true)
		return one, other
	}
	one = spentOn(p.one, n)
	other = spentOn(p.other, n).plus(spentOn(p.other, n))
	return one.plus(spentOn(p.one, n)), other
}

// spent is what n operations take.
type spent struct{ time, cpu time.Duration }

func (s spent) plus(other spent) spent { return spent{s.time + other.time, s.cpu + other.cpu} }

func spentOn(do func(n int), n int) spent {
	cpu, start := cpuTime(), time.Now()
	do(n)
	return spent{time.Since(start), cpuTime() - cpu}
}

// operations returns how many of them fill a slice of time.
func operations(slice time.Duration, do func(n int)) int {
	for n := 8; ; n *= 2 {
		if d := min(spentOn(do, n).time, spentOn(do, n).time); d >= slice {
			return max(8, int(float64(n)*float64(slice)/float64(d)))
		}
	}
}

// report gives the benchmark's row its metrics, in place of the time per turn.
func (c comparison) report(b *testing.B) {
	b.Helper()
	b.ReportMetric(0, "ns/op")
	reportMedian(b, c.ratios, "ratio-to-bare", "ci-low", "ci-high")
	if len(c.cpuRatios) > 0 {
		reportMedian(b, c.cpuRatios, "cpu-ratio-to-bare", "cpu-ci-low", "cpu-ci-high")
	}
	perSecond, _, _ := median(c.perSec)
	b.ReportMetric(perSecond, "op/s")
}

func reportMedian(b *testing.B, values []float64, unit, lowUnit, highUnit string) {
	b.Helper()
	middle, low, high := median(values)
	b.ReportMetric(middle, unit)
	b.ReportMetric(low, lowUnit)
	b.ReportMetric(high, highUnit)
}
