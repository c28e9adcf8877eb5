package fault_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// bodies is a kind whose points can do everything in mid-stream.
var bodies = fault.Kind{Name: "bodies", Effects: slices.Concat(
	fault.StreamEffects(fault.Response), fault.StreamEffects(fault.Request), []fault.Effect{fault.EffectDelay})}

func streamFault(s fault.StreamFault) fault.Fault { return fault.Fault{Stream: &s} }

// begin decides one call and returns its response stream.
func begin(t *testing.T, inj *fault.Injector) *fault.Stream {
	t.Helper()
	ctx := customer("42")
	d := inj.PointOf(bodies, "db").Decide(ctx, fault.Operation{})
	require.True(t, d.Hit())
	t.Cleanup(d.Done)
	require.NoError(t, d.Before(ctx))
	return d.Stream(fault.Response)
}

func TestStreamEffectsAndDirection(t *testing.T) {
	inj := fault.New("svc")
	p := inj.PointOf(bodies, "db")
	put(t, inj, rule("r", streamFault(fault.StreamFault{PerSecond: 1, Corrupt: 0.5})))
	d := p.Decide(context.Background(), fault.Operation{})
	defer d.Done()
	require.NotNil(t, d.Stream(fault.Response))
	require.Nil(t, d.Stream(fault.Request))
	require.Equal(t, []fault.Effect{"stream.response.throttle", "stream.response.corrupt"}, d.Fault().Effects())
	require.False(t, inj.Point("custom", "db").Armed(), "a custom point has no stream")
}

func TestStreamCut(t *testing.T) {
	inj := fault.New("svc")
	inj.PointOf(bodies, "db")
	put(t, inj, rule("r", streamFault(fault.StreamFault{After: 10, Cut: true})))
	s := begin(t, inj)
	n, err := s.Next(context.Background(), 4)
	require.NoError(t, err)
	require.Equal(t, 4, n)
	s.Pass(make([]byte, 4))
	n, err = s.Next(context.Background(), 100)
	require.NoError(t, err)
	require.Equal(t, 6, n, "up to the cut")
	s.Pass(make([]byte, 6))
	_, err = s.Next(context.Background(), 1)
	require.ErrorIs(t, err, fault.ErrCut)
	require.ErrorIs(t, err, fault.ErrInjected)
	inj.Delete("r")
	n, err = s.Next(context.Background(), 100)
	require.NoError(t, err)
	require.Equal(t, 100, n, "taken back in mid-stream")
}

func TestStreamStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		inj.PointOf(bodies, "db")
		put(t, inj, rule("r", streamFault(fault.StreamFault{Stall: true})))
		s := begin(t, inj)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err := s.Next(ctx, 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, fault.ErrInjected)

		time.AfterFunc(time.Second, func() { inj.Halt() })
		start := time.Now()
		n, err := s.Next(context.Background(), 7)
		require.NoError(t, err)
		require.Equal(t, 7, n)
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestStreamGoesOnWhenAnEditMakesItAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		inj.PointOf(bodies, "db")
		put(t, inj, rule("r", streamFault(fault.StreamFault{Stall: true})))
		s := begin(t, inj)
		flowing := make(chan int)
		go func() {
			n, _ := s.Next(context.Background(), 9)
			flowing <- n
		}()
		synctest.Wait()
		put(t, inj, rule("r", streamFault(fault.StreamFault{Stall: true}), priority(3)))
		synctest.Wait()
		require.Empty(t, flowing, "the same fault holds on")
		put(t, inj, rule("r", streamFault(fault.StreamFault{Cut: true})))
		require.Equal(t, 9, <-flowing, "another is for calls to come")
	})
}

func TestStreamThrottle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		inj.PointOf(bodies, "db")
		flow := func(s *fault.Stream, total int) time.Duration {
			start := time.Now()
			for total > 0 {
				n, err := s.Next(context.Background(), total)
				require.NoError(t, err)
				require.Positive(t, n)
				s.Pass(make([]byte, n))
				total -= n
			}
			return time.Since(start)
		}
		for perSecond, total := range map[int64]int{1: 5, 10: 20, 1000: 3000, 1 << 20: 1 << 22} {
			put(t, inj, rule("r", streamFault(fault.StreamFault{PerSecond: perSecond})))
			want := time.Duration(float64(total) / float64(perSecond) * float64(time.Second))
			require.InDelta(t, want, flow(begin(t, inj), total), float64(time.Microsecond), "%d at %d/s", total, perSecond)
		}
		put(t, inj, rule("r", streamFault(fault.StreamFault{After: 5000, PerSecond: 100})))
		s := begin(t, inj)
		require.Zero(t, flow(s, 5000), "the first ones pass untouched")
		require.Equal(t, time.Second, flow(s, 100))
		put(t, inj, rule("r", streamFault(fault.StreamFault{PerSecond: 1000}), for_(scope.Customers("42"))))
		require.NoError(t, func() error { _, err := s.Next(context.Background(), 1); return err }(), "an edit goes on with the stream")
		put(t, inj, rule("r", streamFault(fault.StreamFault{PerSecond: 1}), for_(scope.Customers("7"))))
		require.Zero(t, flow(s, 1<<20), "a scope that leaves the request out lets it go")
	})
}

func TestStreamCorrupt(t *testing.T) {
	const size = 100_000
	inj := fault.New("svc")
	inj.PointOf(bodies, "db")
	wrong := func(spec fault.StreamFault, chunk int) []byte {
		inj.Delete("r")
		put(t, inj, rule("r", streamFault(spec)))
		s := begin(t, inj)
		data := make([]byte, size)
		for i := 0; i < size; i += chunk {
			part := data[i:min(i+chunk, size)]
			s.Pass(part)
		}
		return data
	}
	for _, rate := range []float64{0.001, 0.1, 1} {
		data := wrong(fault.StreamFault{Corrupt: rate}, 1000)
		got := size - bytes.Count(data, []byte{0})
		require.InDelta(t, rate*size, got, 5*(1+rate*100*10), "%v", rate)
		require.Equal(t, data, wrong(fault.StreamFault{Corrupt: rate}, 777), "the same bytes, however they come")
	}
	data := wrong(fault.StreamFault{Corrupt: 1, After: 500}, 100)
	require.Equal(t, make([]byte, 500), data[:500])
	require.NotContains(t, data[500:], byte(0))
	require.True(t, begin(t, inj).Corrupts())
}

func TestStreamsCountAsHeldUntilTheyEnd(t *testing.T) {
	inj := fault.New("svc", fault.WithGuardrails(fault.Guardrails{MaxHeld: 1}))
	p := inj.PointOf(bodies, "db")
	put(t, inj, rule("r", streamFault(fault.StreamFault{PerSecond: 1})))
	first := p.Decide(context.Background(), fault.Operation{})
	require.NoError(t, first.Before(context.Background()))
	require.False(t, p.Decide(context.Background(), fault.Operation{}).Hit())
	first.Done()
	require.True(t, p.Decide(context.Background(), fault.Operation{}).Hit())
}

func TestNilStreamPasses(t *testing.T) {
	var s *fault.Stream
	n, err := s.Next(context.Background(), 5)
	require.NoError(t, err)
	require.Equal(t, 5, n)
	s.Pass([]byte{1})
	require.False(t, s.Corrupts())
}
