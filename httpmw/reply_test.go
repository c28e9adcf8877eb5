package httpmw_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/stretchr/testify/require"
)

func TestLostReply(t *testing.T) {
	for _, end := range []string{"client", "server"} {
		t.Run(end, func(t *testing.T) {
			inj := fault.New("svc")
			var served atomic.Int64
			server, _ := startServer(t, httpmw.Middleware(inj)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				served.Add(1)
				_, _ = io.WriteString(w, "done")
			})), false)
			var rt http.RoundTripper = &http.Transport{DisableKeepAlives: true}
			point := "http.server:*"
			if end == "client" {
				point = "ratings"
				rt = httpmw.Transport(inj, "ratings", rt)
			}
			client := &http.Client{Transport: rt}
			put(t, inj, rule("r", point, fault.Fault{LostReply: true}))
			_, err := client.Post(server.URL, "text/plain", strings.NewReader("order"))
			require.Error(t, err)
			require.EqualValues(t, 1, served.Load(), "the work was done")
			if end == "client" {
				require.ErrorIs(t, err, syscall.ECONNRESET)
				require.ErrorIs(t, err, fault.ErrInjected)
			}

			put(t, inj, rule("r", point, fault.Fault{LostReply: true, Error: &fault.ErrorFault{Class: fault.Unavailable}}))
			resp, err := client.Post(server.URL, "text/plain", strings.NewReader("order"))
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Equal(t, 503, resp.StatusCode)
			require.EqualValues(t, 2, served.Load())

			put(t, inj, rule("r", point, fault.Fault{LostReply: true, BlackHole: true}))
			ctx, cancel := context.WithCancel(context.Background())
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL, http.NoBody)
			require.NoError(t, err)
			failed := make(chan error)
			go func() {
				_, err := client.Do(req)
				failed <- err
			}()
			require.Eventually(t, func() bool { return ruleStatus(t, inj, "r").Held == 1 }, 10*time.Second, time.Millisecond)
			require.EqualValues(t, 3, served.Load())
			cancel()
			require.ErrorIs(t, <-failed, context.Canceled)
			require.Eventually(t, func() bool { return inj.Status().Held == 0 }, 10*time.Second, time.Millisecond)
		})
	}
}

func TestALostReplyIsFoundWhenTheRuleEnds(t *testing.T) {
	inj := fault.New("edge")
	server, rt := startServer(t, sender(false), false)
	put(t, inj, rule("r", "ratings", fault.Fault{LostReply: true, BlackHole: true}))
	body := make(chan string)
	go func() {
		resp, err := (&http.Client{Transport: httpmw.Transport(inj, "ratings", rt)}).Get(server.URL)
		if err != nil {
			body <- err.Error()
			return
		}
		defer resp.Body.Close()
		data, _ := io.ReadAll(resp.Body)
		body <- string(data)
	}()
	require.Eventually(t, func() bool { return ruleStatus(t, inj, "r").Held == 1 }, 10*time.Second, time.Millisecond)
	inj.Halt()
	require.Equal(t, string(content), <-body)
}

func TestDuplicate(t *testing.T) {
	var problems []error
	inj := fault.New("edge", fault.WithObserver(fault.ObserverFunc(func(e fault.Event) {
		if e.Kind == fault.Problem {
			problems = append(problems, e.Err)
		}
	})))
	var mu sync.Mutex
	var served []string
	server, rt := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		served = append(served, r.Method+" "+string(data))
		_, _ = io.WriteString(w, "answer")
	}), false)
	put(t, inj, rule("r", "ratings", fault.Fault{Duplicate: true}))
	client := &http.Client{Transport: httpmw.Transport(inj, "ratings", rt)}
	send := func(method string, body io.Reader) []string {
		served = nil
		req, err := http.NewRequest(method, server.URL, body)
		require.NoError(t, err)
		resp, err := client.Do(req)
		require.NoError(t, err)
		data, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "answer", string(data))
		mu.Lock()
		defer mu.Unlock()
		return served
	}
	require.Equal(t, []string{"GET ", "GET "}, send("GET", nil))
	require.Equal(t, []string{"PUT x", "PUT x"}, send("PUT", strings.NewReader("x")))
	require.Empty(t, problems)
	require.Equal(t, []string{"POST x"}, send("POST", strings.NewReader("x")))
	require.Equal(t, []string{"PUT x"}, send("PUT", io.MultiReader(strings.NewReader("x"))))
	require.Len(t, problems, 2)
	require.EqualError(t, errors.Join(problems...), "httpmw: request not duplicated: POST is not idempotent\nhttpmw: request not duplicated: its body can be read only once")
}
