package control_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
)

const prefix = "/debug/faults"

// slow is a good rule without an ID.
const slow = `{
	"target": {"points": ["ratings"]},
	"scope": {"percent": 1},
	"fault": {"delay": {"fixed": "250ms"}},
	"ttl": "10m"
}`

// A response is an answer, read to its end.
type response struct {
	status int
	header http.Header
	body   string
}

// A view is a rule as the endpoint shows it.
type view struct {
	Rule        fault.Rule        `json:"rule"`
	Source      string            `json:"source"`
	Points      []string          `json:"points"`
	Protected   []string          `json:"protected"`
	Unsupported []string          `json:"unsupported"`
	Hits        uint64            `json:"hits"`
	Skips       map[string]uint64 `json:"skips"`
	Held        int64             `json:"held"`
	Left        string            `json:"left"`
	Revision    uint64            `json:"revision"`
	Created     time.Time         `json:"created"`
	Updated     time.Time         `json:"updated"`
}

type problemDocument struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Path   string `json:"path"`
		Detail string `json:"detail"`
	} `json:"errors"`
}

func decode[T any](t *testing.T, r response) T {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal([]byte(r.body), &v), r.body)
	return v
}

// A site is a service with the handler mounted, listening on loopback.
type site struct {
	t      *testing.T
	inj    *fault.Injector
	url    string
	client *http.Client
}

func newSite(t *testing.T, inj *fault.Injector, options ...control.Option) *site {
	t.Helper()
	mux := http.NewServeMux()
	h := http.StripPrefix(prefix, control.New(inj, options...))
	mux.Handle(prefix, h)
	mux.Handle(prefix+"/", h)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	server.Client().Transport.(*http.Transport).MaxIdleConnsPerHost = 100
	return &site{t, inj, server.URL + prefix, server.Client()}
}

// serve is a site for benchmarks.
func serve(t testing.TB, inj *fault.Injector) (url string, client *http.Client) {
	server := httptest.NewServer(control.New(inj))
	t.Cleanup(server.Close)
	return server.URL, server.Client()
}

// do sends a request; header holds names and values by turns.
func (s *site) do(method, path, body string, header ...string) response {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	require.NoError(s.t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := s.client.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return response{resp.StatusCode, resp.Header, string(text)}
}

// direct calls the handler without a network in between.
func direct(h http.Handler, req *http.Request) response {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return response{rec.Code, rec.Header(), rec.Body.String()}
}

// local is a request as a caller on the same machine makes it.
func local(method, path, body string) *http.Request {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	req.RemoteAddr = "127.0.0.1:50000"
	req.Host = "localhost:8080"
	return req
}

// requireProblem holds an answer to the form of problem documents.
func requireProblem(t *testing.T, r response, status int, kind string) problemDocument {
	t.Helper()
	require.Equal(t, status, r.status, r.body)
	require.Equal(t, "application/problem+json", r.header.Get("Content-Type"))
	requireCommon(t, r)
	p := decode[problemDocument](t, r)
	require.Equal(t, status, p.Status)
	require.Equal(t, kind, p.Type)
	require.NotEmpty(t, p.Title)
	if kind == "about:blank" {
		require.Equal(t, http.StatusText(status), p.Title)
	}
	require.NotEmpty(t, p.Detail)
	return p
}

func requireCommon(t *testing.T, r response) {
	t.Helper()
	require.Equal(t, "no-store", r.header.Get("Cache-Control"))
	require.Equal(t, "nosniff", r.header.Get("X-Content-Type-Options"))
}

func requireJSON(t *testing.T, r response, status int) {
	t.Helper()
	require.Equal(t, status, r.status, r.body)
	require.Equal(t, "application/json", r.header.Get("Content-Type"))
	requireCommon(t, r)
}

// hole is a rule, put by code, that holds every call.
func hole(id string) fault.Rule {
	return fault.Rule{
		ID:     id,
		Target: fault.Target{Points: []string{"*"}},
		Scope:  scope.Everyone(),
		Fault:  fault.Fault{BlackHole: true},
		TTL:    time.Hour,
	}
}
