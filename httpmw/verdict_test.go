package httpmw_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// productShop is a service with three dependencies: it falls back where there are no
// ratings, does without recommendations and says so, and fails without prices.
func productShop(inj *fault.Injector, dependencies string, options ...httpmw.Option) http.Handler {
	ask := func(ctx context.Context, what string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, dependencies+"/"+what+"/7", nil)
		if err != nil {
			return err
		}
		resp, err := (&http.Client{Transport: httpmw.Transport(inj, what, nil)}).Do(req)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) {
		_ = ask(r.Context(), "ratings") // there are others in the cache
		if err := ask(r.Context(), "recommendations"); err != nil {
			fault.Degraded(r.Context(), "no recommendations")
		}
		if err := ask(r.Context(), "prices"); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
	mux.HandleFunc("GET /about", func(http.ResponseWriter, *http.Request) {})
	return httpmw.Middleware(inj, options...)(mux)
}

func dependencies(t *testing.T) string {
	return serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).URL
}

func row(t *testing.T, report fault.VerdictReport, rule string) fault.VerdictRow {
	t.Helper()
	rows := rowsOf(report, rule)
	require.Len(t, rows, 1, "%+v", report)
	return rows[0]
}

func rowsOf(report fault.VerdictReport, rule string) []fault.VerdictRow {
	return slices.DeleteFunc(slices.Clone(report.Rows), func(r fault.VerdictRow) bool { return r.Rule != rule })
}

func at(operations ...string) func(*fault.Rule) {
	return func(r *fault.Rule) { r.Target.Operations = operations }
}

// forCustomer has a rule apply to one customer, so that all others are the baseline.
func forCustomer(customer string) func(*fault.Rule) { return only(scope.Customers(customer)) }

func byCustomer() httpmw.Option {
	return httpmw.Identify(func(r *http.Request) scope.Request { return scope.Request{Customer: r.Header.Get("X-Customer")} })
}

