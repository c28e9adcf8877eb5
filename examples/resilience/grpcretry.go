package resilience

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/misfit-go/misfit/examples/storefront/inventorypb"
)

// InventoryConfig has gRPC make a failed GetStock again, up to four times altogether,
// with pauses of about 0.1, 0.2 and 0.4 s, within three seconds. PlaceOrder is not in
// it: whether an order is asked for again is for those to decide who have its ID. When
// most calls fail, retryThrottling has gRPC stop making them again.
const InventoryConfig = `{
	"methodConfig": [{
		"name": [{"service": "inventory.v1.Inventory", "method": "GetStock"}],
		"timeout": "3s",
		"retryPolicy": {
			"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2,
			"retryableStatusCodes": ["UNAVAILABLE"]
		}
	}],
	"retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}
}`

// Inventory asks a service what is left of a product, and places orders.
type Inventory struct{ client inventorypb.InventoryClient }

// NewInventory returns a client of the service, with a connection whose retries are by
// a service config.
func NewInventory(conn grpc.ClientConnInterface) *Inventory {
	return &Inventory{client: inventorypb.NewInventoryClient(conn)}
}

// Left asks what is left of a product.
func (i *Inventory) Left(ctx context.Context, product string) (int32, error) {
	answer, err := i.client.GetStock(ctx, &inventorypb.GetStockRequest{Product: product})
	return answer.GetLeft(), err
}

// Order places an order.
func (i *Inventory) Order(ctx context.Context, id, product string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := i.client.PlaceOrder(ctx, &inventorypb.PlaceOrderRequest{OrderId: id, Product: product, Quantity: 1})
	return err
}
