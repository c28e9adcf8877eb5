package control_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/control/audit"
	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

// said is what of a stream is about the record: the names of events, with the
// actions of entries and the numbers of others, up to the action that is named.
func said(t *testing.T, s *site, lastID, until string) (all []string, id string) {
	t.Helper()
	id = readEvents(t, s, lastID, func(event, data string) bool {
		switch event {
		case "audit":
			action := decode[struct{ Action string }](t, response{body: data}).Action
			all = append(all, action)
			return action == until
		case "anew", "missed":
			all = append(all, fmt.Sprint(event, " ", decode[struct{ Entries int }](t, response{body: data}).Entries))
		}
		return false
	})
	return all, id
}

// at returns the ID of another entry of the same record.
func at(id string, seq int) string {
	record, _, _ := strings.Cut(id, "-")
	return fmt.Sprint(record, "-", seq)
}

func TestEventIDNamesTheRecord(t *testing.T) {
	old, s := newSite(t, fault.New("shop")), newSite(t, fault.New("shop"))
	requireJSON(t, old.do("POST", "/v1/halt", ""), 200)
	requireJSON(t, s.do("PUT", "/v1/rules/r", slow), 201)
	requireJSON(t, s.do("POST", "/v1/halt", ""), 200)
	all, id := said(t, s, "0", "halt")
	require.Equal(t, []string{"rule.put", "halt"}, all, "0 asks for all")
	_, other := said(t, old, "0", "halt")
	require.NotEqual(t, at(id, 1), other)

	for _, last := range []string{other, at(other, 100), at(id, 3), "1", "1000000"} {
		all, again := said(t, s, last, "halt")
		require.Equal(t, []string{"anew 2", "rule.put", "halt"}, all, "%s is of another record, longer or shorter", last)
		require.Equal(t, id, again)
	}
	all, _ = said(t, s, at(id, 1), "halt")
	require.Equal(t, []string{"halt"}, all)

	for _, bad := range []string{"x", "-1", "-", "1-", at(id, 1) + "x", at(id, -1), "9F86D081884C7D65-1", "9f86d081884c7d6-1", "18446744073709551616"} {
		got := s.do("GET", "/v1/events", "", "Last-Event-ID", bad)
		requireProblem(t, got, 400, "about:blank")
		require.Contains(t, got.body, "is not the ID of an event: give one as it came", bad)
	}
}

// A reader knows where it is before anything happens, so that it can come back.
func TestEventsSayWhereTheyBegin(t *testing.T) {
	s := newSite(t, fault.New("shop"))
	begin := func() string {
		n := 0
		return readEvents(t, s, "", func(event, _ string) bool {
			if event == "open" {
				s.inj.Report(fmt.Errorf("something odd"))
			}
			n++
			return n == 2
		})
	}
	empty := begin()
	require.Equal(t, "0", empty, "nothing tells it from other records")
	requireJSON(t, s.do("POST", "/v1/halt", ""), 200)
	all, id := said(t, s, empty, "halt")
	require.Equal(t, []string{"halt"}, all)
	require.Equal(t, id, begin())
}

// A file is one record, whichever process writes it, and another one after it is
// another.
func TestEventIDOfAFile(t *testing.T) {
	dir := t.TempDir()
	serve := func(name string, options ...audit.Option) (*site, *audit.Log) {
		log, _, err := audit.Open(filepath.Join(dir, name), options...)
		require.NoError(t, err)
		t.Cleanup(func() { log.Close() })
		return newSite(t, fault.New("shop"), control.WithAudit(log)), log
	}
	s, log := serve("a.jsonl")
	requireJSON(t, s.do("POST", "/v1/halt", ""), 200)
	_, id := said(t, s, "0", "halt")
	require.NoError(t, log.Close())

	s, log = serve("a.jsonl", audit.KeepInMemory(1))
	requireJSON(t, s.do("POST", "/v1/resume", ""), 200)
	all, id := said(t, s, id, "resume")
	require.Equal(t, []string{"resume"}, all)
	last := log.Status().Hash
	require.NoError(t, log.Close())

	s, _ = serve("b.jsonl", audit.Follows(last))
	for range 3 {
		requireJSON(t, s.do("POST", "/v1/halt", ""), 200)
	}
	requireJSON(t, s.do("POST", "/v1/resume", ""), 200)
	all, _ = said(t, s, id, "resume")
	require.Equal(t, []string{"anew 4", "halt", "halt", "halt", "resume"}, all)
}

// Whoever was away for more entries than are kept is told how many are missing.
func TestEventsTellWhatIsForgotten(t *testing.T) {
	const entries, kept = 12_000, 10_000
	log := audit.New()
	s := newSite(t, fault.New("shop"), control.WithAudit(log))
	requireJSON(t, s.do("POST", "/v1/halt", ""), 200)
	_, id := said(t, s, "0", "halt")
	for range entries {
		_, err := log.Append(audit.Entry{Action: "start", Result: "done"})
		require.NoError(t, err)
	}
	s = newSite(t, fault.New("shop"), control.WithAudit(log)) // which takes up the log as it is
	requireJSON(t, s.do("POST", "/v1/resume", ""), 200)
	all, again := said(t, s, id, "resume")
	require.Equal(t, fmt.Sprint("missed ", entries+1-kept), all[0])
	require.Len(t, all, 1+kept)
	require.Equal(t, at(id, entries+2), again)
}

// Entries that come to the handler late, since another handler of the same log or a
// disk had them first, are not passed over.
func TestEventsWaitForNoEntryInVain(t *testing.T) {
	log := audit.New()
	one, two := newSite(t, fault.New("shop"), control.WithAudit(log)), newSite(t, fault.New("shop"), control.WithAudit(log))
	requireJSON(t, one.do("POST", "/v1/halt", ""), 200)
	requireJSON(t, two.do("POST", "/v1/resume", ""), 200)
	all, _ := said(t, two, "0", "resume")
	require.Equal(t, []string{"halt", "resume"}, all)
}

// An entry is sent when it comes, and not with the next comment.
func TestEventsComeAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := control.New(fault.New("shop"))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stream := httptest.NewRecorder()
		go h.ServeHTTP(stream, httptest.NewRequestWithContext(ctx, "GET", "/v1/events", nil))
		synctest.Wait()
		for range 2 {
			before := strings.Count(stream.Body.String(), "event: audit")
			r := httptest.NewRequest("POST", "http://localhost/v1/halt", nil)
			r.RemoteAddr = "127.0.0.1:1"
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, r)
			require.Equal(t, 200, answer.Code, answer.Body)
			synctest.Wait()
			require.Equal(t, before+1, strings.Count(stream.Body.String(), "event: audit"))
		}
	})
}
