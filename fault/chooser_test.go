package fault_test

import (
	"context"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// third chooses what for the third call, and keeps the calls it is asked about.
type third struct {
	what   fault.Fault
	calls  []fault.Call
	checks []error
}

func (c *third) choose(_ context.Context, call fault.Call) (fault.Choice, bool) {
	c.calls = append(c.calls, call)
	c.checks = append(c.checks, call.Check(c.what))
	return fault.Choice{Rule: "chosen", Fault: c.what}, len(c.calls) == 3
}

func withMachinery(t *testing.T) {
	if absent.Machinery {
		t.Skip("there is none in this binary")
	}
}

func TestChooserChoosesForOneCall(t *testing.T) {
	withMachinery(t)
	c := &third{what: fault.Fault{Error: &fault.ErrorFault{Class: fault.Refused}}}
	var seen recorder
	inj := fault.New("svc", fault.WithChooser(c.choose), fault.WithObserver(&seen))
	db := inj.Point("custom", "db")
	require.True(t, db.Armed())
	require.False(t, inj.Idle(), "or else a middleware would not ask its point")

	op := fault.Operation{Verb: "GET", Name: "/x"}
	ctx := customer("42")
	require.NoError(t, db.Inject(ctx, op))
	require.NoError(t, db.Inject(ctx, op))
	err := db.Inject(ctx, op)
	require.NoError(t, db.Inject(ctx, op))

	require.ErrorIs(t, err, fault.ErrInjected)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	var mark *fault.Error
	require.ErrorAs(t, err, &mark)
	require.Equal(t, "chosen", mark.Rule)
	require.Len(t, c.calls, 4)
	require.Equal(t, "custom:db", c.calls[0].Point())
	require.Equal(t, op, c.calls[0].Operation)
	require.Equal(t, "42", c.calls[0].Request.Customer)
	require.Contains(t, c.calls[0].Effects(), fault.EffectBlackHole)
	require.NoError(t, c.checks[0])

	events := seen.all()
	require.Len(t, events, 1)
	require.Equal(t, fault.Hit, events[0].Kind)
	require.Equal(t, fault.SourceTest, events[0].Source)
	status, ok := inj.Rule("chosen")
	require.True(t, ok)
	require.EqualValues(t, 1, status.Hits)
	require.Equal(t, []string{"custom:db"}, status.Points)
	require.Equal(t, status.Rule, inj.Rules()[0].Rule)
	require.Equal(t, 1, inj.Status().Rules)
}

func TestChooserComesBeforeRulesAndLeavesTheRestToThem(t *testing.T) {
	withMachinery(t)
	c := &third{what: fault.Fault{Error: &fault.ErrorFault{Class: fault.Reset}}}
	inj := fault.New("svc", fault.WithChooser(c.choose))
	db := inj.Point("custom", "db")
	put(t, inj, rule("r", unavailable))
	for _, want := range []string{"r", "r", "chosen", "r"} {
		require.Equal(t, want, hitBy(db, context.Background(), "GET"))
	}
	require.True(t, inj.Delete("r"))
	require.Empty(t, hitBy(db, context.Background(), "GET"))
	require.Len(t, c.calls, 5, "it is asked all the same")
}

// What holds a call lets go of it in every way that a rule of another source does.
func TestChosenRulesEnd(t *testing.T) {
	withMachinery(t)
	for name, end := range map[string]func(*fault.Injector){
		"halt":   func(inj *fault.Injector) { require.Len(t, inj.Halt(), 1) },
		"delete": func(inj *fault.Injector) { require.True(t, inj.Delete("chosen")) },
		"expiry": func(*fault.Injector) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inj := fault.New("svc", fault.WithChooser(func(context.Context, fault.Call) (fault.Choice, bool) {
					return fault.Choice{Rule: "chosen", Fault: blackHole}, true
				}))
				db := inj.Point("custom", "db")
				start := time.Now()
				done := make(chan error)
				go func() { done <- db.Inject(context.Background(), fault.Operation{Name: "GET"}) }()
				synctest.Wait()
				require.EqualValues(t, 1, inj.Status().Held)
				end(inj)
				require.NoError(t, <-done)
				require.Zero(t, inj.Status().Held)
				require.Zero(t, inj.Status().Rules)
				if name == "expiry" {
					require.Equal(t, time.Hour, time.Since(start))
				}
			})
		})
	}
}

func TestChooserIsAskedAfterAHaltAndRefused(t *testing.T) {
	withMachinery(t)
	c := &third{what: unavailable}
	var seen recorder
	inj := fault.New("svc", fault.WithChooser(c.choose), fault.WithObserver(&seen))
	db := inj.Point("custom", "db")
	inj.Halt()
	for range 3 {
		require.Empty(t, hitBy(db, context.Background(), "GET"))
	}
	require.ErrorIs(t, c.checks[2], fault.ErrHalted)
	events := seen.all()
	require.Len(t, events, 1)
	require.ErrorIs(t, events[0].Err, fault.ErrHalted)
	inj.Resume()
	require.Empty(t, hitBy(db, context.Background(), "GET"))
	require.NoError(t, c.checks[3])
}

