package control_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// A verdicts is an answer about them.
type verdicts struct {
	On       bool `json:"on"`
	Judging  bool `json:"judging"`
	Verdicts []struct {
		Rule, Point, Operation, Endpoint, Reason, P50, P99, Added string
		Fault                                                     fault.Fault
		Masked, Degraded, Surfaced, Unmeasured, Late, Unfollowed  uint64
	} `json:"verdicts"`
	Endpoints []struct {
		Endpoint, P50    string
		Requests, Failed uint64
		Enough           bool
	} `json:"endpoints"`
}

func TestVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("shop", fault.WithVerdicts(fault.VerdictSettings{MinBaseline: 2}))
		h := control.New(inj)
		point := inj.Point("http.client", "ratings")
		var slow, broken fault.Rule
		slow = hole("slow")
		slow.Scope, slow.Fault = scope.Customers("slow"), fault.Fault{Delay: &fault.Delay{Fixed: 2 * time.Second}}
		broken = hole("broken")
		broken.Scope, broken.Fault = scope.Customers("broken"), fault.Fault{Error: &fault.ErrorFault{Class: fault.Reset}}
		require.NoError(t, inj.Put(slow, broken))
		request := func(customer string) {
			ctx, trial := inj.BeginTrial(scope.With(t.Context(), scope.Request{Customer: customer}))
			err := point.Inject(ctx, fault.Operation{Verb: "GET", Name: "/ratings/7"})
			time.Sleep(1234567 * time.Nanosecond)
			trial.End(fault.Outcome{Endpoint: fault.Operation{Verb: "GET", Name: "/products/{id}"}, Failed: err != nil})
		}
		for _, customer := range []string{"a", "b", "slow", "broken", "broken"} {
			request(customer)
		}
		got := decode[verdicts](t, direct(h, local(http.MethodGet, "/v1/verdicts", "")))
		require.True(t, got.On)
		require.True(t, got.Judging)
		require.Len(t, got.Verdicts, 2)
		require.Equal(t, "broken", got.Verdicts[0].Rule)
		require.EqualValues(t, 2, got.Verdicts[0].Surfaced)
		require.Equal(t, "0s", got.Verdicts[0].Added)
		second := got.Verdicts[1]
		require.EqualValues(t, 1, second.Degraded)
		require.Equal(t, slow.Fault, second.Fault)
		require.Equal(t, []string{"2s", "2s", "http.client:ratings", "GET /ratings/7", "GET /products/{id}"},
			[]string{second.P50, second.Added, second.Point, second.Operation, second.Endpoint})
		require.Len(t, got.Endpoints, 1)
		require.EqualValues(t, 2, got.Endpoints[0].Requests)
		require.Equal(t, "1.23ms", got.Endpoints[0].P50)

		one := decode[verdicts](t, direct(h, local(http.MethodGet, "/v1/verdicts?rule=slow", "")))
		require.Equal(t, got.Verdicts[1:], one.Verdicts)
		requireProblem(t, direct(h, local(http.MethodGet, "/v1/verdicts?rule=", "")), http.StatusBadRequest, "urn:misfit:problem:invalid-query")
		inj.Halt() // lets go of what waits for the rules to expire
	})
}

func TestVerdictsStartAnew(t *testing.T) {
	inj := fault.New("shop", fault.WithVerdicts(fault.VerdictSettings{MinBaseline: 1}))
	s := newSite(t, inj)
	point := inj.Point("http.client", "ratings")
	for _, id := range []string{"a", "b"} {
		r := hole(id)
		r.Scope, r.Fault = scope.Customers(id), fault.Fault{Error: &fault.ErrorFault{Class: fault.Reset}}
		require.NoError(t, inj.Put(r))
	}
	for _, customer := range []string{"a", "a", "b", "c"} {
		ctx, trial := inj.BeginTrial(scope.With(t.Context(), scope.Request{Customer: customer}))
		err := point.Inject(ctx, fault.Operation{Name: "get"})
		trial.End(fault.Outcome{Endpoint: fault.Operation{Name: "/page"}, Failed: err != nil && customer == "a"})
	}
	requireProblem(t, s.do("DELETE", "/v1/verdicts?rules=a", ""), http.StatusBadRequest, "urn:misfit:problem:invalid-query")
	require.JSONEq(t, `{"forgotten":1}`, s.do("DELETE", "/v1/verdicts?rule=a", "").body)
	left := decode[verdicts](t, s.do("GET", "/v1/verdicts", ""))
	require.Len(t, left.Verdicts, 1)
	require.Equal(t, "b", left.Verdicts[0].Rule)
	require.Len(t, left.Endpoints, 1, "to compare with")
	require.JSONEq(t, `{"forgotten":0}`, s.do("DELETE", "/v1/verdicts?rule=a", "").body)

	require.JSONEq(t, `{"forgotten":1}`, s.do("DELETE", "/v1/verdicts", "").body)
	left = decode[verdicts](t, s.do("GET", "/v1/verdicts", ""))
	require.Empty(t, left.Verdicts)
	require.Empty(t, left.Endpoints)
	require.Equal(t, 403, s.do("DELETE", "/v1/verdicts", "", "X-Forwarded-For", "10.0.0.1").status)

	var record []string
	for _, e := range decode[auditPage](t, s.do("GET", "/v1/audit?action=verdicts.reset", "")).Entries {
		record = append(record, e.Rule+" "+e.Result+" "+e.Detail)
	}
	require.Len(t, record, 5)
	require.Contains(t, record[0], " refused ")
	require.Equal(t, " done forgot 1 row: 1 masked, 0 degraded, 0 surfaced", record[1])
	require.Equal(t, "a done forgot 1 row: 0 masked, 0 degraded, 2 surfaced", record[3])
	require.Contains(t, record[4], " refused ")
}

func TestNoVerdicts(t *testing.T) {
	for _, inj := range []*fault.Injector{nil, fault.New("shop")} {
		r := direct(control.New(inj), local(http.MethodGet, "/v1/verdicts", ""))
		requireJSON(t, r, http.StatusOK)
		require.NotContains(t, r.body, "null")
		require.False(t, decode[verdicts](t, r).On)
		r = direct(control.New(inj), local(http.MethodDelete, "/v1/verdicts", ""))
		if inj == nil {
			require.Equal(t, http.StatusConflict, r.status)
			continue
		}
		require.JSONEq(t, `{"forgotten":0}`, r.body)
	}
}
