package control_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/control/audit"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

func TestWidenStepByStep(t *testing.T) {
	inj := fault.New("checkout")
	point := inj.Point("test", "ratings")
	s := newSite(t, inj)
	requireJSON(t, s.do("PUT", "/v1/rules/r", `{"target":{"points":["ratings"]},"scope":{"requests":["one"]},"fault":{"error":{"class":"refused"}},"ttl":"10m"}`), 201)
	require.Error(t, point.Inject(scope.With(t.Context(), scope.Request{ID: "one"}), fault.Operation{}))
	widen := func(scope string) response { return s.do("POST", "/v1/rules/r/widen", `{"scope":`+scope+`}`) }
	for _, step := range []struct {
		scope  string
		status int
		detail string
	}{
		{`{"customers":["42"]}`, 200, ""},
		{`{"percent":5,"unit":"customer"}`, 422, "scope.percent: selects up to 5 % of traffic; the rule selects up to 0 %, and may be widened to 1 % in one step"},
		{`{"percent":1,"unit":"customer"}`, 200, ""},
		{`{"percent":6}`, 422, "may be widened to 5 % in one step"},
		{`{"percent":5}`, 200, ""},
		{`{"percent":3}`, 200, ""},
		{`{"percent":5.5}`, 422, "may be widened to 5 %"},
		{`{"percent":5}`, 200, ""},
		{`{"percent":25}`, 200, ""},
		{`{"percent":50}`, 200, ""},
		{`{"percent":100}`, 200, ""},
		{`{"customers":["42"]}`, 200, ""},
		{`{}`, 422, "scope: selects nobody"},
		{`{"percent":101}`, 422, "scope.percent: 101"},
	} {
		got := widen(step.scope)
		require.Equal(t, step.status, got.status, "%s: %s", step.scope, got.body)
		if step.detail != "" {
			require.Contains(t, requireProblem(t, got, 422, "urn:misfit:problem:invalid-rule").Detail, step.detail)
		}
	}
	live, _ := inj.Rule("r")
	require.EqualValues(t, 1, live.Hits, "the counters are kept")
	requireProblem(t, s.do("POST", "/v1/rules/r/widen", `{"scope":{"percent":1},"more":1}`), 422, "urn:misfit:problem:invalid-rule")
	requireProblem(t, s.do("POST", "/v1/rules/r/widen", `{`), 400, "urn:misfit:problem:malformed")
	requireProblem(t, s.do("POST", "/v1/rules/none/widen", `{"scope":{"percent":1}}`), 404, "about:blank")
	require.Equal(t, 412, s.do("POST", "/v1/rules/r/widen", `{"scope":{"percent":1}}`, "If-Match", `"1"`).status)
	require.NoError(t, inj.Put(hole("by-code")))
	requireProblem(t, s.do("POST", "/v1/rules/by-code/widen", `{"scope":{"percent":1}}`), 409, "urn:misfit:problem:owned")
}

func TestPauseAndExtend(t *testing.T) {
	inj := fault.New("checkout")
	point := inj.Point("test", "ratings")
	call := func() error { return point.Inject(t.Context(), fault.Operation{}) }
	s := newSite(t, inj)
	requireJSON(t, s.do("PUT", "/v1/rules/r", `{"target":{"points":["ratings"]},"scope":{"percent":100},"fault":{"error":{"class":"refused"}},"ttl":"10m"}`), 201)
	require.Error(t, call())
	got := s.do("POST", "/v1/rules/r/pause", "")
	requireJSON(t, got, 200)
	require.True(t, decode[view](t, got).Rule.Paused)
	require.NoError(t, call())
	got = s.do("POST", "/v1/rules/r/unpause", "", "If-Match", got.header.Get("ETag"))
	requireJSON(t, got, 200)
	require.Error(t, call())
	require.EqualValues(t, 1, decode[view](t, got).Hits)

	got = s.do("POST", "/v1/rules/r/extend", `{"ttl":"2h"}`)
	requireJSON(t, got, 200)
	require.WithinDuration(t, time.Now().Add(2*time.Hour), decode[view](t, got).Rule.Expires, time.Minute)
	for _, body := range []string{`{}`, `{"ttl":"0s"}`, `{"ttl":"-1m"}`, `{"ttl":"48h"}`} {
		requireProblem(t, s.do("POST", "/v1/rules/r/extend", body), 422, "urn:misfit:problem:invalid-rule")
	}
}

func TestValidateChangesNothing(t *testing.T) {
	inj := fault.New("checkout", fault.WithGuardrails(fault.Guardrails{MaxPercent: 50, Protected: []string{"login"}}))
	point := inj.Point("test", "ratings")
	inj.Point("test", "login")
	s := newSite(t, inj)
	const body = `{"target":{"points":["*"]},"scope":{"customers":["c-1","c-2"]},"fault":{"blackHole":true},"ttl":"10m"}`
	requireJSON(t, s.do("POST", "/v1/validate", body), 200) // from now on calls are noted
	for i := range 20 {
		require.NoError(t, point.Inject(scope.With(t.Context(), scope.Request{Customer: fmt.Sprint("c-", i%4)}), fault.Operation{}))
	}
	got := s.do("POST", "/v1/validate", body)
	requireJSON(t, got, 200)
	answer := decode[struct {
		Valid             bool
		Points, Protected []string
		Estimate          struct{ Calls, Hit, Customers, CustomersHit int }
	}](t, got)
	require.True(t, answer.Valid)
	require.Equal(t, []string{"test:ratings"}, answer.Points)
	require.Equal(t, []string{"test:login"}, answer.Protected)
	require.Equal(t, struct{ Calls, Hit, Customers, CustomersHit int }{20, 10, 4, 2}, answer.Estimate)
	require.Empty(t, inj.Rules())
	problem := requireProblem(t, s.do("POST", "/v1/validate", `{"target":{"points":["ratings"]},"scope":{"percent":60},"fault":{"dely":{}}}`), 422, "urn:misfit:problem:invalid-rule")
	require.NotEmpty(t, problem.Errors)
	inj.Halt()
	requireProblem(t, s.do("POST", "/v1/validate", body), 409, "urn:misfit:problem:halted")
}

