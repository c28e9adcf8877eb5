package control_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
)

func TestPutMakesEditsAndDeletes(t *testing.T) {
	inj := fault.New("checkout")
	point := inj.Point("test", "ratings")
	s := newSite(t, inj)
	const body = `{"id":"r","note":%q,"target":{"points":["ratings"]},"scope":{"percent":100},"fault":{"error":{"class":"refused"}},"ttl":"10m"}`

	made := s.do("PUT", "/v1/rules/r", fmt.Sprintf(body, "one"), "Content-Type", "application/json; charset=utf-8", "If-None-Match", "*")
	requireJSON(t, made, 201)
	require.Equal(t, `"1"`, made.header.Get("ETag"))
	first := decode[view](t, made)
	require.Equal(t, "one", first.Rule.Note)
	require.Equal(t, []string{"test:ratings"}, first.Points)
	require.ErrorIs(t, point.Inject(t.Context(), fault.Operation{}), fault.ErrInjected, "in force once answered")

	edited := s.do("PUT", "/v1/rules/r", fmt.Sprintf(body, "two"), "If-Match", `"1"`)
	requireJSON(t, edited, 200)
	require.Equal(t, `"2"`, edited.header.Get("ETag"))
	second := decode[view](t, edited)
	require.Equal(t, "two", second.Rule.Note)
	require.EqualValues(t, 1, second.Hits, "an edit keeps the counters")
	require.Equal(t, first.Created, second.Created)
	require.True(t, second.Updated.After(first.Updated))

	gone := s.do("DELETE", "/v1/rules/r", "", "If-Match", `"2"`)
	require.Equal(t, 204, gone.status)
	require.Empty(t, gone.body)
	require.Empty(t, gone.header.Get("Content-Type"))
	requireCommon(t, gone)
	require.NoError(t, point.Inject(t.Context(), fault.Operation{}))
	requireProblem(t, s.do("GET", "/v1/rules/r", ""), 404, "about:blank")
	requireProblem(t, s.do("DELETE", "/v1/rules/r", ""), 404, "about:blank")

	again := s.do("PUT", "/v1/rules/r", fmt.Sprintf(body, "three"))
	requireJSON(t, again, 201)
	require.Equal(t, `"3"`, again.header.Get("ETag"), "a revision never comes twice")
	require.True(t, decode[view](t, again).Created.After(second.Updated))
}

func TestPreconditions(t *testing.T) {
	const none, ours, theirs = "absent", "ours", "theirs"
	tests := []struct {
		method, id, header, value string
		status                    int
	}{
		{"PUT", ours, "If-Match", `"1"`, 200},
		{"PUT", ours, "If-Match", `*`, 200},
		{"PUT", ours, "If-Match", `"9", "1"`, 200},
		{"PUT", ours, "If-Match", `"9" ,, "1" ,`, 200},
		{"PUT", ours, "If-Match", `"2"`, 412},
		{"PUT", ours, "If-Match", `"11"`, 412},
		{"PUT", ours, "If-Match", `W/"1"`, 412}, // weak tags never match here
		{"PUT", ours, "If-Match", `1`, 400},
		{"PUT", ours, "If-Match", ``, 400},
		{"PUT", ours, "If-Match", `"1`, 400},
		{"PUT", ours, "If-Match", `"1""2"`, 400},
		{"PUT", ours, "If-Match", `*, "1"`, 400},
		{"PUT", ours, "If-None-Match", `*`, 412},
		{"PUT", ours, "If-None-Match", `"1"`, 412},
		{"PUT", ours, "If-None-Match", `W/"1"`, 412},
		{"PUT", ours, "If-None-Match", `"2"`, 200},
		{"PUT", ours, "If-None-Match", `W/`, 400},
		{"PUT", none, "If-None-Match", `*`, 201},
		{"PUT", none, "If-Match", `*`, 412},
		{"PUT", none, "If-Match", `"1"`, 412},
		{"PUT", none, "If-Match", `""`, 412},
		{"PUT", theirs, "If-Match", `"1"`, 409},
		{"PUT", theirs, "If-None-Match", `*`, 409},
		{"DELETE", ours, "If-Match", `"1"`, 204},
		{"DELETE", ours, "If-Match", `*`, 204},
		{"DELETE", ours, "If-Match", `"2"`, 412},
		{"DELETE", ours, "If-Match", `1`, 400},
		{"DELETE", theirs, "If-Match", `*`, 204},
		{"DELETE", theirs, "If-Match", `"1"`, 412}, // it is not what the caller has read
		{"DELETE", none, "If-Match", `"1"`, 404},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.method, " ", tt.id, " ", tt.header, " ", tt.value), func(t *testing.T) {
			inj := fault.New("checkout")
			h := control.New(inj)
			require.Equal(t, 201, direct(h, local("PUT", "/v1/rules/ours", slow)).status)
			require.NoError(t, inj.Put(hole("theirs")))

			req := local(tt.method, "/v1/rules/"+tt.id, slow)
			req.Header.Set(tt.header, tt.value)
			got := direct(h, req)
			require.Equal(t, tt.status, got.status, got.body)
			if tt.status >= 400 {
				require.Len(t, inj.Rules(), 2)
				require.Equal(t, `"1"`, direct(h, local("GET", "/v1/rules/ours", "")).header.Get("ETag"), "a refusal changes nothing")
			}
		})
	}
}

