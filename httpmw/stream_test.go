package httpmw_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/stretchr/testify/require"
)

const size = 100_000

var content = bytes.Repeat([]byte("0123456789"), size/10)

// protocols are the ways a body travels.
var protocols = []struct {
	name    string
	http2   bool
	chunked bool
}{{"HTTP/1.1 with length", false, false}, {"HTTP/1.1 chunked", false, true}, {"HTTP/2 with length", true, false}, {"HTTP/2 without", true, true}}

// startServer serves h over HTTP/1.1, or HTTP/2 with TLS.
func startServer(t *testing.T, h http.Handler, http2 bool) (*httptest.Server, http.RoundTripper) {
	server := httptest.NewUnstartedServer(h)
	if http2 {
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server, server.Client().Transport
}

func sender(chunked bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if chunked {
			_ = http.NewResponseController(w).Flush()
		} else {
			w.Header().Set("Content-Length", strconv.Itoa(size))
		}
		_, _ = w.Write(content)
	})
}

func inResponse(s fault.StreamFault) fault.Fault { return fault.Fault{Stream: &s} }

func inRequest(s fault.StreamFault) fault.Fault {
	s.Direction = fault.Request
	return fault.Fault{Stream: &s}
}

func TestResponseIsCut(t *testing.T) {
	const after = 12_345
	for _, protocol := range protocols {
		// As a real connection that is lost does it: the server drops it.
		t.Run("really/"+protocol.name, func(t *testing.T) {
			server, rt := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if !protocol.chunked {
					w.Header().Set("Content-Length", "100000")
				}
				_, _ = w.Write(content[:after])
				_ = http.NewResponseController(w).Flush()
				if protocol.http2 {
					panic(http.ErrAbortHandler)
				}
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					panic(err)
				}
				_ = conn.Close()
			}), protocol.http2)
			resp, err := (&http.Client{Transport: rt}).Get(server.URL)
			require.NoError(t, err)
			_, err = io.ReadAll(resp.Body)
			require.Error(t, err)
			if !protocol.http2 { // an aborted HTTP/2 stream is reset, a lost connection is not
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			}
		})
		t.Run("by the client/"+protocol.name, func(t *testing.T) {
			server, rt := startServer(t, sender(protocol.chunked), protocol.http2)
			inj := fault.New("edge")
			put(t, inj, rule("r", "ratings", inResponse(fault.StreamFault{After: after, Cut: true}), concurrently(1)))
			client := &http.Client{Transport: httpmw.Transport(inj, "ratings", rt)}
			for range 3 { // the slot comes back with the body
				resp, err := client.Get(server.URL)
				require.NoError(t, err)
				got, err := io.ReadAll(resp.Body)
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				require.ErrorIs(t, err, fault.ErrInjected)
				require.Equal(t, content[:after], got)
				_, again := resp.Body.Read(make([]byte, 1))
				require.Equal(t, err, again)
				require.NoError(t, resp.Body.Close())
			}
			require.EqualValues(t, 3, ruleStatus(t, inj, "r").Hits)
		})
		t.Run("by the server/"+protocol.name, func(t *testing.T) {
			inj := fault.New("product")
			const after = 123 // less than any buffer on the way
			put(t, inj, rule("r", "http.server:*", inResponse(fault.StreamFault{After: after, Cut: true})))
			server, rt := startServer(t, httpmw.Middleware(inj)(sender(protocol.chunked)), protocol.http2)
			resp, err := (&http.Client{Transport: rt}).Get(server.URL)
			require.NoError(t, err)
			got, err := io.ReadAll(resp.Body)
			require.Error(t, err)
			if !protocol.http2 {
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			}
			require.Equal(t, content[:after], got)
		})
	}
}

func concurrently(n int) func(*fault.Rule) {
	return func(r *fault.Rule) { r.Limits.Concurrent = n }
}

func TestACutBehindTheEndIsNone(t *testing.T) {
	server, rt := startServer(t, sender(false), false)
	inj := fault.New("edge")
	put(t, inj, rule("r", "ratings", inResponse(fault.StreamFault{After: size, Cut: true})))
	_, body := get(t, httpmw.Transport(inj, "ratings", rt), context.Background(), server.URL)
	require.Equal(t, string(content), body)
}

