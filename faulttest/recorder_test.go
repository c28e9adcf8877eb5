package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/misfit-go/misfit/faulttest/internal/corpus"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

func get(ctx context.Context, inj *fault.Injector, dependency string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+dependency+"/x", http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := httpmw.Transport(inj, dependency, corpus.Says("well")).RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestRecorder(t *testing.T) {
	r := faulttest.New(t, faulttest.Service("shop"))
	inj := r.Injector()
	require.Equal(t, "shop", inj.Service())
	id := r.Inject("ratings", faulttest.Status(503))
	require.Equal(t, "ratings-503", id)

	_, err := get(t.Context(), inj, "ratings")
	require.EqualError(t, err, "503 Service Unavailable")
	_, err = get(t.Context(), inj, "inventory")
	require.NoError(t, err)
	_, err = get(t.Context(), inj, "ratings")
	require.Error(t, err)

	r.RequireFired(id)
	hits := r.Hits()
	require.Len(t, hits, 2)
	require.Equal(t, hits, r.Hits(id))
	require.Empty(t, r.Hits("another"))
	require.Equal(t, "http.client:ratings", hits[0].Point)
	var seen []string
	for _, c := range r.Calls() {
		seen = append(seen, c.String())
	}
	require.Equal(t, []string{"inventory GET /x", "ratings GET /x", "ratings GET /x #2"}, seen)
	require.Len(t, r.Calls("ratings"), 2)
	require.Len(t, r.Calls("http.client:inventory", "ratings"), 3)
	require.Equal(t, "faulttest_test.get", r.Calls()[0].In)

	require.True(t, faulttest.Injected(t, "ratings"))
	require.True(t, faulttest.Injected(t, "http.client:ratings"))
	require.False(t, faulttest.Injected(t, "inventory"))
	require.False(t, faulttest.Injected(t, "sql:ratings"))
	require.Equal(t, id, faulttest.Injections(t)[0].Fault)
	t.Run("part", func(t *testing.T) { require.True(t, faulttest.Injected(t, "ratings")) })

	again := r.Inject("http.client:ratings", faulttest.Status(503))
	require.NotEqual(t, id, again)
	inj.Delete(id)
	_, err = get(t.Context(), inj, "ratings")
	require.Error(t, err)
	require.Len(t, r.Hits(again), 1)
}

// The order does not depend on the scheduler.
func TestRecorderIsDeterministic(t *testing.T) {
	var first string
	var once sync.Once
	for i := range 20 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			r := faulttest.New(t)
			id := r.Inject("*", faulttest.Fail(fault.Refused))
			var wg sync.WaitGroup
			for _, name := range []string{"c", "a", "b"} {
				wg.Go(func() { _, _ = get(t.Context(), r.Injector(), name) })
				wg.Go(func() { _ = r.Injector().Point("queue", name).Inject(t.Context(), fault.Operation{Name: "PUBLISH"}) })
			}
			wg.Wait()
			text := ""
			for _, e := range r.Events() {
				text += fmt.Sprintln(e.Kind, e.Point, e.Operation, e.Rule == id)
			}
			for _, c := range r.Calls() {
				text += fmt.Sprintln(c, c.ID)
			}
			once.Do(func() { first = text })
			require.Equal(t, first, text)
			require.Len(t, r.Hits(), 6)
		})
	}
}

func TestWaitFired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := faulttest.New(t)
		inj := r.Injector()
		id := r.Inject("ratings", faulttest.BlackHole())
		start := time.Now()
		go func() {
			for range 2 {
				time.Sleep(20 * time.Minute)
				go func() { _, _ = get(context.Background(), inj, "ratings") }()
			}
		}()
		require.NoError(t, r.WaitFired(t.Context(), id, 2))
		require.Equal(t, 40*time.Minute, time.Since(start), "no longer than it takes")
		require.NoError(t, r.WaitFired(t.Context(), id, 1))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := r.WaitFired(ctx, id, 3)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, `rule "ratings-black-hole" applied to 2 calls of 3`)
		require.ErrorContains(t, err, "http.client:ratings GET /x, in faulttest_test.get")
		require.Equal(t, 41*time.Minute, time.Since(start))
	}) // and nothing is held: the bubble would not end
}

