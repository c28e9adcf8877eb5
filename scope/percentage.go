package scope

import (
	"math"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// buckets is how many equal parts a percentage is measured in: as many as a
// double holds exactly, so that every language computes the same threshold.
const buckets = 1 << 53

// Bucket returns the part of the population, from 0 up to but not including
// 2^53, that a unit falls into under a salt. A unit is within a percentage if
// its bucket is below [Threshold] of it.
func Bucket(salt, unit string) uint64 {
	return bucket(xxhash.Sum64String(salt), unit)
}

// Threshold returns the number of buckets a percentage spans: 0 for 0 % and
// 2^53 for 100 %. It never decreases as percent grows.
func Threshold(percent float64) uint64 {
	switch {
	case !(percent > 0): // NaN too
		return 0
	case percent >= 100:
		return buckets
	}
	return uint64(math.Floor(percent / 100 * buckets))
}

func bucket(seed uint64, unit string) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.WriteString(unit)
	return d.Sum64() >> 11
}

// callBucket is bucket for the unit "<id>#<n>", without building the string.
func callBucket(seed uint64, id string, n uint64) uint64 {
	var buf [MaxIDBytes + 21]byte // an ID beyond the limit costs an allocation
	unit := strconv.AppendUint(append(append(buf[:0], id...), '#'), n, 10)
	var d xxhash.Digest
	d.ResetWithSeed(seed)
	_, _ = d.Write(unit)
	return d.Sum64() >> 11
}
