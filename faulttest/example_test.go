package faulttest_test

import (
	"context"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
)

// A cache that goes to the store when it has nothing, or cannot be reached.
func lookUp(ctx context.Context, inj *fault.Injector) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := inj.Point("cache", "profiles").Inject(ctx, fault.Operation{Name: "GET"}); err == nil {
		return "from the cache", nil
	}
	if err := inj.Point("store", "profiles").Inject(ctx, fault.Operation{Name: "GET"}); err != nil {
		return "", err
	}
	return "from the store", nil
}

func ExampleExplore() {
	_ = func(t *testing.T) { // func TestLookUp(t *testing.T)
		faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) {
			_, err := lookUp(t.Context(), inj)
			if err != nil && !faulttest.Injected(t, "store:profiles") {
				t.Error(err)
			}
		}, faulttest.Bubble())
	}
}

func ExampleSurvey() {
	_ = func(t *testing.T) { // func TestKnownWeakSpots(t *testing.T)
		report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
			if _, err := lookUp(t.Context(), inj); err != nil {
				t.Error(err)
			}
		}, faulttest.Bubble(), faulttest.MaxFaults(1))
		for _, failure := range report.Failures() {
			t.Log(failure.Faults(), failure.Why)
		}
	}
}

func ExampleNew() {
	_ = func(t *testing.T) { // func TestCacheIsDown(t *testing.T)
		r := faulttest.New(t)
		r.Inject("cache:profiles", faulttest.Fail(fault.Refused)) // t fails if that never happens
		if found, err := lookUp(t.Context(), r.Injector()); err != nil || found != "from the store" {
			t.Error(found, err)
		}
		if calls := r.Calls("store:profiles"); len(calls) != 1 {
			t.Error(calls)
		}
	}
}

func ExampleFaults() {
	_ = func(t *testing.T, test func(*testing.T, *fault.Injector)) {
		faulttest.Explore(t, test,
			faulttest.Faults("http.client", faulttest.Status(429), faulttest.Status(500), faulttest.Fail(fault.DNS)),
			faulttest.Faults("payments", faulttest.LostReply().At("POST*"), faulttest.BlackHole()), // and none of those above
			faulttest.Faults("login"), // never
		)
	}
}
