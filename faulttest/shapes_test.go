package faulttest_test

import (
	"context"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/stretchr/testify/require"
)

// fanOut is a page that asks n services one after the other and goes without those
// that fail.
func fanOut(n int) func(testing.TB, *fault.Injector) {
	return func(t testing.TB, inj *fault.Injector) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		for i := range n {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			_ = inj.Point("service", fmt.Sprintf("s%02d", i+1)).Inject(ctx, fault.Operation{Name: "GET"})
			cancel()
		}
	}
}

// chain is a service that asks a second one, which asks a third, and so on: each
// answers with an error if the one behind it does, and the page goes without.
func chain(depth int) func(testing.TB, *fault.Injector) {
	return func(t testing.TB, inj *fault.Injector) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		for i := range depth {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			err := inj.Point("service", fmt.Sprintf("s%02d", i+1)).Inject(ctx, fault.Operation{Name: "GET"})
			cancel()
			if err != nil {
				return
			}
		}
	}
}

// TestShapes counts what exploring the two shapes takes that are explored most. The
// catalogue has two errors, and a delay and a black hole that the timeout of one
// second makes alike.
//
//	go test -run Shapes -v ./faulttest
func TestShapes(t *testing.T) {
	catalogue := faulttest.Faults("service",
		faulttest.Fail(fault.Unavailable), faulttest.Fail(fault.Refused), faulttest.Delay(2*time.Second), faulttest.BlackHole())
	var table strings.Builder
	table.WriteString("| shape | all combinations | single faults and pairs | runs | never together | same as another |\n|---|---|---|---|---|---|\n")
	for _, shape := range []struct {
		name string
		of   func(int) func(testing.TB, *fault.Injector)
		want func(n int) (runs, never, same int)
	}{
		// Two of the four faults are left for pairs.
		{"fan-out of", fanOut, func(n int) (int, int, int) { return 4*n + 4*n*(n-1)/2, 0, 12 * n * (n - 1) / 2 }},
		{"chain of", chain, func(n int) (int, int, int) { return 4 * n, 16 * n * (n - 1) / 2, 0 }},
	} {
		for _, n := range []int{5, 10, 20} {
			var report *faulttest.Report
			t.Run(fmt.Sprint(shape.name, n), func(t *testing.T) {
				report = faulttest.Survey(t, shape.of(n), faulttest.Bubble(), faulttest.MaxRuns(5000), catalogue)
			})
			runs, never, same := shape.want(n)
			require.Equal(t, runs, len(report.Results))
			require.Equal(t, never, report.Skipped[faulttest.NeverTogether])
			require.Equal(t, same, report.Skipped[faulttest.SameAsAnother])
			require.Equal(t, report.Combinations, runs+never+same, "nothing else")
			require.Empty(t, report.Failures())
			every := new(big.Int).Exp(big.NewInt(5), big.NewInt(int64(n)), nil) // each of the 4 faults in a call, or none
			fmt.Fprintf(&table, "| %s %d | %d | %d | %d | %d | %d |\n", shape.name, n, every.Sub(every, big.NewInt(1)), report.Combinations, runs, never, same)
		}
	}
	t.Logf("\n%s", table.String())
	holdDoc(t, "shapes", table.String())
}