func TestRuleOfCodeIsKeptButCanBeDeleted(t *testing.T) {
	inj := fault.New("checkout")
	s := newSite(t, inj)
	require.NoError(t, inj.Put(hole("by-code")))

	p := requireProblem(t, s.do("PUT", "/v1/rules/by-code", slow), 409, "urn:misfit:problem:owned")
	require.Contains(t, p.Detail, `"by-code" was put by "code"`)
	status, ok := inj.Rule("by-code")
	require.True(t, ok)
	require.True(t, status.Rule.Fault.BlackHole)

	require.Equal(t, 204, s.do("DELETE", "/v1/rules/by-code", "").status)
	require.Empty(t, inj.Rules())
	requireJSON(t, s.do("PUT", "/v1/rules/by-code", slow), 201)
}

// A record must not outlive its rule and adorn another one of the same name.
func TestRuleTakenOverByCode(t *testing.T) {
	inj := fault.New("checkout")
	s := newSite(t, inj)
	requireJSON(t, s.do("PUT", "/v1/rules/r", slow), 201)
	require.True(t, inj.Delete("r"))
	require.NoError(t, inj.Put(hole("r")))

	got := s.do("GET", "/v1/rules/r", "")
	require.Empty(t, got.header.Get("ETag"))
	require.Zero(t, decode[view](t, got).Revision)
	requireProblem(t, s.do("PUT", "/v1/rules/r", slow, "If-Match", `"1"`), 409, "urn:misfit:problem:owned")
	requireProblem(t, s.do("DELETE", "/v1/rules/r", "", "If-Match", `"1"`), 412, "about:blank")

	require.True(t, inj.Delete("r"))
	made := s.do("PUT", "/v1/rules/r", slow)
	requireJSON(t, made, 201)
	v := decode[view](t, made)
	require.Equal(t, v.Created, v.Updated)
}

// What is known of a rule that is gone is forgotten when a writer passes, or
// it would pile up, and tell of another rule under the same source.
func TestRecordsOfGoneRulesAreDropped(t *testing.T) {
	inj := fault.New("checkout")
	s := newSite(t, inj)
	for _, id := range []string{"a", "b", "c"} {
		requireJSON(t, s.do("PUT", "/v1/rules/"+id, slow), 201)
	}
	require.True(t, inj.Delete("a"))
	require.Equal(t, 204, s.do("DELETE", "/v1/rules/c", "").status)
	for _, id := range []string{"a", "c"} {
		require.NoError(t, inj.Source(control.Source).Put(hole(id)))
		require.Empty(t, s.do("GET", "/v1/rules/"+id, "").header.Get("ETag"))
	}
	require.Equal(t, `"2"`, s.do("GET", "/v1/rules/b", "").header.Get("ETag"))
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("checkout")
		h := control.New(inj)
		made := direct(h, local("PUT", "/v1/rules/r", slow))
		require.Equal(t, 201, made.status, made.body)
		require.Equal(t, "10m0s", decode[view](t, made).Left)

		time.Sleep(48 * time.Second)
		require.Equal(t, "9m12s", decode[view](t, direct(h, local("GET", "/v1/rules/r", ""))).Left)
		time.Sleep(9*time.Minute + 11*time.Second + 750*time.Millisecond)
		require.Equal(t, "250ms", decode[view](t, direct(h, local("GET", "/v1/rules/r", ""))).Left)
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()

		require.Equal(t, 404, direct(h, local("GET", "/v1/rules/r", "")).status)
		require.JSONEq(t, `{"halted":false,"rules":[]}`, direct(h, local("GET", "/v1/rules", "")).body)
		require.Equal(t, 404, direct(h, local("DELETE", "/v1/rules/r", "")).status)
		req := local("PUT", "/v1/rules/r", slow)
		req.Header.Set("If-Match", `"1"`)
		require.Equal(t, 412, direct(h, req).status, "nothing is left to edit")

		again := direct(h, local("PUT", "/v1/rules/r", slow))
		require.Equal(t, 201, again.status)
		require.Equal(t, `"2"`, again.header.Get("ETag"))
		require.Equal(t, decode[view](t, again).Created, decode[view](t, again).Updated)
		inj.Halt() // stops the clean-up timer
	})
}

