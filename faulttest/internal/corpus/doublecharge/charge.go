// Package doublecharge has a shop that charges a card twice: it tries again when a
// charge fails, and a charge whose answer is lost has been made.
package doublecharge

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A Till charges cards over gRPC.
type Till struct {
	payments grpc.ClientConnInterface
	keyed    bool
}

// Broken charges, and charges again.
func Broken(payments grpc.ClientConnInterface) *Till { return &Till{payments: payments} }

// Fixed says each time which charge it is.
func Fixed(payments grpc.ClientConnInterface) *Till { return &Till{payments: payments, keyed: true} }

// Charge charges a card for an order.
func (t *Till) Charge(ctx context.Context, order string, cents int64) error {
	if t.keyed {
		ctx = metadata.AppendToOutgoingContext(ctx, idempotencyKey, order)
	}
	err := t.try(ctx, cents)
	if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
		err = t.try(ctx, cents)
	}
	return err
}

func (t *Till) try(ctx context.Context, cents int64) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return t.payments.Invoke(ctx, "/payments.v1.Payments/Charge", wrapperspb.Int64(cents), new(wrapperspb.StringValue))
}
