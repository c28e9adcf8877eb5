package fault_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

func TestNothingIsSafe(t *testing.T) {
	var inj *fault.Injector
	require.Nil(t, inj.Point("custom", "db"))
	require.NoError(t, inj.Point("custom", "db").Inject(context.Background(), fault.Operation{}))
	require.ErrorIs(t, inj.Put(rule("r", unavailable)), fault.ErrDisabled)
	require.ErrorIs(t, inj.Source("api").Put(rule("r", unavailable)), fault.ErrDisabled)
	require.False(t, inj.Delete("r"))
	require.Empty(t, inj.Halt())
	inj.Resume()
	inj.Report(errors.New("x"))
	require.Empty(t, inj.Rules())
	require.Empty(t, inj.Points())
	require.True(t, inj.Status().Disabled)
	require.True(t, inj.Idle())
	require.True(t, inj.Disabled())
	require.Empty(t, inj.Service())

	var none fault.Decision
	require.False(t, none.Hit())
	require.NoError(t, none.Before(context.Background()))
	require.NoError(t, none.After(context.Background()))
	require.NoError(t, none.Err())
	require.Zero(t, none.Fault())
	none.Done()
}

func TestFirstMatchingRuleWins(t *testing.T) {
	inj := fault.New("svc")
	db := inj.Point("custom", "db")
	ctx := customer("42")
	put(t, inj, rule("b", unavailable), rule("c", unavailable, for_(scope.Customers("42"))))
	require.Equal(t, "b", hitBy(db, ctx, ""), "the lower ID")
	put(t, inj, rule("c", unavailable, for_(scope.Customers("42")), priority(1)))
	require.Equal(t, "c", hitBy(db, ctx, ""), "the higher priority")
	require.Equal(t, "b", hitBy(db, customer("7"), ""))
	put(t, inj, rule("a", unavailable, for_(scope.Requests("request-of-42")), priority(1)))
	require.Equal(t, "a", hitBy(db, ctx, ""), "an index does not change the order")
	put(t, inj, rule("z", unavailable, priority(-1)))
	require.True(t, inj.Delete("a"))
	require.True(t, inj.Delete("b"))
	require.True(t, inj.Delete("c"))
	require.False(t, inj.Delete("c"))
	require.Equal(t, "z", hitBy(db, ctx, ""))
}

// The index must give the same answers as asking every rule in turn.
func TestIndexKeepsTheOrder(t *testing.T) {
	inj := fault.New("svc")
	db := inj.Point("custom", "db")
	var rules []fault.Rule
	for i := range 60 {
		s := []scope.Scope{
			scope.Customers(fmt.Sprint(i%7), fmt.Sprint(7+i%11)),
			scope.Requests(fmt.Sprint("r", i%5)),
			{Attributes: map[string][]string{"n": {fmt.Sprint(i % 13)}}},
			{Customers: []string{fmt.Sprint(i % 3)}, Requests: []string{fmt.Sprint("r", i%2)}},
			scope.Percent(float64(i), scope.PerCustomer),
		}[i%5]
		rules = append(rules, rule(fmt.Sprintf("rule-%02d", i), unavailable, for_(s), priority(i*37%10)))
	}
	put(t, inj, rules...)
	ordered := inj.Rules()
	for i := range 500 {
		r := scope.Request{ID: fmt.Sprint("r", i%6), Customer: fmt.Sprint(i % 17), Attributes: map[string]string{"n": fmt.Sprint(i % 14)}}
		want := ""
		for _, status := range ordered {
			if status.Rule.Scope.Matcher(status.Rule.ID).Match(&r, 0) == scope.In {
				want = status.Rule.ID
				break
			}
		}
		require.Equal(t, want, hitBy(db, scope.With(context.Background(), r), ""), "%+v", r)
	}
}

