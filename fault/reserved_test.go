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

// guarded is a kind whose points keep health checks out of rules that do not
// name them.
var guarded = fault.Kind{
	Name:     "guarded",
	Effects:  []fault.Effect{fault.EffectOf(fault.Unavailable), fault.EffectBlackHole},
	Reserved: []string{"/grpc.health.v1.Health/", "/admin/"},
}

const checkHealth = "/grpc.health.v1.Health/Check"

func TestReservedOperations(t *testing.T) {
	const (
		unnamed  = `does not name the operation, which only a rule that does is for: "/grpc.health.v1.Health/*"`
		admin    = `does not name the operation, which only a rule that does is for: "/admin/*"`
		other    = "is not for the operation"
		excepted = "excepts the operation"
	)
	for _, test := range []struct {
		name       string
		operations []string
		except     []string
		op         fault.Operation
		why        string // it does not apply; empty if it does
	}{
		{"all", nil, nil, fault.Operation{Name: checkHealth}, unnamed},
		{"any", []string{"*"}, nil, fault.Operation{Name: checkHealth}, unnamed},
		{"a larger family", []string{"/grpc.*"}, nil, fault.Operation{Name: checkHealth}, unnamed},
		{"in the middle", []string{"*Health*"}, nil, fault.Operation{Name: checkHealth}, unnamed},
		{"a * after a part of the prefix", []string{"/grpc.health.v1.Health*"}, nil, fault.Operation{Name: checkHealth}, unnamed},
		{"a * before all of it", []string{"*/grpc.health.v1.Health/Check"}, nil, fault.Operation{Name: checkHealth}, unnamed},
		{"any segment", []string{"/{service}/{method}"}, nil, fault.Operation{Name: checkHealth}, unnamed},
		{"a verb alone", []string{"GET *"}, nil, fault.Operation{Verb: "GET", Name: checkHealth}, unnamed},
		{"several, none of which does", []string{"*", "/grpc.*", "/admin/*"}, nil, fault.Operation{Name: checkHealth}, unnamed},
		{"named, but not this one", []string{"/grpc.health.v1.Health/Watch", "*"}, nil, fault.Operation{Name: checkHealth}, unnamed},
		{"only something else", []string{"/pkg.Service/*"}, nil, fault.Operation{Name: checkHealth}, unnamed},
		{"another reserved one", []string{"*"}, nil, fault.Operation{Name: "/admin/rules"}, admin},

		{"its family", []string{"/grpc.health.v1.Health/*"}, nil, fault.Operation{Name: checkHealth}, ""},
		{"itself", []string{checkHealth}, nil, fault.Operation{Name: checkHealth}, ""},
		{"its family by segment", []string{"/grpc.health.v1.Health/{method}"}, nil, fault.Operation{Name: checkHealth}, ""},
		{"with a verb", []string{"GET /admin/*"}, nil, fault.Operation{Verb: "GET", Name: "/admin/rules"}, ""},
		{"with another verb", []string{"PUT /admin/*"}, nil, fault.Operation{Verb: "GET", Name: "/admin/rules"}, admin},
		{"among others", []string{"/pkg.Service/*", checkHealth}, nil, fault.Operation{Name: checkHealth}, ""},
		{"by its raw name", []string{"/admin/7"}, nil, fault.Operation{Name: "/admin/{id}", Raw: "/admin/7"}, ""},

		{"named and excepted", []string{"/grpc.health.v1.Health/*"}, []string{checkHealth}, fault.Operation{Name: checkHealth}, excepted},
		{"named and excepted by a *", []string{checkHealth}, []string{"*"}, fault.Operation{Name: checkHealth}, excepted},
		{"named, another excepted", []string{"/grpc.health.v1.Health/*"}, []string{"/grpc.health.v1.Health/Watch"}, fault.Operation{Name: checkHealth}, ""},
		{"excepted alone names nothing", nil, []string{"/pkg.Service/*"}, fault.Operation{Name: checkHealth}, unnamed},
		{"excepting the others names nothing", nil, []string{checkHealth}, fault.Operation{Name: "/grpc.health.v1.Health/Watch"}, unnamed},

		{"not reserved, all", nil, nil, fault.Operation{Name: "/pkg.Service/Get"}, ""},
		{"not reserved, any", []string{"*"}, nil, fault.Operation{Name: "/pkg.Service/Get"}, ""},
		{"not reserved, another", []string{checkHealth}, nil, fault.Operation{Name: "/pkg.Service/Get"}, other},
		{"not reserved, excepted", nil, []string{"/pkg.*"}, fault.Operation{Name: "/pkg.Service/Get"}, excepted},
		{"a name that only begins like the prefix", nil, nil, fault.Operation{Name: "/grpc.health.v1.HealthCare/Get"}, ""},
		{"the prefix further in", nil, nil, fault.Operation{Name: "/x" + checkHealth}, ""},
		{"no name", nil, nil, fault.Operation{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			inj := fault.New("svc")
			db := inj.PointOf(guarded, "db")
			operations := target(func(target *fault.Target) {
				target.Operations = test.operations
				if test.except != nil {
					target.Except = &fault.Except{Operations: test.except}
				}
			})
			put(t, inj, rule("r", unavailable, operations))
			d := db.Decide(customer("42"), test.op)
			defer d.Done()
			require.Equal(t, test.why == "", d.Hit())

			put(t, inj, rule("r", unavailable, at("*"), operations))
			for _, point := range []string{"guarded:db", "guarded:not-made-yet"} {
				e := explain(t, inj, fault.Question{Point: point, Operation: test.op, Request: scope.Request{ID: "r-1"}})
				require.Equal(t, test.why, e.Rules[0].Detail, point)
				if test.why != "" {
					require.Equal(t, fault.ReasonOperation, e.Rules[0].Reason, point)
				}
			}
		})
	}
}