// What ought to fail the test does.
func TestRecorderFailures(t *testing.T) {
	for name, test := range map[string]struct {
		do   func(t testing.TB, r *faulttest.Recorder)
		want []string
	}{
		"never fired": {func(t testing.TB, r *faulttest.Recorder) {
			r.Inject("ratings", faulttest.BlackHole())
			for range 3 {
				_, _ = get(t.Context(), r.Injector(), "inventory")
			}
		}, []string{`rule "ratings-black-hole" applied to no call`, "http.client:inventory GET /x, in faulttest_test.get, 3 times"}},
		"no calls at all": {func(_ testing.TB, r *faulttest.Recorder) {
			r.Inject("ratings", faulttest.BlackHole())
		}, []string{"calls seen: none"}},
		"required before it fired": {func(_ testing.TB, r *faulttest.Recorder) {
			r.RequireFired("x")
			panic("goes on")
		}, []string{`rule "x" applied to no call`}},
		"held back": {func(t testing.TB, r *faulttest.Recorder) {
			r.Expect(fault.Rule{
				ID: "r", Target: fault.Target{Points: []string{"ratings"}}, Scope: scope.Everyone(),
				Fault: faulttest.BlackHole().Fault, TTL: time.Minute,
			})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := get(ctx, r.Injector(), "ratings")
			require.NoError(t, err)
		}, []string{`rule "r" applied to no call: it was held back by held`}},
		"refused": {func(_ testing.TB, r *faulttest.Recorder) {
			r.Put(fault.Rule{ID: "r"})
			panic("goes on")
		}, []string{"faulttest: fault: rule \"r\""}},
	} {
		t.Run(name, func(t *testing.T) {
			var options []faulttest.Option
			if name == "held back" {
				options = append(options, faulttest.Injector(fault.WithGuardrails(fault.Guardrails{MaxHeld: 1})))
			}
			log, failed := faulttest.Probe(t, func(t testing.TB) {
				r := faulttest.New(t, options...)
				if name == "held back" { // by another call
					id := r.Inject("custom:other", faulttest.BlackHole())
					go func() {
						_ = r.Injector().Point("custom", "other").Inject(context.Background(), fault.Operation{Name: "GET"})
					}()
					if r.WaitFired(t.Context(), id, 1) != nil {
						return
					}
				}
				test.do(t, r)
			})
			require.True(t, failed)
			for _, want := range test.want {
				require.Contains(t, log, want)
			}
			require.NotContains(t, log, "goes on")
		})
	}
}

func TestTwoInjectorsForOneTest(t *testing.T) {
	log, failed := faulttest.Probe(t, func(t testing.TB) {
		faulttest.New(t)
		faulttest.New(t)
	})
	require.True(t, failed)
	require.Contains(t, log, "has an injector already")
	log, failed = faulttest.Probe(t, func(t testing.TB) { faulttest.Injected(t, "ratings") })
	require.True(t, failed)
	require.Contains(t, log, "has no injector of this package")
}

// A test that ends lets go of what it holds, and of its name.
func TestRecorderEnds(t *testing.T) {
	released := make(chan error, 1)
	for range 2 {
		_, failed := faulttest.Probe(t, func(t testing.TB) {
			r := faulttest.New(t)
			id := r.Inject("custom:db", faulttest.BlackHole())
			db := r.Injector().Point("custom", "db")
			go func() { released <- db.Inject(context.Background(), fault.Operation{Name: "GET"}) }()
			require.NoError(t, r.WaitFired(t.Context(), id, 1))
		})
		require.False(t, failed)
		require.NoError(t, <-released)
	}
}

// A test of faults does not pass where none are injected.
func TestPassThroughIsNoPass(t *testing.T) {
	if !absent.Machinery {
		t.Setenv("MISFIT_DISABLED", "1")
	}
	log, failed := faulttest.Probe(t, func(t testing.TB) {
		faulttest.New(t)
		panic("goes on")
	})
	require.Equal(t, !absent.Machinery, failed, "where a binary was built like that, it is skipped")
	if absent.Machinery {
		require.Contains(t, log, "nothing is tested: fault: built with the tag misfit_off")
	} else {
		require.Contains(t, log, "nothing can be tested: fault: disabled by the MISFIT_DISABLED environment variable")
	}
}
