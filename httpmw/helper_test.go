package httpmw_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/propagation"
)

func carrier(h http.Header) propagation.HeaderCarrier { return propagation.HeaderCarrier(h) }

func rule(id, point string, what fault.Fault, edits ...func(*fault.Rule)) fault.Rule {
	r := fault.Rule{
		ID:     id,
		Target: fault.Target{Points: []string{point}},
		Scope:  scope.Everyone(),
		Fault:  what,
		TTL:    time.Hour,
	}
	for _, edit := range edits {
		edit(&r)
	}
	return r
}

func fail(class fault.Class) fault.Fault {
	return fault.Fault{Error: &fault.ErrorFault{Class: class}}
}

func only(s scope.Scope) func(*fault.Rule) { return func(r *fault.Rule) { r.Scope = s } }

func put(t testing.TB, inj *fault.Injector, rules ...fault.Rule) {
	t.Helper()
	require.NoError(t, inj.Put(rules...))
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

// get makes a call and returns the response with its body read.
func get(t *testing.T, rt http.RoundTripper, ctx context.Context, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := (&http.Client{Transport: rt}).Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// body is a request body that knows whether it was closed.
type body struct {
	mu     sync.Mutex
	closed int
}

func (b *body) Read([]byte) (int, error) { return 0, io.EOF }

func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed++
	return nil
}

func (b *body) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed > 0
}

func customer(name string) context.Context {
	return scope.With(context.Background(), scope.Request{Customer: name})
}