func TestRequestIsCut(t *testing.T) {
	const after = 12_345
	for _, protocol := range protocols {
		for _, end := range []string{"client", "server"} {
			t.Run(end+"/"+protocol.name, func(t *testing.T) {
				var mu sync.Mutex
				var seen error
				var got int
				done := make(chan struct{})
				handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					defer close(done)
					data, err := io.ReadAll(r.Body)
					mu.Lock()
					defer mu.Unlock()
					seen, got = err, len(data)
				})
				inj := fault.New("svc")
				server, rt := startServer(t, httpmw.Middleware(inj)(handler), protocol.http2)
				point := "http.server:*"
				if end == "client" {
					point = "ratings"
					rt = httpmw.Transport(inj, "ratings", rt)
				}
				put(t, inj, rule("r", point, inRequest(fault.StreamFault{After: after, Cut: true})))
				var sent io.Reader = bytes.NewReader(content)
				if protocol.chunked {
					sent = io.MultiReader(sent) // of unknown length
				}
				req, err := http.NewRequest(http.MethodPost, server.URL, sent)
				require.NoError(t, err)
				resp, err := rt.RoundTrip(req)
				if end == "client" {
					require.ErrorIs(t, err, fault.ErrInjected)
					require.ErrorIs(t, err, syscall.EPIPE)
				} else {
					require.NoError(t, err)
					require.NoError(t, resp.Body.Close())
				}
				<-done
				mu.Lock()
				defer mu.Unlock()
				require.Error(t, seen)
				if end == "server" || !protocol.http2 {
					require.ErrorIs(t, seen, io.ErrUnexpectedEOF)
				}
				require.LessOrEqual(t, got, after)
			})
		}
	}
}

func TestCorrupt(t *testing.T) {
	for _, end := range []string{"client", "server"} {
		inj := fault.New("svc")
		server, rt := startServer(t, httpmw.Middleware(inj)(sender(false)), false)
		point := "http.server:*"
		if end == "client" {
			point = "ratings"
			rt = httpmw.Transport(inj, "ratings", rt)
		}
		put(t, inj, rule("r", point, inResponse(fault.StreamFault{Corrupt: 0.01})))
		_, body := get(t, rt, context.Background(), server.URL)
		require.Len(t, body, size)
		wrong := 0
		for i := range content {
			if body[i] != content[i] {
				wrong++
			}
		}
		require.InDelta(t, size/100, wrong, size/500)
		require.Equal(t, bytes.Repeat([]byte("0123456789"), size/10), content, "the handler's own bytes are left alone")
	}
}

func TestThrottleAtTheServer(t *testing.T) {
	inj := fault.New("product")
	server, rt := startServer(t, httpmw.Middleware(inj)(sender(false)), false)
	put(t, inj, rule("r", "http.server:*", inResponse(fault.StreamFault{After: size - 1000, PerSecond: 10_000})))
	start := time.Now()
	_, body := get(t, rt, context.Background(), server.URL)
	require.Equal(t, string(content), body)
	require.GreaterOrEqual(t, time.Since(start), 99*time.Millisecond)
}

// What is throttled is seen as it comes, not when a buffer is full.
func TestThrottledResponseIsFlushed(t *testing.T) {
	inj := fault.New("product")
	server, rt := startServer(t, httpmw.Middleware(inj)(sender(true)), false)
	put(t, inj, rule("r", "http.server:*", inResponse(fault.StreamFault{PerSecond: 100})))
	start := time.Now()
	resp, err := (&http.Client{Transport: rt}).Get(server.URL)
	require.NoError(t, err)
	_, err = io.ReadFull(resp.Body, make([]byte, 5))
	require.NoError(t, err)
	require.Less(t, time.Since(start), 15*time.Second, "a buffer takes 20 seconds to fill")
	inj.Halt()
	rest, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Len(t, rest, size-5)
	require.NoError(t, resp.Body.Close())
}

