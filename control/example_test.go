package control_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
)

func ExampleNew() {
	inj := fault.New("checkout")
	ratings := inj.Point("cache", "ratings")

	mux := http.NewServeMux()
	mux.Handle("/debug/faults/", http.StripPrefix("/debug/faults", control.New(inj)))
	server := httptest.NewServer(mux)
	defer server.Close()

	call := func(method, path, body string) {
		req, err := http.NewRequest(method, server.URL+"/debug/faults"+path, strings.NewReader(body))
		if err != nil {
			panic(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			panic(err)
		}
		defer resp.Body.Close()
		fmt.Printf("%s %s: %d %s\n", method, path, resp.StatusCode, http.StatusText(resp.StatusCode))
	}

	call("PUT", "/v1/rules/no-ratings", `{
		"target": {"points": ["ratings"]},
		"scope":  {"percent": 100},
		"fault":  {"error": {"class": "refused"}},
		"ttl":    "10m"
	}`)
	fmt.Println(ratings.Inject(context.Background(), fault.Operation{Name: "GET"}))

	call("DELETE", "/v1/rules/no-ratings", "")
	fmt.Println(ratings.Inject(context.Background(), fault.Operation{Name: "GET"}))

	// Output:
	// PUT /v1/rules/no-ratings: 201 Created
	// connect: connection refused (injected by rule "no-ratings" at cache:ratings)
	// DELETE /v1/rules/no-ratings: 204 No Content
	// <nil>
}
