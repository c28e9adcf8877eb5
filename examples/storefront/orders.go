package main

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/misfit-go/misfit/examples/storefront/inventorypb"
)

const (
	orderTries = 3
	orderBytes = 4 << 10 // of an order, as it comes over HTTP
)

// An order is for some of one product.
type order struct {
	// ID is chosen by who orders, before the first try. It is what makes another
	// try the same order.
	ID       string `json:"id"`
	Product  string `json:"product"`
	Quantity int32  `json:"quantity"`
}

// A receipt is what becomes of an order.
type receipt struct {
	Left          int32 `json:"left"`
	AlreadyPlaced bool  `json:"alreadyPlaced,omitempty"` // by a try that was not the last
	Tries         int   `json:"tries"`
}

type orderPolicy = failsafe.Executor[*inventorypb.PlaceOrderResponse]

// newOrderPolicy is around every order. It tries again where a try may have
// placed the order or not, and nowhere else: a refusal is an answer.
func newOrderPolicy() orderPolicy {
	return failsafe.With(retrypolicy.NewBuilder[*inventorypb.PlaceOrderResponse]().
		HandleIf(func(_ *inventorypb.PlaceOrderResponse, err error) bool { return unanswered(err) }).
		WithMaxAttempts(orderTries).
		WithDelay(retryPause).
		ReturnLastFailure().
		Build())
}

// unanswered reports whether inventory may have done what it was asked or not:
// nobody knows.
func unanswered(err error) bool {
	code := status.Code(err)
	return code == codes.Unavailable || code == codes.DeadlineExceeded
}

// order places an order with inventory. Every try has the ID of the first.
func (p *product) order(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, orderBytes)).Decode(&o); err != nil {
		http.Error(w, "the order: "+err.Error(), http.StatusBadRequest)
		return
	}
	tries := 0
	placed, err := p.orderPolicy.WithContext(r.Context()).GetWithExecution(
		func(try failsafe.Execution[*inventorypb.PlaceOrderResponse]) (*inventorypb.PlaceOrderResponse, error) {
			tries = try.Attempts()
			ctx, cancel := context.WithTimeout(try.Context(), p.timeouts.inventory)
			defer cancel()
			return p.inventory.PlaceOrder(ctx, &inventorypb.PlaceOrderRequest{OrderId: o.ID, Product: o.Product, Quantity: o.Quantity})
		})
	if err != nil {
		http.Error(w, "inventory: "+err.Error(), httpStatus(err))
		return
	}
	writeJSON(w, receipt{Left: placed.GetLeft(), AlreadyPlaced: placed.GetAlreadyPlaced(), Tries: tries})
}

// httpStatus says over HTTP what inventory said. An order that gets a 502 may be
// sent again: product knows no more of it than that.
func httpStatus(err error) int {
	switch status.Code(err) {
	case codes.InvalidArgument:
		return http.StatusBadRequest
	case codes.NotFound:
		return http.StatusNotFound
	case codes.FailedPrecondition, codes.AlreadyExists:
		return http.StatusConflict
	}
	return http.StatusBadGateway
}
