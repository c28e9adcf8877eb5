package benchmarks_test

import (
	"context"
	"database/sql/driver"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/sqldriver"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
)

// heapInUse returns the memory in use, in bytes, that is no stack.
func heapInUse() float64 {
	// Twice, for what the first has to finalize.
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

// A holder makes calls that are held.
type holder struct {
	at string

	// prepare returns what call i of n does, which is held as long as its context
	// lives: by the library if the injector has a rule for it, and else by what is called.
	prepare func(tb testing.TB, inj *fault.Injector, n int) func(ctx context.Context, i int)
}

// block is what everything that is called does.
func block(ctx context.Context) { <-ctx.Done() }

// blockingTripper, blockingConn and blockingInvoker are what calls end in.
type blockingTripper struct{}

func (blockingTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	block(req.Context())
	return nil, fmt.Errorf("%s: %w", req.URL, req.Context().Err())
}

type blockingDriver struct{ nullDriver }

type blockingConnector struct{ nullConnector }

func (c blockingConnector) Connect(context.Context) (driver.Conn, error) { return &blockingConn{}, nil }
func (c blockingConnector) Driver() driver.Driver                        { return blockingDriver{} }

type blockingConn struct{ nullConn }

func (*blockingConn) ExecContext(ctx context.Context, _ string, _ []driver.NamedValue) (driver.Result, error) {
	block(ctx)
	return nil, ctx.Err()
}

func blockingInvoker(ctx context.Context, _ string, _, _ any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
	block(ctx)
	return ctx.Err()
}

func atPoint(_ testing.TB, inj *fault.Injector, _ int) func(context.Context, int) {
	point := inj.Point("test", "held")
	return func(ctx context.Context, _ int) {
		if point.Inject(ctx, fault.Operation{Name: "GET"}) == nil {
			block(ctx)
		}
	}
}

var holders = []holder{
	{"custom", atPoint},
	{"http.client", func(_ testing.TB, inj *fault.Injector, _ int) func(context.Context, int) {
		transport := httpmw.Transport(inj, "held", blockingTripper{})
		return func(ctx context.Context, _ int) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://ratings/ratings/7", nil)
			if err == nil {
				_, _ = transport.RoundTrip(req)
			}
		}
	}},
	{"http.server", func(_ testing.TB, inj *fault.Injector, _ int) func(context.Context, int) {
		handler := httpmw.Middleware(inj)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			block(r.Context())
			runtime.KeepAlive(r) // a server has it as long as it is served
		}))
		return func(ctx context.Context, _ int) {
			defer func() { _ = recover() }() // the middleware aborts the answer to who has gone
			handler.ServeHTTP(unread{}, httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx))
		}
	}},
	{"grpc.client", func(_ testing.TB, inj *fault.Injector, _ int) func(context.Context, int) {
		intercept := grpcint.UnaryClientInterceptor(inj, "held")
		return func(ctx context.Context, _ int) {
			_ = intercept(ctx, "/shop.v1.Ratings/Get", nil, nil, nil, blockingInvoker)
		}
	}},
	{"sql", func(tb testing.TB, inj *fault.Injector, n int) func(context.Context, int) {
		connector := sqldriver.Wrap(blockingConnector{}, inj, "held")
		conns := make([]driver.ExecerContext, n)
		for i := range conns {
			conn, err := connector.Connect(context.Background())
			require.NoError(tb, err)
			conns[i] = conn.(driver.ExecerContext)
		}
		return func(ctx context.Context, i int) {
			_, _ = conns[i].ExecContext(ctx, "UPDATE items SET stock = stock - 1 WHERE id = ?", nil)
		}
	}},
}

// An unread ResponseWriter is one whose client has gone.
type unread struct{}

func (unread) Header() http.Header         { return make(http.Header) }
func (unread) Write(p []byte) (int, error) { return len(p), nil }
func (unread) WriteHeader(int)             {}