func TestTarget(t *testing.T) {
	inj := fault.New("product")
	points := map[string]*fault.Point{}
	for _, name := range []string{"http.client:ratings", "http.client:login", "sql:ratings", "http.server:product"} {
		kind, dependency, _ := strings.Cut(name, ":")
		points[name] = inj.Point(kind, dependency)
	}
	for _, test := range []struct {
		name   string
		target fault.Target
		op     string
		want   []string
	}{
		{"a dependency over any protocol", fault.Target{Points: []string{"ratings"}}, "", []string{"http.client:ratings", "sql:ratings"}},
		{"kind and name", fault.Target{Points: []string{"sql:ratings"}}, "", []string{"sql:ratings"}},
		{"every dependency, no server", fault.Target{Points: []string{"*"}}, "", []string{"http.client:login", "http.client:ratings", "sql:ratings"}},
		{"servers by kind", fault.Target{Points: []string{"*.server:*"}}, "", []string{"http.server:product"}},
		{"a server's name alone", fault.Target{Points: []string{"product"}}, "", nil},
		{"all but", fault.Target{Except: &fault.Except{Points: []string{"login"}}}, "", []string{"http.client:ratings", "sql:ratings"}},
		{"all but an operation", fault.Target{Points: []string{"http.client:*"}, Except: &fault.Except{Operations: []string{"GET /health"}}}, "GET /health", nil},
		{"another operation", fault.Target{Points: []string{"http.client:*"}, Except: &fault.Except{Operations: []string{"GET /health"}}}, "GET /x", []string{"http.client:login", "http.client:ratings"}},
		{"all but an operation of a point", fault.Target{Points: []string{"http.client:*"}, Except: &fault.Except{Points: []string{"login"}, Operations: []string{"POST *"}}}, "POST /x", []string{"http.client:ratings"}},
		{"and another operation of it", fault.Target{Points: []string{"http.client:*"}, Except: &fault.Except{Points: []string{"login"}, Operations: []string{"POST *"}}}, "GET /x", []string{"http.client:login", "http.client:ratings"}},
		{"operation", fault.Target{Points: []string{"*"}, Operations: []string{"GET /ratings/{id}"}}, "GET /ratings/7", []string{"http.client:login", "http.client:ratings", "sql:ratings"}},
		{"other verb", fault.Target{Points: []string{"*"}, Operations: []string{"GET /ratings/{id}"}}, "PUT /ratings/7", nil},
		{"this service", fault.Target{Services: []string{"edge", "product"}, Points: []string{"login"}}, "", []string{"http.client:login"}},
		{"another service", fault.Target{Services: []string{"edge"}, Points: []string{"login"}}, "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := rule("r", unavailable)
			r.Target = test.target
			put(t, inj, r)
			var got []string
			for name, p := range points {
				verb, path, found := strings.Cut(test.op, " ")
				if !found {
					verb, path = "", test.op
				}
				if d := p.Decide(context.Background(), fault.Operation{Verb: verb, Name: path}); d.Hit() {
					got = append(got, name)
					d.Done()
				}
			}
			require.ElementsMatch(t, test.want, got)
		})
	}
}

func TestPointsMadeLaterAreArmed(t *testing.T) {
	inj := fault.New("svc")
	put(t, inj, rule("r", unavailable))
	require.Equal(t, "r", hitBy(inj.Point("custom", "db"), context.Background(), ""))
	require.Same(t, inj.Point("custom", "db"), inj.Point("custom", "db"))
}

func TestUnsupportedFaultsAreNotArmed(t *testing.T) {
	inj := fault.New("svc")
	p := inj.PointOf(fault.Kind{Name: "limited", Effects: []fault.Effect{fault.EffectDelay}}, "db")
	other := inj.Point("custom", "db")
	put(t, inj, rule("r", fault.Fault{Delay: &fault.Delay{Fixed: time.Nanosecond}, Error: &fault.ErrorFault{Class: fault.Refused}}))
	require.Empty(t, hitBy(p, context.Background(), ""))
	require.Equal(t, "r", hitBy(other, context.Background(), ""))
	status, ok := inj.Rule("r")
	require.True(t, ok)
	require.Equal(t, []string{"custom:db"}, status.Points)
	require.Equal(t, []string{"limited:db"}, status.Unsupported)
}

func TestPointsAreBounded(t *testing.T) {
	inj := fault.New("svc", fault.WithMaxPoints(3))
	for i := range 1000 {
		inj.Point("custom", fmt.Sprint("host-", i))
	}
	require.Len(t, inj.Points(), 4, "three and the one they share")
	require.EqualValues(t, 997, inj.Status().Overflow)
	require.Same(t, inj.Point("custom", "host-500"), inj.Point("custom", "host-501"))
	require.Equal(t, "custom:other", inj.Point("custom", "host-500").String())
	require.Equal(t, "custom:host-1", inj.Point("custom", "host-1").String())
}

func TestNamesFromOutsideAreTamed(t *testing.T) {
	inj := fault.New("svc")
	require.Equal(t, "custom:a_b_c_", inj.Point("custom", "a*b\nc\xff").String())
	require.Equal(t, "custom:unnamed", inj.Point("custom", "").String())
	require.Len(t, inj.Point("c", string(make([]byte, 10_000))).String(), len("c:")+128)
}

