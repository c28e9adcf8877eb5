package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/token"
)

// callHTTP starts a server with all that the middleware can do, and a control
// endpoint beside it.
func callHTTP(inj *fault.Injector, key token.Key) ([]call, func(), error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	url := "http://" + listener.Addr().String()
	carried := inj.Point("custom", "carried")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /carried", func(w http.ResponseWriter, r *http.Request) {
		err := carried.Inject(r.Context(), fault.Operation{Name: "GET"})
		w.Header().Set("Answer", fault.Answer(r.Context())) // as an adapter of one's own would
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
	mux.HandleFunc("GET /", func(http.ResponseWriter, *http.Request) {})
	outer := http.NewServeMux()
	outer.Handle("/faults/", http.StripPrefix("/faults", control.New(inj)))
	outer.Handle("/", httpmw.Middleware(inj,
		httpmw.PublicEndpointFn(func(r *http.Request) bool { return r.Header.Get("X-Stranger") != "" }),
		httpmw.Identify(func(r *http.Request) scope.Request { return scope.Request{Customer: r.Header.Get("X-Customer")} }),
		httpmw.UnsafeRequestRules(),
		httpmw.EnvoyHeaders(fault.EnvoyHeaders{}),
		httpmw.Operations(func(r *http.Request) string { return r.URL.Path }),
		httpmw.Exempt("/health"),
		httpmw.WatchStatus(),
	)(mux))
	server := &http.Server{Handler: outer, ReadHeaderTimeout: time.Minute}
	go server.Serve(listener) // until it is closed

	bare := &http.Client{Transport: &http.Transport{}}
	known := &http.Client{Transport: httpmw.Transport(inj, "backend", bare.Transport)}
	foreign := &http.Client{Transport: httpmw.Transport(inj, "", bare.Transport, httpmw.ThirdParty())}
	get := func(client *http.Client, path string, header ...string) func(context.Context) error {
		return func(ctx context.Context) error { return send(ctx, client, http.MethodGet, url+path, nil, header...) }
	}
	calls := []call{
		{"http.client:backend", get(known, "/")},
		{"http.client:" + listener.Addr().String(), get(foreign, "/")},
		{"http.server:shop", get(bare, "/", "X-Customer", "http.server:shop")},
		{"custom:in-the-clear", get(bare, "/carried", httpmw.RuleHeader, `{"target":{"points":["carried"]},"fault":{"error":{"class":"timeout"}}}`)},
		{"custom:as-envoy", get(bare, "/", "X-Envoy-Fault-Abort-Request", "503")},
		{"custom:carried", func(ctx context.Context) error {
			text, err := sign(key)
			if err != nil {
				return err
			}
			return get(bare, "/carried", httpmw.TokenHeader, text)(ctx)
		}},
		{"custom:through-control", func(ctx context.Context) error {
			rule := []byte(`{"target":{"points":["controlled"]},"scope":{"percent":100},"fault":{"error":{"class":"timeout"}},"ttl":"1m"}`)
			_ = send(ctx, bare, http.MethodPut, url+"/faults/v1/rules/r", rule)
			return inj.Point("custom", "controlled").Inject(ctx, fault.Operation{Name: "GET"})
		}},
	}
	return calls, func() { _ = server.Close() }, nil
}

func sign(key token.Key) (string, error) {
	return token.Sign(key, token.Claims{Issuer: "ci", Audience: "here", Token: fault.Token{
		ID: token.NewID(), Subject: "kim", NotBefore: time.Now(), Expires: time.Now().Add(time.Minute),
		Rules: []fault.Rule{{
			Target: fault.Target{Points: []string{"carried"}},
			Fault:  fault.Fault{Error: &fault.ErrorFault{Class: fault.Refused}},
		}},
	}})
}

func send(ctx context.Context, client *http.Client, method, url string, body []byte, header ...string) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("status %s", resp.Status)
	}
	return errors.Join(err, resp.Body.Close())
}
