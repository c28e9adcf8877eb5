package faulttest_test

import (
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
)

// A list that is checked in says what the test cannot do without; what becomes
// critical fails it. go test -faulttest.update writes the list.
func ExampleCritical() {
	_ = func(t *testing.T) { // func TestShopCriticality(t *testing.T)
		faulttest.Critical(t, func(t testing.TB, inj *fault.Injector) {
			if err := shop(t.Context(), inj); err != nil {
				t.Error(err)
			}
		}, faulttest.Listed("testdata/shop_critical.json"))
	}
}
