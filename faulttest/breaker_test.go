package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/stretchr/testify/require"
)

// A circuit is a small breaker that does everything right until told otherwise.
type circuit struct {
	threshold int
	openFor   time.Duration
	probes    int
	leak      int  // while open, each so manieth call gets through
	stuckOpen bool // is never half-open
	trusting  bool // half-open, failures do not open it
	latch     bool // a probe that succeeds has it wait once more
	harmless  func(error) bool

	mu       sync.Mutex
	open     bool
	since    time.Time
	failures int
	trying   int
	fine     int
	refused  int
}

var errOpen = errors.New("open")

func (c *circuit) admit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.open:
		return nil
	case !c.stuckOpen && time.Since(c.since) >= c.openFor && (c.trying < c.probes || c.trusting):
		c.trying++
		return nil
	}
	if c.refused++; c.leak > 0 && c.refused%c.leak == 0 {
		return nil
	}
	return errOpen
}

func (c *circuit) do(f func() error) error {
	if err := c.admit(); err != nil {
		return err
	}
	err := f()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil && c.harmless != nil && c.harmless(err):
	case err == nil && !c.open:
		c.failures = 0
	case err == nil && c.latch:
		c.since, c.trying = time.Now(), 0
	case err == nil:
		if c.fine++; c.fine >= c.probes {
			c.open, c.failures = false, 0
		}
	case c.open && c.trusting:
	default:
		if c.failures++; c.failures >= c.threshold {
			c.open, c.since, c.trying, c.fine = true, time.Now(), 0, 0
		}
	}
	return err
}

func queue(inj *fault.Injector, name string) func(context.Context) error {
	point := inj.Point("queue", name)
	return func(ctx context.Context) error { return point.Inject(ctx, fault.Operation{Name: "PUBLISH"}) }
}

// verified runs a verification in a bubble, with a test that fails nobody else.
func verified(t *testing.T, f func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding) (findings []faulttest.Finding, log string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var failed bool
		log, failed = faulttest.Probe(t, func(t testing.TB) { findings = f(t, faulttest.New(t)) })
		require.Equal(t, len(findings) > 0, failed, log)
	})
	for _, f := range findings {
		require.Contains(t, log, f.String())
	}
	return findings, log
}