// A rule may be gone before it can be shown. It was taken all the same.
func TestRuleThatEndsAtOnce(t *testing.T) {
	inj := fault.New("checkout")
	h := control.New(inj)
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for !done.Load() {
				inj.Delete("r")
			}
		})
	}
	gone := 0
	for stop := time.Now().Add(10 * time.Second); gone < 5 && time.Now().Before(stop); {
		got := direct(h, local("PUT", "/v1/rules/r", slow))
		if got.status != 200 && got.status != 201 {
			t.Error(got.status, got.body)
			break
		}
		if got.header.Get("ETag") == "" {
			gone++
		}
		v := decode[view](t, got)
		if v.Source != control.Source || v.Rule.ID != "r" || v.Rule.TTL != 0 || v.Rule.Validate() != nil {
			t.Error(got.body)
			break
		}
	}
	done.Store(true)
	wg.Wait()
	if gone == 0 {
		t.Log("no rule was gone that soon on this machine")
	}
}

func TestHaltReleasesHeldCalls(t *testing.T) {
	inj := fault.New("checkout")
	point := inj.Point("test", "dep")
	s := newSite(t, inj)
	requireJSON(t, s.do("PUT", "/v1/rules/hole", `{"target":{"points":["dep"]},"scope":{"percent":100},"fault":{"blackHole":true},"ttl":"1h"}`), 201)
	require.NoError(t, inj.Put(hole("other")))

	const calls = 20
	released := make(chan error, calls)
	for range calls {
		go func() { released <- point.Inject(t.Context(), fault.Operation{}) }()
	}
	require.Eventually(t, func() bool {
		return strings.Contains(s.do("GET", "/v1/status", "").body, fmt.Sprintf(`"held":%d,`, calls))
	}, 10*time.Second, time.Millisecond)
	require.EqualValues(t, calls, decode[view](t, s.do("GET", "/v1/rules/hole", "")).Held)

	type halted struct {
		Halted *bool
		Ended  []fault.Rule
	}
	got := s.do("POST", "/v1/halt", "any text")
	requireJSON(t, got, 200)
	answer := decode[halted](t, got)
	require.True(t, *answer.Halted)
	require.Len(t, answer.Ended, 2)
	for range calls {
		require.NoError(t, <-released)
	}
	require.Contains(t, s.do("GET", "/v1/status", "").body, `"halted":true,"rules":0,"points":1,"held":0,`)
	require.JSONEq(t, `{"halted":true,"rules":[]}`, s.do("GET", "/v1/rules", "").body)

	requireProblem(t, s.do("PUT", "/v1/rules/hole", slow), 409, "urn:misfit:problem:halted")
	requireProblem(t, s.do("PUT", "/v1/rules/hole", slow, "If-Match", `"1"`), 409, "urn:misfit:problem:halted")
	require.JSONEq(t, `{"halted":true,"ended":[]}`, s.do("POST", "/v1/halt", "").body, "again")
	require.JSONEq(t, `{"halted":false}`, s.do("POST", "/v1/resume", "").body)
	require.JSONEq(t, `{"halted":false}`, s.do("POST", "/v1/resume", "").body, "again")
	require.Empty(t, inj.Rules(), "nothing comes back by itself")
	requireJSON(t, s.do("PUT", "/v1/rules/hole", slow), 201)
}

// stuck is a body that never arrives.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { panic("halt waits for the body") }

func TestHaltWaitsForNoBody(t *testing.T) {
	req := local("POST", "/v1/halt", "")
	req.Body = io.NopCloser(stuck{})
	require.Equal(t, 200, direct(control.New(fault.New("checkout")), req).status)
}

func TestBrokenBody(t *testing.T) {
	req := local("PUT", "/v1/rules/r", "")
	req.Body = io.NopCloser(io.MultiReader(strings.NewReader("{"), broken{}))
	requireProblem(t, direct(control.New(fault.New("checkout")), req), http.StatusBadRequest, "about:blank")
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
