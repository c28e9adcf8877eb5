package fault_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

func paused(r *fault.Rule) { r.Paused = true }

func TestPausedRuleAppliesToNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc", fault.WithGuardrails(fault.Guardrails{Protected: []string{"login"}}))
		db := inj.Point("custom", "db")
		inj.Point("custom", "login")
		put(t, inj, rule("r", unavailable, at("*"), limits(fault.Limits{Total: 3})))
		for range 2 {
			require.Equal(t, "r", hitBy(db, context.Background(), ""))
		}
		put(t, inj, rule("r", unavailable, at("*"), limits(fault.Limits{Total: 3}), paused))
		require.Empty(t, hitBy(db, context.Background(), ""))
		require.False(t, db.Armed(), "it is in no snapshot")
		require.True(t, inj.Idle())
		require.False(t, inj.NeedsIdentity())
		inj.Point("custom", "cache")
		require.False(t, inj.Point("custom", "cache").Armed(), "nor in that of a new point")
		require.Empty(t, inj.Points()[0].Rules)

		status, ok := inj.Rule("r")
		require.True(t, ok, "it is live all the same")
		require.True(t, status.Rule.Paused)
		require.EqualValues(t, 2, status.Hits)
		require.Equal(t, []string{"custom:cache", "custom:db"}, status.Points, "where it would be armed")
		require.Equal(t, []string{"custom:login"}, status.Protected)
		e := explain(t, inj, fault.Question{Point: "db"})
		require.Equal(t, map[string]string{"r": "paused"}, reasons(e))

		put(t, inj, rule("other", unavailable))
		require.Equal(t, "other", hitBy(db, context.Background(), ""), "nor does it keep later rules from being asked")
		inj.Delete("other")

		put(t, inj, rule("r", unavailable, at("*"), limits(fault.Limits{Total: 3})))
		require.Equal(t, "r", hitBy(db, context.Background(), ""))
		require.Empty(t, hitBy(db, context.Background(), ""), "its counters and limits stay")
		status, _ = inj.Rule("r")
		require.EqualValues(t, 3, status.Hits)

		put(t, inj, rule("r", unavailable, paused))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Empty(t, inj.Rules(), "it expires")
	})
}

func TestPausingLetsGoOfHeldCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := new(recorder)
		inj := fault.New("svc", fault.WithObserver(rec))
		db := inj.Point("custom", "db")
		put(t, inj, rule("r", fault.Fault{Delay: &fault.Delay{Fixed: time.Minute}, Error: &fault.ErrorFault{Class: fault.Refused}}))
		start := time.Now()
		done := make(chan error)
		go func() { done <- db.Inject(context.Background(), fault.Operation{}) }()
		synctest.Wait()
		time.Sleep(time.Second)
		put(t, inj, rule("r", fault.Fault{Delay: &fault.Delay{Fixed: time.Minute}, Error: &fault.ErrorFault{Class: fault.Refused}}, paused))
		require.NoError(t, <-done, "untouched")
		require.Equal(t, time.Second, time.Since(start))
		events := rec.all()
		require.Equal(t, fault.ReleaseRule, events[len(events)-1].Released)
		require.Zero(t, inj.Status().Held)
	})
}

func TestPausedFromTheStart(t *testing.T) {
	inj := fault.New("svc")
	db := inj.Point("custom", "db")
	put(t, inj, rule("r", unavailable, paused, for_(scope.Customers("42"))))
	require.Empty(t, hitBy(db, customer("42"), ""))
	put(t, inj, rule("r", unavailable, for_(scope.Customers("42"))))
	require.Equal(t, "r", hitBy(db, customer("42"), ""))
	require.Len(t, inj.Halt(), 1)
}

func TestRulesOfRequestsAreNotPaused(t *testing.T) {
	const want = "paused: is not for a rule that requests carry, which nobody could unpause; leave it out"
	inj := fault.New("svc")
	_, err := inj.WithRequestRule(context.Background(), `{"target":{"points":["db"]},"fault":{"panic":true},"paused":true}`)
	require.EqualError(t, err, "fault: per-request rule: "+want)
	tok := token("t1", atDB(unavailable))
	tok.Rules[0].Paused = true
	require.EqualError(t, tok.Validate(), "fault: token: rules[0]."+want)
}
