package control_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

// held fills an injector with rules and with calls that they hold.
func held(t testing.TB, inj *fault.Injector, rules, calls int) (released *sync.WaitGroup) {
	point := inj.Point("test", "ratings")
	batch := make([]fault.Rule, rules)
	for i := range batch {
		batch[i] = fault.Rule{
			ID:     fmt.Sprint("rule-", i),
			Target: fault.Target{Points: []string{"ratings"}},
			Scope:  scope.Customers(fmt.Sprint("customer-", i)),
			Fault:  fault.Fault{BlackHole: true},
			TTL:    time.Hour,
		}
	}
	require.NoError(t, inj.Put(batch...))
	released = new(sync.WaitGroup)
	for i := range calls {
		ctx := scope.With(context.Background(), scope.Request{Customer: fmt.Sprint("customer-", i%rules)})
		released.Go(func() { _ = point.Inject(ctx, fault.Operation{}) })
	}
	require.Eventually(t, func() bool { return inj.Status().Held == int64(calls) }, time.Minute, time.Millisecond)
	return released
}

// TestHaltReleasesEverything has 10,000 rules hold 10,000 calls and halts over
// HTTP. BenchmarkHalt measures it.
func TestHaltReleasesEverything(t *testing.T) {
	inj := fault.New("checkout")
	s := newSite(t, inj)
	released := held(t, inj, 10_000, 10_000)
	start := time.Now()
	got := s.do("POST", "/v1/halt", "")
	acknowledged := time.Since(start)
	released.Wait()
	all := time.Since(start)
	requireJSON(t, got, 200)
	t.Logf("acknowledged after %v, all 10,000 calls released after %v", acknowledged, all)
	require.Zero(t, inj.Status().Held)
	require.Empty(t, inj.Rules())
	require.Len(t, decode[struct{ Ended []fault.Rule }](t, got).Ended, 10_000)
}

// BenchmarkHalt is the time from the request to the answer, and to the release of
// the last of 10,000 calls held by 10,000 rules.
func BenchmarkHalt(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		inj := fault.New("checkout")
		url, client := serve(b, inj)
		released := held(b, inj, 10_000, 10_000)
		b.StartTimer()
		start := time.Now()
		resp, err := client.Post(url+"/v1/halt", "", nil)
		require.NoError(b, err)
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms/acknowledged")
		require.NoError(b, resp.Body.Close())
		released.Wait()
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms/released")
	}
}

// TestWritersAndReadersTogether has 100 writers and 100 readers of events at once.
func TestWritersAndReadersTogether(t *testing.T) {
	duration := 10 * time.Second
	if testing.Short() {
		duration = time.Second
	}
	inj := fault.New("checkout")
	point := inj.Point("test", "ratings")
	s := newSite(t, inj)
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var wg sync.WaitGroup
	var writes, audits atomic.Int64
	for i := range 100 {
		wg.Go(func() { // a reader; every tenth never reads
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v1/events", nil)
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				return
			}
			defer resp.Body.Close()
			if i%10 == 0 {
				<-ctx.Done()
				return
			}
			lines := bufio.NewScanner(resp.Body)
			for lines.Scan() {
				if lines.Text() == "event: audit" {
					audits.Add(1)
				}
			}
		})
		wg.Go(func() { // a writer
			body := fmt.Sprintf(`{"target":{"points":["ratings"]},"scope":{"customers":["c-%d"]},"fault":{"error":{"class":"refused"}},"ttl":"10m"}`, i)
			who := scope.With(t.Context(), scope.Request{Customer: fmt.Sprint("c-", i)})
			for ctx.Err() == nil {
				if got := s.do("PUT", fmt.Sprint("/v1/rules/r-", i), body); got.status >= 300 {
					t.Error(got.status, got.body)
					return
				}
				writes.Add(1)
				if point.Inject(who, fault.Operation{}) == nil {
					t.Error("a rule that was acknowledged is not in force")
					return
				}
			}
		})
	}
	wg.Wait()
	require.Greater(t, writes.Load(), int64(100))
	require.Greater(t, audits.Load(), int64(0))
	entries := decode[auditPage](t, s.do("GET", "/v1/audit?limit=1", "")).Entries
	require.EqualValues(t, writes.Load(), entries[0].Seq, "each write is on record")
	require.Len(t, inj.Rules(), 100)
	t.Logf("%d writes, %d entries read", writes.Load(), audits.Load())
}