func visit(t *testing.T, url, customer string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header.Set("X-Customer", customer)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func TestVerdicts(t *testing.T) {
	// How long requests take is for TestVerdictByLatency.
	inj := fault.New("shop", fault.WithVerdicts(fault.VerdictSettings{MinBaseline: 5, MinAdded: time.Hour}))
	front := serve(t, productShop(inj, dependencies(t), byCustomer()))
	put(t, inj,
		rule("no-ratings", "ratings", fail(fault.Refused), forCustomer("a"), at("GET /ratings/{id}")),
		rule("no-recommendations", "recommendations", fail(fault.Unavailable), forCustomer("b")),
		rule("no-prices", "prices", fail(fault.Unavailable), forCustomer("c")),
		rule("no-entry", "http.server:shop", fail(fault.Unavailable), forCustomer("d")),
	)
	for range 5 {
		require.Equal(t, http.StatusOK, visit(t, front.URL+"/products/7", "someone"))
	}
	for customer, status := range map[string]int{"a": 200, "b": 200, "c": 502, "d": 503} {
		for range 3 {
			require.Equal(t, status, visit(t, front.URL+"/products/"+customer, customer))
		}
	}
	report := inj.Verdicts()
	require.True(t, report.On)
	require.True(t, report.Judging)
	require.Zero(t, report.Uncounted)
	require.Zero(t, report.Crowded)
	for id, want := range map[string]fault.VerdictRow{
		"no-ratings":         {Point: "http.client:ratings", Operation: "GET /ratings/{id}", Masked: 3},
		"no-recommendations": {Point: "http.client:recommendations", Operation: "GET /recommendations/7", Degraded: 3, Reason: "no recommendations"},
		"no-prices":          {Point: "http.client:prices", Operation: "GET /prices/7", Surfaced: 3},
		"no-entry":           {Point: "http.server:shop", Operation: "GET /products/{id}", Surfaced: 3},
	} {
		got := row(t, report, id)
		require.Positive(t, got.P50)
		require.True(t, got.Compared)
		live, _ := inj.Rule(id)
		want.Rule, want.Source, want.Endpoint, want.Fault = id, fault.SourceCode, "GET /products/{id}", live.Rule.Fault
		want.P50, want.P99, want.Compared, want.Added = got.P50, got.P99, true, got.Added
		require.Equal(t, want, got)
	}
	require.Len(t, report.Endpoints, 1)
	products := report.Endpoints[0]
	require.Equal(t, "GET /products/{id}", products.Endpoint)
	require.EqualValues(t, 5, products.Requests)
	require.Zero(t, products.Failed)
	require.True(t, products.Enough)
}

// TestVerdictWithoutBaseline needs no rule for everyone to be compared with.
func TestVerdictWithoutBaseline(t *testing.T) {
	inj := fault.New("shop", fault.WithVerdicts(fault.VerdictSettings{}))
	front := serve(t, productShop(inj, dependencies(t)))
	put(t, inj, rule("slow", "ratings", fault.Fault{Delay: &fault.Delay{Fixed: time.Millisecond}}))
	require.Equal(t, http.StatusOK, visit(t, front.URL+"/products/7", ""))
	got := row(t, inj.Verdicts(), "slow")
	require.EqualValues(t, 1, got.Masked)
	require.EqualValues(t, 1, got.Unmeasured, "nothing says how long it takes otherwise")
	require.False(t, got.Compared)
}

func TestVerdictByLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := fault.New("shop", fault.WithVerdicts(fault.VerdictSettings{MinBaseline: 10, MinAdded: 100 * time.Millisecond}))
		ratings := inj.Point("custom", "ratings")
		handler := httpmw.Middleware(inj, byCustomer())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = ratings.Inject(r.Context(), fault.Operation{Name: "get"})
			time.Sleep(20 * time.Millisecond) // what it takes
		}))
		serve := func(customer string) {
			r := httptest.NewRequest(http.MethodGet, "/page", nil)
			r.Header.Set("X-Customer", customer)
			handler.ServeHTTP(httptest.NewRecorder(), r)
		}
		slow := func(id string, d time.Duration) fault.Rule {
			return rule(id, "custom:ratings", fault.Fault{Delay: &fault.Delay{Fixed: d}}, forCustomer(id))
		}
		put(t, inj, slow("a-little", 99*time.Millisecond), slow("much", 2*time.Second))
		var events []fault.Event
		defer inj.Observe(fault.ObserverFunc(func(e fault.Event) {
			if e.Kind == fault.Judged {
				events = append(events, e)
			}
		}))()

		serve("much") // nobody knows yet that it is
		for range 9 {
			serve("someone")
		}
		serve("much")
		serve("someone")
		serve("much")
		serve("a-little")

		report := inj.Verdicts()
		much, little := row(t, report, "much"), row(t, report, "a-little")
		require.Equal(t, []uint64{2, 1, 0, 2}, []uint64{much.Masked, much.Degraded, much.Surfaced, much.Unmeasured})
		require.Equal(t, []uint64{1, 0, 0, 0}, []uint64{little.Masked, little.Degraded, little.Surfaced, little.Unmeasured})
		require.Equal(t, 2020*time.Millisecond, much.P50)
		require.Equal(t, 2*time.Second, much.Added)
		require.Equal(t, 99*time.Millisecond, little.Added)
		require.Empty(t, much.Reason)

		require.Len(t, events, 4)
		e := events[2]
		require.Equal(t, fault.VerdictDegraded, e.Verdict)
		require.Equal(t, "much", e.Rule)
		require.Equal(t, "custom:ratings", e.Point)
		require.Equal(t, "get", e.Operation.String())
		require.Equal(t, "GET /page", e.Endpoint)
		require.Equal(t, "much", e.Customer)
		require.Equal(t, 2020*time.Millisecond, e.Latency)
		require.Equal(t, 20*time.Millisecond, e.Baseline)
		require.Zero(t, events[0].Baseline)
	})
}

