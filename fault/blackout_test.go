package fault_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

// daily is a window of each day, in UTC. Package control/blackout, which has the
// real ones, imports this one.
type daily struct{ from, lasts time.Duration }

var office = daily{9 * time.Hour, 8 * time.Hour}

func (d daily) begin(now time.Time) time.Time { return now.UTC().Truncate(24 * time.Hour).Add(d.from) }

func (d daily) Active(now time.Time) (until time.Time, active bool) {
	begin := d.begin(now)
	return begin.Add(d.lasts), !now.Before(begin) && now.Before(begin.Add(d.lasts))
}

func (d daily) Next(now time.Time) (begin time.Time, ok bool) {
	begin = d.begin(now)
	if !begin.After(now) {
		begin = begin.Add(24 * time.Hour)
	}
	return begin, true
}

func (d daily) String() string { return fmt.Sprintf("daily at %v for %v", d.from, d.lasts) }

func withBlackouts(all ...fault.Blackout) fault.Option {
	return fault.WithGuardrails(fault.Guardrails{Blackouts: all})
}

// sleepUntil sleeps until it is so late of the day, and lets timers do their work.
func sleepUntil(ofDay time.Duration) {
	now := time.Now().UTC()
	at := now.Truncate(24 * time.Hour).Add(ofDay)
	if at.Before(now) {
		at = at.Add(24 * time.Hour)
	}
	time.Sleep(at.Sub(now))
	synctest.Wait()
}

// ofBlackouts returns what was told of blackouts.
func (r *recorder) ofBlackouts() []fault.Event {
	var events []fault.Event
	for _, e := range r.all() {
		if e.Kind == fault.BlackoutBegin || e.Kind == fault.BlackoutEnd {
			events = append(events, e)
		}
	}
	return events
}

func TestBlackoutEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := new(recorder)
		inj := fault.New("svc", withBlackouts(office), fault.WithObserver(rec))
		db := inj.Point("custom", "db")
		day := time.Now().UTC()
		require.Equal(t, &fault.BlackoutStatus{Window: office.String(), Next: day.Add(9 * time.Hour)}, inj.Status().Blackout)
		sleepUntil(8 * time.Hour)

		put(t, inj, rule("held", blackHole, ttl(12*time.Hour)), rule("other", unavailable, at("cache"), ttl(12*time.Hour)))
		inClear, err := inj.WithRequestRule(customer("43"), `{"target":{"points":["db"]},"fault":{"blackHole":true},"ttl":"2h"}`)
		require.NoError(t, err)
		var released atomic.Int32
		for _, ctx := range []context.Context{context.Background(), customer("42"), inClear} {
			go func() {
				if db.Inject(ctx, fault.Operation{}) == nil {
					released.Add(1)
				}
			}()
		}
		synctest.Wait()
		require.EqualValues(t, 3, inj.Status().Held)

		time.Sleep(time.Hour - time.Nanosecond)
		synctest.Wait()
		require.Zero(t, released.Load(), "not before")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		require.EqualValues(t, 3, released.Load(), "as with a halt")
		require.Empty(t, inj.Rules())
		require.False(t, db.Armed())
		require.True(t, inj.Idle())

		end := day.Add(17 * time.Hour)
		begin := rec.ofBlackouts()
		require.Len(t, begin, 1)
		require.Equal(t, fault.BlackoutBegin, begin[0].Kind)
		require.Equal(t, office.String(), begin[0].Window)
		require.Equal(t, end, begin[0].Until)
		require.Subset(t, begin[0].Ended, []string{"held", "other"})
		require.Len(t, begin[0].Ended, 3)
		status := inj.Status()
		require.Equal(t, &fault.BlackoutStatus{Active: true, Window: office.String(), Until: end, Next: day.Add(33 * time.Hour)}, status.Blackout)
		require.False(t, status.Halted)
		require.True(t, explain(t, inj, fault.Question{Point: "db"}).Blackout)

		err = inj.Put(rule("r", unavailable))
		require.ErrorIs(t, err, fault.ErrBlackout)
		require.EqualError(t, err, `fault: blackout: no rules are taken until it is over: the guardrail Blackouts has "daily at 9h0m0s for 8h0m0s" until 2000-01-01T17:00:00Z`)
		_, err = inj.WithRequestRule(context.Background(), `{"target":{"points":["db"]},"fault":{"panic":true}}`)
		require.ErrorIs(t, err, fault.ErrBlackout)

		sleepUntil(17*time.Hour - time.Nanosecond)
		require.ErrorIs(t, inj.Put(rule("r", unavailable)), fault.ErrBlackout)
		time.Sleep(time.Nanosecond)
		require.NoError(t, inj.Put(rule("r", unavailable)), "the moment it is over, whether or not a timer says so")
		synctest.Wait()
		require.Len(t, inj.Rules(), 1, "none comes back by itself")
		events := rec.ofBlackouts()
		require.Len(t, events, 2)
		require.Equal(t, fault.BlackoutEnd, events[1].Kind)
		require.Equal(t, office.String(), events[1].Window)

		time.Sleep(7 * 24 * time.Hour)
		synctest.Wait()
		require.Len(t, rec.ofBlackouts(), 2+7*2, "and so on, each day")
		runtime.KeepAlive(inj) // the timer does not
	})
}

func TestBlackoutEndsTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := new(notary)
		rec := new(recorder)
		inj := fault.New("svc", withBlackouts(office), fault.WithTokens(n), fault.WithObserver(rec))
		db := inj.Point("custom", "db")
		sleepUntil(8*time.Hour + 30*time.Minute)
		tok := token("t1", atDB(unavailable))
		tok.NotBefore, tok.Expires = time.Now(), time.Now().Add(time.Hour)
		text := n.issueToken(tok)
		before := withToken(inj, customer("42"), text)
		require.Error(t, db.Inject(before, fault.Operation{}))

		sleepUntil(9 * time.Hour)
		require.NoError(t, db.Inject(before, fault.Operation{}))
		require.Equal(t, []string{"token-t1"}, rec.ofBlackouts()[0].Ended)
		within := withToken(inj, customer("42"), text)
		require.NoError(t, db.Inject(within, fault.Operation{}))
		require.Contains(t, fault.Answer(within), "blackout: no rules are taken until it is over")

		long := daily{9 * time.Hour, 15 * time.Minute}
		inj = fault.New("svc", withBlackouts(long), fault.WithTokens(n))
		db = inj.Point("custom", "db")
		require.NoError(t, db.Inject(withToken(inj, customer("42"), text), fault.Operation{}))
		sleepUntil(9*time.Hour + 15*time.Minute)
		require.NoError(t, db.Inject(within, fault.Operation{}))
		require.Error(t, db.Inject(withToken(inj, customer("42"), text), fault.Operation{}), "a later request brings it again")
	})
}

// A window begins when it says, not when somebody happens to look.
func TestBlackoutBetweenTwoLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		brief := daily{9*time.Hour + 20*time.Second, 20 * time.Second}
		rec := new(recorder)
		inj := fault.New("svc", withBlackouts(brief), fault.WithObserver(rec))
		put(t, inj, rule("r", unavailable, ttl(20*time.Hour)))
		sleepUntil(10 * time.Hour)
		require.Empty(t, inj.Rules())
		events := rec.ofBlackouts()
		require.Len(t, events, 2)
		require.Equal(t, 20*time.Second, events[1].Time.Sub(events[0].Time))
		require.Equal(t, brief.begin(time.Now()), events[0].Time.UTC().Round(0))
	})
}

func TestBlackoutAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleepUntil(12 * time.Hour)
		rec := new(recorder)
		inj := fault.New("svc", withBlackouts(office), fault.WithObserver(rec))
		require.ErrorIs(t, inj.Put(rule("r", unavailable)), fault.ErrBlackout)
		require.Len(t, rec.ofBlackouts(), 1)
		require.Empty(t, rec.ofBlackouts()[0].Ended)
		t.Setenv("MISFIT_DISABLED", "1")
		inj = fault.New("svc", withBlackouts(office))
		require.ErrorIs(t, inj.Put(rule("r", unavailable)), fault.ErrDisabled)
		require.Nil(t, inj.Status().Blackout)
	})
}

func TestBlackoutAndHaltAreTwoThings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc", withBlackouts(office))
		sleepUntil(9 * time.Hour)
		inj.Resume()
		require.ErrorIs(t, inj.Put(rule("r", unavailable)), fault.ErrBlackout, "a resume does not end it")
		inj.Halt()
		require.ErrorIs(t, inj.Put(rule("r", unavailable)), fault.ErrHalted)
		sleepUntil(17 * time.Hour)
		require.ErrorIs(t, inj.Put(rule("r", unavailable)), fault.ErrHalted, "its end does not resume")
		inj.Resume()
		put(t, inj, rule("r", unavailable))
		inj.Halt()
		sleepUntil(9 * time.Hour)
		inj.Resume()
		require.ErrorIs(t, inj.Put(rule("r", unavailable)), fault.ErrBlackout)
	})
}

