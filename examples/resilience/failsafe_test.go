package resilience_test

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"

	"github.com/misfit-go/misfit/examples/resilience"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
)

type policies = []failsafe.Policy[string]

// left is a call of a stock client with these policies.
func left(t testing.TB, inj *fault.Injector, policies ...failsafe.Policy[string]) func(context.Context) error {
	stock := resilience.NewStock(dependency(t, inj, "stock"), policies...)
	return func(ctx context.Context) error {
		_, err := stock.Left(ctx, "7")
		return err
	}
}

// All that is said of the policies holds.
func TestStockPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := faulttest.New(t)
		faulttest.VerifyBreaker(t, r, faulttest.Breaker{
			Call:      left(t, r.Injector(), resilience.StockPolicies()...),
			Point:     "stock",
			Threshold: 6, // attempts: the breaker is within the retries
			OpenFor:   30 * time.Second,
			Harmless:  []faulttest.Entry{faulttest.Status(http.StatusNotFound)},
		})
		faulttest.VerifyTimeouts(t, r, faulttest.Timeouts{
			Call:    left(t, r.Injector(), resilience.StockPolicies()...),
			Caller:  5 * time.Second,
			Longest: time.Second,
		})
		faulttest.VerifyRetries(t, r, faulttest.Retries{
			Call:     left(t, r.Injector(), resilience.StockRetries().Build()), // no breaker, which would open
			Point:    "stock",
			Attempts: 3,
			MinGap:   80 * time.Millisecond,
			Growing:  true,
			Jittered: true,
			Final:    []faulttest.Entry{faulttest.Status(http.StatusNotFound), faulttest.Status(http.StatusBadRequest)},
		})
		faulttest.VerifyAmplification(t, r, faulttest.Amplification{
			Call:  left(t, r.Injector(), resilience.StockPolicies()...),
			Bound: 0.5, // the breaker opens after the second of the twenty requests
		})
	})
}

func TestStockBreakerMistakes(t *testing.T) {
	for _, test := range []struct {
		name       string
		policies   policies
		want, text string
	}{
		{
			"without a success threshold the failure threshold is that of half-open, too",
			policies{circuitbreaker.NewBuilder[string]().WithFailureThreshold(6).WithDelay(30 * time.Second).Build()},
			"wrong probes, counts what is no failure", "let 6 calls through that failed until it opened again, not 1",
		},
		{
			"the breaker is around the retries, and counts three attempts as one failure",
			policies{resilience.StockBreaker().Build(), resilience.StockRetries().Build()},
			"opens late, wrong probes", "opened after 18 failures, not 6",
		},
		{
			"the default opens at the first failure, for a minute",
			policies{circuitbreaker.NewWithDefaults[string]()},
			"opens early, tries late, counts what is no failure", "opened after 1 failure, not 6",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			rehearse(t, test.want, test.text, func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
				return faulttest.VerifyBreaker(t, r, faulttest.Breaker{
					Call: left(t, r.Injector(), test.policies...), Point: "stock", Threshold: 6, OpenFor: 30 * time.Second, RecoverWithin: 2 * time.Minute,
					Harmless: []faulttest.Entry{faulttest.Status(http.StatusNotFound)},
				})
			})
		})
	}
}

func TestStockRetriesMistakes(t *testing.T) {
	for _, test := range []struct {
		name       string
		policies   policies
		want, text string
	}{
		{
			"by default there is no pause, and every error is retried",
			policies{retrypolicy.NewWithDefaults[string]()},
			"no backoff, backoff not growing, no jitter, retries what is final", "attempt 2 came 0s after attempt 1 had failed",
		},
		{
			"a pause that does not grow",
			policies{retrypolicy.NewBuilder[string]().AbortIf(notFound).WithDelay(time.Second).Build()},
			"backoff not growing, no jitter", "in 50 requests the pauses were the same each time: [1s 1s]",
		},
		{
			"two policies in one executor, which counts attempts for both",
			policies{resilience.StockRetries().Build(), resilience.StockRetries().Build()},
			"over budget", "one request came to 5 calls, not 3 at most",
		},
		{
			"more than is good",
			policies{resilience.StockRetries().WithMaxRetries(3).Build()},
			"over budget", "one request came to 4 calls, not 3 at most",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			rehearse(t, test.want, test.text, func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
				return faulttest.VerifyRetries(t, r, faulttest.Retries{
					Call: left(t, r.Injector(), test.policies...), Point: "stock", Attempts: 3,
					Growing: true, Jittered: true, Final: []faulttest.Entry{faulttest.Status(http.StatusNotFound)},
				})
			})
		})
	}
}