func TestCustomPointErrors(t *testing.T) {
	quota := errors.New("quota exceeded")
	inj := fault.New("svc", fault.WithNamedError("quota", quota))
	db := inj.Point("custom", "db")
	op := fault.Operation{Verb: "SELECT", Name: "orders"}
	for class, cause := range map[fault.Class]error{
		fault.Refused:        syscall.ECONNREFUSED,
		fault.Reset:          syscall.ECONNRESET,
		fault.Timeout:        os.ErrDeadlineExceeded,
		fault.ConnectTimeout: syscall.ETIMEDOUT,
	} {
		put(t, inj, rule("r", fault.Fault{Error: &fault.ErrorFault{Class: class}}))
		err := db.Inject(context.Background(), op)
		require.ErrorIs(t, err, fault.ErrInjected)
		require.ErrorIs(t, err, cause)
		var injected *fault.Error
		require.ErrorAs(t, err, &injected)
		require.Equal(t, "r", injected.Rule)
		require.Equal(t, "custom:db", injected.Point)
		require.Equal(t, "SELECT orders", injected.Operation)
		var timeout net.Error
		require.ErrorAs(t, err, &timeout)
		require.Equal(t, class == fault.Timeout || class == fault.ConnectTimeout, timeout.Timeout())
	}
	for _, class := range []fault.Class{fault.DNS, fault.DNSTimeout} {
		put(t, inj, rule("r", fault.Fault{Error: &fault.ErrorFault{Class: class}}))
		var dns *net.DNSError
		require.ErrorAs(t, db.Inject(context.Background(), op), &dns)
		require.Equal(t, class == fault.DNS, dns.IsNotFound)
		require.Equal(t, class == fault.DNSTimeout, dns.Timeout())
	}
	// What only HTTP has does not happen here, and the rule says so.
	put(t, inj, rule("r", fault.Fault{Error: &fault.ErrorFault{Class: fault.GoAway}}))
	require.NoError(t, db.Inject(context.Background(), op))
	status, _ := inj.Rule("r")
	require.Empty(t, status.Points)

	put(t, inj, rule("r", fault.Fault{Error: &fault.ErrorFault{Name: "quota"}}))
	err := db.Inject(context.Background(), op)
	require.ErrorIs(t, err, quota)
	require.ErrorIs(t, err, fault.ErrInjected)
	require.EqualError(t, err, `quota exceeded (injected by rule "r" at custom:db)`)

	require.ErrorContains(t, inj.Put(rule("r", fault.Fault{Error: &fault.ErrorFault{Name: "quotas"}})),
		`fault.error.name: "quotas" is not registered; there are: quota`)

	put(t, inj, rule("r", fault.Fault{Panic: true}))
	require.PanicsWithError(t, `fault: injected panic (injected by rule "r" at custom:db)`, func() { _ = db.Inject(context.Background(), op) })
	require.NotErrorIs(t, quota, fault.ErrInjected)
}

func TestAttempts(t *testing.T) {
	inj := fault.New("svc")
	db := inj.Point("custom", "db")
	s := scope.Everyone()
	s.Attempts = 2
	put(t, inj, rule("first-two", unavailable, for_(s)), rule("then", unavailable, for_(scope.Customers("b")), priority(-1)))
	for _, want := range []string{"first-two", "first-two", "", "", ""} {
		require.Equal(t, want, hitBy(db, customer("a"), ""))
	}
	for _, want := range []string{"first-two", "first-two", "then", "then"} {
		require.Equal(t, want, hitBy(db, customer("b"), ""), "after the attempts the next rule is asked")
	}
	require.Equal(t, "first-two", hitBy(db, context.Background(), ""), "each call without a request is one of its own")
}

func TestDisabledByEnvironment(t *testing.T) {
	for value, disabled := range map[string]bool{"": false, "0": false, "false": false, " ": false, "1": true, "true": true, "yes": true, "on": true} {
		t.Setenv("MISFIT_DISABLED", value)
		inj := fault.New("svc")
		require.Equal(t, disabled, inj.Disabled(), "%q", value)
		err := inj.Put(rule("r", unavailable))
		if disabled {
			require.ErrorIs(t, err, fault.ErrDisabled)
			_, err = inj.WithRequestRule(context.Background(), "{}")
			require.ErrorIs(t, err, fault.ErrDisabled)
		} else {
			require.NoError(t, err)
		}
		require.Equal(t, !disabled, inj.Point("custom", "db").Armed())
	}
}

func TestDecideAllocatesNothingUnlessItHits(t *testing.T) {
	inj := fault.New("svc")
	db := inj.Point("custom", "db")
	ctx := customer("42")
	op := fault.Operation{Verb: "GET", Name: "/x"}
	allocs := func() float64 {
		return testing.AllocsPerRun(100, func() {
			if db.Decide(ctx, op).Hit() {
				t.Fatal("hit")
			}
		})
	}
	require.Zero(t, allocs(), "idle")
	put(t, inj, rule("elsewhere", unavailable, at("cache")))
	require.Zero(t, allocs(), "rule elsewhere")
	put(t, inj,
		rule("customer", unavailable, for_(scope.Customers("7"))),
		rule("percent", unavailable, for_(scope.Percent(0.000001, scope.PerRequest))),
		rule("attribute", unavailable, for_(scope.Scope{Attributes: map[string][]string{"a": {"b"}}})),
		rule("operation", unavailable, func(r *fault.Rule) { r.Target.Operations = []string{"GET /y/{id}", "POST *"} }),
	)
	require.Zero(t, allocs(), "armed but not matching")
}
