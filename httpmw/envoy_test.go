package httpmw_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/stretchr/testify/require"
)

func TestEnvoyHeaders(t *testing.T) {
	inj := fault.New("shop")
	server := serve(t, httpmw.Middleware(inj, httpmw.EnvoyHeaders(fault.EnvoyHeaders{MaxDelay: time.Second, ThroughputPercent: -1}))(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "real") })))
	for name, test := range map[string]struct {
		headers map[string]string
		status  int
		body    string
		least   time.Duration
		problem string
	}{
		"none":                  {nil, 200, "real", 0, ""},
		"abort":                 {map[string]string{"abort-request": "503"}, 503, "fault filter abort", 0, ""},
		"abort with no content": {map[string]string{"abort-request": "204"}, 204, "", 0, ""},
		"abort in 0 %":          {map[string]string{"abort-request": "503", "abort-request-percentage": "0"}, 200, "real", 0, ""},
		"no status":             {map[string]string{"abort-request": "600"}, 200, "real", 0, "600 is outside 200 to 599"},
		"of gRPC, over HTTP":    {map[string]string{"abort-grpc-request": "14"}, 200, "fault filter abort", 0, ""},
		"delay":                 {map[string]string{"delay-request": "60"}, 200, "real", 60 * time.Millisecond, ""},
		"delay and abort":       {map[string]string{"delay-request": "60", "abort-request": "429"}, 429, "fault filter abort", 60 * time.Millisecond, ""},
		"over the ceiling":      {map[string]string{"delay-request": "1001"}, 200, "real", 0, "1001 ms is over the longest delay allowed here, 1s"},
		"forbidden":             {map[string]string{"throughput-response": "1"}, 200, "real", 0, "is not allowed here"},
	} {
		t.Run(name, func(t *testing.T) {
			before := inj.Status().Problems
			start := time.Now()
			resp, body := send(t, server.URL, "", func(r *http.Request) {
				for name, value := range test.headers {
					r.Header.Set("x-envoy-fault-"+name, value)
				}
			})
			require.Equal(t, test.status, resp.StatusCode)
			require.Equal(t, test.body, body)
			require.GreaterOrEqual(t, time.Since(start), test.least)
			require.Equal(t, test.problem != "", inj.Status().Problems > before)
			faulted := test.body != "real" || test.least > 0
			require.Equal(t, faulted, strings.HasPrefix(resp.Header.Get(httpmw.StatusHeader), `applied;rule="request-envoy-`), resp.Header)
		})
	}
	resp, _ := send(t, server.URL, "")
	require.Equal(t, 200, resp.StatusCode, "each is for its own request")
	require.Empty(t, resp.Header.Get(httpmw.StatusHeader))

	plain := serve(t, httpmw.Middleware(inj)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	resp, _ = send(t, plain.URL, "", func(r *http.Request) { r.Header.Set("x-envoy-fault-abort-request", "503") })
	require.Equal(t, 200, resp.StatusCode, "they are ignored unless the option is given")

	inj.Halt()
	resp, _ = send(t, server.URL, "", func(r *http.Request) { r.Header.Set("x-envoy-fault-abort-request", "503") })
	require.Equal(t, 200, resp.StatusCode)
	require.Contains(t, resp.Header.Get(httpmw.StatusHeader), "refused;")
}

// TestEnvoyThroughput has a body of 3 KiB come at 2 KiB a second.
func TestEnvoyThroughput(t *testing.T) {
	server := serve(t, httpmw.Middleware(fault.New("shop"), httpmw.EnvoyHeaders(fault.EnvoyHeaders{}))(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 3<<10)) })))
	start := time.Now()
	_, body := send(t, server.URL, "", func(r *http.Request) { r.Header.Set("x-envoy-fault-throughput-response", "2") })
	require.Len(t, body, 3<<10)
	require.GreaterOrEqual(t, time.Since(start), 400*time.Millisecond)
}
