package control_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/token"
)

func TestStatus(t *testing.T) {
	inj := fault.New("checkout", fault.WithMaxPoints(1))
	inj.Point("test", "ratings")
	inj.Point("test", "too many")
	s := newSite(t, inj)
	require.NoError(t, inj.Put(hole("h")))

	got := s.do("GET", "/v1/status", "")
	requireJSON(t, got, 200)
	require.JSONEq(t, `{"service":"checkout","disabled":false,"halted":false,"rules":1,"points":2,
		"held":0,"overflow":1,"problems":0,"observerPanics":0,"share":100,"failing":[],"you":{"name":"local","role":"admin"}}`, got.body)
}

func TestPoints(t *testing.T) {
	inj := fault.New("checkout")
	s := newSite(t, inj)
	require.JSONEq(t, `{"points":[]}`, s.do("GET", "/v1/points", "").body)

	inj.PointOf(fault.Kind{Name: "http.client", Effects: []fault.Effect{fault.EffectDelay, fault.EffectBlackHole}}, "ratings")
	inj.PointOf(fault.Kind{Name: "sql"}, "orders")
	require.NoError(t, inj.Put(hole("a"), hole("b")))
	got := s.do("GET", "/v1/points", "")
	requireJSON(t, got, 200)
	body := regexp.MustCompile(`"since":"[^"]*"`).ReplaceAllString(got.body, `"since":"then"`)
	require.JSONEq(t, `{"points":[
		{"point":"http.client:ratings","kind":"http.client","name":"ratings","effects":["blackHole","delay"],"rules":["a","b"],
			"traffic":{"watching":true,"since":"then","seconds":[]}},
		{"point":"sql:orders","kind":"sql","name":"orders","effects":[],"rules":[],
			"traffic":{"watching":true,"since":"then","seconds":[]}}
	]}`, body)
}

func TestRules(t *testing.T) {
	inj := fault.New("checkout", fault.WithGuardrails(fault.Guardrails{Protected: []string{"test:login"}}))
	point := inj.Point("test", "ratings")
	inj.Point("test", "login")
	inj.PointOf(fault.Kind{Name: "plain"}, "ratings")
	s := newSite(t, inj)
	require.JSONEq(t, `{"halted":false,"rules":[]}`, s.do("GET", "/v1/rules", "").body)

	require.NoError(t, inj.Put(fault.Rule{
		ID:       "by-code",
		Priority: 7,
		Target:   fault.Target{Points: []string{"*"}},
		Scope:    scope.Everyone(),
		Fault:    fault.Fault{Error: &fault.ErrorFault{Class: fault.Refused}},
		Limits:   fault.Limits{Total: 2},
		TTL:      10 * time.Minute,
	}))
	for range 5 {
		_ = point.Inject(t.Context(), fault.Operation{})
	}
	requireJSON(t, s.do("PUT", "/v1/rules/by-api", slow), 201)

	got := s.do("GET", "/v1/rules", "")
	requireJSON(t, got, 200)
	list := decode[struct {
		Halted *bool
		Rules  []view
	}](t, got)
	require.False(t, *list.Halted)
	require.Len(t, list.Rules, 2)

	code := list.Rules[0]
	require.Equal(t, "by-code", code.Rule.ID)
	require.Equal(t, fault.SourceCode, code.Source)
	require.Equal(t, []string{"test:ratings"}, code.Points)
	require.Equal(t, []string{"test:login"}, code.Protected)
	require.Equal(t, []string{"plain:ratings"}, code.Unsupported)
	require.EqualValues(t, 2, code.Hits)
	require.Equal(t, map[string]uint64{"total": 3}, code.Skips)
	require.Equal(t, "10m0s", code.Left)
	require.Zero(t, code.Revision)
	require.Zero(t, code.Created)
	require.NotContains(t, s.do("GET", "/v1/rules/by-code", "").body, "revision")

	api := list.Rules[1]
	require.Equal(t, "by-api", api.Rule.ID)
	require.Equal(t, control.Source, api.Source)
	require.EqualValues(t, 1, api.Revision)
	require.WithinDuration(t, time.Now(), api.Created, time.Minute)
	require.Equal(t, api.Created, api.Updated)

	one := s.do("GET", "/v1/rules/by-api", "")
	requireJSON(t, one, 200)
	require.Equal(t, `"1"`, one.header.Get("ETag"))
	require.Equal(t, api.Rule, decode[view](t, one).Rule)
	require.Empty(t, s.do("GET", "/v1/rules/by-code", "").header.Get("ETag"))
}

