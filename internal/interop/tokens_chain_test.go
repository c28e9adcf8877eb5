package interop_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

// A route is how requests come to a leaf: to the edge, from there to a service
// in the middle, to the leaf, and from there to the ratings, on which the tokens
// of these tests act. Each leg is HTTP or gRPC.
type route struct {
	name   string
	legs   [4]leg
	middle middle
}

type (
	leg    string
	middle string
)

const (
	overHTTP leg = "http"
	overRPC  leg = "grpc"

	unaware middle = "without the library"
	aware   middle = "with the library" // and no OpenTelemetry
)

// routes are those by a service that traces and has never heard of the library,
// and some on which everyone has it.
var routes = []route{
	{"HTTP", [4]leg{overHTTP, overHTTP, overHTTP, overHTTP}, unaware},
	{"HTTP, then gRPC", [4]leg{overHTTP, overRPC, overRPC, overRPC}, unaware},
	{"HTTP to gRPC in the middle", [4]leg{overHTTP, overHTTP, overRPC, overRPC}, unaware},
	{"gRPC to HTTP in the middle", [4]leg{overRPC, overRPC, overHTTP, overHTTP}, unaware},
	{"gRPC", [4]leg{overRPC, overRPC, overRPC, overRPC}, unaware},
	{"HTTP, everyone", [4]leg{overHTTP, overHTTP, overHTTP, overHTTP}, aware},
	{"gRPC, everyone", [4]leg{overRPC, overRPC, overRPC, overRPC}, aware},
	{"HTTP to gRPC, everyone", [4]leg{overHTTP, overHTTP, overRPC, overRPC}, aware},
	{"gRPC to HTTP, everyone", [4]leg{overRPC, overRPC, overHTTP, overHTTP}, aware},
}

// A trip is a route that is open.
type trip struct {
	route
	keys
	edge, middle, leaf *hop
	verifiers          map[*hop]*countedVerifier

	mu      sync.Mutex
	baggage map[string]map[string][]string // that of others, of each request that has some, by hop

	conn *grpc.ClientConn
	base *http.Transport
}

// A countedVerifier is the one of a process.
type countedVerifier struct {
	*token.Verifier
	n atomic.Int64
}

func (v *countedVerifier) VerifyToken(text string) (fault.Token, error) {
	v.n.Add(1)
	return v.Verifier.VerifyToken(text)
}

func (r route) open(t *testing.T) *trip {
	tr := &trip{route: r, keys: newKeys(t), verifiers: make(map[*hop]*countedVerifier), baggage: make(map[string]map[string][]string)}
	tr.edge = tr.hop(t, "edge", true)
	tr.middle = tr.hop(t, "middle", r.middle == aware)
	tr.leaf = tr.hop(t, "leaf", true)
	ratings := newHop(t, "ratings", false, false)
	hops := []*hop{tr.edge, tr.middle, tr.leaf, ratings}
	for i := len(hops) - 1; i >= 0; i-- {
		if i < len(hops)-1 {
			hops[i].call(t, r.legs[i+1], hops[i+1])
		}
		hops[i].serve(t, r.legs[i])
	}
	tr.base = &http.Transport{MaxIdleConnsPerHost: 256}
	t.Cleanup(tr.base.CloseIdleConnections)
	if r.legs[0] == overRPC {
		tr.conn = connectTo(t, tr.edge.addr, t.Cleanup)
	}
	return tr
}

// hop makes a service that takes tokens or, if it has not heard of them, traces.
func (tr *trip) hop(t *testing.T, name string, library bool) *hop {
	h := newHop(t, name, library, false)
	h.watch = tr.watch
	h.believing = false
	if !library {
		tel := newTelemetry(t, sdktrace.TraceIDRatioBased(0.5))
		h.tel = &tel
		return h
	}
	v, err := token.NewVerifier(tr.set())
	require.NoError(t, err)
	tr.verifiers[h] = &countedVerifier{Verifier: v}
	h.inj = fault.New(name, fault.WithTokens(tr.verifiers[h]))
	return h
}

