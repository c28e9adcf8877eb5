package scope_test

import (
	"testing"

	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

func TestMatch(t *testing.T) {
	gold42 := &scope.Request{ID: "r1", Customer: "42", Attributes: map[string]string{"plan": "gold", "region": "eu"}}
	anonymous := &scope.Request{ID: "r2"}
	for _, test := range []struct {
		name    string
		scope   scope.Scope
		request *scope.Request
		want    scope.Verdict
	}{
		{"everyone", scope.Everyone(), gold42, scope.In},
		{"everyone, no request", scope.Everyone(), nil, scope.In},
		{"nobody", scope.Percent(0, scope.PerRequest), gold42, scope.OutByPercent},
		{"nobody, no request", scope.Percent(0, scope.PerCall), nil, scope.OutByPercent},
		{"that request", scope.Requests("r0", "r1"), gold42, scope.In},
		{"another request", scope.Requests("r0"), gold42, scope.OutByRequest},
		{"a request, no request", scope.Requests("r0"), nil, scope.OutByRequest},
		{"that customer", scope.Customers("42"), gold42, scope.In},
		{"another customer", scope.Customers("4"), gold42, scope.OutByCustomer},
		{"a customer, anonymous", scope.Customers("42"), anonymous, scope.OutByCustomer},
		{"a customer, no request", scope.Customers("42"), nil, scope.OutByCustomer},
		{"attribute", scope.Scope{Attributes: map[string][]string{"plan": {"silver", "gold"}}}, gold42, scope.In},
		{"attribute, other value", scope.Scope{Attributes: map[string][]string{"plan": {"silver"}}}, gold42, scope.OutByAttribute},
		{"attributes, one missing", scope.Scope{Attributes: map[string][]string{"plan": {"gold"}, "tenant": {"x"}}}, gold42, scope.OutByAttribute},
		{"attribute, no request", scope.Scope{Attributes: map[string][]string{"plan": {"gold"}}}, nil, scope.OutByAttribute},
		{"all customers, anonymous", scope.Percent(100, scope.PerCustomer), anonymous, scope.OutForLackOfUnit},
		{"all customers, no request", scope.Percent(100, scope.PerCustomer), nil, scope.OutForLackOfUnit},
		{"all tenants, has none", scope.Percent(100, scope.PerAttribute("tenant")), gold42, scope.OutForLackOfUnit},
		{"all regions", scope.Percent(100, scope.PerAttribute("region")), gold42, scope.In},
		{"customer and percent", scope.Scope{Customers: []string{"42"}, Percent: new(0.0)}, gold42, scope.OutByPercent},
		{"nothing ruled out", scope.Scope{}, nil, scope.In},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.Equal(t, test.want, test.scope.Matcher("salt").Match(test.request, 0), test.want.String())
		})
	}
}

func TestUnitsDrawByTheRightValue(t *testing.T) {
	const percent, n = 50, 2000
	threshold := scope.Threshold(percent)
	want := func(unit string) bool { return scope.Bucket("salt", unit) < threshold }
	r := scope.Request{ID: "id-7", Customer: "c-7", Attributes: map[string]string{"tenant": "t-7"}}
	in := func(unit scope.Unit, r *scope.Request, n uint64) bool {
		return scope.Percent(percent, unit).Matcher("salt").Match(r, n) == scope.In
	}
	for i := range uint64(n) {
		name := string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
		r.ID, r.Customer, r.Attributes["tenant"] = "id-"+name, "c-"+name, "t-"+name
		require.Equal(t, want(r.ID), in(scope.PerRequest, &r, i))
		require.Equal(t, want(r.ID), in("", &r, i), "the default unit")
		require.Equal(t, want(r.Customer), in(scope.PerCustomer, &r, i))
		require.Equal(t, want(r.Attributes["tenant"]), in(scope.PerAttribute("tenant"), &r, i))
	}
	require.Equal(t, want("id-x#12"), in(scope.PerCall, &scope.Request{ID: "id-x"}, 12))
	require.Equal(t, want("#9"), in(scope.PerRequest, nil, 9))
}

func TestSalt(t *testing.T) {
	differ := 0
	own := scope.Percent(50, scope.PerCustomer)
	own.Salt = "shared"
	for i := range 200 {
		r := &scope.Request{Customer: string(rune('a' + i))}
		a, b := own.Matcher("rule-1").Match(r, 0), own.Matcher("rule-2").Match(r, 0)
		require.Equal(t, a, b, "a salt of its own goes before the rule's")
		if scope.Percent(50, scope.PerCustomer).Matcher("rule-1").Match(r, 0) != a {
			differ++
		}
	}
	require.Greater(t, differ, 50)
}

func TestMatchAllocatesNothing(t *testing.T) {
	r := &scope.Request{ID: "4bf92f3577b34da6a3ce929d0e0e4736", Customer: "42", Attributes: map[string]string{"plan": "gold"}}
	for name, s := range map[string]scope.Scope{
		"request":    scope.Percent(1, scope.PerRequest),
		"customer":   scope.Percent(1, scope.PerCustomer),
		"call":       scope.Percent(1, scope.PerCall),
		"attribute":  scope.Percent(1, scope.PerAttribute("plan")),
		"attributes": {Attributes: map[string][]string{"plan": {"silver"}}},
		"customers":  scope.Customers("1", "2", "3"),
	} {
		m := s.Matcher("salt")
		require.Zero(t, testing.AllocsPerRun(100, func() { m.Match(r, 12345) }), name)
	}
}
