package doublecharge

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const idempotencyKey = "idempotency-key"

// Payments is the service that the till depends on. It makes a charge with a key once.
type Payments struct {
	mu   sync.Mutex
	made int
	keys map[string]bool
}

// Made returns how many charges were made.
func (p *Payments) Made() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.made
}

func (p *Payments) charge(ctx context.Context, _ *wrapperspb.Int64Value) (*wrapperspb.StringValue, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range metadata.ValueFromIncomingContext(ctx, idempotencyKey) {
		if p.keys[key] {
			return wrapperspb.String("charged before"), nil
		}
		if p.keys == nil {
			p.keys = make(map[string]bool)
		}
		p.keys[key] = true
	}
	p.made++
	return wrapperspb.String(fmt.Sprintf("charge %d", p.made)), nil
}

// Register adds the service to a server.
func (p *Payments) Register(server grpc.ServiceRegistrar) {
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "payments.v1.Payments",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Charge",
			Handler: func(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				request := new(wrapperspb.Int64Value)
				if err := decode(request); err != nil {
					return nil, err
				}
				return p.charge(ctx, request)
			},
		}},
	}, p)
}