func TestNothingIsNull(t *testing.T) {
	s := newSite(t, fault.New("checkout"))
	got := s.do("PUT", "/v1/rules/x", slow)
	requireJSON(t, got, 201)
	require.NotContains(t, got.body, "null")
	require.Contains(t, got.body, `"points":[],"protected":[],"unsupported":[],"hits":0,"skips":{},"held":0`)
}

func TestCarriedRuleIsShownAndDeleted(t *testing.T) {
	inj := fault.New("checkout")
	_, err := inj.WithRequestRule(context.Background(), `{"id":"mine","target":{"points":["*"]},"fault":{"panic":true}}`)
	require.NoError(t, err)
	s := newSite(t, inj)
	path := "/v1/rules/" + inj.Rules()[0].Rule.ID
	require.Contains(t, path, "request-mine-")
	got := s.do("GET", path, "")
	requireJSON(t, got, 200)
	require.Equal(t, fault.SourceRequest, decode[view](t, got).Source)
	require.Contains(t, s.do("GET", "/", "").body, "every request that carries it")
	requireProblem(t, s.do("PUT", path, slow), 409, "urn:misfit:problem:owned")
	require.Equal(t, 204, s.do("DELETE", path, "").status)
	require.Empty(t, inj.Rules())
}

func TestATokenIsShownWithWhoAskedForIt(t *testing.T) {
	key, err := token.GenerateKey("test")
	require.NoError(t, err)
	verifier, err := token.NewVerifier(token.KeySet{Audience: "test", Keys: []token.Key{key.Public()}})
	require.NoError(t, err)
	text, err := token.Sign(key, token.Claims{Issuer: "us", Audience: "test", Token: fault.Token{
		ID: "t1", Subject: "kim\x1b[2J", NotBefore: time.Now(), Expires: time.Now().Add(time.Minute),
		Rules: []fault.Rule{{Target: fault.Target{Points: []string{"*"}}, Fault: fault.Fault{BlackHole: true}}},
	}})
	require.NoError(t, err)
	inj := fault.New("checkout", fault.WithTokens(verifier))
	inj.Receive(context.Background(), fault.Sent{Tokens: []string{text}})
	s := newSite(t, inj)
	got := s.do("GET", "/v1/rules/token-t1", "")
	requireJSON(t, got, 200)
	require.Contains(t, got.body, `"source":"token","by":"kim\u001b[2J"`)
	page := s.do("GET", "/", "").body
	require.Contains(t, page, "token of kim")
	require.NotContains(t, page, "\x1b")
	require.Equal(t, 204, s.do("DELETE", "/v1/rules/token-t1", "").status)
	require.Contains(t, fault.Answer(inj.Receive(context.Background(), fault.Sent{Tokens: []string{text}})), "taken back here")
}

