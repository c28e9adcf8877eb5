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
	everyStreamEffect(fault.Response), everyStreamEffect(fault.Request),
	[]fault.Effect{
		fault.EffectDelay, fault.EffectErrorGRPC, fault.EffectErrorName,
		fault.EffectOf(fault.Internal), fault.EffectOf(fault.Unavailable),
	})}

func everyStreamEffect(direction fault.Direction) []fault.Effect {
	return fault.StreamEffects(direction, fault.EffectCut, fault.EffectStreamError, fault.EffectStall,
		fault.EffectThrottle, fault.EffectStreamDelay, fault.EffectCorrupt)
}

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

	for name, test := range map[string]struct {
		stream fault.StreamFault
		want   []fault.Effect
	}{
		"delay":   {fault.StreamFault{Delay: &fault.Delay{Fixed: 1}}, []fault.Effect{"stream.response.delay"}},
		"class":   {fault.StreamFault{Error: &fault.ErrorFault{Class: fault.Internal}}, []fault.Effect{"stream.response.error", "error.class.internal"}},
		"grpc":    {fault.StreamFault{Error: &fault.ErrorFault{GRPC: &fault.GRPCStatus{Code: "ABORTED"}}}, []fault.Effect{"stream.response.error", "error.grpc"}},
		"name":    {fault.StreamFault{Error: &fault.ErrorFault{Name: "x"}}, []fault.Effect{"stream.response.error", "error.name"}},
		"request": {fault.StreamFault{Direction: fault.Request, Error: &fault.ErrorFault{Name: "x"}}, []fault.Effect{"stream.request.error", "error.name"}},
	} {
		require.Equal(t, test.want, streamFault(test.stream).Effects(), name)
	}
	require.Empty(t, fault.StreamEffects(fault.Response))
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

// next asks for one unit, counts it, and returns how long it took.
func next(t *testing.T, s *fault.Stream) time.Duration {
	t.Helper()
	start := time.Now()
	n, err := s.Next(context.Background(), 1)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	s.Count(n)
	return time.Since(start)
}

func TestTheEndOfAStreamIsNoUnit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		inj.PointOf(bodies, "db")
		put(t, inj, rule("r", streamFault(fault.StreamFault{After: 1, Stall: true})))
		s := begin(t, inj)
		require.NoError(t, s.End(context.Background()), "nothing stalls so far")
		s.Count(1)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.ErrorIs(t, s.End(ctx), context.DeadlineExceeded)
		time.AfterFunc(time.Second, func() { inj.Delete("r") })
		start := time.Now()
		require.NoError(t, s.End(context.Background()))
		require.Equal(t, time.Second, time.Since(start))

		put(t, inj, rule("r", streamFault(fault.StreamFault{PerSecond: 1})))
		start = time.Now()
		require.NoError(t, begin(t, inj).End(context.Background()))
		require.Zero(t, time.Since(start))
	})
}

func TestStreamCountsWhatIsNotBytes(t *testing.T) {
	inj := fault.New("svc")
	inj.PointOf(bodies, "db")
	put(t, inj, rule("r", streamFault(fault.StreamFault{After: 10, Cut: true})))
	s := begin(t, inj)
	s.Count(4)
	s.Count(0)
	s.Pass(make([]byte, 3))
	n, err := s.Next(context.Background(), 100)
	require.NoError(t, err)
	require.Equal(t, 3, n, "both count")
	s.Count(3)
	require.ErrorIs(t, s.Broken(), fault.ErrCut)
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
	for _, spec := range []fault.StreamFault{{PerSecond: 1}, {Delay: &fault.Delay{Fixed: time.Second}}, {Stall: true}} {
		inj := fault.New("svc", fault.WithGuardrails(fault.Guardrails{MaxHeld: 1}))
		p := inj.PointOf(bodies, "db")
		put(t, inj, rule("r", streamFault(spec)))
		first := p.Decide(context.Background(), fault.Operation{})
		require.NoError(t, first.Before(context.Background()))
		require.False(t, p.Decide(context.Background(), fault.Operation{}).Hit(), "%+v", spec)
		first.Done()
		require.True(t, p.Decide(context.Background(), fault.Operation{}).Hit(), "%+v", spec)
	}
	inj := fault.New("svc")
	p := inj.PointOf(bodies, "db")
	put(t, inj, rule("r", streamFault(fault.StreamFault{Error: &fault.ErrorFault{Class: fault.Internal}})))
	d := p.Decide(context.Background(), fault.Operation{})
	defer d.Done()
	require.True(t, d.Hit())
	require.Zero(t, inj.Status().Held, "an error holds nothing")
}

func TestNilStreamPasses(t *testing.T) {
	var s *fault.Stream
	n, err := s.Next(context.Background(), 5)
	require.NoError(t, err)
	require.Equal(t, 5, n)
	s.Pass([]byte{1})
	s.Count(1)
	require.False(t, s.Corrupts())
	require.Nil(t, s.Failure())
	require.NoError(t, s.Broken())
	require.NoError(t, s.End(context.Background()))
}
