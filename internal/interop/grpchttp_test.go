package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A sighting is what a service with the library knows of a request.
type sighting struct {
	Service string
	Request *scope.Request
}

// A hop is a service that others call over HTTP or over gRPC, and that calls
// the next one over the other of the two. It answers its own sighting and those
// of the services behind it.
type hop struct {
	name      string
	inj       *fault.Injector // nil: it has never heard of the library
	believing bool            // rules in the clear
	tel       *telemetry      // nil: it has no OpenTelemetry
	watch     func(context.Context, *hop, []string)
	next      func(context.Context) ([]sighting, error)
	addr      string
}

func newHop(t *testing.T, name string, library, traces bool) *hop {
	h := &hop{name: name, believing: true, watch: func(context.Context, *hop, []string) {}}
	if library {
		h.inj = fault.New(name)
		httpmw.Transport(h.inj, "elsewhere", nil) // something to tell who a request is
	}
	if traces {
		tel := newTelemetry(t, sdktrace.TraceIDRatioBased(0.5))
		h.tel = &tel
	}
	return h
}

func (h *hop) answer(ctx context.Context) ([]sighting, error) {
	var seen []sighting
	if h.inj != nil {
		seen = []sighting{{h.name, scope.From(ctx)}}
	}
	if h.next == nil {
		return seen, nil
	}
	behind, err := h.next(ctx)
	return append(seen, behind...), err
}

// serveHTTP starts a hop that is called over HTTP.
func (h *hop) serveHTTP(t *testing.T, options ...httpmw.Option) {
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.watch(r.Context(), h, r.Header["Baggage"])
		seen, err := h.answer(r.Context())
		if mark, ok := grpcint.FromError(err); ok {
			http.Error(w, mark.Rule+" at "+mark.Point, http.StatusBadGateway)
		} else if err != nil {
			http.Error(w, status.Convert(err).Message(), http.StatusBadGateway)
		} else {
			_ = json.NewEncoder(w).Encode(seen)
		}
	})
	if h.inj != nil {
		if h.believing {
			options = append(options, httpmw.UnsafeRequestRules())
		}
		handler = httpmw.Middleware(h.inj, options...)(handler)
	}
	if h.tel != nil {
		handler = otelhttp.NewHandler(handler, h.name, h.tel.options...)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	h.addr = server.URL
}

// callHTTP makes the next hop one that is called over HTTP.
func (h *hop) callHTTP(t *testing.T, next *hop) {
	base := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(base.CloseIdleConnections)
	var transport http.RoundTripper = base
	if h.inj != nil {
		transport = httpmw.Transport(h.inj, next.name, transport)
	}
	if h.tel != nil {
		transport = otelhttp.NewTransport(transport, h.tel.options...)
	}
	h.next = func(ctx context.Context) ([]sighting, error) { return get(ctx, transport, next.addr, nil) }
}

// get asks a hop over HTTP. The text of an answer that says no is the error.
func get(ctx context.Context, transport http.RoundTripper, url string, header http.Header) ([]sighting, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, status.Error(codes.Internal, strings.TrimSpace(string(body)))
	}
	return decode(body)
}

func decode(body []byte) ([]sighting, error) {
	var seen []sighting
	err := json.Unmarshal(body, &seen)
	return seen, err
}

// rpcHop is a hop that is called over gRPC.
type rpcHop struct {
	testgrpc.UnimplementedTestServiceServer
	hop *hop
}

func (h rpcHop) UnaryCall(ctx context.Context, _ *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	h.hop.watch(ctx, h.hop, metadata.ValueFromIncomingContext(ctx, "baggage"))
	seen, err := h.hop.answer(ctx)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(seen)
	return &testgrpc.SimpleResponse{Payload: &testgrpc.Payload{Body: body}}, err
}

// serveRPC starts a hop that is called over gRPC.
func (h *hop) serveRPC(t *testing.T, own ...grpcint.Option) {
	var options []grpc.ServerOption
	if h.inj != nil {
		if h.believing {
			own = append(own, grpcint.UnsafeRequestRules())
		}
		options = grpcint.ServerOptions(h.inj, own...)
	}
	if h.tel != nil {
		options = append(options, h.tel.server(tracesAndBaggage))
	}
	server := grpc.NewServer(options...)
	testgrpc.RegisterTestServiceServer(server, rpcHop{hop: h})
	h.addr = listen(t, server, t.Cleanup)
}

// callRPC makes the next hop one that is called over gRPC.
func (h *hop) callRPC(t *testing.T, next *hop) {
	var options []grpc.DialOption
	if h.inj != nil {
		options = grpcint.DialOptions(h.inj, next.name)
	}
	if h.tel != nil {
		options = append(options, h.tel.client(tracesAndBaggage))
	}
	conn := connectTo(t, next.addr, t.Cleanup, options...)
	h.next = func(ctx context.Context) ([]sighting, error) { return ask(ctx, conn) }
}

// ask asks a hop over gRPC.
func ask(ctx context.Context, conn *grpc.ClientConn) ([]sighting, error) {
	resp, err := testgrpc.NewTestServiceClient(conn).UnaryCall(ctx, &testgrpc.SimpleRequest{})
	if err != nil {
		return nil, err
	}
	return decode(resp.GetPayload().GetBody())
}

// A chain is HTTP to the edge, gRPC to the orders, HTTP to the stock and gRPC
// to the ratings.
type chain struct{ edge, orders, stock, ratings *hop }

