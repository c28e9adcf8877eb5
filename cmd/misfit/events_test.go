package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// A stream can be read while it is written.
type stream struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *stream) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// A running is a command that goes on until it is interrupted.
type running struct {
	t        *testing.T
	out, err stream
	status   chan int
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("nothing can be interrupted there by its own process")
	}
	r := &running{t: t, status: make(chan int, 1)}
	go func() { r.status <- run(args, strings.NewReader(""), &r.out, &r.err) }()
	return r
}

// until waits for a text on standard output.
func (r *running) until(text string, meanwhile func()) {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		if meanwhile != nil {
			meanwhile()
		}
		return strings.Contains(r.out.String(), text)
	}, 30*time.Second, 20*time.Millisecond, "%s\n%s", text, &r.err)
}

// interrupt is Ctrl-C.
func (r *running) interrupt() int {
	r.t.Helper()
	self, err := os.FindProcess(os.Getpid())
	require.NoError(r.t, err)
	require.NoError(r.t, self.Signal(os.Interrupt))
	select {
	case status := <-r.status:
		return status
	case <-time.After(30 * time.Second):
		r.t.Fatal("it does not end")
		return -1
	}
}

func call(s service, customer string) {
	ctx := scope.With(testContext, scope.Request{ID: "r-1", Customer: customer})
	s.inj.Point("http.client", "ratings").Decide(ctx, fault.Operation{Verb: "GET", Name: "/ratings/7"}).Done()
}

func TestEvents(t *testing.T) {
	noEnvironment(t)
	shop, edge := serve(t, "shop", []string{"ratings"}), serve(t, "edge", nil)
	file := writeFile(t, "rules.yaml", rulesFile)
	done(t, "apply", "-f", file, "-url", shop.url)
	r := start(t, "events", "-url", shop.url, "-url", edge.url)
	r.until("hit", func() { call(shop, "42") })
	r.until("edge  audit    halt  done  by=local  ended 0 rules\n", func() { misfit("halt", "-url", edge.url) })
	require.Zero(t, r.interrupt(), r.err.String())
	require.Regexp(t, `(?m)^\d\d:\d\d:\d\d\.\d{3}Z  shop  hit      http\.client:ratings  GET /ratings/7  rule=one  customer=42  request=r-1  error\.class\.unavailable$`, r.out.String())
}

func TestEventsForScripts(t *testing.T) {
	noEnvironment(t)
	shop := serve(t, "shop", []string{"ratings"})
	done(t, "apply", "-f", writeFile(t, "rules.yaml", rulesFile), "-url", shop.url)
	r := start(t, "events", "-url", shop.url, "-o", "json", "-kind", "halt,hit")
	r.until("hit", func() { call(shop, "42") })
	done(t, "pause", "one", "-url", shop.url) // is not asked for
	done(t, "halt", "-url", shop.url)
	r.until("halt", nil)
	require.Zero(t, r.interrupt())
	for line := range strings.Lines(r.out.String()) {
		var e eventLine
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		require.Equal(t, shop.url, e.URL)
		require.Equal(t, "shop", e.Service)
		require.Contains(t, []string{"hit", "audit"}, e.Kind)
		require.NotContains(t, line, "rule.pause")
	}
}

// A stream that breaks off is taken up again, and nothing of the record is missed.
func TestEventsComeBack(t *testing.T) {
	noEnvironment(t)
	var mu sync.Mutex
	open := true
	var server *httptest.Server
	inj := fault.New("shop")
	next := http.Handler(control.New(inj))
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		ok, h := open, next
		mu.Unlock()
		if !ok && r.URL.Path == "/v1/events" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	}))
	set := func(to bool, h http.Handler) {
		mu.Lock()
		open = to
		if h != nil {
			next = h
		}
		mu.Unlock()
		server.CloseClientConnections()
	}
	defer func() {
		set(false, nil) // or a stream would keep the server from closing
		server.Close()
	}()
	r := start(t, "events", "-url", server.URL)
	r.until("halt", func() { misfit("halt", "-url", server.URL) })

	set(false, nil)
	before := r.out.String()
	done(t, "resume", "-url", server.URL)
	require.NotContains(t, before, "resume")
	set(true, nil)
	r.until("resume", nil)
	require.Equal(t, 1, strings.Count(r.out.String(), "resume"))

	// A service that begins a new record is followed from its beginning, although
	// this one is longer than what was read of the old.
	set(false, http.Handler(control.New(fault.New("shop"))))
	done(t, "apply", "-f", writeFile(t, "rules.yaml", rulesFile), "-url", server.URL)
	for range 20 {
		done(t, "halt", "-url", server.URL)
	}
	set(true, nil)
	r.until("rule=slow-ratings", nil)
	require.Contains(t, r.out.String(), "shop  anew     the service has begun a new record, of 2")
	require.Zero(t, r.interrupt())
	require.Contains(t, r.err.String(), "trying again in")
}

// Who asks for some of the record is told what of it there is not.
func TestEventsOfTheRecordInWords(t *testing.T) {
	require.Contains(t, eventView{Entries: 1}.line("shop", "missed"), "  shop  missed   1 entry of the record, forgotten before it could be shown")
	require.Contains(t, eventView{Entries: 7}.line("shop", "anew"), "  shop  anew     the service has begun a new record, of 7 entries so far; here it is from its front")
	for kind, want := range map[string]bool{"audit": true, "halt": true, "missed": true, "hit": false, "dropped": false} {
		c := eventsCommand{kinds: []string{kind}}
		require.Equal(t, want, c.wants("missed", eventView{Entries: 1}), kind)
	}
}

func TestEventsOfNobody(t *testing.T) {
	noEnvironment(t)
	down := refusing(t)
	r := misfit("events", "-url", down)
	require.Equal(t, 3, r.status)
	require.Contains(t, r.err, "connection refused")

	shop := serve(t, "shop", nil)
	some := start(t, "events", "-url", down+","+shop.url)
	some.until("halt", func() { misfit("halt", "-url", shop.url) })
	require.Zero(t, some.interrupt())
	require.Contains(t, some.err.String(), down)
}