func TestRouting(t *testing.T) {
	inj := fault.New("checkout")
	s := newSite(t, inj)
	requireJSON(t, s.do("PUT", "/v1/rules/x", slow), 201)
	tests := []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "", 200, ""},
		{"GET", "/", 200, ""},
		{"HEAD", "/", 200, ""},
		{"HEAD", "/v1/status", 200, ""},
		{"HEAD", "/v1/rules/x", 200, ""},
		{"GET", "/v1/status?verbose=1", 200, ""},
		{"POST", "/", 405, "GET, HEAD"},
		{"PUT", "/v1/status", 405, "GET, HEAD"},
		{"DELETE", "/v1/points", 405, "GET, HEAD"},
		{"POST", "/v1/rules", 405, "GET, HEAD"},
		{"POST", "/v1/rules/x", 405, "DELETE, GET, HEAD, PUT"},
		{"PATCH", "/v1/rules/x", 405, "DELETE, GET, HEAD, PUT"},
		{"OPTIONS", "/v1/rules/x", 405, "DELETE, GET, HEAD, PUT"},
		{"GET", "/v1/halt", 405, "POST"},
		{"HEAD", "/v1/resume", 405, "POST"},
		{"get", "/v1/status", 405, "GET, HEAD"},
		{"GET", "/v1", 404, ""},
		{"GET", "/v1/", 404, ""},
		{"GET", "/v1/status/", 404, ""},
		{"GET", "/v1/nothing", 404, ""},
		{"GET", "/v2/rules", 404, ""},
		{"GET", "/v1/rules/", 404, ""},
		{"PUT", "/v1/rules/", 404, ""},
		{"GET", "/v1/rules/x/y", 404, ""},
		{"PUT", "/v1/rules/x%2Fy", 404, ""},
		{"GET", "/v1/rules/absent", 404, ""},
		{"GET", "/v1/rules/X", 404, ""},
		{"GET", "/v1/rules/%00%ff", 404, ""},
		{"DELETE", "/v1/rules/absent", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			got := s.do(tt.method, tt.path, "")
			require.Equal(t, tt.status, got.status, got.body)
			require.Equal(t, tt.allow, got.header.Get("Allow"))
			requireCommon(t, got)
			if tt.status != 200 && tt.method != "HEAD" {
				requireProblem(t, got, tt.status, "about:blank")
			}
		})
	}
	require.Len(t, inj.Rules(), 1)
}

func TestWithoutStripPrefixAndBody(t *testing.T) {
	h := control.New(fault.New("checkout"))
	req := &http.Request{Method: "PUT", URL: local("PUT", "/v1/rules/x", "").URL, RemoteAddr: "127.0.0.1:1", Host: "localhost"}
	requireProblem(t, direct(h, req), 400, "urn:misfit:problem:malformed")

	req = local("GET", "/", "")
	req.URL.Path = ""
	require.Equal(t, 200, direct(h, req).status)
	req.URL.Path = "v1/status" // what StripPrefix leaves if the prefix ends in a slash
	require.Equal(t, 200, direct(h, req).status)
}

func TestNilAndDisabled(t *testing.T) {
	t.Setenv("MISFIT_DISABLED", "1")
	for name, inj := range map[string]*fault.Injector{"nil": nil, "disabled": fault.New("checkout")} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, inj)
			require.Contains(t, s.do("GET", "/", "").body, "DISABLED")
			require.Contains(t, s.do("GET", "/v1/status", "").body, `"disabled":true`)
			require.JSONEq(t, `{"points":[]}`, s.do("GET", "/v1/points", "").body)
			require.JSONEq(t, `{"halted":false,"rules":[]}`, s.do("GET", "/v1/rules", "").body)
			requireProblem(t, s.do("GET", "/v1/rules/x", ""), 404, "about:blank")
			for _, write := range [][2]string{{"PUT", "/v1/rules/x"}, {"DELETE", "/v1/rules/x"}, {"POST", "/v1/halt"}, {"POST", "/v1/resume"}} {
				requireProblem(t, s.do(write[0], write[1], slow), 409, "urn:misfit:problem:disabled")
			}
		})
	}
}

