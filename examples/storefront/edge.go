package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/scope"
)

// customerOf tells the middleware whose request this is. A real shop takes the
// customer from the session that it has authenticated, not from a header.
//
// From here on the identity travels by itself: in the context, and in W3C
// baggage to the services behind.
func customerOf(r *http.Request) scope.Request {
	return scope.Request{Customer: r.Header.Get("X-Customer")}
}

// edge is where the users' requests come in.
type edge struct {
	product string
	client  *http.Client
	timeout time.Duration // of what a user waits for
}

func newEdge(inj *fault.Injector, productURL string, timeout time.Duration) http.Handler {
	e := &edge{
		product: productURL,
		client:  &http.Client{Transport: httpmw.Transport(inj, "product", newTransport())},
		timeout: timeout,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /products/{id}", e.page)
	mux.HandleFunc("GET /products/{id}/prices", e.prices)
	mux.HandleFunc("POST /orders", e.order)
	return mux
}

func (e *edge) page(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), e.timeout)
	defer cancel()
	e.relay(ctx, w, http.MethodGet, "/products/"+r.PathValue("id"), nil)
}

// prices has no timeout: a feed goes on for as long as the user stays.
func (e *edge) prices(w http.ResponseWriter, r *http.Request) {
	e.relay(r.Context(), flushed{w}, http.MethodGet, "/products/"+r.PathValue("id")+"/prices", nil)
}

func (e *edge) order(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), e.timeout)
	defer cancel()
	order, err := io.ReadAll(http.MaxBytesReader(w, r.Body, orderBytes))
	if err != nil {
		http.Error(w, "the order: "+err.Error(), http.StatusBadRequest)
		return
	}
	e.relay(ctx, w, http.MethodPost, "/orders", bytes.NewReader(order))
}

// relay answers what product answers.
func (e *edge) relay(ctx context.Context, w http.ResponseWriter, method, path string, body io.Reader) {
	req, err := http.NewRequestWithContext(ctx, method, e.product+path, body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	resp, err := e.client.Do(req)
	if err != nil {
		http.Error(w, "the shop is out of order", http.StatusBadGateway)
		return
	}
	defer resp.Body.Close()
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		panic(http.ErrAbortHandler) // the user is to see that it was cut short
	}
}
