package control_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
)

const (
	malformed   = "urn:misfit:problem:malformed"
	invalidRule = "urn:misfit:problem:invalid-rule"
)

// rule is a good rule with one member in place of another.
func rule(old, new string) string {
	if !strings.Contains(slow, old) {
		panic("no " + old)
	}
	return strings.Replace(slow, old, new, 1)
}

func TestPutRefusesBadBodies(t *testing.T) {
	tests := []struct {
		name   string
		body   string
		status int
		kind   string
		paths  []string
	}{
		{"empty", "", 400, malformed, []string{}},
		{"truncated", slow[:len(slow)-2], 400, malformed, nil},
		{"two values", slow + "{}", 400, malformed, nil},
		{"not JSON", "target: {}", 400, malformed, nil},
		{"not UTF-8", rule("ratings", "rat\xffings"), 400, malformed, nil},
		{"a NUL byte", rule("ratings", "rat\x00ings"), 400, malformed, nil},
		{"a comment", "// no\n" + slow, 400, malformed, nil},
		{"never closed", strings.Repeat("[", 100_000), 400, malformed, nil},

		{"null", "null", 422, invalidRule, []string{""}},
		{"an array", "[" + slow + "]", 422, invalidRule, []string{""}},
		{"a number", "1e999", 422, invalidRule, []string{""}},
		{"an empty object", "{}", 422, invalidRule, []string{"target.points", "scope", "fault", "ttl"}},
		{"nested deeply", rule(`{"percent": 1}`, strings.Repeat("[", 1000)+strings.Repeat("]", 1000)), 422, invalidRule, []string{""}},
		{"unknown fields", rule(`"ttl": "10m"`, `"ttl": "10m", "colour": 1, "scope2": {}`), 422, invalidRule, []string{"colour", "scope2"}},
		{"unknown field inside", rule(`"fixed"`, `"fixd"`), 422, invalidRule, []string{"fault.delay.fixd"}},
		{"letter case", rule(`"ttl"`, `"TTL"`), 422, invalidRule, []string{"TTL"}},
		{"duplicate member", rule(`"ttl": "10m"`, `"ttl": "10m", "ttl": "1m"`), 422, invalidRule, []string{"ttl"}},
		{"duplicate member inside", rule(`"percent": 1`, `"percent": 1, "percent": 2`), 422, invalidRule, []string{"scope.percent"}},
		{
			"wrong types", `{"note":1,"priority":"x","target":{"points":"a"},"scope":[],"fault":{"blackHole":1},"limits":{"total":1.5},"ttl":10}`, 422, invalidRule,
			[]string{"note", "priority", "target.points", "scope", "fault.blackHole", "limits.total", "ttl"},
		},
		{
			"numbers too large", `{"priority":99999999999999999999,"limits":{"total":1e400},"scope":{"percent":1e400}}`, 422, invalidRule,
			[]string{"priority", "limits.total", "scope.percent"},
		},
		{"percentage over 100", rule(`"percent": 1`, `"percent": 101`), 422, invalidRule, []string{"scope.percent"}},
		{"percentage below 0", rule(`"percent": 1`, `"percent": -1`), 422, invalidRule, []string{"scope.percent"}},
		{"negative delay", rule("250ms", "-1s"), 422, invalidRule, []string{"fault.delay.fixed"}},
		{"delay past the guardrail", rule("250ms", "6m"), 422, invalidRule, []string{"fault.delay"}},
		{"overflowing delay", rule("250ms", "9999999h"), 422, invalidRule, []string{"fault.delay.fixed"}},
		{"delay without a unit", rule(`"250ms"`, `"250"`), 422, invalidRule, []string{"fault.delay.fixed"}},
		{"delay as a number", rule(`"250ms"`, `250`), 422, invalidRule, []string{"fault.delay.fixed"}},
		{"negative ttl", rule("10m", "-1s"), 422, invalidRule, []string{"ttl"}},
		{"overflowing ttl", rule("10m", "9999999h"), 422, invalidRule, []string{"ttl"}},
		{"ttl past the guardrail", rule("10m", "25h"), 422, invalidRule, []string{"ttl"}},
		{"missing ttl", rule(`"ttl": "10m"`, `"note": ""`), 422, invalidRule, []string{"ttl"}},
		{"expired", rule(`"ttl": "10m"`, `"expires": "2020-01-01T00:00:00Z"`), 422, invalidRule, []string{"expires"}},
		{"expires too late", rule(`"ttl": "10m"`, `"expires": "9999-12-31T23:59:59Z"`), 422, invalidRule, []string{"expires"}},
		{"expires is no time", rule(`"ttl": "10m"`, `"expires": "tomorrow"`), 422, invalidRule, []string{"expires"}},
		{"both ttl and expires", rule(`"ttl": "10m"`, `"ttl": "10m", "expires": "2099-01-01T00:00:00Z"`), 422, invalidRule, nil},
		{"no such named error", rule(`"delay": {"fixed": "250ms"}`, `"error": {"name": "x"}`), 422, invalidRule, []string{"fault.error.name"}},
		{"protected point", rule("ratings", "http.client:login"), 422, invalidRule, []string{"target.points[0]"}},
		{"ID is not that of the path", rule(`"ttl": "10m"`, `"ttl": "-10m", "id": "other"`), 422, invalidRule, []string{"id", "ttl"}},
		{"ID of the wrong type", rule(`"ttl": "10m"`, `"ttl": "10m", "id": 7`), 422, invalidRule, []string{"id"}},
		{"too large", rule(`"ttl"`, `"note": "`+strings.Repeat("x", 1<<20)+`", "ttl"`), 413, "about:blank", []string{}},
	}
	inj := fault.New("checkout", fault.WithGuardrails(fault.Guardrails{Protected: []string{"*:login"}}))
	s := newSite(t, inj)
	requireJSON(t, s.do("PUT", "/v1/rules/r", slow), 201)
	before, _ := inj.Rule("r")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := requireProblem(t, s.do("PUT", "/v1/rules/r", tt.body), tt.status, tt.kind)
			paths := []string{}
			for _, e := range p.Errors {
				paths = append(paths, e.Path)
				require.NotEmpty(t, e.Detail)
			}
			if tt.paths != nil {
				require.Equal(t, tt.paths, paths)
			}
			if tt.kind == malformed {
				require.Regexp(t, ` at \d+:\d+$|\d+ levels deep`, p.Detail)
			}
			after, _ := inj.Rule("r")
			require.Equal(t, before.Rule, after.Rule, "a bad rule changes nothing")
		})
	}
	require.Equal(t, `"1"`, s.do("GET", "/v1/rules/r", "").header.Get("ETag"))
}

