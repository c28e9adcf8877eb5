package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/baggage"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/misfit-go/misfit/examples/storefront/inventorypb"
)

const (
	feedLength = 8                      // prices of each product, after which its feed ends
	priceEvery = 100 * time.Millisecond // in a feed
)

// inventory knows what is in stock and what it costs, and takes orders. It is the
// one service that speaks gRPC, and the one that has a database.
type inventory struct {
	inventorypb.UnimplementedInventoryServer
	stock *stockroom
	calls *callLog
}

func (i *inventory) GetStock(ctx context.Context, req *inventorypb.GetStockRequest) (*inventorypb.GetStockResponse, error) {
	i.calls.add(ctx, "GetStock", 0)
	left, err := i.stock.left(ctx, req.GetProduct())
	if err != nil {
		return nil, stockError(err)
	}
	return &inventorypb.GetStockResponse{Left: left}, nil
}

func (i *inventory) PlaceOrder(ctx context.Context, req *inventorypb.PlaceOrderRequest) (*inventorypb.PlaceOrderResponse, error) {
	i.calls.add(ctx, "PlaceOrder", 0)
	o := order{req.GetOrderId(), req.GetProduct(), req.GetQuantity()}
	if o.ID == "" || o.Quantity < 1 {
		return nil, status.Error(codes.InvalidArgument, "an order has an ID, and a quantity of 1 at least")
	}
	left, already, err := i.stock.place(ctx, o)
	if err != nil {
		return nil, stockError(err)
	}
	return &inventorypb.PlaceOrderResponse{Left: left, AlreadyPlaced: already}, nil
}

// stockError says over gRPC what the stockroom failed with. UNAVAILABLE is all
// that the caller may ask again after.
func stockError(err error) error {
	code := codes.Unavailable
	switch {
	case errors.Is(err, errNoProduct):
		code = codes.NotFound
	case errors.Is(err, errTooFew):
		code = codes.FailedPrecondition
	case errors.Is(err, errOtherOrder):
		code = codes.AlreadyExists
	}
	return status.Error(code, err.Error())
}

func (i *inventory) WatchPrices(req *inventorypb.WatchPricesRequest, stream grpc.ServerStreamingServer[inventorypb.Price]) error {
	ctx := stream.Context()
	i.calls.add(ctx, "WatchPrices", req.GetAfterVersion())
	for version := int64(1); version <= feedLength; version++ {
		if version <= req.GetAfterVersion() {
			continue
		}
		if err := pause(ctx, priceEvery); err != nil {
			return status.FromContextError(err).Err()
		}
		if err := stream.Send(&inventorypb.Price{Version: version, Cents: priceOf(req.GetProduct(), version)}); err != nil {
			return err
		}
	}
	return nil
}

// priceOf goes up and down a little from version to version.
func priceOf(product string, version int64) int64 {
	return int64(500 + number(product)%9000 + number(fmt.Sprintf("%s/%d", product, version))%100)
}

// A call is one that reached inventory, as it knows it itself.
type call struct {
	method   string
	customer string // for whom, as far as the call says
	after    int64  // the version that a feed is to go on from
}

// A callLog keeps the calls that reached inventory, and for whom they were. The
// customers are those that came along with the calls: the edge said them, and
// they went on over HTTP to product and from there over gRPC. They are read off
// the wire, so that they are evidence independent of the library.
type callLog struct {
	mu    sync.Mutex
	calls []call
}

func (l *callLog) add(ctx context.Context, method string, after int64) {
	c := call{method: method, after: after}
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		carried, _ := baggage.Parse(strings.Join(md["baggage"], ","))
		c.customer = carried.Member("misfit.customer").Value()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, c)
}

// take returns the calls since it was last called.
func (l *callLog) take() []call {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.calls
	l.calls = nil
	return taken
}