// newChain makes one of which every service has the library, but for strangers,
// which trace, as all do if the others do too.
func newChain(t *testing.T, traces bool, strangers ...string) chain {
	hops := make(map[string]*hop)
	for _, name := range []string{"edge", "orders", "stock", "ratings"} {
		strange := slices.Contains(strangers, name)
		hops[name] = newHop(t, name, !strange, traces || strange)
	}
	c := chain{hops["edge"], hops["orders"], hops["stock"], hops["ratings"]}
	c.ratings.serveRPC(t)
	c.stock.callRPC(t, c.ratings)
	c.stock.serveHTTP(t)
	c.orders.callHTTP(t, c.stock)
	c.orders.serveRPC(t)
	c.edge.callRPC(t, c.orders)
	c.edge.serveHTTP(t, httpmw.Identify(func(r *http.Request) scope.Request {
		who := scope.Request{ID: r.Header.Get("X-Request-Id"), Customer: r.Header.Get("X-Customer")}
		if plan := r.Header.Get("X-Plan"); plan != "" {
			who.Attributes = map[string]string{"plan": plan}
		}
		return who
	}))
	return c
}

// want are the sightings of a request by every service with the library.
func (c chain) want(r scope.Request) []sighting {
	var seen []sighting
	for _, h := range []*hop{c.edge, c.orders, c.stock, c.ratings} {
		if h.inj != nil {
			seen = append(seen, sighting{h.name, &r})
		}
	}
	return seen
}

const ruleAtRatings = `{"id": "mine", "target": {"points": ["grpc.server:ratings"]}, "fault": {"error": {"class": "overloaded"}}}`

// One request goes over HTTP, gRPC, HTTP and gRPC and keeps its scope, through
// services that trace, that do not, and that have never heard of the library;
// so does the rule that it carries.
func TestScopeCrossesHTTPAndRPC(t *testing.T) {
	needsFaults(t)
	for name, build := range map[string]func(*testing.T) chain{
		"nobody traces":            func(t *testing.T) chain { return newChain(t, false) },
		"everyone traces":          func(t *testing.T) chain { return newChain(t, true) },
		"a stranger in gRPC":       func(t *testing.T) chain { return newChain(t, false, "orders") },
		"a stranger in HTTP":       func(t *testing.T) chain { return newChain(t, false, "stock") },
		"strangers in between":     func(t *testing.T) chain { return newChain(t, false, "orders", "stock") },
		"a stranger among tracers": func(t *testing.T) chain { return newChain(t, true, "stock") },
	} {
		t.Run(name, func(t *testing.T) {
			c := build(t)
			base := &http.Transport{MaxIdleConnsPerHost: 64}
			t.Cleanup(base.CloseIdleConnections)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			header := http.Header{"X-Request-Id": {"r-1"}, "X-Customer": {"42"}, "X-Plan": {"gold"}}
			seen, err := get(ctx, base, c.edge.addr, header)
			require.NoError(t, err)
			require.Equal(t, c.want(scope.Request{ID: "r-1", Customer: "42", Attributes: map[string]string{"plan": "gold"}}), seen)

			seen, err = get(ctx, base, c.edge.addr, nil)
			require.NoError(t, err)
			require.NotEmpty(t, seen[0].Request.ID)
			require.Equal(t, c.want(scope.Request{ID: seen[0].Request.ID}), seen)

			_, err = get(ctx, base, c.edge.addr, http.Header{httpmw.RuleHeader: {ruleAtRatings}})
			require.ErrorContains(t, err, "request-mine-")
			require.ErrorContains(t, err, " at grpc.server:ratings")
			seen, err = get(ctx, base, c.edge.addr, header)
			require.NoError(t, err, "the rule is for the request that carries it")
			require.Len(t, seen, len(c.want(scope.Request{})))

			hitsExactlyOne(t, ctx, c, base)
		})
	}
}

// hitsExactlyOne makes the last service fail one customer, who comes with 50
// others at once.
func hitsExactlyOne(t *testing.T, ctx context.Context, c chain, base http.RoundTripper) {
	require.NoError(t, c.ratings.inj.Put(aimed(func(r *fault.Rule) {
		at("grpc.server:ratings")(r)
		who(scope.Customers("42"))(r)
	})...))
	visit := func(customer string) error {
		seen, err := get(ctx, base, c.edge.addr, http.Header{"X-Request-Id": {"r-" + customer}, "X-Customer": {customer}})
		switch want := c.want(scope.Request{ID: "r-" + customer, Customer: customer}); {
		case customer == "42" && status.Convert(err).Message() == "a at grpc.server:ratings":
			return nil
		case err != nil || customer == "42":
			return fmt.Errorf("customer %s got %v: %w", customer, seen, err)
		case !reflect.DeepEqual(want, seen):
			return fmt.Errorf("customer %s was seen as %v", customer, seen)
		}
		return nil
	}
	var visits sync.WaitGroup
	errs := make([]error, 51)
	for i := range errs {
		visits.Go(func() { errs[i] = visit(fmt.Sprint(i)) })
	}
	visits.Wait()
	require.NoError(t, errors.Join(errs...))
	live, _ := c.ratings.inj.Rule("a")
	require.EqualValues(t, 1, live.Hits)
}

// A rule that enters in the metadata of a call goes on over HTTP.
func TestRuleOfMetadataCrossesHTTP(t *testing.T) {
	needsFaults(t)
	for name, strangers := range map[string][]string{"nobody traces": nil, "a stranger in HTTP": {"stock"}} {
		t.Run(name, func(t *testing.T) {
			c := newChain(t, false, strangers...)
			conn := connectTo(t, c.orders.addr, t.Cleanup)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err := ask(metadata.AppendToOutgoingContext(ctx, grpcint.RuleKey, ruleAtRatings), conn)
			require.ErrorContains(t, err, "request-mine-")
			require.ErrorContains(t, err, " at grpc.server:ratings")
			_, err = ask(ctx, conn)
			require.NoError(t, err)
		})
	}
}
