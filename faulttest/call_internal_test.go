package faulttest

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStableNames(t *testing.T) {
	for name, want := range map[string]string{
		"example.com/shop.Page":                      "example.com/shop.Page",
		"example.com/shop.(*Page).ratings":           "example.com/shop.(*Page).ratings",
		"example.com/shop.get[...]":                  "example.com/shop.get[...]",
		"example.com/shop.Page.func1":                "example.com/shop closure in Page",
		"example.com/shop.Page.func2.1":              "example.com/shop closure in Page",
		"example.com/shop.main.Page.func7":           "example.com/shop closure in Page", // inlined
		"example.com/shop.main.func1.(*Page).show.3": "example.com/shop closure in show",
		"example.com/shop.(*Page).show.func1":        "example.com/shop closure in show",
		"example.com/shop.Page-range1":               "example.com/shop closure in Page",
		"example.com/shop.glob..func1":               "example.com/shop closure in ",
		"main.main.gowrap2":                          "main closure in main",
	} {
		require.Equal(t, want, stableName(name), name)
	}
}

// small is inlined where nothing keeps the compiler from it.
func small() func() string {
	return func() string {
		pc, _, _, _ := runtime.Caller(0)
		return runtime.FuncForPC(pc).Name()
	}
}

func TestNameOfAnInlinedClosure(t *testing.T) {
	name := small()()
	require.Equal(t, module+"faulttest closure in small", stableName(name), name)
}

func TestPlumbing(t *testing.T) {
	for name, want := range map[string]bool{
		"net/http.(*Client).Do":                                       true,
		"runtime.goexit":                                              true,
		"testing/synctest.Test.func1":                                 true,
		"google.golang.org/grpc.(*ClientConn).Invoke":                 true,
		"google.golang.org/grpc/internal/transport.(*x).y":            true,
		"google.golang.org/grpcother.F":                               false,
		module + "httpmw.(*transport).RoundTrip":                      true,
		module + "faulttest.(*caseRun).run":                           true,
		module + "faulttest_test.TestPage":                            false,
		module + "faulttest/internal/corpus/twofaults.read":           false,
		"github.com/sony/gobreaker/v2.(*CircuitBreaker[...]).Execute": false,
		"main.main":            false,
		"shop.(*Page).ratings": false,
	} {
		require.Equal(t, want, isPlumbing(runtime.Frame{Function: name}), name)
	}
}