func TestChoicesThatCannotBe(t *testing.T) {
	withMachinery(t)
	for name, test := range map[string]struct {
		what    fault.Fault
		rule    string
		options []fault.Option
		want    string
	}{
		"the point cannot":  {fault.Fault{LostReply: true}, "c", nil, "custom:db cannot produce lostReply; it can: blackHole, delay"},
		"not valid":         {fault.Fault{}, "c", nil, "does nothing"},
		"no such error":     {fault.Fault{Error: &fault.ErrorFault{Name: "quota"}}, "c", nil, `"quota" is not registered`},
		"protected":         {unavailable, "c", []fault.Option{fault.WithGuardrails(fault.Guardrails{Protected: []string{"db"}})}, `"db"`},
		"a longer delay":    {fault.Fault{Delay: &fault.Delay{Fixed: time.Hour}}, "c", nil, "the guardrail MaxDelay allows 5m0s"},
		"no ID":             {unavailable, "", nil, "id"},
		"another's ID":      {unavailable, "put", nil, "belongs to another source"},
		"ID for two faults": {unavailable, "twice", nil, "choose another ID"},
	} {
		t.Run(name, func(t *testing.T) {
			var seen recorder
			choices := []fault.Choice{{Rule: test.rule, Fault: test.what}}
			if test.rule == "twice" {
				choices = append([]fault.Choice{{Rule: "twice", Fault: fault.Fault{Error: &fault.ErrorFault{Class: fault.Reset}}}}, choices...)
			}
			n := 0
			inj := fault.New("svc", append(test.options, fault.WithObserver(&seen), fault.WithChooser(func(_ context.Context, c fault.Call) (fault.Choice, bool) {
				if n == len(choices) {
					return fault.Choice{}, false
				}
				n++
				return choices[n-1], true
			}))...)
			db := inj.Point("custom", "db")
			if test.rule == "put" {
				put(t, inj, rule("put", blackHole, at("elsewhere")))
			}
			for range choices[1:] {
				require.NotEmpty(t, hitBy(db, context.Background(), "GET"))
			}
			require.Empty(t, hitBy(db, context.Background(), "GET"), "the call is untouched")
			events := seen.all()
			last := events[len(events)-1]
			require.Equal(t, fault.Problem, last.Kind)
			require.ErrorContains(t, last.Err, test.want)
		})
	}
}

// A rule that selects a small share is what a guardrail may allow; a choice selects
// single calls.
func TestChoicesAreNoShareOfTraffic(t *testing.T) {
	withMachinery(t)
	c := &third{what: unavailable}
	inj := fault.New("svc", fault.WithChooser(c.choose), fault.WithGuardrails(fault.Guardrails{MaxPercent: 1, MaxTotalPercent: 1}))
	db := inj.Point("custom", "db")
	for range 2 {
		require.Empty(t, hitBy(db, context.Background(), "GET"))
	}
	require.Equal(t, "chosen", hitBy(db, context.Background(), "GET"))
	require.Zero(t, inj.Status().Share)
}

// A call that is padded counts from when it was chosen for.
func TestChosenPads(t *testing.T) {
	withMachinery(t)
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc", fault.WithChooser(func(context.Context, fault.Call) (fault.Choice, bool) {
			return fault.Choice{Rule: "pad", Fault: fault.Fault{Delay: &fault.Delay{PadTo: time.Second}}}, true
		}))
		start := time.Now()
		d := inj.Point("custom", "db").Decide(t.Context(), fault.Operation{Name: "GET"})
		defer d.Done()
		require.NoError(t, d.Before(t.Context()))
		time.Sleep(300 * time.Millisecond)
		require.NoError(t, d.After(t.Context()))
		require.Equal(t, time.Second, time.Since(start))
	})
}

// The name of an operation that costs something to find is found for the chooser.
func TestChooserSeesNames(t *testing.T) {
	withMachinery(t)
	c := &third{what: unavailable}
	inj := fault.New("svc", fault.WithChooser(c.choose))
	p := inj.Point("custom", "db")
	for range 3 {
		d := p.DecideNamed(context.Background(), fault.Operation{Verb: http.MethodGet, Name: "/x/7"}, func() string { return "/x/{id}" })
		d.Done()
		if d.Hit() {
			require.Equal(t, "GET /x/{id}", d.Mark(nil).Operation)
		}
	}
	require.Equal(t, fault.Operation{Verb: "GET", Name: "/x/{id}", Raw: "/x/7"}, c.calls[0].Operation)
}

// Watching traffic, rules that come and go, and rules that requests carry do not put
// the points of such an injector to sleep.
func TestChooserKeepsPointsAwake(t *testing.T) {
	withMachinery(t)
	synctest.Test(t, func(t *testing.T) {
		c := &third{what: unavailable}
		inj := fault.New("svc", fault.WithChooser(c.choose))
		db := inj.Point("custom", "db")
		inj.WatchTraffic(time.Second)
		time.Sleep(2 * time.Second)
		require.True(t, db.Armed())
		_, err := inj.WithRequestRule(scope.With(t.Context(), scope.Request{ID: "1"}), `{"target":{"points":["*"]},"fault":{"blackHole":true}}`)
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		require.True(t, db.Armed())
		require.False(t, inj.Idle())
	})
}

func TestPassThroughAsksNoChooser(t *testing.T) {
	injectNothing(t)
	inj := fault.New("svc", fault.WithChooser(func(context.Context, fault.Call) (fault.Choice, bool) {
		t.Error("asked")
		return fault.Choice{}, false
	}))
	require.NoError(t, inj.Point("custom", "db").Inject(t.Context(), fault.Operation{Name: "GET"}))
	require.True(t, inj.Idle())
	require.Error(t, fault.Call{}.Check(unavailable))
	require.Empty(t, fault.Call{}.Effects())
}
