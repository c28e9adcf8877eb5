package envoyfault_test

import (
	"math"
	"testing"
	"time"

	"github.com/misfit-go/misfit/internal/envoyfault"
	"github.com/stretchr/testify/require"
)

var drawnFrom = envoyfault.Fault{
	Delay:          time.Second,
	Abort:          envoyfault.Abort{HTTPStatus: 503, GRPCCode: 14},
	BytesPerSecond: 1024,
}

// TestDrawEnumerated goes through every outcome of three fair dice of 20 sides.
// The parts are independent when each combination of them happens in exactly
// the product of their shares.
func TestDrawEnumerated(t *testing.T) {
	const sides = 20
	for _, p := range []envoyfault.Percents{
		{Delay: 50, Abort: 50, Throughput: 50},
		{Delay: 5, Abort: 95, Throughput: 35},
		{Delay: 0, Abort: 100, Throughput: 10},
		{Delay: 100, Abort: 15, Throughput: 0},
	} {
		seen := map[envoyfault.Fault]int{}
		r := envoyfault.Request{Fault: drawnFrom, Percent: p}
		for i := range sides * sides * sides {
			dice := []int{i % sides, i / sides % sides, i / sides / sides}
			f := r.Draw(func() float64 {
				side := dice[0]
				dice = dice[1:]
				return float64(side) / sides
			})
			require.Empty(t, dice, "one draw for each part")
			seen[f]++
		}

		want := map[envoyfault.Fault]int{}
		for parts := range 8 {
			var f envoyfault.Fault
			share := func(part bool, percent float64) int {
				if part {
					return int(percent) * sides / 100
				}
				return sides - int(percent)*sides/100
			}
			delay, abort, throughput := parts&1 != 0, parts&2 != 0, parts&4 != 0
			if delay {
				f.Delay = drawnFrom.Delay
			}
			if abort {
				f.Abort = drawnFrom.Abort
			}
			if throughput {
				f.BytesPerSecond = drawnFrom.BytesPerSecond
			}
			if n := share(delay, p.Delay) * share(abort, p.Abort) * share(throughput, p.Throughput); n > 0 {
				want[f] = n
			}
		}
		require.Equal(t, want, seen, "%+v", p)
	}
}

// Each whole number of percent is exactly that many of a hundred.
func TestDrawPercents(t *testing.T) {
	for percent := range 101 {
		hits := 0
		for side := range 100 {
			r := envoyfault.Request{Fault: envoyfault.Fault{Delay: 1}, Percent: envoyfault.Percents{Delay: float64(percent)}}
			if r.Draw(func() float64 { return float64(side) / 100 }) != (envoyfault.Fault{}) {
				hits++
			}
		}
		require.Equal(t, percent, hits)
	}
}

func TestDrawEnds(t *testing.T) {
	r := envoyfault.Request{Fault: drawnFrom}
	never := func() float64 { return 0 }
	require.Zero(t, r.Draw(never), "0 % is never")

	r.Percent = envoyfault.Percents{Delay: 100, Abort: 100, Throughput: 100}
	require.Equal(t, drawnFrom, r.Draw(func() float64 { return math.Nextafter(1, 0) }), "100 % is always")

	none := envoyfault.Request{Percent: r.Percent}
	require.Zero(t, none.Draw(func() float64 {
		t.Error("drew for a part that nobody asked for")
		return 0
	}))
}

// An abort with gRPC's OK is an abort.
func TestDrawOK(t *testing.T) {
	r, err := envoyfault.Parse(map[string][]string{envoyfault.AbortGRPCHeader: {"0"}}, everything)
	require.NoError(t, err)
	require.Equal(t, envoyfault.Abort{HTTPStatus: 200, GRPCCode: 0}, r.Draw(func() float64 { return 0 }).Abort)
}
