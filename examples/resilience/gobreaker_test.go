package resilience_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sony/gobreaker/v2"
	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/examples/resilience"
	"github.com/misfit-go/misfit/faulttest"
)

// The breaker of the ratings does what is said of it.
func TestRatingsBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := faulttest.New(t)
		ratings := resilience.NewRatings(dependency(t, r.Injector(), "ratings"), resilience.RatingsBreaker())
		faulttest.VerifyBreaker(t, r, faulttest.Breaker{
			Call: func(ctx context.Context) error {
				_, err := ratings.Of(ctx, "7")
				return err
			},
			Point:     "http.client:ratings",
			Threshold: 5,
			OpenFor:   30 * time.Second,
			Fault:     faulttest.Status(http.StatusServiceUnavailable),
			Harmless:  []faulttest.Entry{faulttest.Status(http.StatusNotFound)},
			Fallback: func(ctx context.Context) error {
				shown, err := ratings.Of(ctx, "7")
				if shown != resilience.NoRatings {
					return fmt.Errorf("the page shows %q, with the error %v", shown, err)
				}
				return err
			},
		})
	})
}

// Settings that look right and are not.
func TestRatingsBreakerMistakes(t *testing.T) {
	for _, test := range []struct {
		name       string
		mistake    func(s *gobreaker.Settings)
		want, text string
	}{
		{
			"the default opens after more than five, which are six",
			func(s *gobreaker.Settings) { s.ReadyToTrip = nil },
			"opens late", "opened after 6 failures, not 5",
		},
		{
			"the default stays open for a minute",
			func(s *gobreaker.Settings) { s.Timeout = 0 },
			"tries late", "let the first call through 1m after it opened, not 30s",
		},
		{
			"by default every error is a failure, that of a product without ratings too",
			func(s *gobreaker.Settings) { s.IsSuccessful = nil },
			"counts what is no failure", `opened after 5 calls that ended with "404"`,
		},
		{
			"MaxRequests is of calls when half-open, not of calls at once",
			func(s *gobreaker.Settings) { s.MaxRequests = 10 },
			"wrong probes", "let 4 calls through at once, not 1 (Call was made 4 times)",
		},
		{
			"a ratio is of all calls since the interval began, the good ones included",
			func(s *gobreaker.Settings) {
				s.ReadyToTrip = func(c gobreaker.Counts) bool { return c.Requests > 100 && c.TotalFailures*2 > c.Requests }
			},
			"never opens", "40 calls in a row failed, all reached the dependency: it is to open after 5",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			rehearse(t, test.want, test.text, func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
				settings := resilience.RatingsBreaker()
				test.mistake(&settings)
				ratings := resilience.NewRatings(dependency(t, r.Injector(), "ratings"), settings)
				return faulttest.VerifyBreaker(t, r, faulttest.Breaker{
					Call: func(ctx context.Context) error {
						_, err := ratings.Of(ctx, "7")
						return err
					},
					Point: "ratings", Threshold: 5, OpenFor: 30 * time.Second, RecoverWithin: 2 * time.Minute,
					Harmless: []faulttest.Entry{faulttest.Status(http.StatusNotFound)},
				})
			})
		})
	}
}

// To an http.Client, 503 is no error, and a breaker around it never opens.
func TestBreakerAroundTheClient(t *testing.T) {
	rehearse(t, "never opens", "40 calls in a row failed", func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
		client := dependency(t, r.Injector(), "ratings")
		breaker := gobreaker.NewCircuitBreaker[*http.Response](resilience.RatingsBreaker())
		return faulttest.VerifyBreaker(t, r, faulttest.Breaker{
			Call: func(ctx context.Context) error {
				resp, err := breaker.Execute(func() (*http.Response, error) {
					req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://ratings/7", http.NoBody)
					if err != nil {
						return nil, err
					}
					return client.Do(req)
				})
				if err != nil {
					return err
				}
				return resp.Body.Close()
			},
			Point: "ratings", Threshold: 5, OpenFor: 30 * time.Second,
			Fault: faulttest.Status(http.StatusServiceUnavailable),
		})
	})
}

// One breaker for two services: when the one fails, the other is cut off.
func TestBreakerOfTwo(t *testing.T) {
	verify := func(shared bool) func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
		return func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
			breakers := [2]*gobreaker.CircuitBreaker[*http.Response]{}
			for i := range breakers {
				breakers[i] = gobreaker.NewCircuitBreaker[*http.Response](resilience.RatingsBreaker())
			}
			if shared {
				breakers[1] = breakers[0]
			}
			call := func(name string, breaker *gobreaker.CircuitBreaker[*http.Response]) func(context.Context) error {
				client := dependency(t, r.Injector(), name)
				return func(ctx context.Context) error {
					_, err := breaker.Execute(func() (*http.Response, error) {
						req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+name+"/7", http.NoBody)
						if err != nil {
							return nil, err
						}
						resp, err := client.Do(req)
						if err != nil {
							return nil, err
						}
						return resp, resp.Body.Close()
					})
					return err
				}
			}
			return faulttest.VerifyBreaker(t, r, faulttest.Breaker{
				Call: call("ratings", breakers[0]), Point: "ratings", Threshold: 5, OpenFor: 30 * time.Second,
				Fault:  faulttest.Fail("refused"),
				Others: map[string]func(context.Context) error{"stock": call("stock", breakers[1])},
			})
		}
	}
	rehearse(t, "", "", verify(false))
	rehearse(t, "shared breaker", "stock: shared breaker: calls do not get there either while the breaker of ratings is open", verify(true))
}

// A client without a timeout: a breaker that waits learns nothing.
func TestRatingsTimeout(t *testing.T) {
	verify := func(timeout time.Duration) func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
		return func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
			client := dependency(t, r.Injector(), "ratings")
			client.Timeout = timeout
			ratings := resilience.NewRatings(client, resilience.RatingsBreaker())
			worst, findings := faulttest.VerifyTimeouts(t, r, faulttest.Timeouts{
				Call: func(ctx context.Context) error {
					_, err := ratings.Of(ctx, "7")
					return err
				},
				Caller: 3 * time.Second,
			})
			require.Len(t, worst, 2, "with no answer, and with one that does not end")
			return findings
		}
	}
	rehearse(t, "", "", verify(2*time.Second))
	rehearse(t, "no deadline on this call", "GET /7 in resilience.get: with no answer it went on for 5m", verify(0))
	rehearse(t, "the caller's timeout is shorter than the worst case", "with no answer a request takes 10s: its caller waits 3s", verify(10*time.Second))
}
