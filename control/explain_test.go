package control_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

func TestExplain(t *testing.T) {
	inj := fault.New("checkout")
	inj.Point("http.client", "ratings")
	s := newSite(t, inj)
	gold := fault.Rule{
		ID:     "gold",
		Target: fault.Target{Points: []string{"ratings"}, Operations: []string{"GET /ratings/{id}"}},
		Scope:  scope.Scope{Attributes: map[string][]string{"plan": {"gold"}}},
		Fault:  fault.Fault{Error: &fault.ErrorFault{Class: fault.Refused}},
		TTL:    time.Hour,
	}
	require.NoError(t, inj.Put(gold, hole("hole")))

	got := s.do("GET", "/v1/explain?point=ratings&operation=GET+/ratings/7&id=r-1&customer=42&attribute.plan=gold", "")
	requireJSON(t, got, 200)
	require.JSONEq(t, `{"service":"checkout","point":"http.client:ratings","operation":"GET /ratings/7",
		"registered":true,"disabled":false,"halted":false,"blackout":false,"applies":"gold","rules":[
		{"rule":"gold","source":"code","applies":true},
		{"rule":"hole","source":"code","applies":false,"reason":"earlier","detail":"rule \"gold\" is asked before it and selects the call"}
	]}`, got.body)
	require.Equal(t, "application/json", s.do("HEAD", "/v1/explain?point=ratings", "").header.Get("Content-Type"))

	explain := func(query string) fault.Explanation {
		t.Helper()
		got := s.do("GET", "/v1/explain?"+query, "")
		requireJSON(t, got, 200)
		return decode[fault.Explanation](t, got)
	}
	for query, want := range map[string]fault.Reason{
		"point=ratings&operation=GET+/ratings/7":                                         fault.ReasonAttribute,
		"point=ratings&operation=GET+/ratings/7&attribute.plan=":                         fault.ReasonAttribute,
		"point=ratings&operation=GET+/r&raw=/ratings/7&attribute.plan=gold":              "",
		"point=ratings&operation=PING&attribute.plan=gold":                               fault.ReasonOperation,
		"point=ratings&attribute.plan=gold":                                              fault.ReasonOperation,
		"point=http.server%3Acheckout":                                                   fault.ReasonPoint,
		"point=sql:ratings&operation=GET%20/ratings/7&attribute.plan=gold&customer=4%22": "",
	} {
		e := explain(query)
		require.Equal(t, want, e.Rules[0].Reason, query)
		require.Equal(t, strings.Contains(query, "=ratings"), e.Registered, query)
	}
	require.Len(t, inj.Points(), 1)

	inj.Halt()
	e := explain("point=ratings")
	require.True(t, e.Halted)
	require.NotNil(t, e.Rules)
	require.Contains(t, s.do("GET", "/", "").body, "curl -s '"+s.url+"/v1/explain?point=")
}

func TestExplainRefusesWhatItDoesNotUnderstand(t *testing.T) {
	inj := fault.New("checkout")
	inj.Point("http.client", "ratings")
	inj.Point("sql", "ratings")
	s := newSite(t, inj)
	tests := []struct {
		query string
		paths []string
		want  string
	}{
		{"", []string{"point"}, "point: is required"},
		{"point=", []string{"point"}, "point: is empty"},
		{"point=orders", []string{"point"}, "there are: http.client:ratings, sql:ratings"},
		{"point=ratings", []string{"point"}, "is the name of several points; give one of: http.client:ratings, sql:ratings"},
		{"point=sql:ratings&Customer=1", []string{"Customer"}, "is unknown; there are point, operation"},
		{"point=sql:ratings&id=1&id=2", []string{"id"}, "id: is given 2 times"},
		{"point=sql:ratings&customer=", []string{"customer"}, "customer: is empty"},
		{"point=sql:ratings&attribute.a+b=1", []string{"attributes"}, "is not a token"},
		{"point=sql:ratings&attribute.=1", []string{"attributes"}, "is not a token"},
		{"point=sql:ratings&attribute.a=" + strings.Repeat("x", 257), []string{"attribute.a"}, "attribute.a: has 257 bytes"},
		{"point=sql:ratings&id=" + strings.Repeat("x", 129), []string{"id"}, "id: has 129 bytes"},
		{"point=sql:ratings&id=%zz", []string{""}, "invalid URL escape"},
		{"point=sql:ratings;id=1", []string{""}, "semicolon"},
		{"x=1&y=2", []string{"x", "y", "point"}, "3 things are wrong"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			p := requireProblem(t, s.do("GET", "/v1/explain?"+tt.query, ""), 400, "urn:misfit:problem:invalid-query")
			require.Equal(t, "Invalid query", p.Title)
			require.Contains(t, p.Detail, tt.want)
			var paths []string
			for _, e := range p.Errors {
				paths = append(paths, e.Path)
			}
			require.Equal(t, tt.paths, paths)
		})
	}
	require.Equal(t, "GET, HEAD", s.do("POST", "/v1/explain?point=sql:ratings", "").header.Get("Allow"))
}

func TestExplainWhereNothingIsInjected(t *testing.T) {
	got := newSite(t, nil).do("GET", "/v1/explain?point="+url.QueryEscape("http.client:ratings"), "")
	requireJSON(t, got, 200)
	require.True(t, decode[fault.Explanation](t, got).Disabled)
}
