package fault

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// everyHour is in a blackout for the first ten minutes of each hour.
type everyHour struct{}

func (everyHour) Active(now time.Time) (until time.Time, active bool) {
	until = now.Truncate(time.Hour).Add(10 * time.Minute)
	return until, now.Before(until)
}

func (everyHour) Next(now time.Time) (begin time.Time, ok bool) {
	return now.Truncate(time.Hour).Add(time.Hour), true
}

func (everyHour) String() string { return "every hour" }

// once is a minute.
type once time.Time

func (o once) Active(now time.Time) (until time.Time, active bool) {
	until = time.Time(o).Add(time.Minute)
	return until, !now.Before(time.Time(o)) && now.Before(until)
}

func (o once) Next(now time.Time) (begin time.Time, ok bool) {
	return time.Time(o), now.Before(time.Time(o))
}

func (o once) String() string { return "once" }

func refusals(id string) Rule {
	return Rule{
		ID: id, Target: Target{Points: []string{"db"}}, Scope: scope.Everyone(),
		Fault: Fault{Error: &ErrorFault{Class: Refused}}, TTL: 5 * time.Hour,
	}
}

// A blackout begins when it does, also where the timer is late, or the clock was
// set and the timer cannot know.
func TestBlackoutDoesNotNeedTheTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(30 * time.Minute)
		var kinds []EventKind
		inj := New("svc", WithGuardrails(Guardrails{Blackouts: []Blackout{everyHour{}}}), WithObserver(ObserverFunc(func(e Event) {
			kinds = append(kinds, e.Kind)
		})))
		db := inj.Point("custom", "db")
		require.NoError(t, inj.Put(refusals("r")))
		require.Error(t, db.Inject(context.Background(), Operation{}))
		inj.blackouts.timer.Stop()
		time.Sleep(30*time.Minute - 1)
		require.Error(t, db.Inject(context.Background(), Operation{}))
		time.Sleep(time.Nanosecond)
		require.NoError(t, db.Inject(context.Background(), Operation{}))
		status, ok := inj.Rule("r")
		require.True(t, ok)
		require.Equal(t, map[SkipReason]uint64{SkipBlackout: 1}, status.Skips)
		e, err := inj.Explain(Question{Point: "db"})
		require.NoError(t, err)
		require.Equal(t, ReasonBlackout, e.Rules[0].Reason)

		_, err = inj.WithRequestRule(context.Background(), `{"target":{"points":["db"]},"fault":{"panic":true}}`)
		require.ErrorIs(t, err, ErrBlackout, "whoever asks to have a rule taken looks")
		require.Empty(t, inj.Rules())
		require.Equal(t, []EventKind{Hit, Hit, Skip, BlackoutBegin}, kinds)
		require.True(t, inj.blackedOut(time.Now()), "for calls that were being decided")
	})
}

func TestTokensDoNotNeedTheTimerEither(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(30 * time.Minute)
		inj := New("svc", WithGuardrails(Guardrails{Blackouts: []Blackout{everyHour{}}}), WithTokens(trusting{}))
		_, err := inj.takeToken("one")
		require.NoError(t, err)
		inj.blackouts.timer.Stop()
		time.Sleep(30 * time.Minute)
		_, err = inj.takeToken("another")
		require.ErrorIs(t, err, ErrBlackout)
		require.Empty(t, inj.Rules())
	})
}

// A window that nobody saw has ended the rules all the same.
func TestBlackoutThatPassedUnseen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(30 * time.Minute)
		var events []Event
		later := once(time.Now().Add(80 * time.Minute))
		inj := New("svc", WithGuardrails(Guardrails{Blackouts: []Blackout{everyHour{}, later}}), WithObserver(ObserverFunc(func(e Event) {
			events = append(events, e)
		})))
		db := inj.Point("custom", "db")
		require.NoError(t, inj.Put(refusals("r")))
		inj.blackouts.timer.Stop()
		time.Sleep(time.Hour) // as a process that was stopped
		require.NoError(t, db.Inject(context.Background(), Operation{}))
		events = nil
		require.NoError(t, inj.Put(refusals("new")))
		require.Len(t, inj.Rules(), 1)
		require.Len(t, events, 2)
		require.Equal(t, BlackoutBegin, events[0].Kind)
		require.Equal(t, []string{"r"}, events[0].Ended)
		require.Zero(t, events[0].Until)
		require.Equal(t, "every hour", events[0].Window, "the one that was next")
		require.Equal(t, BlackoutEnd, events[1].Kind)
		require.Equal(t, "every hour", events[1].Window)
		require.Equal(t, "once", inj.Status().Blackout.Window)
		require.Error(t, db.Inject(context.Background(), Operation{}))
	})
}

func TestSightHolds(t *testing.T) {
	at := time.Now()
	next := at.Round(0).Add(10 * time.Second)
	open := &sight{at, BlackoutStatus{Next: next}}
	active := &sight{at, BlackoutStatus{Active: true, Until: next, Next: next.Add(time.Hour)}}
	for _, s := range []*sight{open, active} {
		require.True(t, s.holds(at))
		require.True(t, s.holds(at.Add(10*time.Second-1)))
		require.False(t, s.holds(at.Add(10*time.Second)), "something begins or ends")
		require.False(t, s.holds(at.Add(-1)), "the clock was set back")
	}
	forever := &sight{at, BlackoutStatus{}}
	require.True(t, forever.holds(at.Add(lookEvery-1)))
	require.False(t, forever.holds(at.Add(lookEvery)))
}

func TestAnOlderSightIsNotHeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(30 * time.Minute)
		inj := New("svc", WithGuardrails(Guardrails{Blackouts: []Blackout{everyHour{}}}))
		old, err := look(inj.guardrails.Blackouts, time.Now())
		require.NoError(t, err)
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		require.Empty(t, inj.heed(old))
		require.True(t, inj.Status().Blackout.Active)
		require.ErrorIs(t, inj.Put(refusals("r")), ErrBlackout)
	})
}