// prepared returns the calls, and with rules the injector that has them; without any
// the library is not there.
func (h holder) prepared(tb testing.TB, n int, rules []fault.Rule) (*fault.Injector, func(ctx context.Context, i int)) {
	tb.Helper()
	if len(rules) == 0 {
		return nil, h.prepare(tb, nil, n)
	}
	inj := fault.New("held")
	call := h.prepare(tb, inj, n) // which may make calls of its own
	require.NoError(tb, inj.Put(rules...))
	tb.Cleanup(func() { inj.Halt() })
	return inj, call
}

// heap measures so many calls at once: the goroutines that make them, each with a
// context of its own that can be cancelled, and what holds them.
func (h holder) heap(tb testing.TB, n int, rules ...fault.Rule) float64 {
	tb.Helper()
	inj, call := h.prepared(tb, n, rules)
	parent, cancel := context.WithCancel(requestOf("42"))
	var calls sync.WaitGroup
	defer calls.Wait()
	defer cancel()

	before := heapInUse()
	var begun atomic.Int64
	for i := range n {
		ctx, cancelled := context.WithCancel(parent)
		calls.Go(func() {
			defer cancelled()
			begun.Add(1)
			call(ctx, i)
		})
	}
	all := func() bool { return begun.Load() == int64(n) && (inj == nil || inj.Status().Held == int64(n)) }
	require.Eventually(tb, all, time.Minute, time.Millisecond)
	time.Sleep(5 * time.Millisecond) // until the last ones block
	return (heapInUse() - before) / float64(n)
}

// stack measures how deep in the stack a held call waits.
func (h holder) stack(tb testing.TB, rules ...fault.Rule) float64 {
	tb.Helper()
	_, call := h.prepared(tb, 1, rules)
	ctx, cancel := context.WithTimeout(requestOf("42"), 20*time.Millisecond)
	defer cancel()
	p := &plumb{Context: ctx}
	var done sync.WaitGroup
	done.Go(func() {
		if deeper(1_000) == 1_000 { // a stack that has to grow would be another one
			p.begin()
		}
		call(p, 0)
	})
	done.Wait()
	require.Positive(tb, p.deepest)
	return float64(p.deepest)
}

// A plumb is a context that notes how much of the stack there is between who begins and
// who asks when it is done, which is where a call waits.
type plumb struct {
	context.Context
	from    uintptr
	deepest uintptr
}

//go:noinline
func (p *plumb) begin() {
	var here byte
	p.from = uintptr(unsafe.Pointer(&here))
}

//go:noinline
func (p *plumb) Done() <-chan struct{} {
	var here byte
	if to := uintptr(unsafe.Pointer(&here)); to < p.from {
		p.deepest = max(p.deepest, p.from-to)
	}
	return p.Context.Done()
}

//go:noinline
func deeper(levels int) int {
	if levels == 0 {
		return 0
	}
	return 1 + deeper(levels-1)
}

var holds = []struct {
	name  string
	fault fault.Fault
}{
	{"black-hole", fault.Fault{BlackHole: true}},
	{"delay", fault.Fault{Delay: &fault.Delay{Fixed: 5 * time.Minute}}},
}

func holdingRule(f fault.Fault) fault.Rule {
	return fault.Rule{ID: "hold", Target: fault.Target{Points: []string{"*:*"}}, Scope: scope.Everyone(), Fault: f, TTL: time.Hour}
}

// beyond returns what a call takes that the library holds, beyond one that is held by
// what it calls, without the library.
func (h holder) beyond(tb testing.TB, n int, f fault.Fault) (heap, stack float64) {
	tb.Helper()
	h.heap(tb, n) // what the runtime keeps of goroutines that have ended is there for both
	bare := h.heap(tb, n)
	rule := holdingRule(f)
	return h.heap(tb, n, rule) - bare, h.stack(tb, rule) - h.stack(tb)
}