func TestPutAcceptsUpToTheBound(t *testing.T) {
	s := newSite(t, fault.New("checkout"))
	requireJSON(t, s.do("PUT", "/v1/rules/r", slow+strings.Repeat(" ", 1<<20-len(slow))), 201)
	requireProblem(t, s.do("PUT", "/v1/rules/r", slow+strings.Repeat(" ", 1<<20-len(slow)+1)), 413, "about:blank")
}

func TestPutRefusesBadIDs(t *testing.T) {
	inj := fault.New("checkout")
	s := newSite(t, inj)
	for _, id := range []string{"a%20b", "%E2%82%AC", "%00", "%1B%5B31m", "a:b", strings.Repeat("x", 65), strings.Repeat("x", 10_000)} {
		p := requireProblem(t, s.do("PUT", "/v1/rules/"+id, slow), 422, invalidRule)
		require.Len(t, p.Errors, 1)
		require.Equal(t, "id", p.Errors[0].Path)
		require.Less(t, len(p.Detail), 300)
	}
	require.Empty(t, inj.Rules())
	requireJSON(t, s.do("PUT", "/v1/rules/"+strings.Repeat("x", 64), slow), 201)
}

// A body that is wrong all over must not be answered with a longer one.
func TestProblemsAreBounded(t *testing.T) {
	s := newSite(t, fault.New("checkout"))
	body := rule(`"percent": 1`, `"customers": [`+strings.Repeat(`"",`, 99_999)+`""]`)
	got := s.do("PUT", "/v1/rules/r", body)
	p := requireProblem(t, got, 422, invalidRule)
	require.Len(t, p.Errors, 100)
	require.Equal(t, "100000 things are wrong; the first 100 are listed", p.Detail)
	require.Less(t, len(got.body), 10_000)
}