func TestOverview(t *testing.T) {
	inj := fault.New("checkout", fault.WithGuardrails(fault.Guardrails{Protected: []string{"test:login"}}))
	s := newSite(t, inj)
	got := s.do("GET", "/", "")
	require.Equal(t, "text/plain; charset=utf-8", got.header.Get("Content-Type"))
	require.Contains(t, got.body, "checkout: running, nothing is injected. 0 calls held.")
	require.Contains(t, got.body, "No injection points yet")
	require.Contains(t, got.body, "curl -s "+s.url+"/v1/status")

	inj.Point("test", "login")
	inj.Point("test", "evil\u009b31m\u202e")
	put := func(id, body string) {
		t.Helper()
		requireJSON(t, s.do("PUT", "/v1/rules/"+id, body), 201)
	}
	const ends = `,"target":{"points":["*"],"operations":["GET /a/*"],"except":{"operations":["GET /a/b"]}},"ttl":"90s"}`
	put("r1", `{"scope":{"percent":0.5,"unit":"customer"},"fault":{"delay":{"min":"1ms","max":"5ms"},"error":{"http":{"status":503}}}`+ends)
	put("r2", `{"scope":{"customers":["1","\u001b[31m","3","4","5"],"attempts":2},"fault":{"blackHole":true}`+ends)
	put("r3", `{"scope":{"attributes":{"plan":["free"]},"percent":100,"unit":"attribute:plan"},"fault":{"delay":{"median":"1ms","p99":"5ms"},"panic":true}`+ends)
	put("r4", `{"scope":{"requests":["r"]},"fault":{"delay":{"padTo":"1s"}}`+ends)
	put("r5", `{"scope":{"percent":100},"fault":{"error":{"class":"refused"}}`+ends)
	put("r6", `{"scope":{"percent":5,"unit":"call"},"fault":{"delay":{"fixed":"1s"}}`+ends)
	page := s.do("GET", "/", "").body
	for _, want := range []string{
		"running, 6 live rules",
		"0.5% of customers", "delay 1ms to 5ms, then HTTP 503",
		`customers "1", "\x1b[31m", "3" and 2 more, the first 2 calls of each request`, "black hole",
		`plan "free" and 100% by plan`, "delay 1ms, p99 5ms, then panic",
		`request "r"`, "pad to 1s",
		"everyone", "error refused",
		"5% of calls", "delay 1s",
		"(1 protected), only GET /a/*, not GET /a/b",
		"1m30s",
		"r2, r3, r4 and 2 more",
		"test:login",
	} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "\x1b")
	require.NotContains(t, page, "\u009b")
	require.NotContains(t, page, "\u202e")

	inj.Halt()
	require.Contains(t, s.do("GET", "/", "").body, "checkout: HALTED")
}

func TestOverviewRepeatsNoShellText(t *testing.T) {
	h := control.New(fault.New("checkout"))
	for _, host := range []string{"a$(reboot)", "a;b", "a'b", ""} {
		req := httptest.NewRequest("GET", "/debug/faults/", nil)
		req.Host = host
		got := direct(http.StripPrefix(prefix, h), req)
		require.Contains(t, got.body, "curl -s http://localhost:8080/debug/faults/v1/status", host)
	}
}

func TestARuleThatIsArmedNowhereHasAHint(t *testing.T) {
	inj := fault.New("checkout", fault.WithGuardrails(fault.Guardrails{Protected: []string{"login"}}))
	s := newSite(t, inj)
	hint := func(target string) string {
		return decode[struct{ Hint string }](t, s.do("PUT", "/v1/rules/r", rule(`"ratings"`, target))).Hint
	}
	require.Equal(t, "armed nowhere yet: this process has no injection points so far", hint(`"ratings"`))
	inj.Point("http.client", "ratings")
	inj.Point("http.client", "login")
	require.Equal(t, "armed nowhere yet: it matches no injection point of this process so far; there are http.client:login, http.client:ratings", hint(`"ratngs"`))
	require.Equal(t, "armed nowhere: every point it is aimed at is protected or cannot produce this fault", hint(`"login"`))
	require.Empty(t, hint(`"ratings"`))
}

func TestASourceThatFailsIsShown(t *testing.T) {
	inj := fault.New("checkout")
	s := newSite(t, inj)
	failing := func() string {
		return fmt.Sprint(decode[struct {
			Failing []struct{ Source, Error string }
		}](t, s.do("GET", "/v1/status", "")).Failing)
	}
	require.Equal(t, "[]", failing())
	inj.Source("file").Fail(errors.New("rules.yaml: line 3\nand line 4"))
	require.Equal(t, "[{file rules.yaml: line 3\nand line 4}]", failing())
	require.Regexp(t, `NOT TAKEN from source file since .*Z; its earlier rules go on:\n  rules.yaml: line 3\n  and line 4\n`, s.do("GET", "/", "").body)
	inj.Source("file").Fail(nil)
	require.Equal(t, "[]", failing())
	require.EqualValues(t, 1, inj.Status().Problems)
}