type auditPage struct {
	Entries []audit.Entry
	Next    uint64
}

func TestEverythingIsOnRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	log, _, err := audit.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = log.Close() })
	inj := fault.New("checkout")
	s := newSite(t, inj, control.WithAudit(log))
	requireJSON(t, s.do("PUT", "/v1/rules/r", slow), 201)
	requireJSON(t, s.do("POST", "/v1/rules/r/widen", `{"scope":{"percent":5}}`), 200)
	require.Equal(t, 422, s.do("PUT", "/v1/rules/r", `{}`).status)
	require.Equal(t, 403, s.do("PUT", "/v1/rules/r", slow, "X-Forwarded-For", "10.0.0.1").status)
	require.Equal(t, 204, s.do("DELETE", "/v1/rules/r", "").status)
	requireJSON(t, s.do("POST", "/v1/halt", ""), 200)
	requireJSON(t, s.do("POST", "/v1/resume", ""), 200)

	got := s.do("GET", "/v1/audit", "")
	requireJSON(t, got, 200)
	page := decode[auditPage](t, got)
	type line struct{ action, rule, result, actor string }
	var lines []line
	for _, e := range page.Entries {
		lines = append(lines, line{e.Action, e.Rule, e.Result, e.Actor})
	}
	require.Equal(t, []line{
		{"resume", "", "done", "local"},
		{"halt", "", "done", "local"},
		{"rule.delete", "r", "done", "local"},
		{"rule.put", "r", "refused", ""},
		{"rule.put", "r", "refused", "local"},
		{"rule.widen", "r", "done", "local"},
		{"rule.put", "r", "done", "local"},
	}, lines)
	require.Contains(t, page.Entries[3].Detail, "only a caller on the same machine may write")
	require.Contains(t, string(page.Entries[5].Before), `"percent":1`)
	require.Contains(t, string(page.Entries[5].After), `"percent":5`)
	require.Contains(t, string(page.Entries[6].After), `"expires":"`, "what was given as a time to live")
	require.Zero(t, page.Next)

	// By pages, and by what is asked for.
	first := decode[auditPage](t, s.do("GET", "/v1/audit?limit=2", ""))
	require.Len(t, first.Entries, 2)
	second := decode[auditPage](t, s.do("GET", fmt.Sprintf("/v1/audit?limit=5&before=%d", first.Next), ""))
	require.Equal(t, page.Entries[2:], second.Entries)
	for query, want := range map[string]int{"rule=r": 5, "result=refused": 2, "action=halt": 1, "actor=local&rule=r": 4, "actor=nobody": 0} {
		require.Len(t, decode[auditPage](t, s.do("GET", "/v1/audit?"+query, "")).Entries, want, query)
	}
	for _, query := range []string{"limit=0", "limit=1001", "before=x", "rule=", "rule=a&rule=b", "unknown=1"} {
		requireProblem(t, s.do("GET", "/v1/audit?"+query, ""), 400, "urn:misfit:problem:invalid-query")
	}

	// The next process remembers.
	require.NoError(t, log.Close())
	again, _, err := audit.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { _ = again.Close() })
	later := newSite(t, fault.New("checkout"), control.WithAudit(again))
	require.Equal(t, page.Entries, decode[auditPage](t, later.do("GET", "/v1/audit", "")).Entries)
}

// Who is refused again and again does not fill the record.
func TestRefusalsOnRecordAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := control.New(fault.New("checkout"), control.ReadOnly())
		var wg sync.WaitGroup
		for range 8 { // all in the same second
			wg.Go(func() {
				for range 50 {
					if got := direct(h, local("POST", "/v1/halt", "")); got.status != http.StatusForbidden {
						t.Error(got.status)
					}
				}
			})
		}
		wg.Wait()
		got := direct(h, local("GET", "/v1/audit?limit=1000", ""))
		require.Len(t, decode[auditPage](t, got).Entries, 20, "of 400")
	})
}

// What cannot be put on record is not done, unless it takes faults back.
func TestHaltWithoutARecord(t *testing.T) {
	log, _, err := audit.Open(filepath.Join(t.TempDir(), "audit.jsonl"))
	require.NoError(t, err)
	inj := fault.New("checkout")
	s := newSite(t, inj, control.WithAudit(log))
	require.NoError(t, inj.Put(hole("h")))
	require.NoError(t, log.Close())
	requireProblem(t, s.do("PUT", "/v1/rules/r", slow), 503, "urn:misfit:problem:not-recorded")
	_, made := inj.Rule("r")
	require.False(t, made)
	require.Equal(t, 204, s.do("DELETE", "/v1/rules/h", "").status)
	requireJSON(t, s.do("POST", "/v1/halt", ""), 200)
	require.True(t, inj.Status().Halted)
	requireProblem(t, s.do("POST", "/v1/resume", ""), 503, "urn:misfit:problem:not-recorded")
	require.True(t, inj.Status().Halted)
	requireJSON(t, s.do("GET", "/v1/audit", ""), 200)
}
