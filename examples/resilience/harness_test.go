package resilience_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/misfit-go/misfit/httpmw"
)

// A rehearsal is a test of a test: what is found fails nobody, and is in the log.
type rehearsal struct {
	testing.TB
	mu  sync.Mutex
	log strings.Builder
}

func (r *rehearsal) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(&r.log, format+"\n", args...)
}

// rehearse runs a verification in a bubble, where minutes take no time, and holds that
// these flaws are found, and that the log has the text.
func rehearse(t *testing.T, want, text string, verify func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		rehearsal := &rehearsal{TB: t}
		t.Cleanup(func() {
			if t.Failed() {
				t.Log(rehearsal.log.String())
			}
		})
		findings := verify(rehearsal, faulttest.New(t))
		log := rehearsal.log.String()
		require.Equal(t, want, faulttest.FlawsOf(findings), log)
		require.Contains(t, log, text)
		require.Equal(t, len(findings), strings.Count(log, "\n"), log)
	})
}

// pipes is a network in memory: what a bubble has in place of sockets.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// dependency is a client of an HTTP service that answers with its own name, with the
// injection point "http.client:<name>" innermost.
func dependency(t testing.TB, inj *fault.Injector, name string) *http.Client {
	network := newPipes()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, name)
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(network) }()
	transport := &http.Transport{DialContext: network.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("the server of %s ended with %v", name, err)
		}
	})
	return &http.Client{Transport: httpmw.Transport(inj, name, transport)}
}
