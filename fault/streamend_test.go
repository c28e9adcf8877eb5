package fault_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

func TestStreamDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		inj := fault.New("svc", fault.WithObserver(&seen))
		inj.PointOf(bodies, "db")
		put(t, inj, rule("r", streamFault(fault.StreamFault{After: 3, Delay: &fault.Delay{Fixed: 2 * time.Second}})))
		s := begin(t, inj)
		start := time.Now()
		n, err := s.Next(context.Background(), 10)
		require.NoError(t, err)
		require.Equal(t, 3, n, "up to the first that is delayed")
		require.Zero(t, time.Since(start))
		s.Count(n)
		for range 3 {
			start := time.Now()
			n, err := s.Next(context.Background(), 10)
			require.NoError(t, err)
			require.Equal(t, 1, n, "each waits for itself")
			require.Equal(t, 2*time.Second, time.Since(start))
			s.Count(n)
		}
		require.NoError(t, s.Broken())
		start = time.Now()
		require.NoError(t, s.End(context.Background()))
		require.Zero(t, time.Since(start), "the end is no unit")
		require.Len(t, seen.all(), 4, "a hit and three releases")
		for _, e := range seen.all()[1:] {
			require.Equal(t, fault.Release, e.Kind)
			require.Equal(t, fault.ReleaseElapsed, e.Released)
			require.Equal(t, 2*time.Second, e.Waited)
		}

		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err = s.Next(ctx, 1)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, fault.ErrInjected)
		require.Nil(t, s.Failure(), "which is not the rule's")
	})
}

func TestStreamDelaysCanBeRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const low, high, units = 100 * time.Millisecond, 300 * time.Millisecond, 500
		inj := fault.New("svc")
		inj.PointOf(bodies, "db")
		fresh := func(d fault.Delay) {
			inj.Delete("r")
			put(t, inj, rule("r", streamFault(fault.StreamFault{Delay: &d})))
		}
		waits := func() []time.Duration {
			s := begin(t, inj)
			all := make([]time.Duration, units)
			for i := range all {
				all[i] = next(t, s)
			}
			return all
		}
		uniform := fault.Delay{Min: low, Max: high}
		fresh(uniform)
		first, second := waits(), waits()
		var sum time.Duration
		for _, w := range first {
			require.GreaterOrEqual(t, w, low)
			require.LessOrEqual(t, w, high)
			sum += w
		}
		require.InDelta(t, float64(low+high)/2, float64(sum)/units, float64(high-low)/10)
		require.Less(t, slices.Min(first), low+(high-low)/10)
		require.Greater(t, slices.Max(first), high-(high-low)/10)
		require.NotEqual(t, first, second, "each call has its own")
		fresh(uniform)
		require.Equal(t, first, waits(), "the same again")
		require.Equal(t, second, waits())

		fresh(uniform)
		s := begin(t, inj)
		s.Count(100)
		require.Equal(t, first[100], next(t, s), "the wait of a unit depends on no other")

		fresh(fault.Delay{Median: low, P99: high})
		tail := waits()
		require.Less(t, slices.Min(tail), low)
		require.Greater(t, slices.Max(tail), high)
		require.NotEqual(t, first, tail)
	})
}

func TestStreamDelayFollowsEdits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		inj.PointOf(bodies, "db")
		delayed := func(d time.Duration) fault.Fault {
			return streamFault(fault.StreamFault{Delay: &fault.Delay{Fixed: d}})
		}
		during := func(edit func()) { time.AfterFunc(time.Second, edit) }
		put(t, inj, rule("r", delayed(5*time.Second)))
		s := begin(t, inj)
		during(func() { put(t, inj, rule("r", delayed(2*time.Second))) })
		require.Equal(t, 5*time.Second, next(t, s), "a wait goes on as it began")
		require.Equal(t, 2*time.Second, next(t, s), "the next is as the edit says")

		during(func() { put(t, inj, rule("r", delayed(2*time.Second), for_(scope.Customers("7")))) })
		require.Equal(t, time.Second, next(t, s), "a scope that leaves the request out lets it go")
		n, err := s.Next(context.Background(), 9)
		require.NoError(t, err)
		require.Equal(t, 9, n)

		for name, edit := range map[string]func(){
			"deleted":   func() { inj.Delete("r") },
			"halted":    func() { inj.Halt() },
			"corrupt":   func() { put(t, inj, rule("r", streamFault(fault.StreamFault{Corrupt: 1}))) },
			"throttled": func() { put(t, inj, rule("r", streamFault(fault.StreamFault{PerSecond: 1}))) },
			"failing": func() {
				put(t, inj, rule("r", streamFault(fault.StreamFault{Error: &fault.ErrorFault{Class: fault.Internal}})))
			},
		} {
			inj.Resume()
			put(t, inj, rule("r", delayed(time.Minute)))
			s := begin(t, inj)
			during(edit)
			require.Equal(t, time.Second, next(t, s), name)
			require.Zero(t, next(t, s), name)
			require.Nil(t, s.Failure(), name)
		}
	})
}

func TestStreamDelayWithinGuardrails(t *testing.T) {
	inj := fault.New("svc", fault.WithGuardrails(fault.Guardrails{MaxDelay: time.Second}))
	for _, test := range []struct {
		delay fault.Delay
		wrong string
	}{
		{fault.Delay{Fixed: time.Second}, ""},
		{fault.Delay{Fixed: time.Second + 1}, "may last 1.000000001s"},
		{fault.Delay{Max: time.Second}, ""},
		{fault.Delay{Max: 2 * time.Second}, "may last 2s"},
		{fault.Delay{Median: time.Millisecond, P99: 100 * time.Millisecond}, ""},
		{fault.Delay{Median: time.Millisecond, P99: 200 * time.Millisecond}, "may last 2s"},
		{fault.Delay{Median: time.Millisecond, P99: 200 * time.Millisecond, Max: time.Second}, ""},
	} {
		err := inj.Put(rule("r", streamFault(fault.StreamFault{Delay: &test.delay})))
		if test.wrong == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, "fault.stream.delay: "+test.wrong+"; the guardrail MaxDelay allows 1s")
	}
}

