package fault

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// secondsKept is how many seconds of a point's traffic there are: those that are
// shown, the current one, and some for those who are slow to look.
const secondsKept = 64

// A second is what was noted in one second. It is never one for another second,
// so that nothing is lost by setting it back.
type second struct {
	number    int64 // since the beginning of the watch's first
	calls     atomic.Uint64
	faulted   atomic.Uint64
	ended     atomic.Uint64
	errors    atomic.Uint64
	latencies histogram
}

func (s *second) end(latency time.Duration, failed bool) {
	s.ended.Add(1)
	if failed {
		s.errors.Add(1)
	}
	s.latencies.add(latency)
}

func (s *second) show(t *TrafficSecond) {
	t.Calls, t.Faulted = s.calls.Load(), s.faulted.Load()
	t.Ended, t.Errors = s.ended.Load(), s.errors.Load()
	t.P50, t.P99 = s.latencies.percentile(50), s.latencies.percentile(99)
}

// A histogram counts durations in buckets, two for each power of two
// nanoseconds: from 2^k to 1.5·2^k and from there to 2^(k+1). What is shorter than
// about 1 µs is in the first bucket, what is longer than 73 minutes in the last.
//
// A bucket holds in its upper bits how many durations there are, and in its lower
// ones the sum of where they are in the bucket, from 0 to 2^16-1: a call that
// takes always the same is then shown to take that. There is room for 2^24 in one
// bucket, which no point sees in a second.
type histogram [64]atomic.Uint64

const (
	firstPower = 10 // of two, in nanoseconds
	placeBits  = 16
	countShift = 24 + placeBits
)

func (h *histogram) add(d time.Duration) {
	bucket, place := bucketOf(d)
	h[bucket].Add(1<<countShift | place)
}

// bucketOf returns the bucket that d is in, and where in it.
func bucketOf(d time.Duration) (bucket int, place uint64) {
	n := uint64(max(d, 1<<firstPower))
	power := bits.Len64(n) - 1
	upper := int(n >> (power - 1) & 1)
	bucket = 2*(power-firstPower) + upper
	if last := len(histogram{}) - 1; bucket > last {
		return last, 1<<placeBits - 1
	}
	width := power - 1 // of the bucket, as a power of two
	place = n & (1<<width - 1)
	if width > placeBits {
		return bucket, place >> (width - placeBits)
	}
	return bucket, place << (placeBits - width)
}

// percentile returns the mean of the durations in the bucket that holds the
// percentile, or 0 if there are no durations.
func (h *histogram) percentile(percent uint64) time.Duration {
	var seen [len(h)]uint64
	total := uint64(0)
	for i := range h {
		seen[i] = h[i].Load()
		total += seen[i] >> countShift
	}
	rank := (total*percent + 99) / 100
	for i, content := range seen {
		count := content >> countShift
		if count == 0 || count < rank {
			rank -= count
			continue
		}
		power := firstPower + i/2
		lower := uint64(2+i%2) << (power - 1)
		place := (content & (1<<countShift - 1)) / count // the mean
		return time.Duration(lower + place<<(power-1)>>placeBits)
	}
	return 0
}