// serve starts a hop that identifies requests.
func (h *hop) serve(t *testing.T, over leg) {
	switch over {
	case overHTTP:
		h.serveHTTP(t, httpmw.Identify(func(r *http.Request) scope.Request {
			return scope.Request{Customer: r.Header.Get("X-Customer")}
		}))
	case overRPC:
		h.serveRPC(t, grpcint.Identify(func(ctx context.Context, _ string) scope.Request {
			return scope.Request{Customer: strings.Join(metadata.ValueFromIncomingContext(ctx, "x-customer"), "")}
		}))
	}
}

func (h *hop) call(t *testing.T, over leg, next *hop) {
	switch over {
	case overHTTP:
		h.callHTTP(t, next)
	case overRPC:
		h.callRPC(t, next)
	}
}

// watch keeps the baggage of others that comes to a hop, by its member "n".
func (tr *trip) watch(_ context.Context, h *hop, lines []string) {
	n := ""
	var theirs []string
	for entry := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		entry = strings.TrimSpace(entry)
		if value, ok := strings.CutPrefix(entry, "n="); ok {
			n = value
		}
		if entry != "" && !strings.HasPrefix(entry, "misfit.") {
			theirs = append(theirs, entry)
		}
	}
	if len(theirs) == 0 {
		return
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.baggage[n] == nil {
		tr.baggage[n] = make(map[string][]string)
	}
	tr.baggage[n][h.name] = theirs
}

// cameWith requires that a request had this baggage, and nothing else that is
// not ours, at each hop.
func (tr *trip) cameWith(t *testing.T, n string, want ...string) {
	t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, h := range []*hop{tr.edge, tr.middle, tr.leaf} {
		require.ElementsMatch(t, want, tr.baggage[n][h.name], "request %s at the %s", n, h.name)
	}
}

// A visit is one request, and an outcome what its sender sees.
type visit struct {
	customer, token string
	baggage         []string // lines
}

type outcome struct {
	err    error // what the services say is the error
	seen   []sighting
	status []string // the answer to the token
}

// make sends a visit to the edge.
func (tr *trip) make(ctx context.Context, v visit) outcome {
	if tr.legs[0] == overRPC {
		return tr.ask(ctx, v)
	}
	return tr.get(ctx, v)
}

func (tr *trip) get(ctx context.Context, v visit) (o outcome) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, tr.edge.addr, nil)
	if err != nil {
		return outcome{err: err}
	}
	req.Header.Set("X-Customer", v.customer)
	req.Header["Baggage"] = v.baggage
	if v.token != "" {
		req.Header.Set(httpmw.TokenHeader, v.token)
	}
	resp, err := tr.base.RoundTrip(req)
	if err != nil {
		return outcome{err: err}
	}
	defer resp.Body.Close()
	o.status = resp.Header[httpmw.StatusHeader]
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %s", resp.StatusCode, body)
	}
	if o.err = err; err == nil {
		o.seen, o.err = decode(body)
	}
	return o
}

func (tr *trip) ask(ctx context.Context, v visit) (o outcome) {
	md := metadata.Pairs("x-customer", v.customer)
	md["baggage"] = v.baggage
	if v.token != "" {
		md.Set(grpcint.TokenKey, v.token)
	}
	var trailer metadata.MD
	resp, err := testgrpc.NewTestServiceClient(tr.conn).UnaryCall(metadata.NewOutgoingContext(ctx, md), &testgrpc.SimpleRequest{}, grpc.Trailer(&trailer))
	o.status = trailer[grpcint.StatusKey]
	if o.err = err; err == nil {
		o.seen, o.err = decode(resp.GetPayload().GetBody())
	}
	return o
}

// ratingsPoint is where the leaf calls the ratings.
func (r route) ratingsPoint() string { return string(r.legs[3]) + ".client:ratings" }

// services are those that answer for themselves.
func (tr *trip) services() []string {
	if tr.route.middle == aware {
		return []string{"edge", "middle", "leaf"}
	}
	return []string{"edge", "leaf"}
}

// untouched reports what is wrong with the outcome of a visit on which nothing
// was to act.
func (tr *trip) untouched(v visit, o outcome) error {
	if o.err != nil {
		return o.err
	}
	if len(o.seen) != len(tr.services()) {
		return fmt.Errorf("seen by %v", o.seen)
	}
	for i, name := range tr.services() {
		if s := o.seen[i]; s.Service != name || s.Request == nil || s.Request.Customer != v.customer {
			return fmt.Errorf("the %s took it for %v of %v", name, s.Request, s.Service)
		}
	}
	return nil
}