func TestVerifyBreaker(t *testing.T) {
	notFound := errors.New("not found")
	right := func() *circuit { return &circuit{threshold: 5, openFor: 30 * time.Second, probes: 2} }
	for _, test := range []struct {
		name  string
		wrong func(c *circuit)
		spec  func(b *faulttest.Breaker)
		want  string // the flaws
		text  string // part of the log
	}{
		{name: "right"},
		{name: "early", wrong: func(c *circuit) { c.threshold = 3 }, want: "opens early", text: "opened after 3 failures, not 5"},
		{name: "one early", wrong: func(c *circuit) { c.threshold = 4 }, want: "opens early", text: "opened after 4 failures, not 5"},
		{name: "late", wrong: func(c *circuit) { c.threshold = 7 }, want: "opens late", text: "opened after 7 failures, not 5"},
		{name: "late, within what is allowed", wrong: func(c *circuit) { c.threshold = 7 }, spec: func(b *faulttest.Breaker) { b.Slack = 2; b.Probes = 1 }},
		{name: "never opens", wrong: func(c *circuit) { c.threshold = 1000 }, want: "never opens", text: "40 calls in a row failed, all reached the dependency: it is to open after 5"},
		{name: "leaks", wrong: func(c *circuit) { c.leak = 6 }, want: "calls while open", text: "3 calls reached it while open, the first 7.5s after it opened: it is to let none through for 30s (Call was made 18 times)"},
		{name: "opens for too short", wrong: func(c *circuit) { c.openFor = 10 * time.Second }, want: "calls while open", text: "the first 10.5"},
		{name: "opens for too long", wrong: func(c *circuit) { c.openFor = time.Minute }, want: "tries late", text: "let the first call through 1m after it opened, not 30s", spec: func(b *faulttest.Breaker) { b.RecoverWithin = 2 * time.Minute }},
		{name: "never half-open", wrong: func(c *circuit) { c.stuckOpen = true }, want: "never tries, never recovers", text: "did not recover within 1m after the rule was removed: 0 of 42 calls got through; the last returned \"open\""},
		{name: "one probe only", wrong: func(c *circuit) { c.probes = 1 }, want: "wrong probes", text: "let 1 call through at once, not 2 (Call was made 5 times)"},
		{name: "three probes", wrong: func(c *circuit) { c.probes = 3 }, want: "wrong probes", text: "let 3 calls through at once, not 2"},
		{name: "half-open for good", wrong: func(c *circuit) { c.trusting = true }, want: "never opens again", text: "let 41 calls through that failed, and did not open again"},
		{name: "does not close", wrong: func(c *circuit) { c.latch = true }, want: "never recovers", text: "2 of 42 calls got through"},
		{
			name: "calls get through, and go on failing", want: "never recovers", text: `22 of 42 calls got through; the last returned "stale"`,
			spec: func(b *faulttest.Breaker) {
				call := b.Call
				var stale atomic.Bool
				b.Call = func(ctx context.Context) error {
					err := call(ctx)
					if errors.Is(err, errOpen) {
						stale.Store(true)
					}
					if err == nil && stale.Load() {
						return errors.New("stale")
					}
					return err
				}
			},
		},
		{
			name: "fallback", want: "wrong fallback", text: "while open: not cached: open",
			spec: func(b *faulttest.Breaker) {
				b.Fallback = func(ctx context.Context) error { return fmt.Errorf("not cached: %w", b.Call(ctx)) }
			},
		},
		{name: "right fallback", spec: func(b *faulttest.Breaker) {
			b.Fallback = func(ctx context.Context) error {
				if err := b.Call(ctx); !errors.Is(err, errOpen) {
					return err
				}
				return nil
			}
		}},
		{
			name: "counts what is harmless", want: "counts what is no failure", text: `opened after 5 calls that ended with "404"`,
			spec: func(b *faulttest.Breaker) { b.Harmless = []faulttest.Entry{faulttest.Named("not-found").As("404")} },
		},
		{
			name: "does not count it", wrong: func(c *circuit) { c.harmless = func(err error) bool { return errors.Is(err, notFound) } },
			spec: func(b *faulttest.Breaker) { b.Harmless = []faulttest.Entry{faulttest.Named("not-found").As("404")} },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			findings, log := verified(t, func(t testing.TB, _ *faulttest.Recorder) []faulttest.Finding {
				t.Helper()
				// The recorder is made here for its options: verified's own is not used.
				inner := faulttest.New(sub{t, "named"}, faulttest.Injector(fault.WithNamedError("not-found", notFound)))
				c := right()
				if test.wrong != nil {
					test.wrong(c)
				}
				call := queue(inner.Injector(), "ratings")
				b := faulttest.Breaker{
					Call:  func(ctx context.Context) error { return c.do(func() error { return call(ctx) }) },
					Point: "ratings", Threshold: 5, OpenFor: 30 * time.Second, Probes: 2,
				}
				if test.spec != nil {
					test.spec(&b)
				}
				return faulttest.VerifyBreaker(t, inner, b)
			})
			require.Equal(t, test.want, faulttest.FlawsOf(findings), log)
			require.Contains(t, log, test.text)
		})
	}
}

// A sub is a test by another name, for a second recorder.
type sub struct {
	testing.TB
	name string
}

func (s sub) Name() string { return s.TB.Name() + "/" + s.name }

