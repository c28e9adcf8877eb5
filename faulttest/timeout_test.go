package faulttest_test

import (
	"context"
	"database/sql"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/misfit-go/misfit/faulttest/internal/corpus"
	"github.com/misfit-go/misfit/faulttest/internal/corpus/orderdb"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/sqldriver"
	"github.com/stretchr/testify/require"
)

// reading gets the whole of a dependency's answer.
func reading(client *http.Client) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://ratings/7", http.NoBody)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		_, err = io.ReadAll(resp.Body)
		return err
	}
}

func ratings(inj *fault.Injector, timeout time.Duration) *http.Client {
	return &http.Client{Transport: httpmw.Transport(inj, "ratings", corpus.Says("five stars")), Timeout: timeout}
}

// untilHeader ends calls whose header takes too long, and lets bodies take their time,
// as a transport's ResponseHeaderTimeout does.
type untilHeader struct {
	base http.RoundTripper
	wait time.Duration
}

func (u untilHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	timer := time.AfterFunc(u.wait, cancel)
	resp, err := u.base.RoundTrip(r.WithContext(ctx))
	timer.Stop()
	if err != nil {
		cancel()
		return nil, err
	}
	context.AfterFunc(r.Context(), cancel)
	return resp, nil
}

// leaving is f, left to itself after a second.
func leaving(f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		done := make(chan error, 1)
		go func() { done <- f(context.WithoutCancel(ctx)) }()
		select {
		case err := <-done:
			return err
		case <-time.After(time.Second):
			return nil
		}
	}
}

func TestVerifyTimeouts(t *testing.T) {
	for _, test := range []struct {
		name  string
		call  func(inj *fault.Injector) func(context.Context) error
		spec  func(x *faulttest.Timeouts)
		want  string
		text  string
		worst string // of the first
	}{
		{
			name:  "right",
			call:  func(inj *fault.Injector) func(context.Context) error { return reading(ratings(inj, 2*time.Second)) },
			worst: "http.client:ratings black hole: 1 call, deadline 2s, longest 2s, request 2s",
		},
		{
			name: "by context",
			call: func(inj *fault.Injector) func(context.Context) error {
				return within(time.Second, reading(ratings(inj, 0)))
			},
			worst: "http.client:ratings black hole: 1 call, deadline 1s, longest 1s, request 1s",
		},
		{
			name: "none", want: "no deadline on this call",
			call:  func(inj *fault.Injector) func(context.Context) error { return reading(ratings(inj, 0)) },
			text:  ": with no answer it went on for 5m, until the test ended it",
			worst: "http.client:ratings black hole: 1 call, no deadline in its context, longest 5m, request no end",
		},
		{
			name: "of the header alone", want: "no deadline on this call",
			call: func(inj *fault.Injector) func(context.Context) error {
				client := ratings(inj, 0)
				client.Transport = untilHeader{client.Transport, 2 * time.Second}
				return reading(client)
			},
			text:  "with an answer that begins and does not end it went on for 5m",
			worst: "http.client:ratings black hole: 1 call, no deadline in its context, longest 2s, request 2s",
		},
		{
			name: "too long", want: "longer than allowed", spec: func(x *faulttest.Timeouts) { x.Longest = time.Second },
			call: func(inj *fault.Injector) func(context.Context) error { return reading(ratings(inj, 2*time.Second)) },
			text: "with no answer it took 2s, not 1s at most",
		},
		{
			name: "longer than the caller", want: "the caller's timeout is shorter than the worst case",
			call: func(inj *fault.Injector) func(context.Context) error { return reading(ratings(inj, 10*time.Second)) },
			text: "with no answer a request takes 10s: its caller waits 5s",
		},
		{
			name: "retries longer than the caller", want: "retries can outlast the caller",
			call: func(inj *fault.Injector) func(context.Context) error {
				return retrying(3, steady(500*time.Millisecond), nil, reading(ratings(inj, 2*time.Second)))
			},
			text:  "with no answer a request takes 7s, by 3 calls of up to 2s: its caller waits 5s",
			worst: "http.client:ratings black hole: 3 calls, deadline 2s, longest 2s, request 7s",
		},
		{
			name: "retries within one deadline",
			call: func(inj *fault.Injector) func(context.Context) error {
				return within(4*time.Second, retrying(3, steady(500*time.Millisecond), nil, reading(ratings(inj, 2*time.Second))))
			},
			worst: "http.client:ratings black hole: 2 calls, deadline 2s, longest 2s, request 4s",
		},
		{
			name: "its context is not passed on", want: "the caller's timeout is shorter than the worst case, does not end with the caller",
			call: func(inj *fault.Injector) func(context.Context) error {
				f := reading(ratings(inj, 10*time.Second))
				return func(context.Context) error { return f(context.Background()) }
			},
			text: "with no answer there and a caller that waits 5s, the request went on for 10s",
		},
		{
			name: "work goes on without the caller", want: "retries can outlast the caller, goes on after the caller has gone",
			call: func(inj *fault.Injector) func(context.Context) error {
				f := retrying(3, steady(time.Second), nil, reading(ratings(inj, 3*time.Second)))
				return func(ctx context.Context) error {
					done := make(chan error, 1)
					go func() { done <- f(context.WithoutCancel(ctx)) }()
					select {
					case err := <-done:
						return err
					case <-ctx.Done():
						return ctx.Err()
					}
				}
			},
			text: "its caller waits 5s, and calls are held there for 6s after that; 1 new call made meanwhile",
		},
		{
			name: "a fallback without a timeout", want: "no deadline on this call",
			call: func(inj *fault.Injector) func(context.Context) error {
				first, second := reading(ratings(inj, time.Second)), reading(ratings(inj, 0))
				return func(ctx context.Context) error {
					if first(ctx) == nil {
						return nil
					}
					return second(ctx)
				}
			},
			worst: "http.client:ratings black hole: 2 calls, no deadline in its context, longest 4m59s, request no end",
		},
		{
			name: "a call that is left to itself", want: "goes on after the caller has gone",
			call: func(inj *fault.Injector) func(context.Context) error {
				return leaving(reading(ratings(inj, 10*time.Second)))
			},
			text: "with no answer there the request was over after 1s, and 1 call went on until 9s after that",
		},
		{
			name: "a call that is left to itself for ever", want: "goes on after the caller has gone",
			call: func(inj *fault.Injector) func(context.Context) error { return leaving(reading(ratings(inj, 0))) },
			text: "1 call went on until 5m after that, when the test ended it",
		},
		{
			name: "a dependency that is not reached first", want: "no deadline on this call",
			call: func(inj *fault.Injector) func(context.Context) error {
				first, second := queue(inj, "audit"), within(time.Second, queue(inj, "outbox"))
				return func(ctx context.Context) error {
					if err := second(ctx); err != nil {
						return err
					}
					return first(ctx)
				}
			},
			text: "queue:audit: no deadline on this call: PUBLISH",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var worst []faulttest.Worst
			findings, log := verified(t, func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
				x := faulttest.Timeouts{Call: test.call(r.Injector()), Caller: 5 * time.Second}
				if test.spec != nil {
					test.spec(&x)
				}
				var findings []faulttest.Finding
				worst, findings = faulttest.VerifyTimeouts(t, r, x)
				return findings
			})
			require.Equal(t, test.want, faulttest.FlawsOf(findings), log)
			require.Contains(t, log, test.text)
			if test.name == "right" {
				require.Equal(t, "http.client:ratings stall: 1 call, deadline 2s, longest 2s, request 2s", worst[1].String())
			}
			if test.worst != "" {
				require.Equal(t, test.worst, worst[0].String())
				require.Len(t, worst, 2, "silent at once, and in the body")
			}
		})
	}
}