// BenchmarkMemory is the memory that things take while they are there, after a
// garbage collection: of the heap (heap-B), and of the stack that the caller has anyway
// and that may have to grow (stack-B). One iteration is one measurement; of several,
// the medians are reported.
func BenchmarkMemory(b *testing.B) {
	const held = 10_000
	for _, h := range holders {
		for _, hold := range holds {
			b.Run(fmt.Sprintf("of=held-call/at=%s/fault=%s/held=%d", h.at, hold.name, held), func(b *testing.B) {
				var heaps, stacks []float64
				for b.Loop() {
					tb := &scoped{TB: b}
					heap, stack := h.beyond(tb, held, hold.fault)
					heaps, stacks = append(heaps, heap), append(stacks, stack)
					tb.release()
				}
				heap, _, _ := median(heaps)
				stack, _, _ := median(stacks)
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(heap, "heap-B")
				b.ReportMetric(stack, "stack-B")
			})
		}
	}
	const rules = 10_000
	for _, sc := range []struct {
		name string
		of   func(i int) scope.Scope
	}{
		{"customers", func(i int) scope.Scope { return scope.Customers(fmt.Sprint("someone-", i)) }},
		{"percentage", func(int) scope.Scope { return scope.Percent(1, scope.PerRequest) }},
		{"everyone", func(int) scope.Scope { return scope.Everyone() }},
	} {
		b.Run(fmt.Sprintf("of=rule/scope=%s/rules=%d", sc.name, rules), func(b *testing.B) {
			heaps(b, func() float64 { return heapOfRules(b, rules, sc.of) })
		})
	}
	const points = 1_000
	for _, armed := range []bool{false, true} {
		b.Run(fmt.Sprintf("of=point/armed=%t/points=%d", armed, points), func(b *testing.B) {
			heaps(b, func() float64 { return heapOfPoints(b, points, armed) })
		})
	}
}

// heaps reports the median of what measure finds.
func heaps(b *testing.B, measure func() float64) {
	b.Helper()
	var found []float64
	for b.Loop() {
		found = append(found, measure())
	}
	middle, _, _ := median(found)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle, "heap-B")
}

func heapOfRules(tb testing.TB, n int, scopeOf func(i int) scope.Scope) float64 {
	tb.Helper()
	inj := fault.New("bench")
	inj.Point("test", "published")
	rules := customers(n) // and what they are given in is the caller's
	for i := range rules {
		rules[i].Scope = scopeOf(i)
	}
	before := heapInUse()
	require.NoError(tb, inj.Put(rules...))
	after := heapInUse()
	runtime.KeepAlive(rules)
	inj.Halt()
	return (after - before) / float64(n)
}

func heapOfPoints(tb testing.TB, n int, armed bool) float64 {
	tb.Helper()
	inj := fault.New("bench", fault.WithMaxPoints(n+1))
	if armed {
		require.NoError(tb, inj.Put(holdingRule(fault.Fault{BlackHole: true})))
	}
	before := heapInUse()
	for i := range n {
		inj.Point("test", fmt.Sprint("dependency-", i))
	}
	after := heapInUse()
	require.Len(tb, inj.Points(), n)
	inj.Halt()
	return (after - before) / float64(n)
}

// TestMemoryOfHeldCalls holds what a held call takes beyond its caller's goroutine, and
// how much of that one's stack.
func TestMemoryOfHeldCalls(t *testing.T) {
	if underRace {
		t.Skip("the race detector has memory of its own")
	}
	const mostHeap, mostStack = 1 << 10, 4 << 10
	for _, h := range holders {
		for _, hold := range holds {
			var found []float64
			var stack float64
			for range 3 {
				tb := &scoped{TB: t}
				var heap float64
				heap, stack = h.beyond(tb, 1_000, hold.fault)
				found = append(found, heap)
				tb.release()
			}
			heap, _, _ := median(found)
			t.Logf("%s, %s: %.0f bytes of the heap, %.0f of the stack", h.at, hold.name, heap, stack)
			if heap > mostHeap {
				t.Errorf("a call that is held at %s by a %s takes %.0f bytes of the heap, not %d", h.at, hold.name, heap, mostHeap)
			}
			if stack > mostStack {
				t.Errorf("a call that is held at %s by a %s takes %.0f bytes of the stack, not %d", h.at, hold.name, stack, mostStack)
			}
		}
	}
}
