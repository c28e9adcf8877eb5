package grpcint

import (
	"context"
	"slices"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/scope"
	"google.golang.org/grpc"
)

// A ClientOption configures a client.
type ClientOption interface{ apply(*client) }

type clientOption func(*client)

func (o clientOption) apply(c *client) { o(c) }

// ThirdParty says that the dependency is somebody else's. It is not told who a
// request is: our members are taken out of the baggage of the call's metadata and
// of its context, whoever put them there and whether OpenTelemetry's interceptors
// or stats handler come before or after, and so are a token and a rule in the
// clear. What it says in a [StatusKey] is not believed. This holds in processes
// that inject nothing, too.
func ThirdParty() ClientOption {
	return clientOption(func(c *client) { c.thirdParty = true })
}

// DialOptions returns the options that make a client the injection point
// "grpc.client:<dependency>". Give them last to [grpc.NewClient], so that they
// are innermost: retries, timeouts and circuit breakers in other interceptors
// then see faults as they would see real ones.
//
// An empty dependency is named as the client's target. The identity of the
// request that a call belongs to is passed on in the call's metadata, unless
// something further out has written it, or the dependency is a [ThirdParty]. A nil
// or disabled injector gives no options, but for a ThirdParty.
func DialOptions(inj *fault.Injector, dependency string, options ...ClientOption) []grpc.DialOption {
	c := newClient(inj, clientKind, dependency, options)
	if inj.Disabled() && !c.thirdParty {
		return nil
	}
	return []grpc.DialOption{grpc.WithChainUnaryInterceptor(c.unary()), grpc.WithChainStreamInterceptor(c.stream())}
}

// UnaryClientInterceptor is the one of [DialOptions] for unary calls, for
// chains of one's own. A nil or disabled injector gives one that does nothing.
func UnaryClientInterceptor(inj *fault.Injector, dependency string, options ...ClientOption) grpc.UnaryClientInterceptor {
	return newClient(inj, clientKind, dependency, options).unary()
}

// StreamClientInterceptor is the one of [DialOptions] for streams, for chains of
// one's own. A nil or disabled injector gives one that does nothing.
func StreamClientInterceptor(inj *fault.Injector, dependency string, options ...ClientOption) grpc.StreamClientInterceptor {
	return newClient(inj, clientKind, dependency, options).stream()
}

// A client is one end of the calls to a dependency.
type client struct {
	inj        *fault.Injector
	kind       fault.Kind
	point      *fault.Point // nil: one for each target
	thirdParty bool
	idles      bool // whatever comes, as the injector is disabled
}

func newClient(inj *fault.Injector, kind fault.Kind, dependency string, options []ClientOption) *client {
	c := &client{inj: inj, kind: kind, idles: inj.Disabled()}
	for _, o := range options {
		o.apply(c)
	}
	if dependency != "" && !c.idles {
		c.point = inj.PointOf(kind, dependency)
	}
	return c
}

// idle reports whether there is nothing to do for a call: nothing is aimed at
// the point, and no identity is to be passed on.
func (c *client) idle(ctx context.Context) bool {
	return c.idles || c.point != nil && !c.point.Armed() && !scope.Has(ctx)
}

func (c *client) unary() grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if c.thirdParty {
			ctx = anonymous(ctx)
		}
		if absent.Machinery || c.idle(ctx) {
			return invoker(ctx, method, req, reply, cc, opts...)
		}
		return c.callUnary(ctx, method, req, reply, cc, invoker, opts)
	}
}

func (c *client) callUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts []grpc.CallOption) (err error) {
	d := c.decide(ctx, method, cc)
	if d.Watched() {
		defer func() { d.End(isServersFault(err)) }()
	}
	if d.Hit() {
		return newFaultedCall(c, ctx, method, cc, opts, d).invoke(req, reply, invoker)
	}
	return c.invoke(ctx, method, req, reply, cc, invoker, opts)
}

func (c *client) stream() grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		if c.thirdParty {
			ctx = anonymous(ctx)
		}
		if absent.Machinery || c.idle(ctx) {
			return streamer(ctx, desc, cc, method, opts...)
		}
		return c.openStream(ctx, desc, cc, method, streamer, opts)
	}
}

func (c *client) openStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts []grpc.CallOption) (s grpc.ClientStream, err error) {
	d := c.decide(ctx, method, cc)
	if d.Watched() {
		end := onceEnded(d)
		opts = append(slices.Clip(opts), grpc.OnFinish(end))
		defer func() {
			if err != nil { // of a stream that was never made, which may have no end
				end(err)
			}
		}()
	}
	if d.Hit() {
		return newFaultedCall(c, ctx, method, cc, opts, d).open(desc, streamer)
	}
	return c.open(ctx, desc, cc, method, streamer, opts)
}

func (c *client) decide(ctx context.Context, method string, cc *grpc.ClientConn) fault.Decision {
	return c.pointOf(cc).Decide(ctx, fault.Operation{Name: method})
}

func (c *client) pointOf(cc *grpc.ClientConn) *fault.Point {
	if c.point != nil {
		return c.point
	}
	return c.inj.PointOf(c.kind, targetOf(cc).endpoint)
}

// targetOf returns where cc connects to; nowhere if it is nil, as in tests of
// interceptors.
func targetOf(cc *grpc.ClientConn) target {
	if cc == nil {
		return target{}
	}
	return parseTarget(cc.CanonicalTarget())
}