func TestReservedOperationsOfOtherKinds(t *testing.T) {
	inj := fault.New("svc")
	db := inj.Point("custom", "db")
	put(t, inj, rule("r", unavailable))
	require.Equal(t, "r", hitBy(db, context.Background(), checkHealth), "a kind that reserves nothing")
}

func TestReservedOperationsPassToTheNextRule(t *testing.T) {
	inj := fault.New("svc")
	db := inj.PointOf(guarded, "db")
	put(t, inj,
		rule("a", unavailable),
		rule("b", unavailable, target(func(t *fault.Target) { t.Operations = []string{checkHealth} })),
	)
	require.Equal(t, "b", hitBy(db, context.Background(), checkHealth))
	require.Equal(t, "a", hitBy(db, context.Background(), "/pkg.Service/Get"))
	status, _ := inj.Rule("a")
	require.Empty(t, status.Skips, "a rule that is not for the call is not skipped")

	ctx, err := inj.WithRequestRule(customer("42"), `{"target":{"points":["db"]},"fault":{"blackHole":true}}`)
	require.NoError(t, err)
	require.Equal(t, "b", hitBy(db, ctx, checkHealth), "nor does a rule that the request carries reach it")
	require.Regexp(t, "^request-", hitBy(db, ctx, "/pkg.Service/Get"))
}

func TestReservedOperationsAreLetGoByAnEdit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("svc")
		db := inj.PointOf(guarded, "db")
		family := target(func(t *fault.Target) { t.Operations = []string{"/grpc.health.v1.Health/*"} })
		check := target(func(t *fault.Target) { t.Operations = []string{checkHealth} })
		start := time.Now()
		put(t, inj, rule("r", blackHole, family))
		released := make(chan error, 1)
		go func() { released <- db.Inject(context.Background(), fault.Operation{Name: checkHealth}) }()
		synctest.Wait()
		put(t, inj, rule("r", blackHole, check))
		synctest.Wait()
		require.Empty(t, released, "still named")
		put(t, inj, rule("r", blackHole))
		require.NoError(t, <-released)
		require.Equal(t, start, time.Now(), "at once")
	})
}