// TestBlackoutsTakenTogether has windows that overlap and follow each other.
func TestBlackoutsTakenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := new(recorder)
		early := daily{7 * time.Hour, 2 * time.Hour} // up to office
		inj := fault.New("svc", withBlackouts(office, early, daily{10 * time.Hour, time.Hour}, daily{20 * time.Hour, time.Hour}), fault.WithObserver(rec))
		day := time.Now().UTC()
		require.Equal(t, day.Add(7*time.Hour), inj.Status().Blackout.Next)
		require.Equal(t, early.String(), inj.Status().Blackout.Window)
		sleepUntil(8 * time.Hour)
		require.Equal(t, &fault.BlackoutStatus{
			Active: true, Window: early.String(), Until: day.Add(17 * time.Hour), Next: day.Add(20 * time.Hour),
		}, inj.Status().Blackout)
		sleepUntil(18 * time.Hour)
		require.Len(t, rec.ofBlackouts(), 2)
		sleepUntil(23 * time.Hour)
		require.Len(t, rec.ofBlackouts(), 4)
		runtime.KeepAlive(inj)
	})
}

// board is a blackout that somebody switches, who need not tell.
type board struct {
	mu    sync.Mutex
	until time.Time
	next  time.Time
	fails bool
}

func (b *board) set(until, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until, b.next = until, next
}

func (b *board) fail(fails bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fails = fails
}

func (b *board) Active(now time.Time) (until time.Time, active bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fails {
		panic("out of order")
	}
	return b.until, now.Before(b.until)
}

func (b *board) Next(time.Time) (begin time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next, !b.next.IsZero()
}

func (b *board) String() string { return "the board" }

func TestBlackoutMayChangeItsMind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(board)
		inj := fault.New("svc", withBlackouts(b))
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", unavailable, ttl(20*time.Hour)))
		b.set(time.Now().Add(time.Hour), time.Time{})
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Empty(t, inj.Rules(), "noticed within a minute")
		b.set(time.Time{}, time.Time{})
		put(t, inj, rule("r", unavailable, ttl(20*time.Hour)))

		b.set(time.Time{}, time.Now().Add(time.Hour)) // planned
		time.Sleep(time.Minute)
		b.set(time.Time{}, time.Now().Add(2*time.Hour)) // put off
		time.Sleep(90 * time.Minute)
		synctest.Wait()
		require.Error(t, db.Inject(context.Background(), fault.Operation{}))

		require.Equal(t, time.Now().Add(30*time.Minute).UTC(), inj.Status().Blackout.Next.UTC())

		b.set(time.Now().Add(time.Hour), time.Time{}) // now after all
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Empty(t, inj.Rules(), "noticed within a minute, whatever was planned")
	})
}

// A blackout that cannot be asked breaks no call, and lets no rule in.
func TestBlackoutsThatPanicOrAreNil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := new(board)
		rec := new(recorder)
		inj := fault.New("svc", withBlackouts(b), fault.WithObserver(rec))
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", unavailable))
		b.fail(true)
		require.Error(t, db.Inject(context.Background(), fault.Operation{}), "calls do not ask it")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.NoError(t, db.Inject(context.Background(), fault.Operation{}))
		require.Empty(t, inj.Rules())
		require.ErrorIs(t, inj.Put(rule("r", unavailable)), fault.ErrBlackout)
		require.NotZero(t, inj.Status().Problems)
		var said []string
		for _, e := range rec.all() {
			if e.Kind == fault.Problem {
				said = append(said, e.Err.Error())
			}
		}
		require.Contains(t, said, "fault: a *fault_test.board of the guardrail Blackouts panicked: out of order")
		_, active := inj.Guardrails().Blackouts[0].Active(time.Now())
		require.True(t, active, "nor do those who show the guardrails panic")
		b.fail(false)
		put(t, inj, rule("r", unavailable))
		events := rec.ofBlackouts()
		require.Equal(t, fault.BlackoutEnd, events[len(events)-1].Kind)

		inj = fault.New("svc", withBlackouts(office, nil))
		err := inj.Put(rule("r", unavailable))
		require.ErrorIs(t, err, fault.ErrBlackout)
		require.ErrorContains(t, err, "an entry of the guardrail Blackouts is nil")
		require.NotPanics(t, func() { inj.Guardrails().Blackouts[1].Next(time.Now()) })

		inj = fault.New("svc", withBlackouts((*board)(nil)))
		require.ErrorIs(t, inj.Put(rule("r", unavailable)), fault.ErrBlackout)
	})
}

func TestGuardrailsKeepTheirBlackouts(t *testing.T) {
	given := []fault.Blackout{office}
	inj := fault.New("svc", withBlackouts(given...))
	require.Equal(t, fault.Blackout(office), given[0])
	inj.Guardrails().Blackouts[0] = nil
	require.Equal(t, office.String(), inj.Guardrails().Blackouts[0].String())
}

func TestBlackoutsDoNotKeepAnInjector(t *testing.T) {
	inj := fault.New("svc", withBlackouts(office))
	gone := weak.Make(inj)
	runtime.KeepAlive(inj)
	inj = nil
	for range 100 {
		runtime.GC()
		if gone.Value() == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the timer keeps it")
}
