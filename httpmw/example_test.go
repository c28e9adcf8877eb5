package httpmw_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
)

func ExampleTransport() {
	ratings := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "five stars")
	}))
	defer ratings.Close()

	inj := fault.New("storefront")
	client := &http.Client{Transport: httpmw.Transport(inj, "ratings", nil)}
	show := func() {
		resp, err := client.Get(ratings.URL)
		if err != nil {
			fmt.Println(err)
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		fmt.Printf("%d %q\n", resp.StatusCode, body)
		if mark := resp.Header.Get(httpmw.StatusHeader); mark != "" {
			fmt.Println(mark)
		}
	}
	show()
	_ = inj.Put(fault.Rule{
		ID:     "ratings-down",
		Target: fault.Target{Points: []string{"ratings"}},
		Scope:  scope.Everyone(),
		Fault:  fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}},
		TTL:    time.Minute,
	})
	show()
	inj.Halt()
	show()
	// Output:
	// 200 "five stars"
	// 503 "Service Unavailable\n"
	// applied;rule="ratings-down";point="http.client:ratings";service="storefront"
	// 200 "five stars"
}

func ExampleMiddleware() {
	inj := fault.New("storefront")
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println("customer", scope.From(r.Context()).Customer)
	})
	handler := httpmw.Middleware(inj, httpmw.Identify(func(r *http.Request) scope.Request {
		return scope.Request{Customer: r.Header.Get("X-Customer")}
	}))(mux)

	httpmw.Transport(inj, "ratings", nil) // identity is for whoever uses it
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Customer", "42")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	// Output: customer 42
}
