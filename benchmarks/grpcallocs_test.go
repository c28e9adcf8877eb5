package benchmarks_test

import (
	"testing"

	"github.com/misfit-go/misfit/grpcint"
	"github.com/stretchr/testify/require"
)

func misfitClientIn(whose string) contender {
	c := misfitUnaryClient(whose)
	c.in = scenariosOf[whose]
	return c
}

func TestGRPCAimed(t *testing.T) {
	for _, whose := range clientsOf {
		requireAimed(t, misfitClientIn(whose))
	}
	requireAimed(t, misfitUnaryServer(traceMetadata))
	requireAimed(t, misfitUnaryServer(usualMetadata), "other-customer", "customer-percentage-misses")
	for _, end := range []string{clientEnd, serverEnd} {
		requireAimed(t, misfitStreams(end))
		requireAimed(t, misfitCutStreams(end))
	}
	requireAimed(t, misfitWholeCalls(identified))
}

// TestGRPCBudget holds what it takes to pass on, or to take up, whose a request
// is, and to take a token and to answer what became of it. The rest of the library
// allocates nothing but what a hit is kept in.
func TestGRPCBudget(t *testing.T) {
	const hit = 2 // and the draw of its delay
	each := func(n int) map[string]int {
		budget := make(map[string]int)
		for _, s := range scenarios() {
			budget[s.name] = n
		}
		return budget
	}
	t.Run("client", func(t *testing.T) {
		const written, asItCame, there, heard, faulted = 8, 5, 4, 4, 1 // as it is now
		for whose, n := range map[string]int{anonymous: 0, identified: written, arrived: asItCame, carried: there} {
			budget := each(n)
			budget["token-elsewhere"] += heard
			budget["hit"] += hit + faulted
			requireBudget(t, unaryClient("bare", whose, nil), misfitClientIn(whose), budget)
		}
	})
	t.Run("server", func(t *testing.T) {
		const kept, drawn, taken = 1, 2, 88 // as it is now
		usual, trace := each(0), each(kept)
		usual["percentage-misses"] = drawn
		trace["idle"] = 0
		for _, budget := range []map[string]int{usual, trace} {
			budget["token-elsewhere"] += taken
			budget["hit"] += hit
		}
		requireBudget(t, unaryServer("bare", usualMetadata, nil), misfitUnaryServer(usualMetadata), usual)
		requireBudget(t, unaryServer("bare", traceMetadata, nil), misfitUnaryServer(traceMetadata), trace)
	})
	t.Run("message", func(t *testing.T) {
		for _, end := range []string{clientEnd, serverEnd} {
			requireBudget(t, streams("bare", end, false), misfitStreams(end), nil)
		}
		const woken = 5 // from a RecvMsg, by the fault of the other direction
		requireBudget(t, streams("bare", clientEnd, false), misfitCutStreams(clientEnd), nil)
		requireBudget(t, streams("bare", serverEnd, false), misfitCutStreams(serverEnd), map[string]int{"hit": woken})
	})
}

// TestGRPCStreamsUnwrapped holds that a stream is handed back as it is where no
// rule is for it, but to say whose request it belongs to and to hear what became of
// a token.
func TestGRPCStreamsUnwrapped(t *testing.T) {
	for _, s := range scenarios() {
		inj, ctx := s.injector(t, atGRPCClient)
		client, err := openClient(ctx, grpcint.StreamClientInterceptor(inj, "ratings"))
		require.NoError(t, err)
		if !s.token {
			require.IsType(t, &nullClientStream{}, client, s.name)
		}
		inj, ctx = s.injector(t, atGRPCServer)
		server, err := newStreamServer(t, grpcint.StreamServerInterceptor(inj)).open(incoming(usualMetadata, ctx))
		require.NoError(t, err)
		if drawn := s.name == "percentage-misses"; !s.token && !drawn {
			require.IsType(t, &nullServerStream{}, server, s.name)
		}
	}
}

// TestGRPCFlat holds that it costs next to nothing to be idle, and that the number
// of rules does not matter. The reference is what any interceptor costs.
func TestGRPCFlat(t *testing.T) {
	for whose, idle := range map[string]float64{anonymous: 5, identified: 0} {
		t.Run("client/"+whose, func(t *testing.T) {
			requireFlat(t, idle, unaryClient("pass-through", whose, passThroughClient), misfitUnaryClient(whose))
		})
	}
	for _, sent := range []string{usualMetadata, traceMetadata} {
		t.Run("server/"+sent, func(t *testing.T) {
			requireFlat(t, 5, unaryServer("pass-through", sent, passThroughServer), misfitUnaryServer(sent))
		})
	}
	for _, end := range []string{clientEnd, serverEnd} {
		t.Run("message/"+end, func(t *testing.T) { requireFlat(t, 3, streams("bare", end, false), misfitStreams(end)) })
	}
	t.Run("call", func(t *testing.T) {
		s := in(t, "elsewhere", 10_000)
		requireRatio(t, 1.5, misfitWholeCalls(anonymous).call(t, s), wholeCalls("bare", anonymous, nil, nil).call(t, s))
	})
}
