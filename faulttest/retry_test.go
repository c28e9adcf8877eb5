package faulttest_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/misfit-go/misfit/faulttest/internal/corpus"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/stretchr/testify/require"
)

// retrying calls f until it succeeds, up to a number of attempts.
func retrying(attempts int, pause func(attempt int) time.Duration, again func(error) bool, f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		var err error
		for n := 1; ; n++ {
			if err = f(ctx); err == nil || n == attempts || again != nil && !again(err) {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pause(n)):
			}
		}
	}
}

// doubling pauses for 100 ms, 200 ms and so on, a fifth more or less.
func doubling(n int) time.Duration {
	base := 50 * time.Millisecond << n
	return base*4/5 + rand.N(base*2/5)
}

func steady(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }

func TestVerifyRetries(t *testing.T) {
	temporary := func(err error) bool { return err.Error() != "404 Not Found" }
	type setup struct {
		call, once func(context.Context) error
		spec       func(x *faulttest.Retries)
	}
	for _, test := range []struct {
		name string
		with func(call func(context.Context) error) setup
		want string
		text string
	}{
		{name: "right", with: func(call func(context.Context) error) setup {
			return setup{call: retrying(3, doubling, temporary, call), once: call, spec: func(x *faulttest.Retries) {
				x.MinGap, x.Growing, x.Jittered = 80*time.Millisecond, true, true
				x.Final = []faulttest.Entry{faulttest.Status(404)}
			}}
		}},
		{name: "too many", with: func(call func(context.Context) error) setup {
			return setup{call: retrying(5, doubling, nil, call)}
		}, want: "over budget", text: "one request came to 5 calls, not 3 at most"},
		{name: "never", with: func(call func(context.Context) error) setup {
			return setup{call: call}
		}, want: "never retries", text: `"unavailable" came to one call: it is not retried, and 3 are allowed`},
		{name: "nested", with: func(call func(context.Context) error) setup {
			return setup{call: retrying(3, doubling, nil, retrying(3, doubling, nil, call))}
		}, want: "nested retries", text: "one request came to 9 calls, not 3 at most: as 3 tries of 3 attempts come to"},
		{name: "at once", with: func(call func(context.Context) error) setup {
			return setup{call: retrying(3, steady(0), nil, call)}
		}, want: "no backoff", text: "attempt 2 came 0s after attempt 1 had failed, not 1ms or more"},
		{name: "too soon", with: func(call func(context.Context) error) setup {
			return setup{call: retrying(3, steady(50*time.Millisecond), nil, call), spec: func(x *faulttest.Retries) { x.MinGap = 60 * time.Millisecond }}
		}, want: "no backoff", text: "attempt 2 came 50ms after attempt 1 had failed, not 60ms or more"},
		{name: "after a timeout at once", with: func(call func(context.Context) error) setup {
			return setup{call: retrying(3, steady(0), nil, within(time.Second, call)), spec: func(x *faulttest.Retries) { x.Fault = faulttest.BlackHole() }}
		}, want: "no backoff", text: "attempt 2 came 0s after"},
		{name: "steady", with: func(call func(context.Context) error) setup {
			return setup{call: retrying(3, steady(time.Second), nil, call), spec: func(x *faulttest.Retries) { x.Growing, x.Jittered = true, true }}
		}, want: "backoff not growing, no jitter", text: "in 50 requests the pauses were the same each time: [1s 1s]"},
		{name: "404 is final", with: func(call func(context.Context) error) setup {
			return setup{call: retrying(3, doubling, nil, call), spec: func(x *faulttest.Retries) { x.Final = []faulttest.Entry{faulttest.Status(404)} }}
		}, want: "retries what is final", text: `"404" came to 3 calls`},
		{name: "paid twice", with: func(call func(context.Context) error) setup {
			again := func(err error) bool {
				return errors.Is(err, http.ErrHandlerTimeout) || err.Error() != "503 Service Unavailable"
			}
			return setup{call: retrying(3, doubling, nil, call), once: retrying(2, doubling, again, call)}
		}, want: "repeats what is to happen once", text: `with "reset" it was done 2 times`},
		{name: "paid twice when the reply is lost", with: func(call func(context.Context) error) setup {
			lost := func(err error) bool {
				var injected *fault.Error
				return errors.As(err, &injected) && strings.Contains(injected.Rule, "lost-reply")
			}
			return setup{call: retrying(3, doubling, nil, call), once: retrying(2, doubling, lost, call)}
		}, want: "repeats what is to happen once", text: `with "lost reply" it was done 2 times`},
		{name: "for ever", with: func(call func(context.Context) error) setup {
			return setup{call: retrying(-1, steady(7*time.Second), nil, call)}
		}, want: "no deadline on this call", text: "and came to 43 calls by then"},
	} {
		t.Run(test.name, func(t *testing.T) {
			findings, log := verified(t, func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
				s := test.with(func(ctx context.Context) error {
					_, err := get(ctx, r.Injector(), "ratings")
					return err
				})
				x := faulttest.Retries{Call: s.call, Point: "http.client:ratings", Attempts: 3, Once: s.once}
				if s.spec != nil {
					s.spec(&x)
				}
				return faulttest.VerifyRetries(t, r, x)
			})
			require.Equal(t, test.want, faulttest.FlawsOf(findings), log)
			require.Contains(t, log, test.text)
		})
	}
}

