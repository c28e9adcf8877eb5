package benchmarks_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// connections is how many a server is kept busy by, each with one request at a time.
const connections = 8

// A load makes n requests over its connections and returns once they are answered.
type load func(n int)

// spreadOver shares requests out among as many goroutines as there are calls.
func spreadOver(tb testing.TB, calls []func() error) load {
	return func(n int) {
		failed := make([]error, len(calls))
		var wg sync.WaitGroup
		for i, call := range calls {
			share := (n + i) / len(calls)
			wg.Go(func() {
				for range share {
					if err := call(); err != nil {
						failed[i] = err
						return
					}
				}
			})
		}
		wg.Wait()
		if err := errors.Join(failed...); err != nil {
			tb.Error(err)
		}
	}
}

// elsewhereOnce returns an injector with 10,000 rules at a point of its own, which is
// made when it is first asked for.
func elsewhereOnce(tb testing.TB) func() *fault.Injector {
	return sync.OnceValue(func() *fault.Injector { return newPublisher(tb, 10_000).inj })
}

// What a service answers is as small as answers are, so that what comes before weighs
// as much as it can.
var answered = []byte(`{"product":7,"ratings":[5,4]}` + "\n")

func answer(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answered)
}

// served returns the address of a server on loopback.
func served(tb testing.TB, h http.Handler) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	tb.Cleanup(func() {
		_ = server.Close()
		require.ErrorIs(tb, <-stopped, http.ErrServerClosed)
	})
	return listener.Addr().String()
}

// wired is the load of connections that send the same bytes again and again, and cost
// next to nothing: nearly all of the time is the server's.
func wired(tb testing.TB, address string, header http.Header) load {
	tb.Helper()
	var request bytes.Buffer
	fmt.Fprintf(&request, "GET /ratings/7 HTTP/1.1\r\nHost: %s\r\n", address)
	require.NoError(tb, header.Write(&request))
	request.WriteString("\r\n")
	calls := make([]func() error, connections)
	for i := range calls {
		conn, err := net.Dial("tcp", address)
		require.NoError(tb, err)
		tb.Cleanup(func() { _ = conn.Close() })
		calls[i] = exchange(tb, conn, request.Bytes())
	}
	return spreadOver(tb, calls)
}

// exchange returns a call that sends the request and reads the answer, which is as long
// as the first one was.
func exchange(tb testing.TB, conn net.Conn, request []byte) func() error {
	tb.Helper()
	_, err := conn.Write(request)
	require.NoError(tb, err)
	var first bytes.Buffer
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(conn, &first)), nil)
	require.NoError(tb, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	require.NoError(tb, resp.Body.Close())
	require.Equal(tb, 200, resp.StatusCode)
	require.Equal(tb, answered, body)
	read := make([]byte, first.Len())
	begin := []byte("HTTP/1.1 200 ")
	return func() error {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, read); err != nil {
			return err
		}
		if !bytes.HasPrefix(read, begin) || !bytes.HasSuffix(read, answered) {
			return fmt.Errorf("the answer is %q", read)
		}
		return nil
	}
}

// A way is something to put in front of a service, or nothing. Each load has a service
// of its own.
type way struct {
	name string
	load func(tb testing.TB) load
}

func httpServers(tb testing.TB, headers string) []way {
	inj := elsewhereOnce(tb)
	header := serverHeader(headers)
	behind := func(wrap func(testing.TB, http.Handler) http.Handler) func(testing.TB) load {
		return func(tb testing.TB) load { return wired(tb, served(tb, wrap(tb, http.HandlerFunc(answer))), header) }
	}
	bare := func(_ testing.TB, h http.Handler) http.Handler { return h }
	ways := []way{
		{"bare", behind(bare)},
		{"misfit", behind(func(_ testing.TB, h http.Handler) http.Handler {
			return httpmw.Middleware(inj())(h)
		})},
		{"otelhttp", behind(func(_ testing.TB, h http.Handler) http.Handler {
			return otelhttp.NewHandler(h, "ratings",
				otelhttp.WithTracerProvider(tracenoop.NewTracerProvider()), otelhttp.WithMeterProvider(metricnoop.NewMeterProvider()))
		})},
	}
	if headers == sixHeaders { // which are all the same to it
		ways = append(ways, way{"toxiproxy", func(tb testing.TB) load {
			return wired(tb, proxied(tb, served(tb, http.HandlerFunc(answer)), ""), header)
		}})
	}
	return ways
}