// Retries around what has retries of its own multiply.
func TestStockNestedRetries(t *testing.T) {
	nested := func(t testing.TB, r *faulttest.Recorder) func(context.Context) error {
		inner := left(t, r.Injector(), resilience.StockRetries().Build())
		outer := failsafe.With[string](resilience.StockRetries().Build())
		return func(ctx context.Context) error { return outer.WithContext(ctx).Run(func() error { return inner(ctx) }) }
	}
	rehearse(t, "nested retries", "one request came to 9 calls, not 3 at most: as 3 tries of 3 attempts come to",
		func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
			return faulttest.VerifyRetries(t, r, faulttest.Retries{Call: nested(t, r), Point: "stock", Attempts: 3})
		})
	rehearse(t, "amplifies", "with http.client:stock failing: http.client:stock 9.00 calls per request (180/20), more than 3",
		func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
			_, findings := faulttest.VerifyAmplification(t, r, faulttest.Amplification{Call: nested(t, r), Bound: 3})
			return findings
		})
}

func notFound(_ string, err error) bool {
	status, ok := err.(*resilience.StatusError)
	return ok && status.Status == http.StatusNotFound
}

// A retrying transport does not know what must not be done twice, and a policy for
// errors does not know what an answer means.
func TestStockTransport(t *testing.T) {
	send := func(client *http.Client, method string) func(context.Context) error {
		return func(ctx context.Context) error {
			req, err := http.NewRequestWithContext(ctx, method, "http://stock/7", bytes.NewReader([]byte("1")))
			if err != nil {
				return err
			}
			resp, err := client.Do(req)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		}
	}
	verify := func(policy retrypolicy.RetryPolicy[*http.Response]) func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
		return func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
			client := dependency(t, r.Injector(), "stock")
			client.Transport = failsafehttp.NewRoundTripper(client.Transport, policy)
			return faulttest.VerifyRetries(t, r, faulttest.Retries{
				Call: send(client, http.MethodGet), Once: send(client, http.MethodPost),
				Point: "stock", Attempts: 3, Fault: faulttest.Status(http.StatusServiceUnavailable),
			})
		}
	}
	rehearse(t, "repeats what is to happen once", `with "503" it was done 3 times: the first may have been carried out`,
		verify(failsafehttp.NewRetryPolicyBuilder().WithDelay(time.Second).Build()))
	rehearse(t, "never retries, repeats what is to happen once", `"503" came to one call: it is not retried, and 3 are allowed`,
		verify(retrypolicy.NewBuilder[*http.Response]().WithDelay(time.Second).Build()))
}

func TestStockTimeoutMistakes(t *testing.T) {
	for _, test := range []struct {
		name       string
		policies   policies
		want, text string
	}{
		{
			"each attempt ends, and all of them together take too long",
			policies{resilience.StockRetries().Build(), timeout.New[string](2 * time.Second)},
			"retries can outlast the caller", "by 3 calls of up to 2s: its caller waits 5s",
		},
		{
			"one timeout around all attempts: the first one uses it up",
			policies{timeout.New[string](10 * time.Second), resilience.StockRetries().Build()},
			"the caller's timeout is shorter than the worst case", "with no answer a request takes 10s: its caller waits 5s",
		},
		{
			"none",
			policies{resilience.StockRetries().Build()},
			"no deadline on this call", "with no answer it went on for 5m",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			rehearse(t, test.want, test.text, func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
				_, findings := faulttest.VerifyTimeouts(t, r, faulttest.Timeouts{
					Call: left(t, r.Injector(), test.policies...), Caller: 5 * time.Second,
				})
				return findings
			})
		})
	}
}
