package fault_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// holdFailing decides a call that is to fail and holds it. What comes of it is
// sent once it is let go.
func holdFailing(t *testing.T, p *fault.Point, ctx context.Context) (fault.Decision, <-chan error) {
	t.Helper()
	d := p.Decide(ctx, fault.Operation{})
	require.True(t, d.Hit())
	require.NoError(t, d.Before(ctx))
	released := make(chan error, 1)
	go func() { released <- d.Hold(ctx) }()
	synctest.Wait()
	return d, released
}

func TestFailingCallsAreHeldUntilTheContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		inj := fault.New("svc", fault.WithObserver(&seen))
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", unavailable))
		cause := errors.New("the user closed the page")
		ctx, stop := context.WithCancelCause(customer("42"))
		d, released := holdFailing(t, db, ctx)
		require.EqualValues(t, 1, inj.Status().Held)
		status, _ := inj.Rule("r")
		require.EqualValues(t, 1, status.Held)
		<-time.After(time.Minute)
		synctest.Wait()
		require.Empty(t, released, "time alone does not let go")
		stop(cause)
		err := <-released
		require.ErrorIs(t, err, cause)
		require.ErrorIs(t, err, fault.ErrInjected)
		require.Equal(t, unavailable, d.Fault(), "the failure stands")
		require.Zero(t, inj.Status().Held)
		d.Done()
		d.Done()
		require.Zero(t, inj.Status().Held)
		events := seen.all()
		require.Equal(t, fault.Release, events[1].Kind)
		require.Equal(t, fault.ReleaseContext, events[1].Released)
		require.Equal(t, time.Minute, events[1].Waited)

		gone, cancel := context.WithCancel(context.Background())
		cancel()
		d = db.Decide(gone, fault.Operation{})
		defer d.Done()
		require.ErrorIs(t, d.Hold(gone), context.Canceled)
		var none fault.Decision
		require.NoError(t, none.Hold(gone))
	})
}

func TestHeldFailingCallsGoOnWhenTheRuleEnds(t *testing.T) {
	edit := func(what fault.Fault, edits ...func(*fault.Rule)) func(*fault.Injector) {
		return func(inj *fault.Injector) { _ = inj.Put(rule("r", what, edits...)) }
	}
	for name, end := range map[string]func(*fault.Injector){
		"deleted":       func(inj *fault.Injector) { inj.Delete("r") },
		"halted":        func(inj *fault.Injector) { inj.Halt() },
		"expired":       func(*fault.Injector) { <-time.After(time.Hour) },
		"narrowed":      edit(unavailable, for_(scope.Customers("7"))),
		"moved":         edit(unavailable, at("cache")),
		"another class": edit(fault.Fault{Error: &fault.ErrorFault{Class: fault.Refused}}),
		"another kind":  edit(fault.Fault{Error: &fault.ErrorFault{Name: "quota"}}),
		"no error":      edit(fault.Fault{Panic: true}),
		"delayed":       edit(fault.Fault{Delay: &fault.Delay{Fixed: 1}, Error: unavailable.Error}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inj := fault.New("svc", fault.WithNamedError("quota", errors.New("quota exceeded")))
				db := inj.Point("custom", "db")
				put(t, inj, rule("r", unavailable))
				start := time.Now()
				d, released := holdFailing(t, db, customer("42"))
				defer d.Done()
				require.Empty(t, released)
				end(inj)
				require.NoError(t, <-released)
				if name != "expired" {
					require.Equal(t, start, time.Now(), "no time may pass")
				}
				require.Zero(t, d.Fault())
				require.False(t, d.InForce())
				require.NoError(t, d.Err(), "the call goes on untouched")
				require.Zero(t, inj.Status().Held)
				require.NoError(t, d.Hold(context.Background()), "and is not held again")
			})
		})
	}
}

func TestEditsThatKeepTheErrorKeepHolding(t *testing.T) {
	status := func(code fault.GRPCCode) fault.Fault {
		return fault.Fault{Error: &fault.ErrorFault{GRPC: &fault.GRPCStatus{Code: code}}}
	}
	class := fault.Fault{Error: &fault.ErrorFault{Class: fault.Internal}}
	for name, test := range map[string]struct {
		before fault.Fault
		after  fault.Rule
	}{
		"priority":             {class, rule("r", class, priority(3))},
		"widened":              {class, rule("r", class, for_(scope.Customers("42", "43")))},
		"longer":               {class, rule("r", class, ttl(2*time.Hour))},
		"another gRPC status":  {status("UNAVAILABLE"), rule("r", status("ABORTED"))},
		"another message only": {status("ABORTED"), rule("r", fault.Fault{Error: &fault.ErrorFault{GRPC: &fault.GRPCStatus{Code: "ABORTED", Message: "m"}}})},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inj := fault.New("svc")
				p := inj.PointOf(bodies, "db")
				put(t, inj, rule("r", test.before))
				ctx, cancel := context.WithCancel(customer("42"))
				defer cancel()
				d, released := holdFailing(t, p, ctx)
				defer d.Done()
				put(t, inj, test.after)
				synctest.Wait()
				require.Empty(t, released)
				require.EqualValues(t, 1, inj.Status().Held)
				cancel()
				require.ErrorIs(t, <-released, context.Canceled)
				require.Equal(t, test.after.Fault, d.Fault(), "as the edit says")
				rs, _ := inj.Rule("r")
				require.EqualValues(t, 1, rs.Hits, "holding on is not another hit")
			})
		})
	}
}

func TestFailingCallsCountAsHeldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", fault.Fault{Delay: &fault.Delay{Fixed: 2 * time.Second}, Error: unavailable.Error}))
		start := time.Now()
		d, released := holdFailing(t, db, customer("42"))
		require.Equal(t, 2*time.Second, time.Since(start), "the delay comes first")
		require.EqualValues(t, 1, inj.Status().Held)
		inj.Delete("r")
		require.NoError(t, <-released)
		d.Done()
		require.Zero(t, inj.Status().Held)

		put(t, inj, rule("r", fault.Fault{Delay: &fault.Delay{Fixed: 2 * time.Second}, Error: unavailable.Error}))
		d = db.Decide(customer("42"), fault.Operation{})
		require.EqualValues(t, 1, inj.Status().Held, "counted for the delay")
		time.AfterFunc(time.Second, func() {
			assert.EqualValues(t, 1, inj.Status().Held)
			inj.Delete("r")
		})
		require.NoError(t, d.Hold(customer("42")))
		d.Done()
		require.Zero(t, inj.Status().Held)
	})
}

func TestFailingCallsBeyondMaxHeldPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen recorder
		inj := fault.New("svc", fault.WithGuardrails(fault.Guardrails{MaxHeld: 2}), fault.WithObserver(&seen))
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", unavailable))
		var held []<-chan error
		for range 2 {
			d, released := holdFailing(t, db, customer("42"))
			defer d.Done()
			held = append(held, released)
		}
		third, released := holdFailing(t, db, customer("42"))
		require.NoError(t, <-released, "no room")
		require.NoError(t, third.Hold(customer("42")), "nor does it ask again")
		require.Zero(t, third.Fault(), "it passes untouched")
		require.False(t, third.InForce())
		require.NoError(t, third.Err())
		require.EqualValues(t, 2, inj.Status().Held)
		status, _ := inj.Rule("r")
		require.EqualValues(t, 2, status.Held)
		require.Equal(t, map[fault.SkipReason]uint64{fault.SkipHeld: 1}, status.Skips)
		events := seen.all()
		last := events[len(events)-1]
		require.Equal(t, fault.Skip, last.Kind)
		require.Equal(t, fault.SkipHeld, last.Reason)
		third.Done()

		require.Empty(t, held[0])
		require.Empty(t, held[1])
		inj.Delete("r")
		require.NoError(t, <-held[0])
		require.NoError(t, <-held[1])
		put(t, inj, rule("r", unavailable))
		d, released := holdFailing(t, db, customer("42"))
		defer d.Done()
		require.Empty(t, released, "the places are free again")
		require.EqualValues(t, 1, inj.Status().Held)
		inj.Halt()
		require.NoError(t, <-released)
	})
}

func TestForksAnswerForThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", fault.Fault{Delay: &fault.Delay{PadTo: 2 * time.Second}}, limits(fault.Limits{Concurrent: 1})))
		d := db.Decide(customer("42"), fault.Operation{})
		require.NoError(t, d.Before(customer("42")))
		fork := d.Fork()
		require.True(t, fork.Hit())
		require.True(t, fork.InForce())
		require.Equal(t, "r", fork.Rule())
		fork.Done()
		require.Empty(t, hitBy(db, customer("42"), ""), "only d itself gives back")
		start := time.Now()
		took := make(chan time.Duration)
		go func() {
			assert.NoError(t, fork.After(customer("42")))
			took <- time.Since(start)
		}()
		require.NoError(t, d.After(customer("42")))
		require.Equal(t, 2*time.Second, time.Since(start))
		require.Equal(t, 2*time.Second, <-took, "both at once")
		inj.Delete("r")
		require.False(t, fork.InForce())
		require.False(t, d.InForce())
		d.Done()
		require.Zero(t, inj.Status().Held)

		var none fault.Decision
		require.False(t, none.InForce())
		require.False(t, none.Fork().Hit())
	})
}
