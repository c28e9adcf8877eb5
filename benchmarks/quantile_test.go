package benchmarks_test

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// quantile returns the value that a share q of the sorted values is not above.
func quantile[T cmp.Ordered](sorted []T, q float64) T {
	return sorted[min(len(sorted)-1, max(0, int(math.Ceil(q*float64(len(sorted))))-1))]
}

// median returns the median of values and an interval that has it with a confidence
// of at least 95 %. The interval is between two of the values, whatever their
// distribution; fewer than six of them cannot tell, and give all there is.
func median(values []float64) (middle, low, high float64) {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	middle = (sorted[(n-1)/2] + sorted[n/2]) / 2
	out := tail(n)
	return middle, sorted[out], sorted[n-1-out]
}

// tail returns how many of n values may be left out at each end: as many as, each
// value being below the median as likely as not, leave it outside in at most one
// case of forty at either.
func tail(n int) int {
	all, _ := math.Lgamma(float64(n + 1))
	out, below := 0, 0.0
	for k := 0; k < (n+1)/2; k++ {
		these, _ := math.Lgamma(float64(k + 1))
		others, _ := math.Lgamma(float64(n - k + 1))
		if below += math.Exp(all - these - others - float64(n)*math.Ln2); below > 0.025 {
			break
		}
		out = k
	}
	return out
}

// A histogram counts durations in nanoseconds with an error of at most one part in
// 32, and allocates nothing while it does.
type histogram struct {
	counts  [64 * fineness]int64
	total   int64
	largest int64
}

const fineness = 32

func (h *histogram) add(ns int64) {
	h.counts[bucket(ns)]++
	h.total++
	h.largest = max(h.largest, ns)
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.largest = max(h.largest, other.largest)
}

// quantile returns the upper end of the bucket that it is in.
func (h *histogram) quantile(q float64) int64 {
	rank := int64(math.Ceil(q * float64(h.total)))
	for i, n := range h.counts {
		if rank -= n; rank <= 0 {
			return min(upperEnd(i), h.largest)
		}
	}
	return h.largest
}

// over returns how many were in buckets above the one of ns.
func (h *histogram) over(ns int64) (count int64) {
	for _, n := range h.counts[bucket(ns)+1:] {
		count += n
	}
	return count
}

// bucket numbers the spans: one each up to fineness, then fineness between each
// power of two and the next.
func bucket(ns int64) int {
	exponent := 0
	for ns>>exponent >= 2*fineness {
		exponent++
	}
	return exponent*fineness + int(max(0, ns)>>exponent)
}

func upperEnd(bucket int) int64 {
	if bucket < 2*fineness {
		return int64(bucket)
	}
	exponent := bucket/fineness - 1
	return int64(bucket-exponent*fineness+1)<<exponent - 1
}

func TestMedian(t *testing.T) {
	middle, low, high := median([]float64{3, 1, 2})
	require.Equal(t, []float64{2, 1, 3}, []float64{middle, low, high}, "three cannot tell more")

	values := make([]float64, 100)
	for i := range values {
		values[i] = float64((i*37)%100 + 1)
	}
	middle, low, high = median(values)
	require.Equal(t, []float64{50.5, 40, 61}, []float64{middle, low, high}, "as tables of the sign test have it")
	require.Equal(t, 0, tail(6))
	require.Equal(t, 1, tail(9))
	require.Equal(t, 468, tail(1000))
	require.InDelta(t, 50_000-0.98*math.Sqrt(100_000), tail(100_000), 2, "as the normal distribution has it")
}

func TestHistogram(t *testing.T) {
	for ns := int64(0); ns < 1<<40; ns += 1 + ns/50 {
		i := bucket(ns)
		require.LessOrEqual(t, ns, upperEnd(i))
		require.LessOrEqual(t, float64(upperEnd(i)), float64(ns)*(1+1.0/fineness)+1)
		require.Equal(t, i+1, bucket(upperEnd(i)+1), "no gap and no overlap")
	}
	var h, other histogram
	for i := range int64(1000) {
		h.add(i)
		other.add(1_000_000 + i)
	}
	require.InEpsilon(t, 500, h.quantile(0.5), 1.0/fineness)
	require.EqualValues(t, 999, h.quantile(1))
	h.merge(&other)
	require.EqualValues(t, 1000, h.over(500_000))
	require.EqualValues(t, 1_000_999, h.largest)
	require.InEpsilon(t, 999, h.quantile(0.5), 1.0/fineness)
}