// readEvents reads a stream of events until the reader says that it has enough, and
// returns the last ID.
func readEvents(t *testing.T, s *site, lastID string, enough func(event, data string) bool) (id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/v1/events", nil)
	require.NoError(t, err)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := s.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	var event string
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch {
		case name == "id":
			id = value
		case name == "event":
			event = value
		case name == "data":
			if enough(event, value) {
				return id
			}
		case strings.HasPrefix(lines.Text(), ": events of"):
			if enough("open", "") {
				return id
			}
		}
	}
	t.Fatal("the stream ended: ", lines.Err())
	return id
}

func TestEvents(t *testing.T) {
	inj := fault.New("checkout")
	point := inj.Point("test", "ratings")
	s := newSite(t, inj)
	requireJSON(t, s.do("PUT", "/v1/rules/before", slow), 201)
	var got []string
	last := readEvents(t, s, "", func(event, data string) bool {
		switch event {
		case "open":
			requireJSON(t, s.do("PUT", "/v1/rules/r", `{"target":{"points":["ratings"]},"scope":{"percent":100},"fault":{"error":{"class":"refused"}},"ttl":"10m"}`), 201)
			_ = point.Inject(scope.With(t.Context(), scope.Request{ID: "id", Customer: "<b>42</b>\n"}), fault.Operation{Verb: "GET", Name: "/x"})
			inj.Report(errors.New("something odd"))
		case "audit":
			require.Contains(t, data, `"action":"rule.put","rule":"r"`, "nothing of what was before")
			got = append(got, event)
		case "hit":
			require.Contains(t, data, `"point":"test:ratings","operation":"GET /x","rule":"r","source":"api","request":"id","customer":"\u003cb\u003e42\u003c/b\u003e\n"`)
			got = append(got, event)
		case "problem":
			require.Contains(t, data, `"error":"something odd"`)
			got = append(got, event)
		}
		return len(got) == 3
	})
	require.ElementsMatch(t, []string{"audit", "hit", "problem"}, got)

	// Somebody who was away gets what is on record since then.
	requireJSON(t, s.do("POST", "/v1/halt", ""), 200)
	var actions []string
	require.Regexp(t, `^[0-9a-f]{16}-2$`, last)
	readEvents(t, s, strings.TrimSuffix(last, "2")+"1", func(event, data string) bool {
		if event == "audit" {
			actions = append(actions, decode[struct{ Action string }](t, response{body: data}).Action)
		}
		return len(actions) == 2
	})
	require.Equal(t, []string{"rule.put", "halt"}, actions)
}

// What a reader does not get is counted: nothing is lost unsaid.
func TestASlowReaderIsToldWhatItMissed(t *testing.T) {
	const calls = 20_000
	inj := fault.New("checkout")
	point := inj.Point("test", "ratings")
	s := newSite(t, inj)
	require.NoError(t, inj.Put(fault.Rule{
		ID: "r", Target: fault.Target{Points: []string{"ratings"}}, Scope: scope.Everyone(),
		Fault: fault.Fault{Error: &fault.ErrorFault{Class: fault.Refused}}, TTL: time.Hour,
	}))
	hits, missed := 0, 0
	readEvents(t, s, "", func(event, data string) bool {
		switch event {
		case "open":
			for range calls { // quicker than anybody writes
				_ = point.Inject(t.Context(), fault.Operation{})
			}
		case "hit":
			hits++
		case "dropped":
			missed += decode[struct{ Events int }](t, response{body: data}).Events
		}
		return hits+missed == calls
	})
	t.Logf("%d read, %d missed", hits, missed)
	require.Greater(t, hits, 0)
}
