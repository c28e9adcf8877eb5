package endpoint

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func eventsIn(t *testing.T, text string) ([]Event, error) {
	t.Helper()
	var all []Event
	err := readEvents(strings.NewReader(text), func() {}, func(e Event) error {
		all = append(all, e)
		return nil
	})
	return all, err
}

func TestReadEvents(t *testing.T) {
	all, err := eventsIn(t, ": hello\n\nid: 7\nevent: audit\ndata: {\"a\":\ndata: 1}\n\nevent: hit\r\ndata:2\r\n\r\n"+
		"event: broken\ndata: {\n\nid: 7\\r\\nX-Evil: 1\nevent: x\ndata: 3\n\nid: 9f86-8\n\nid: 9\nevent: broken\ndata: {\n\nid: "+strings.Repeat("9", maxIDBytes+1)+"\n\nretry: 5\n\nevent: unfinished\ndata: 4\n")
	require.ErrorContains(t, err, "the stream ended")
	require.Equal(t, []Event{
		{"7", "audit", []byte("{\"a\":\n1}")},
		{"", "hit", []byte("2")},
		{"", "x", []byte("3")},
		{"9f86-8", "", nil},
		{"9", "broken", nil},
	}, all)

	_, err = eventsIn(t, "data: \""+strings.Repeat("x", maxEventBytes)+"\"\n\n")
	require.ErrorContains(t, err, "too long")
	_, err = eventsIn(t, strings.Repeat("data: "+strings.Repeat("1", 1000)+"\n", maxEventBytes/1000+1))
	require.ErrorContains(t, err, "more than")
}

func FuzzReadEvents(f *testing.F) {
	f.Add("id: 7\nevent: audit\ndata: {}\n\n")
	f.Add("data\r\n\r\n: \x00\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := eventsIn(t, text)
		require.Error(t, err)
		for _, e := range all {
			require.NotContains(t, e.ID, "\n")
			require.True(t, isID(e.ID))
			require.NotEmpty(t, e.ID+string(e.Data))
		}
	})
}

// A stream is taken up where it was, also if only that was said on it.
func TestFollowComesBackToWhereItWas(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var came []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		came = append(came, r.Header.Get("Last-Event-ID"))
		w.Header().Set("Content-Type", "text/event-stream")
		switch len(came) {
		case 1:
			fmt.Fprint(w, "id: 9f86-8\n\n")
		case 2:
			fmt.Fprint(w, "id: 9f86-9\nevent: audit\ndata: {}\n\nevent: hit\ndata: {}\n\n")
		default:
			fmt.Fprint(w, "event: hit\ndata: 3\n\n")
		}
	}))
	defer server.Close()
	client := New([]string{server.URL}, Config{Timeout: time.Minute})[0]
	var events []string
	err := client.Follow(ctx, func(e Event) error {
		events = append(events, e.Name)
		if string(e.Data) == "3" {
			cancel()
		}
		return nil
	}, func(error, time.Duration) {}, func() {})
	require.NoError(t, err)
	server.Close() // it has ended: what came can be read
	require.Equal(t, []string{"", "9f86-8", "9f86-9"}, came)
	require.Equal(t, []string{"audit", "hit", "hit"}, events)
}

// A stream on which nothing comes, not even a comment, is given up.
func TestFollowGivesUpOnSilence(t *testing.T) {
	defer func(d time.Duration) { quiet = d }(quiet)
	quiet = 50 * time.Millisecond
	var tries atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := tries.Add(1)
		w.Header().Set("Content-Type", "text/event-stream")
		if n > 1 { // or for good, where this one too was late
			fmt.Fprint(w, "event: hit\ndata: {}\n\n")
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := New([]string{server.URL}, Config{Timeout: time.Minute})[0]
	said := ""
	err := client.Follow(ctx, func(Event) error { cancel(); return nil }, func(err error, _ time.Duration) { said = err.Error() }, func() {})
	require.NoError(t, err)
	require.Contains(t, said, "nothing came for")
}

func TestEachIsBounded(t *testing.T) {
	var now, most atomic.Int32
	Each(make([]int, 100), 4, func(int, int) {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(time.Millisecond)
		now.Add(-1)
	})
	require.LessOrEqual(t, most.Load(), int32(4))
	require.Greater(t, most.Load(), int32(1))
}

func TestInTheOpen(t *testing.T) {
	for url, want := range map[string]bool{
		"http://shop:8080/x": true, "http://10.0.0.1": true, "https://shop": false,
		"http://localhost:1": false, "http://127.0.0.1": false, "http://[::1]:80/": false, "http://localhost.evil": true,
	} {
		require.Equal(t, want, InTheOpen(url), url)
	}
}
