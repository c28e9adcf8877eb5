package grpcint_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

const heldStreams = 1000

// holdStreams opens streams that a rule holds and returns a function that waits
// until all of them have come to a good end.
func holdStreams(t testing.TB, x *rig, inj *fault.Injector, n int) (wait func()) {
	var ended sync.WaitGroup
	for range n {
		ended.Go(func() {
			stream, err := x.FullDuplexCall(context.Background())
			if err == nil {
				err = stream.CloseSend()
			}
			if err == nil {
				_, err = stream.Recv()
			}
			if !isEOF(err) {
				t.Errorf("a stream that was let go of ended with %v", err)
			}
		})
	}
	require.Eventually(t, func() bool { return inj.Status().Held == int64(n) }, time.Minute, time.Millisecond)
	return ended.Wait
}

// TestHeldStreamsAreReleased takes a black hole back from a thousand streams, at
// each side. The clock of the bubble stands still while they go on: no timer,
// and so no polling, is between the end of the rule and theirs.
// BenchmarkRelease1000 says how long that takes.
func TestHeldStreamsAreReleased(t *testing.T) {
	for _, point := range []string{clientPoint, serverPoint} {
		for name, end := range map[string]func(*fault.Injector){
			"delete": func(inj *fault.Injector) { inj.Delete("r") },
			"halt":   func(inj *fault.Injector) { inj.Halt() },
			"expiry": nil,
		} {
			t.Run(point+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x := newRig(t)
					inj := x.client
					if point == serverPoint {
						inj = x.server
					}
					put(t, inj, rule("r", point, fault.Fault{BlackHole: true}))
					born := time.Now()
					wait := holdStreams(t, x, inj, heldStreams)
					start := time.Now()
					if end != nil {
						end(inj)
					} else {
						start = born.Add(time.Hour)
					}
					wait()
					require.Equal(t, start, time.Now())
					require.Zero(t, inj.Status().Held)
				})
			})
		}
	}
}

// BenchmarkRelease1000 reports the time from the deletion of a rule to the end
// of the last of a thousand streams that it held, over a connection in memory.
func BenchmarkRelease1000(b *testing.B) {
	for _, point := range []string{clientPoint, serverPoint} {
		b.Run(point, func(b *testing.B) {
			x := newRig(b)
			inj := x.client
			if point == serverPoint {
				inj = x.server
			}
			_, _ = x.UnaryCall(b.Context(), &testpb.SimpleRequest{}) // connects
			var took time.Duration
			for b.Loop() {
				put(b, inj, rule("r", point, fault.Fault{BlackHole: true}))
				wait := holdStreams(b, x, inj, heldStreams)
				start := time.Now()
				inj.Delete("r")
				wait()
				took += time.Since(start)
			}
			b.ReportMetric(float64(took.Milliseconds())/float64(b.N), "ms/release")
		})
	}
}
