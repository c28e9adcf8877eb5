package browser_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
)

const mount = "/debug/faults/"

// A service is one that calls others, and has a control endpoint.
type service struct {
	t      *testing.T
	inj    *fault.Injector
	server *httptest.Server
	page   string // its address

	calls  map[string]*http.Client // by point
	behind string                  // where the calls go
}

// serve starts a service with injection points of these names.
func serve(t *testing.T, names []string, guardrails fault.Guardrails, options ...control.Option) *service {
	t.Helper()
	return serveWith(t, names, []fault.Option{fault.WithGuardrails(guardrails)}, options...)
}

// serveWith is serve with options of the injector.
func serveWith(t *testing.T, names []string, injector []fault.Option, options ...control.Option) *service {
	t.Helper()
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	t.Cleanup(behind.Close)
	s := &service{t: t, inj: fault.New("checkout", injector...), calls: make(map[string]*http.Client), behind: behind.URL}
	for _, name := range names {
		s.calls[name] = &http.Client{Transport: httpmw.Transport(s.inj, name, nil), Timeout: 10 * time.Second}
	}
	mux := http.NewServeMux()
	mux.Handle(mount, http.StripPrefix(strings.TrimSuffix(mount, "/"), control.New(s.inj, options...)))
	s.listen(mux)
	s.page = s.server.URL + mount
	return s
}

func (s *service) listen(handler http.Handler) {
	s.server = httptest.NewServer(handler)
	s.t.Cleanup(func() {
		s.inj.Halt()
		s.server.CloseClientConnections() // the streams of events
		s.server.Close()
	})
}

// call makes one call at a point, on behalf of a customer, and returns its error.
func (s *service) call(point, customer, path string) error {
	req, err := http.NewRequest(http.MethodGet, s.behind+path, nil)
	require.NoError(s.t, err)
	ctx := scope.With(s.t.Context(), scope.Request{ID: "r-" + customer, Customer: customer})
	resp, err := s.calls[point].Do(req.WithContext(ctx))
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// flow makes calls at every point until the test ends, as customers c-000 to c-019.
func (s *service) flow() {
	for point := range s.calls {
		go keepOn(s.t.Context(), 40*time.Millisecond, func(i int) {
			_ = s.call(point, customer(i%20), "/items/"+strconv.Itoa(i%7)) // some are to fail
		})
	}
}

func customer(i int) string { return "c-" + strconv.Itoa(1000 + i)[1:] }

// keepOn calls f again and again until ctx ends.
func keepOn(ctx context.Context, every time.Duration, f func(i int)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f(i)
		}
	}
}

// An operator uses the API, beside somebody with the page.
type operator struct {
	t    *testing.T
	base string // of the API, with a slash at its end
}

// do makes a request and decodes the answer, which must have this status.
func (o operator) do(method, path, body string, want int, answer any) http.Header {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), method, o.base+path, strings.NewReader(body))
	require.NoError(o.t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(o.t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(o.t, errors.Join(err, resp.Body.Close()))
	require.Equal(o.t, want, resp.StatusCode, "%s %s: %s", method, path, bytes.TrimSpace(text))
	if answer != nil {
		require.NoError(o.t, json.Unmarshal(text, answer), "%s", text)
	}
	return resp.Header
}

// A liveRule is what the API says about a rule. It says more.
type liveRule struct {
	Rule fault.Rule `json:"rule"`
	Hits int        `json:"hits"`
}

func (o operator) rule(id string) (live liveRule) {
	o.t.Helper()
	o.do(http.MethodGet, "v1/rules/"+id, "", http.StatusOK, &live)
	return live
}

func (o operator) put(id, rule string) {
	o.t.Helper()
	o.do(http.MethodPut, "v1/rules/"+id, rule, http.StatusCreated, nil)
}

// An entry is what is on record. There is more.
type entry struct {
	Actor, Action, Rule, Result string
}

// record returns what is on record, newest first.
func (o operator) record(query string) []entry {
	o.t.Helper()
	var page struct{ Entries []entry }
	o.do(http.MethodGet, "v1/audit"+query, "", http.StatusOK, &page)
	return page.Entries
}
