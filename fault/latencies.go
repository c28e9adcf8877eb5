package fault

import (
	"sync/atomic"
	"time"
)

// latencies count durations in the buckets of [histogram], for as long as a rule
// lives: each bucket has room for more than that.
type latencies [len(histogram{})]struct {
	count, sum atomic.Uint64 // sum is in nanoseconds
}

func (l *latencies) add(d time.Duration) {
	bucket, _ := bucketOf(d)
	l[bucket].sum.Add(uint64(max(d, 0)))
	l[bucket].count.Add(1)
}

// A latencySum is several of them together, at one time.
type latencySum struct {
	count, sum [len(latencies{})]uint64
	total      uint64
}

func (s *latencySum) add(l *latencies) {
	for i := range l {
		n := l[i].count.Load()
		s.count[i] += n
		s.sum[i] += l[i].sum.Load()
		s.total += n
	}
}

// percentile returns the mean of the durations in the bucket that holds the
// percentile, or 0 if there are no durations.
func (s *latencySum) percentile(percent uint64) time.Duration {
	rank := (s.total*percent + 99) / 100
	for i, count := range s.count {
		if count > 0 && count >= rank {
			return time.Duration(s.sum[i] / count)
		}
		rank -= count
	}
	return 0
}
