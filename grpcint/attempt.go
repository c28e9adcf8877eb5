package grpcint

import (
	"context"

	"github.com/misfit-go/misfit/fault"
	"google.golang.org/grpc"
)

// AttemptDialOptions takes the place of [DialOptions] where every attempt of a
// call is to be an injection point of its own, "grpc.attempt:<dependency>": those
// that the retry policy of a service config makes are beneath all interceptors,
// so that what an interceptor injects is not retried, and what is injected here
// is. The attempt is failed when a connection has been picked for it, so that
// the classes of a connection that is never made are not armed here, and neither
// are exact statuses, errors by name, lost replies and stream faults.
//
// It is built on [grpc.WithPerRPCCredentials], which grpc asks before each
// attempt. They carry nothing and work without transport security.
//
// A nil or disabled injector gives no options, but for a [ThirdParty].
func AttemptDialOptions(inj *fault.Injector, dependency string, options ...ClientOption) []grpc.DialOption {
	c := newClient(inj, attemptKind, dependency, options)
	if inj.Disabled() {
		if !c.thirdParty {
			return nil
		}
		return []grpc.DialOption{grpc.WithChainUnaryInterceptor(c.unary()), grpc.WithChainStreamInterceptor(c.stream())}
	}
	a := &attempts{c}
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(a.unary()),
		grpc.WithChainStreamInterceptor(a.stream()),
		grpc.WithPerRPCCredentials(a),
	}
}

// attempts are the attempts of a client's calls.
type attempts struct{ client *client }

// attemptKey is the key of the *attempted that a call takes along.
type attemptKey struct{}

// attempted is what an attempt needs to know of its call.
type attempted struct {
	method string
	point  *fault.Point
}

// prepare lets the attempts of a call know of it, if anything is aimed at them.
func (a *attempts) prepare(ctx context.Context, method string, cc *grpc.ClientConn) context.Context {
	if point := a.client.pointOf(cc); point.Armed() {
		ctx = context.WithValue(ctx, attemptKey{}, &attempted{method, point})
	}
	return ctx
}

func (a *attempts) unary() grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if a.client.thirdParty {
			ctx = anonymous(ctx)
		}
		if a.client.idle(ctx) {
			return invoker(ctx, method, req, reply, cc, opts...)
		}
		return a.client.invoke(a.prepare(ctx, method, cc), method, req, reply, cc, invoker, opts)
	}
}

func (a *attempts) stream() grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		if a.client.thirdParty {
			ctx = anonymous(ctx)
		}
		if a.client.idle(ctx) {
			return streamer(ctx, desc, cc, method, opts...)
		}
		return a.client.open(a.prepare(ctx, method, cc), desc, cc, method, streamer, opts)
	}
}

// GetRequestMetadata implements credentials.PerRPCCredentials. It gives none,
// and fails the attempt if that is the fault.
func (*attempts) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	call, ok := ctx.Value(attemptKey{}).(*attempted)
	if !ok {
		return nil, nil
	}
	d := call.point.Decide(ctx, fault.Operation{Name: call.method})
	defer d.Done()
	if d.Before(ctx) != nil {
		return nil, gaveUp(d.Mark(nil), ctx)
	}
	if e := d.Fault().Error; e != nil {
		return nil, fail(d.Mark(nil), e, nil, target{})
	}
	return nil, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (*attempts) RequireTransportSecurity() bool { return false }