// within is f with a timeout.
func within(d time.Duration, f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		return f(ctx)
	}
}

func TestVerifyRetriesMisused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, failed := faulttest.Probe(t, func(t testing.TB) { faulttest.VerifyRetries(t, faulttest.New(t), faulttest.Retries{}) })
		require.True(t, failed)
		require.Contains(t, log, "no Call")
		require.Contains(t, log, "no Point")
	})
}

// A shop asks a stock service for prices and how many there are; that asks a database.
// Each is asked up to so many times.
func stockShop(inj *fault.Injector, asksStock, asksDatabase int) func(context.Context) error {
	fetch := func(client http.RoundTripper, host string, attempts int) func(context.Context) error {
		return retrying(attempts, doubling, nil, func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+"/", http.NoBody)
			if err != nil {
				return err
			}
			resp, err := client.RoundTrip(req)
			if err != nil {
				return err
			}
			defer func() { _ = resp.Body.Close() }()
			if resp.StatusCode != http.StatusOK {
				return errors.New(resp.Status)
			}
			return nil
		})
	}
	database := fetch(httpmw.Transport(inj, "database", corpus.Says("3")), "database", asksDatabase)
	stock := httpmw.Transport(inj, "stock", corpus.Memory(func(w http.ResponseWriter, r *http.Request) {
		if err := database(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	}))
	return fetch(stock, "stock", asksStock)
}

func TestVerifyAmplification(t *testing.T) {
	for _, test := range []struct {
		name                string
		outer, inner        int
		spec                func(a *faulttest.Amplification)
		want, text          string
		database, stock, at float64 // factors, with the database failing and with everything
	}{
		{name: "one layer retries", outer: 1, inner: 3, database: 3, stock: 1, at: 1},
		{
			name: "both do", outer: 3, inner: 3, database: 9, stock: 3, at: 3, want: "nested retries",
			text: "http.client:database: nested retries: with it failing, a request comes to 9.00 calls there, more than 3: 3.00 at http.client:stock times 3.00 for each of these",
		},
		{name: "which is allowed", outer: 3, inner: 3, database: 9, stock: 3, at: 3, spec: func(a *faulttest.Amplification) { a.Bounds = map[string]float64{"database": 9} }},
		{
			name: "behind a layer that does not, too many", outer: 1, inner: 5, database: 5, stock: 1, at: 1, want: "amplifies",
			text: "with http.client:database failing: http.client:database 5.00 calls per request (100/20), more than 3",
		},
		{
			name: "one layer, too many", outer: 5, inner: 1, database: 5, stock: 5, at: 5, want: "amplifies",
			text: "with http.client:database failing: http.client:stock 5.00 calls per request (100/20), more than 3",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var factors []faulttest.Factor
			findings, log := verified(t, func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
				a := faulttest.Amplification{Call: stockShop(r.Injector(), test.outer, test.inner), Bound: 3}
				if test.spec != nil {
					test.spec(&a)
				}
				var findings []faulttest.Finding
				factors, findings = faulttest.VerifyAmplification(t, r, a)
				return findings
			})
			require.Equal(t, test.want, faulttest.FlawsOf(findings), log)
			require.Contains(t, log, test.text)
			values := make(map[[2]string]float64)
			for _, f := range factors {
				values[[2]string{f.Failing, f.Point}] = f.Value()
			}
			const stock, database = "http.client:stock", "http.client:database"
			require.Equal(t, map[[2]string]float64{
				{"", stock}: 1, {"", database}: 1,
				{database, stock}: test.stock, {database, database}: test.database,
				{stock, stock}: test.at, {stock, database}: 0,
				{"*", stock}: test.at, {"*", database}: 0,
			}, values)
		})
	}
}

// The bound is for when something fails: what is usual is no amplification.
func TestVerifyAmplificationUsually(t *testing.T) {
	findings, log := verified(t, func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
		call := queue(r.Injector(), "audit")
		factors, findings := faulttest.VerifyAmplification(t, r, faulttest.Amplification{Bound: 1, Call: func(ctx context.Context) error {
			if err := call(ctx); err != nil {
				return err
			}
			return call(ctx)
		}})
		require.Equal(t, "with nothing failing: queue:audit 2.00 calls per request (40/20)", factors[0].String())
		return findings
	})
	require.Len(t, findings, 0, log)
}

func TestVerifyAmplificationMisused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := faulttest.Probe(t, func(t testing.TB) {
			faulttest.VerifyAmplification(t, faulttest.New(t), faulttest.Amplification{})
		})
		require.Contains(t, log, "no Call")
		require.Contains(t, log, "neither Bound nor Bounds is set")
		log, _ = faulttest.Probe(t, func(t testing.TB) {
			faulttest.VerifyAmplification(t, faulttest.New(t), faulttest.Amplification{Bound: 1, Call: func(context.Context) error { return nil }})
		})
		require.Contains(t, log, "reaches no dependency")
	})
}
