package fault_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

func TestSlogObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: inUTC})).With("app", "shop")
		inj := fault.New("svc", fault.WithObserver(fault.SlogObserver(logger)))
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", fault.Fault{Delay: &fault.Delay{Fixed: 2 * time.Second}, Error: &fault.ErrorFault{Class: fault.Refused}}, limits(fault.Limits{Total: 1})))
		op := fault.Operation{Verb: "GET", Name: "/x"}
		require.Error(t, db.Inject(customer("42"), op))
		require.NoError(t, db.Inject(context.Background(), op))
		inj.Report(errors.New("something odd"))
		inj.Halt()
		require.Equal(t, strings.Join([]string{
			`time=2000-01-01T00:00:00.000Z level=INFO msg="fault hit" app=shop service=svc point=custom:db operation="GET /x" rule=r source=code request=request-of-42 customer=42 effects="[delay error.class.refused]" delay=2s`,
			`time=2000-01-01T00:00:02.000Z level=DEBUG msg="fault release" app=shop service=svc point=custom:db operation="GET /x" rule=r source=code request=request-of-42 customer=42 waited=2s reason=elapsed`,
			`time=2000-01-01T00:00:02.000Z level=DEBUG msg="fault skip" app=shop service=svc point=custom:db operation="GET /x" rule=r source=code reason=total`,
			`time=2000-01-01T00:00:02.000Z level=WARN msg="fault problem" app=shop service=svc error="something odd"`,
			"",
		}, "\n"), log.String())
	})
}

func TestSlogObserverNamesWhoAsked(t *testing.T) {
	var log bytes.Buffer
	n := new(notary)
	inj := fault.New("svc", fault.WithTokens(n), fault.WithObserver(fault.SlogObserver(slog.New(slog.NewTextHandler(&log, nil)))))
	ctx := withToken(inj, customer("42"), n.issue(atDB(unavailable)))
	require.Error(t, inj.Point("custom", "db").Inject(ctx, fault.Operation{}))
	require.Contains(t, log.String(), `level=INFO msg="fault taken" service=svc rule=token-t1 source=token by=alice`)
	require.Contains(t, log.String(), `msg="fault hit" service=svc point=custom:db rule=token-t1 source=token by=alice request=`)
}

func TestSlogObserverTellsOfBlackouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: inUTC}))
		inj := fault.New("svc", withBlackouts(office), fault.WithObserver(fault.SlogObserver(logger)))
		put(t, inj, rule("r", unavailable, ttl(10*time.Hour)))
		sleepUntil(18 * time.Hour)
		require.Empty(t, inj.Rules())
		require.Equal(t, strings.Join([]string{
			`time=2000-01-01T09:00:00.000Z level=INFO msg="fault blackout.begin" service=svc window="daily at 9h0m0s for 8h0m0s" ended=1 until=2000-01-01T17:00:00.000Z`,
			`time=2000-01-01T17:00:00.000Z level=INFO msg="fault blackout.end" service=svc window="daily at 9h0m0s for 8h0m0s"`,
			"",
		}, "\n"), log.String())
	})
}

func inUTC(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}

func TestSlogObserverAsksForTheLevelAndTheDefault(t *testing.T) {
	var log bytes.Buffer
	defer slog.SetDefault(slog.Default())
	observer := fault.SlogObserver(nil)
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	observer.Observe(fault.Event{Kind: fault.Skip, Service: "svc"})
	require.Empty(t, log.String())
	observer.Observe(fault.Event{Kind: fault.Problem, Service: "svc", Err: errors.New("odd")})
	require.Contains(t, log.String(), `level=WARN msg="fault problem" service=svc error=odd`)
}

func TestReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		inj := fault.New("svc", fault.WithObserver(&seen))
		db := inj.Point("custom", "db")
		last := func() fault.Event {
			events := seen.all()
			require.Equal(t, fault.Release, events[len(events)-1].Kind)
			return events[len(events)-1]
		}
		call := func(ctx context.Context) {
			d := db.Decide(ctx, fault.Operation{})
			defer d.Done()
			if d.Before(ctx) == nil {
				_ = d.After(ctx)
			}
		}

		put(t, inj, rule("r", blackHole))
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		call(ctx)
		require.Equal(t, fault.ReleaseContext, last().Released)
		require.Equal(t, 3*time.Second, last().Waited)

		time.AfterFunc(5*time.Second, func() { inj.Delete("r") })
		call(context.Background())
		require.Equal(t, fault.ReleaseRule, last().Released)
		require.Equal(t, 5*time.Second, last().Waited)
		require.Equal(t, "r", last().Rule)

		put(t, inj, rule("r", fault.Fault{Delay: &fault.Delay{PadTo: time.Second}}))
		call(context.Background())
		require.Equal(t, fault.ReleaseElapsed, last().Released)
		require.Equal(t, time.Second, last().Waited)

		put(t, inj, rule("r", fault.Fault{Delay: &fault.Delay{Fixed: time.Second}, BlackHole: true}))
		before := len(seen.all())
		ctx, cancel = context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		call(ctx)
		require.Len(t, seen.all(), before+3, "a hit, and a release for each wait")
		require.Equal(t, 2*time.Second, last().Waited)

		stream := inj.PointOf(fault.Kind{Name: "stream", Effects: fault.StreamEffects(fault.Response, fault.EffectThrottle)}, "db")
		put(t, inj, rule("r", fault.Fault{Stream: &fault.StreamFault{PerSecond: 20}}))
		before = len(seen.all())
		d := stream.Decide(context.Background(), fault.Operation{})
		body := d.Stream(fault.Response)
		began := time.Now()
		for range 40 {
			n, err := body.Next(context.Background(), 1)
			require.NoError(t, err)
			body.Pass(make([]byte, n))
		}
		require.Equal(t, 2*time.Second, time.Since(began))
		d.Done()
		require.Len(t, seen.all(), before+1, "the slices of a throttled stream are not told of")
		inj.Halt()
	})
}