// TestVerdictsAreOff where nobody asks for them, and while no rule is live.
func TestVerdictsAreOff(t *testing.T) {
	for name, inj := range map[string]*fault.Injector{
		"not asked for": fault.New("shop"),
		"nil":           nil,
		"no rule":       fault.New("shop", fault.WithVerdicts(fault.VerdictSettings{})),
	} {
		t.Run(name, func(t *testing.T) {
			if name == "not asked for" {
				inj.Point("custom", "x")
				put(t, inj, rule("r", "custom:x", fail(fault.Reset)))
			}
			var got http.ResponseWriter
			w := httptest.NewRecorder()
			handler := httpmw.Middleware(inj)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fault.Degraded(r.Context(), "nobody wants to know")
				got = w
			}))
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			require.Same(t, w, got, "nothing is wrapped")
			require.Empty(t, inj.Verdicts().Rows)
			require.Empty(t, inj.Verdicts().Endpoints)
			require.Equal(t, name == "no rule", inj.Verdicts().On)
			require.False(t, inj.Verdicts().Judging)
		})
	}
}

// TestVerdictsConcurrently has each of many requests at once counted exactly, some
// of whose goroutines go on.
func TestVerdictsConcurrently(t *testing.T) {
	inj := fault.New("shop", fault.WithVerdicts(fault.VerdictSettings{MinAdded: time.Hour}))
	point := inj.Point("custom", "ratings")
	put(t, inj, rule("r", "custom:ratings", fail(fault.Reset), forCustomer("yes")))
	var behind sync.WaitGroup
	handler := httpmw.Middleware(inj, byCustomer())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		over := make(chan struct{})
		defer close(over)
		for range 4 {
			behind.Go(func() { _ = point.Inject(r.Context(), fault.Operation{Name: "get"}) }) // before or after the end
		}
		_ = point.Inject(r.Context(), fault.Operation{Name: "get"})
		behind.Go(func() {
			<-over
			fault.Degraded(r.Context(), "late")
		})
		if n, _ := strconv.Atoi(r.Header.Get("X-Number")); n%2 == 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	const clients, requests = 8, 100
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for i := range requests {
				r := httptest.NewRequest(http.MethodGet, "/page", nil)
				r.Header.Set("X-Number", strconv.Itoa(i/2))
				r.Header.Set("X-Customer", []string{"yes", "no"}[i%2])
				handler.ServeHTTP(httptest.NewRecorder(), r)
				_ = inj.Verdicts()
			}
		})
	}
	all.Wait()
	behind.Wait()
	report := inj.Verdicts()
	got := row(t, report, "r")
	require.EqualValues(t, clients*requests/4, got.Surfaced)
	require.EqualValues(t, clients*requests/4, got.Masked+got.Degraded)
	require.Zero(t, got.Unfollowed)
	require.EqualValues(t, clients*requests/2, report.Endpoints[0].Requests)
	require.EqualValues(t, clients*requests/4, report.Endpoints[0].Failed)
}

// TestVerdictsOffCostNothing holds what is said of who does not use them.
func TestVerdictsOffCostNothing(t *testing.T) {
	inj, without := fault.New("shop", fault.WithVerdicts(fault.VerdictSettings{})), fault.New("shop")
	allocations := func(inj *fault.Injector, rules ...fault.Rule) float64 {
		inj.Point("custom", "elsewhere")
		put(t, inj, rules...)
		handler := httpmw.Middleware(inj)(nullHandler{})
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		return testing.AllocsPerRun(100, func() { handler.ServeHTTP(w, r) })
	}
	require.Zero(t, allocations(inj), "no rule is live")
	require.Zero(t, allocations(without, rule("r", "custom:elsewhere", fail(fault.Reset))), "nobody asks for verdicts")
	require.NotZero(t, allocations(inj, rule("r", "custom:elsewhere", fail(fault.Reset))), "a trial is something")
}