func TestStreamError(t *testing.T) {
	quota := errors.New("quota exceeded")
	inj := fault.New("svc", fault.WithNamedError("quota", quota))
	inj.PointOf(bodies, "db")
	for name, test := range map[string]struct {
		failure fault.ErrorFault
		cause   error
	}{
		"class": {fault.ErrorFault{Class: fault.Internal}, fault.ErrCut},
		"grpc": {fault.ErrorFault{GRPC: &fault.GRPCStatus{
			Code: "DATA_LOSS", Message: "cut off", Trailers: map[string]string{"x-shard": "7"},
		}}, fault.ErrCut},
		"name": {fault.ErrorFault{Name: "quota"}, quota},
	} {
		t.Run(name, func(t *testing.T) {
			put(t, inj, rule("r", streamFault(fault.StreamFault{After: 2, Error: &test.failure})))
			s := begin(t, inj)
			for range 2 {
				require.NoError(t, s.Broken())
				next(t, s)
			}
			_, err := s.Next(context.Background(), 1)
			for _, err := range []error{err, s.Broken(), s.End(context.Background())} {
				require.ErrorIs(t, err, test.cause)
				require.Equal(t, test.cause == fault.ErrCut, errors.Is(err, fault.ErrCut))
				require.ErrorIs(t, err, fault.ErrInjected)
				var mark *fault.Error
				require.ErrorAs(t, err, &mark)
				require.Equal(t, fault.Error{Rule: "r", Service: "svc", Point: "bodies:db", Err: test.cause}, *mark)
			}
			require.Equal(t, &test.failure, s.Failure())
			inj.Delete("r")
			require.Equal(t, &test.failure, s.Failure(), "what has been said of the stream stands")
			n, err := s.Next(context.Background(), 100)
			require.NoError(t, err)
			require.Equal(t, 100, n, "taken back in mid-stream")
			require.NoError(t, s.Broken())
		})
	}
	require.ErrorContains(t, inj.Put(rule("r", streamFault(fault.StreamFault{Error: &fault.ErrorFault{Name: "quote"}}))),
		`fault.stream.error.name: "quote" is not registered; there are: quota`)
}

func TestStreamErrorFollowsEdits(t *testing.T) {
	quota, lock := errors.New("quota exceeded"), errors.New("locked")
	inj := fault.New("svc", fault.WithNamedError("quota", quota), fault.WithNamedError("lock", lock))
	inj.PointOf(bodies, "db")
	fail := func(e fault.ErrorFault) {
		put(t, inj, rule("r", streamFault(fault.StreamFault{Error: &e})))
	}
	status := func(code fault.GRPCCode) fault.ErrorFault {
		return fault.ErrorFault{GRPC: &fault.GRPCStatus{Code: code}}
	}
	fail(status("ABORTED"))
	s := begin(t, inj)
	fail(status("DATA_LOSS"))
	require.ErrorIs(t, s.Broken(), fault.ErrCut)
	require.EqualValues(t, "DATA_LOSS", s.Failure().GRPC.Code, "another status of the same kind")

	fail(fault.ErrorFault{Name: "quota"})
	require.NoError(t, s.Broken(), "another kind is for calls to come")
	s = begin(t, inj)
	require.ErrorIs(t, s.Broken(), quota)
	fail(fault.ErrorFault{Name: "lock"})
	require.ErrorIs(t, s.Broken(), lock)

	fail(fault.ErrorFault{Class: fault.Internal})
	s = begin(t, inj)
	fail(fault.ErrorFault{Class: fault.Unavailable})
	require.NoError(t, s.Broken(), "another class is another effect")
}

func TestStreamFailureIsThatOfErrorsOnly(t *testing.T) {
	inj := fault.New("svc")
	inj.PointOf(bodies, "db")
	for _, spec := range []fault.StreamFault{{Cut: true}, {Stall: true}, {PerSecond: 1}, {Corrupt: 1}, {Delay: &fault.Delay{Fixed: 1}}} {
		inj.Delete("r")
		put(t, inj, rule("r", streamFault(spec)))
		s := begin(t, inj)
		require.Nil(t, s.Failure(), "%+v", spec)
		require.Equal(t, spec.Cut, s.Broken() != nil, "%+v", spec)
	}
}

func TestAStreamErrorNeedsAPointThatCanProduceIt(t *testing.T) {
	inj := fault.New("svc")
	inj.PointOf(fault.Kind{Name: "no-status", Effects: append(everyStreamEffect(fault.Response), fault.EffectErrorName)}, "db")
	inj.PointOf(fault.Kind{Name: "no-stream", Effects: []fault.Effect{fault.EffectErrorGRPC}}, "db")
	inj.PointOf(bodies, "db")
	put(t, inj, rule("r", streamFault(fault.StreamFault{Error: &fault.ErrorFault{GRPC: &fault.GRPCStatus{Code: "ABORTED"}}})))
	status, _ := inj.Rule("r")
	require.Equal(t, []string{"bodies:db"}, status.Points)
	require.Equal(t, []string{"no-status:db", "no-stream:db"}, status.Unsupported)
}