// httpClients are ways to call the same kind of server with net/http's client: for a
// request whose identity is passed on, or for none.
func httpClients(tb testing.TB, ctx context.Context) []way {
	inj := elsewhereOnce(tb)
	through := func(wrap func(testing.TB, http.RoundTripper) http.RoundTripper) func(testing.TB) load {
		return func(tb testing.TB) load {
			url := "http://" + served(tb, http.HandlerFunc(answer)) + "/ratings/7"
			base := &http.Transport{MaxIdleConnsPerHost: connections}
			tb.Cleanup(base.CloseIdleConnections)
			client := &http.Client{Transport: wrap(tb, base)}
			calls := make([]func() error, connections)
			for i := range calls {
				calls[i] = func() error { return get(ctx, client, url) }
			}
			return spreadOver(tb, calls)
		}
	}
	return []way{
		{"bare", through(func(_ testing.TB, base http.RoundTripper) http.RoundTripper { return base })},
		{"misfit", through(func(_ testing.TB, base http.RoundTripper) http.RoundTripper {
			return httpmw.Transport(inj(), "ratings", base)
		})},
		{"otelhttp", through(func(_ testing.TB, base http.RoundTripper) http.RoundTripper {
			return otelhttp.NewTransport(base,
				otelhttp.WithTracerProvider(tracenoop.NewTracerProvider()), otelhttp.WithMeterProvider(metricnoop.NewMeterProvider()))
		})},
	}
}

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// A ratingsServer answers unary calls.
type ratingsServer struct {
	testpb.UnimplementedTestServiceServer
}

func (ratingsServer) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, nil
}

// unaryCalls is the load of a client and a server that both have what is measured.
func unaryCalls(tb testing.TB, server []grpc.ServerOption, dial []grpc.DialOption) load {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	s := grpc.NewServer(server...)
	testpb.RegisterTestServiceServer(s, ratingsServer{})
	stopped := make(chan error, 1)
	go func() { stopped <- s.Serve(listener) }()
	tb.Cleanup(func() {
		s.Stop()
		require.NoError(tb, <-stopped)
	})
	calls := make([]func() error, connections)
	for i := range calls {
		conn, err := grpc.NewClient(listener.Addr().String(), append(dial, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
		require.NoError(tb, err)
		tb.Cleanup(func() { _ = conn.Close() })
		client := testpb.NewTestServiceClient(conn)
		calls[i] = func() error {
			_, err := client.EmptyCall(context.Background(), &testpb.Empty{})
			return err
		}
		require.NoError(tb, calls[i]())
	}
	return spreadOver(tb, calls)
}

func grpcServices(tb testing.TB) []way {
	client, server := elsewhereOnce(tb), elsewhereOnce(tb)
	noOpServer := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		return handler(ctx, req)
	}
	noOpClient := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		return invoker(ctx, method, req, reply, cc, opts...)
	}
	return []way{
		{"bare", func(tb testing.TB) load { return unaryCalls(tb, nil, nil) }},
		{"no-op", func(tb testing.TB) load {
			return unaryCalls(tb, []grpc.ServerOption{grpc.UnaryInterceptor(noOpServer)}, []grpc.DialOption{grpc.WithUnaryInterceptor(noOpClient)})
		}},
		{"misfit", func(tb testing.TB) load {
			return unaryCalls(tb, grpcint.ServerOptions(server()), grpcint.DialOptions(client(), "ratings"))
		}},
		{"otelgrpc", func(tb testing.TB) load {
			options := []otelgrpc.Option{otelgrpc.WithTracerProvider(tracenoop.NewTracerProvider()), otelgrpc.WithMeterProvider(metricnoop.NewMeterProvider())}
			return unaryCalls(tb, []grpc.ServerOption{grpc.StatsHandler(otelgrpc.NewServerHandler(options...))},
				[]grpc.DialOption{grpc.WithStatsHandler(otelgrpc.NewClientHandler(options...))})
		}},
	}
}

// BenchmarkEndToEnd is the throughput of a service over loopback, with something in
// front of it, as a ratio to that of the same service without: real servers in one
// process, that are kept busy by turns. One iteration is a turn. The first of the
// ways is the service without anything, compared with another one like it, which
// tells what the comparison is worth. Providers of OpenTelemetry are no-ops, and there is
// no propagator, so that its middleware is at its cheapest.
//
// protocol=http is a server of net/http under requests that cost their sender next to
// nothing; protocol=http-client is net/http's client with such a server; protocol=grpc
// has what is measured on both sides.
func BenchmarkEndToEnd(b *testing.B) {
	const services = 8
	for _, g := range endsToEnds(b) {
		for _, w := range g.ways {
			b.Run(g.name+"/rules=10000/with="+w.name, func(b *testing.B) {
				pairs := make([]pair, services)
				for i := range pairs {
					pairs[i] = pair{g.ways[0].load(b), w.load(b)}
				}
				compare(b, pairs...).report(b)
			})
		}
	}
}

// A group has ways to the same thing, the first of which has nothing in front of it.
type group struct {
	name string
	ways []way
}

func endsToEnds(tb testing.TB) []group {
	return []group{
		{"protocol=http/" + noHeaders, httpServers(tb, noHeaders)},
		{"protocol=http/" + sixHeaders, httpServers(tb, sixHeaders)},
		{"protocol=http/" + traceHeaders, httpServers(tb, traceHeaders)},
		{"protocol=http-client/identity=none", httpClients(tb, context.Background())},
		{"protocol=http-client/identity=passed-on", httpClients(tb, requestOf("42"))},
		{"protocol=grpc/identity=none", grpcServices(tb)},
	}
}

// TestEndToEnd holds that each way leads to the service.
func TestEndToEnd(t *testing.T) {
	for _, g := range endsToEnds(t) {
		for _, w := range g.ways {
			w.load(t)(10 * connections)
		}
	}
}