func TestVerifyTimeoutsMisused(t *testing.T) {
	for want, x := range map[string]faulttest.Timeouts{
		"no Call":                    {},
		"negative Caller or Longest": {Caller: -1},
		"reaches no dependency":      {Call: func(context.Context) error { return nil }},
		"does not return within 5m without any fault": {Call: func(ctx context.Context) error { <-ctx.Done(); return nil }},
		"Call does not return: 10m after":             {Call: func(context.Context) error { time.Sleep(time.Hour); return nil }},
	} {
		t.Run(want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log, failed := faulttest.Probe(t, func(t testing.TB) { faulttest.VerifyTimeouts(t, faulttest.New(t), x) })
				require.True(t, failed)
				require.Contains(t, log, want)
				time.Sleep(2 * time.Hour) // for the call that does not return
			})
		})
	}
}

// Databases are silent in the middle of rows, too.
func TestVerifyTimeoutsOfSQL(t *testing.T) {
	for want, timeout := range map[string]time.Duration{"": time.Second, "no deadline on this call": time.Hour} {
		findings, log := verified(t, func(t testing.TB, r *faulttest.Recorder) []faulttest.Finding {
			store := new(orderdb.Database)
			store.Put(map[string]int64{"a": 1, "b": 2})
			db := sql.OpenDB(sqldriver.Wrap(store, r.Injector(), "orders-db"))
			t.Cleanup(func() { _ = db.Close() })
			worst, findings := faulttest.VerifyTimeouts(t, r, faulttest.Timeouts{Call: within(timeout, func(ctx context.Context) error {
				rows, err := db.QueryContext(ctx, orderdb.All)
				if err != nil {
					return err
				}
				defer func() { _ = rows.Close() }()
				for rows.Next() {
				}
				return rows.Err()
			})})
			require.Len(t, worst, 2)
			require.Equal(t, "stall", worst[1].Silence)
			require.Equal(t, timeout > time.Minute, worst[1].Endless)
			return findings
		})
		require.Equal(t, want, faulttest.FlawsOf(findings), log)
	}
}