func TestVerifyBreakerShared(t *testing.T) {
	for _, shared := range []bool{true, false} {
		findings, log := verified(t, func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
			a, b := &circuit{threshold: 2, openFor: time.Minute, probes: 1}, &circuit{threshold: 2, openFor: time.Minute, probes: 1}
			if shared {
				b = a
			}
			ratings, stock := queue(r.Injector(), "ratings"), queue(r.Injector(), "stock")
			return faulttest.VerifyBreaker(t, r, faulttest.Breaker{
				Call:  func(ctx context.Context) error { return a.do(func() error { return ratings(ctx) }) },
				Point: "queue:ratings", Threshold: 2, OpenFor: time.Minute,
				Others: map[string]func(context.Context) error{
					"stock": func(ctx context.Context) error { return b.do(func() error { return stock(ctx) }) },
				},
			})
		})
		if shared {
			require.Equal(t, "shared breaker", faulttest.FlawsOf(findings), log)
			require.Equal(t, "stock", findings[0].Point)
		} else {
			require.Empty(t, findings)
		}
	}
}

// Rules that the test has put go after those of the verification.
func TestVerifyBreakerBesideRules(t *testing.T) {
	findings, log := verified(t, func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
		r.Inject("ratings", faulttest.Delay(time.Millisecond).As("a delay"))
		c, call := &circuit{threshold: 2, openFor: time.Minute, probes: 1}, queue(r.Injector(), "ratings")
		return faulttest.VerifyBreaker(t, r, faulttest.Breaker{
			Call:  func(ctx context.Context) error { return c.do(func() error { return call(ctx) }) },
			Point: "ratings", Threshold: 2, OpenFor: time.Minute,
		})
	})
	require.Empty(t, findings, log)
}

// A breaker around a call that never ends never learns anything.
func TestVerifyBreakerHangs(t *testing.T) {
	findings, log := verified(t, func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
		c, call := &circuit{threshold: 2, openFor: time.Minute, probes: 1}, queue(r.Injector(), "ratings")
		return faulttest.VerifyBreaker(t, r, faulttest.Breaker{
			Call:  func(context.Context) error { return c.do(func() error { return call(context.Background()) }) },
			Point: "ratings", Threshold: 2, OpenFor: time.Minute, Fault: faulttest.BlackHole(),
		})
	})
	require.Equal(t, "no deadline on this call", faulttest.FlawsOf(findings), log)
	require.Contains(t, log, `with "black hole" a call took 5m, until the test ended it`)
}

// What the test itself has wrong is said as such.
func TestVerifyBreakerMisused(t *testing.T) {
	for name, test := range map[string]struct {
		spec func(b *faulttest.Breaker)
		want []string
	}{
		"nothing":       {func(b *faulttest.Breaker) { *b = faulttest.Breaker{} }, []string{"no Call", "no Point", "no Threshold", "no OpenFor"}},
		"another point": {func(b *faulttest.Breaker) { b.Point = "prices" }, []string{`"unavailable" was injected at prices and applied to no call`, "queue:ratings PUBLISH"}},
		"impossible":    {func(b *faulttest.Breaker) { b.Fault = faulttest.Status(503) }, []string{`"503" was injected at ratings and applied to no call`}},
		"panic":         {func(b *faulttest.Breaker) { b.Call = func(context.Context) error { panic("oh") } }, []string{"Call: panic: oh"}},
		"other": {func(b *faulttest.Breaker) {
			b.Others = map[string]func(context.Context) error{"x": func(context.Context) error { return nil }}
		}, []string{`Others["x"] makes no call there without a fault either`}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, failed := faulttest.Probe(t, func(t testing.TB) {
					r := faulttest.New(t)
					c, call := &circuit{threshold: 2, openFor: time.Minute, probes: 1}, queue(r.Injector(), "ratings")
					b := faulttest.Breaker{
						Call:  func(ctx context.Context) error { return c.do(func() error { return call(ctx) }) },
						Point: "ratings", Threshold: 2, OpenFor: time.Minute,
					}
					test.spec(&b)
					faulttest.VerifyBreaker(t, r, b)
					t.Log("went on")
				})
				require.True(t, failed)
				for _, want := range test.want {
					require.Contains(t, log, want)
				}
				require.NotContains(t, log, "went on")
			})
		})
	}
}
