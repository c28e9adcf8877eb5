package faulttest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/misfit-go/misfit/httpmw"
)

// A printed is a test that prints what it fails with: examples have no other. In a test
// it is t that is given to the functions shown here.
type printed struct {
	testing.TB
	cleanups []func()
}

func (p *printed) Helper()                   {}
func (p *printed) Name() string              { return "Example" }
func (p *printed) Context() context.Context  { return context.Background() }
func (p *printed) Cleanup(f func())          { p.cleanups = append(p.cleanups, f) }
func (p *printed) Errorf(s string, a ...any) { fmt.Printf(s+"\n", a...) }
func (p *printed) Fatalf(s string, a ...any) { panic(fmt.Sprintf(s, a...)) }
func (p *printed) Skipf(s string, a ...any)  { panic(fmt.Sprintf(s, a...)) }

func (p *printed) end() {
	for _, f := range p.cleanups {
		f()
	}
}

// Two layers that each make three attempts: nine calls for one request.
func ExampleVerifyRetries() {
	t := new(printed)
	defer t.end()
	r := faulttest.New(t)
	ratings := r.Injector().Point("queue", "ratings")

	thrice := func(f func(context.Context) error) func(context.Context) error {
		return func(ctx context.Context) (err error) {
			for range 3 {
				if err = f(ctx); err == nil {
					break
				}
				time.Sleep(2 * time.Millisecond)
			}
			return err
		}
	}
	publish := func(ctx context.Context) error { return ratings.Inject(ctx, fault.Operation{Name: "PUBLISH"}) }

	faulttest.VerifyRetries(t, r, faulttest.Retries{
		Call:     thrice(thrice(publish)),
		Point:    "ratings",
		Attempts: 3,
	})
	// Output:
	// faulttest: retries ratings: nested retries: one request came to 9 calls, not 3 at most: as 3 tries of 3 attempts come to, so look for retries around these
}

func ExampleVerifyAmplification() {
	t := new(printed)
	defer t.end()
	r := faulttest.New(t)
	stock, audit := r.Injector().Point("queue", "stock"), r.Injector().Point("queue", "audit")

	handle := func(ctx context.Context) error {
		for range 4 { // attempts
			if stock.Inject(ctx, fault.Operation{Name: "TAKE"}) == nil {
				return audit.Inject(ctx, fault.Operation{Name: "NOTE"})
			}
		}
		return errors.New("no stock")
	}

	factors, _ := faulttest.VerifyAmplification(t, r, faulttest.Amplification{Call: handle, Requests: 10, Bound: 2})
	for _, f := range factors {
		fmt.Println(f)
	}
	// Output:
	// faulttest: amplification queue:stock: amplifies: with queue:stock failing: queue:stock 4.00 calls per request (40/10), more than 2
	// with nothing failing: queue:audit 1.00 calls per request (10/10)
	// with nothing failing: queue:stock 1.00 calls per request (10/10)
	// with queue:audit failing: queue:audit 1.00 calls per request (10/10)
	// with queue:audit failing: queue:stock 1.00 calls per request (10/10)
	// with queue:stock failing: queue:audit 0.00 calls per request (0/10)
	// with queue:stock failing: queue:stock 4.00 calls per request (40/10)
	// with everything failing: queue:audit 0.00 calls per request (0/10)
	// with everything failing: queue:stock 4.00 calls per request (40/10)
}

// In a bubble half a minute takes no time.
func ExampleVerifyBreaker() {
	var t *testing.T // of the test that this is
	synctest.Test(t, func(t *testing.T) {
		r := faulttest.New(t)
		ratings := newRatings(r.Injector())
		faulttest.VerifyBreaker(t, r, faulttest.Breaker{
			Call:      func(ctx context.Context) error { return ratings.Show(ctx, "7") },
			Point:     "http.client:ratings",
			Threshold: 5,
			OpenFor:   30 * time.Second,
			Fault:     faulttest.Status(503),
			Harmless:  []faulttest.Entry{faulttest.Status(404)},
		})
	})
}

func ExampleVerifyTimeouts() {
	var t *testing.T // of the test that this is
	synctest.Test(t, func(t *testing.T) {
		r := faulttest.New(t)
		ratings := newRatings(r.Injector())
		worst, _ := faulttest.VerifyTimeouts(t, r, faulttest.Timeouts{
			Call:   func(ctx context.Context) error { return ratings.Show(ctx, "7") },
			Caller: 3 * time.Second,
		})
		for _, w := range worst {
			t.Log(w)
		}
	})
}

// A ratingsClient is a service's client of another.
type ratingsClient struct{ client *http.Client }

func newRatings(inj *fault.Injector) *ratingsClient {
	return &ratingsClient{&http.Client{Transport: httpmw.Transport(inj, "ratings", nil), Timeout: 2 * time.Second}}
}

func (r *ratingsClient) Show(ctx context.Context, product string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://ratings/"+product, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