func TestACutBodyIsDoneWith(t *testing.T) {
	real := new(body)
	inj := fault.New("edge")
	rt := httpmw.Transport(inj, "ratings", roundTrip(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, ContentLength: -1, Body: real, Request: req}, nil
	}))
	put(t, inj, rule("r", "ratings", inResponse(fault.StreamFault{Cut: true}), concurrently(1)))
	for range 2 {
		resp, err := rt.RoundTrip(httptest.NewRequest("GET", "http://ratings/", nil))
		require.NoError(t, err)
		_, err = resp.Body.Read(make([]byte, 1)) // and nobody closes it
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	require.True(t, real.isClosed(), "the connection is of no more use")
	require.EqualValues(t, 2, ruleStatus(t, inj, "r").Hits, "the slot came back")
}

// inMemory is a transport whose responses have the whole content as body.
var inMemory = roundTrip(func(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, ContentLength: size, Body: io.NopCloser(bytes.NewReader(content)), Request: req}, nil
})

func TestThrottleAndStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("edge")
		rt := httpmw.Transport(inj, "ratings", inMemory)
		read := func(ctx context.Context) (int, time.Duration, error) {
			start := time.Now()
			resp, err := rt.RoundTrip(httptest.NewRequest("GET", "http://ratings/", nil).WithContext(ctx))
			require.NoError(t, err)
			defer resp.Body.Close()
			n, err := io.Copy(io.Discard, resp.Body)
			return int(n), time.Since(start), err
		}
		put(t, inj, rule("r", "ratings", inResponse(fault.StreamFault{PerSecond: 10_000})))
		n, took, err := read(context.Background())
		require.NoError(t, err)
		require.Equal(t, size, n)
		require.Equal(t, 10*time.Second, took)

		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		n, took, err = read(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, fault.ErrInjected)
		require.Equal(t, 3*time.Second, took)
		require.InDelta(t, 30_000, n, 1000)

		put(t, inj, rule("r", "ratings", inResponse(fault.StreamFault{After: 777, Stall: true})))
		time.AfterFunc(time.Minute, func() { inj.Delete("r") })
		n, took, err = read(context.Background())
		require.NoError(t, err)
		require.Equal(t, size, n, "when the rule ends the rest comes")
		require.Equal(t, time.Minute, took)

		put(t, inj, rule("r", "ratings", inResponse(fault.StreamFault{Stall: true})))
		resp, err := rt.RoundTrip(httptest.NewRequest("GET", "http://ratings/", nil))
		require.NoError(t, err)
		failed := make(chan error)
		go func() {
			_, err := resp.Body.Read(make([]byte, 1))
			failed <- err
		}()
		synctest.Wait()
		require.EqualValues(t, 1, inj.Status().Held)
		require.NoError(t, resp.Body.Close())
		require.ErrorIs(t, <-failed, http.ErrBodyReadAfterClose, "closing ends a Read that waits")
		require.Zero(t, inj.Status().Held)
	})
}

func TestAThousandThrottledBodiesEndTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("edge")
		rt := httpmw.Transport(inj, "ratings", inMemory)
		put(t, inj, rule("r", "ratings", inResponse(fault.StreamFault{PerSecond: 1})))
		var wg sync.WaitGroup
		var bytesRead atomic.Int64
		before := runtime.NumGoroutine()
		for range 1000 {
			wg.Go(func() {
				resp, err := rt.RoundTrip(httptest.NewRequest("GET", "http://ratings/", nil))
				if err != nil {
					t.Error(err)
					return
				}
				n, err := io.Copy(io.Discard, resp.Body)
				if err != nil {
					t.Error(err)
				}
				bytesRead.Add(n)
			})
		}
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 1000, ruleStatus(t, inj, "r").Held)
		require.LessOrEqual(t, runtime.NumGoroutine(), before+1000, "one goroutine each: the reader's own")
		start := time.Now()
		inj.Halt()
		wg.Wait()
		require.Zero(t, time.Since(start))
		require.EqualValues(t, 1000*size, bytesRead.Load())
		require.Zero(t, inj.Status().Held)
	})
}
