package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/fallback"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/misfit-go/misfit/examples/storefront/inventorypb"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/httpmw"
)

const (
	ratingsAttempts = 2
	stockAttempts   = 2
	retryPause      = 20 * time.Millisecond
)

// A productPage is what a user gets to see.
type productPage struct {
	Product  string  `json:"product"`
	Stock    *stock  `json:"stock"`
	Ratings  *rating `json:"ratings,omitempty"`
	Degraded bool    `json:"degraded,omitempty"` // without ratings
}

// A stock is what the page says of what inventory knows.
type stock struct {
	Left int32 `json:"left"`
}

// product puts the page together from what the services behind it know, relays
// the price feed and takes orders.
type product struct {
	ratingsURL    string
	ratingsClient *http.Client

	// ratingsPolicy is around every call to ratings. There is no circuit
	// breaker on purpose: one that is shared by all customers lets a fault
	// meant for some of them, once they are many, degrade everybody's page.
	// The fault's scope says who is hit, not what the service makes of it.
	// That is well worth an experiment, but not this one.
	ratingsPolicy failsafe.Executor[*rating]

	stockPolicy stockPolicy
	orderPolicy orderPolicy
	timeouts    timeouts

	inventory     inventorypb.InventoryClient
	inventoryConn *grpc.ClientConn
}

// newProduct makes the two injection points of the service, http.client:ratings
// and grpc.client:inventory. They are innermost, right around the transport and
// last among the dial options, so that the timeout, the retries and the fallback
// see an injected fault as they would see a real one.
func newProduct(inj *fault.Injector, ratingsURL, inventoryAddr string, wait timeouts) (*product, error) {
	inventoryConn, err := grpc.NewClient(inventoryAddr, append(
		[]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())},
		grpcint.DialOptions(inj, "inventory")...)...)
	if err != nil {
		return nil, err
	}
	return &product{
		ratingsURL:    ratingsURL,
		ratingsClient: &http.Client{Transport: httpmw.Transport(inj, "ratings", newTransport())},
		ratingsPolicy: failsafe.With[*rating](
			fallback.NewWithResult[*rating](nil),
			retrypolicy.NewBuilder[*rating]().WithMaxAttempts(ratingsAttempts).WithDelay(retryPause).Build(),
			timeout.New[*rating](wait.ratings), // of each attempt
		),
		stockPolicy:   newStockPolicy(),
		orderPolicy:   newOrderPolicy(),
		timeouts:      wait,
		inventory:     inventorypb.NewInventoryClient(inventoryConn),
		inventoryConn: inventoryConn,
	}, nil
}

func (p *product) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /products/{id}", p.page)
	mux.HandleFunc("GET /products/{id}/prices", p.prices)
	mux.HandleFunc("POST /orders", p.order)
	return mux
}

func (p *product) close() error { return p.inventoryConn.Close() }

func (p *product) page(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	inStock, err := p.stockPolicy.WithContext(r.Context()).GetWithExecution(
		func(attempt failsafe.Execution[*inventorypb.GetStockResponse]) (*inventorypb.GetStockResponse, error) {
			ctx, cancel := context.WithTimeout(attempt.Context(), p.timeouts.inventory)
			defer cancel()
			return p.inventory.GetStock(ctx, &inventorypb.GetStockRequest{Product: id})
		})
	if err != nil { // nothing to sell without it
		http.Error(w, "inventory: "+err.Error(), httpStatus(err))
		return
	}
	rated, err := p.ratingsPolicy.WithContext(r.Context()).GetWithExecution(
		func(attempt failsafe.Execution[*rating]) (*rating, error) {
			return get[rating](attempt.Context(), p.ratingsClient, p.ratingsURL+"/ratings/"+id)
		})
	if err != nil {
		http.Error(w, "ratings: "+err.Error(), http.StatusBadGateway)
		return
	}
	if rated == nil {
		fault.Degraded(r.Context(), "no ratings")
	}
	writeJSON(w, productPage{Product: id, Stock: &stock{inStock.GetLeft()}, Ratings: rated, Degraded: rated == nil})
}

type stockPolicy = failsafe.Executor[*inventorypb.GetStockResponse]

// newStockPolicy is around every question for what is in stock: one answer that
// is lost is no reason to be without a page.
func newStockPolicy() stockPolicy {
	return failsafe.With(retrypolicy.NewBuilder[*inventorypb.GetStockResponse]().
		HandleIf(func(_ *inventorypb.GetStockResponse, err error) bool { return unanswered(err) }).
		WithMaxAttempts(stockAttempts).
		WithDelay(retryPause).
		ReturnLastFailure().
		Build())
}

// get asks another service for one thing.
func get[T any](ctx context.Context, client *http.Client, url string) (*T, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s", resp.Status)
	}
	thing := new(T)
	if err := json.NewDecoder(resp.Body).Decode(thing); err != nil {
		return nil, err
	}
	return thing, nil
}