func TestPutContentType(t *testing.T) {
	tests := []struct {
		header []string
		status int
	}{
		{nil, 201},
		{[]string{"Content-Type", "application/json"}, 201},
		{[]string{"Content-Type", "Application/JSON ; charset=utf-8"}, 201},
		{[]string{"Content-Encoding", "identity"}, 201},
		{[]string{"Content-Type", ""}, 415},
		{[]string{"Content-Type", "text/plain"}, 415},
		{[]string{"Content-Type", "application/x-www-form-urlencoded"}, 415}, // what curl -d sends
		{[]string{"Content-Type", "application/problem+json"}, 415},
		{[]string{"Content-Type", "application/jsonx"}, 415},
		{[]string{"Content-Type", "application/json; ="}, 415},
		{[]string{"Content-Type", "application/json", "Content-Type", "text/plain"}, 415},
		{[]string{"Content-Encoding", "gzip"}, 415},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.header), func(t *testing.T) {
			s := newSite(t, fault.New("checkout"))
			got := s.do("PUT", "/v1/rules/r", slow, tt.header...)
			if tt.status == http.StatusCreated {
				requireJSON(t, got, tt.status)
				return
			}
			requireProblem(t, got, tt.status, "about:blank")
		})
	}
}

func TestRuleReadsBackWhatItShows(t *testing.T) {
	s := newSite(t, fault.New("checkout"))
	const full = `{
		"id": "r", "note": "<a> & \u2028", "priority": -3,
		"target": {"services": ["checkout"], "points": ["*"], "operations": ["GET /a/{id}"], "except": {"points": ["sql:*"]}},
		"scope": {"customers": ["1"], "attributes": {"plan": ["free"]}, "percent": 0.0001, "unit": "attribute:plan", "salt": "s", "attempts": 2},
		"fault": {"delay": {"median": "1ms", "p99": "10ms"}, "error": {"http": {"status": 503, "headers": {"Retry-After": "1"}, "body": "no"}}},
		"limits": {"concurrent": 1, "perSecond": 2, "total": 3},
		"ttl": "10m"
	}`
	made := s.do("PUT", "/v1/rules/r", full)
	requireJSON(t, made, 201)
	shown := decode[view](t, made).Rule
	again := s.do("PUT", "/v1/rules/r", shown.String())
	requireJSON(t, again, 200)
	require.Equal(t, shown, decode[view](t, again).Rule)
	require.WithinDuration(t, time.Now().Add(10*time.Minute), shown.Expires, time.Minute)
	want, err := fault.ParseRule([]byte(full))
	require.NoError(t, err)
	want.TTL, want.Expires = 0, shown.Expires
	require.Equal(t, want, shown)
}

func TestReadOnly(t *testing.T) {
	inj := fault.New("checkout")
	require.NoError(t, inj.Put(hole("h")))
	s := newSite(t, inj, control.ReadOnly())
	requireJSON(t, s.do("GET", "/v1/rules/h", ""), 200)
	for _, write := range [][2]string{{"PUT", "/v1/rules/x"}, {"DELETE", "/v1/rules/h"}, {"POST", "/v1/halt"}, {"POST", "/v1/resume"}} {
		p := requireProblem(t, s.do(write[0], write[1], slow), 403, "urn:misfit:problem:write-refused")
		require.Contains(t, p.Detail, "read-only")
	}
	require.Len(t, inj.Rules(), 1)
}
