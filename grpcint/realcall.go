package grpcint

import (
	"context"
	"slices"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// invoke makes a real unary call, with the identity of the request it belongs to,
// and takes note of what the service says of the rules that the request carries.
func (c *client) invoke(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts []grpc.CallOption) error {
	if c.isDiscreet(ctx) {
		return invoker(ctx, method, req, reply, cc, opts...)
	}
	ctx = withIdentity(ctx)
	if !fault.Carries(ctx) {
		return invoker(ctx, method, req, reply, cc, opts...)
	}
	var trailer metadata.MD
	err := invoker(ctx, method, req, reply, cc, append(slices.Clip(opts), grpc.Trailer(&trailer))...)
	fault.Heard(ctx, trailer[StatusKey])
	return err
}

// open is invoke for a stream.
func (c *client) open(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts []grpc.CallOption) (grpc.ClientStream, error) {
	if c.isDiscreet(ctx) {
		return streamer(ctx, desc, cc, method, opts...)
	}
	ctx = withIdentity(ctx)
	s, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil || !fault.Carries(ctx) {
		return s, err
	}
	return &listeningStream{s, ctx, desc.ServerStreams}, nil
}

// isDiscreet reports whether there is no identity to pass on, or nobody who is to
// know it.
func (c *client) isDiscreet(ctx context.Context) bool { return c.thirdParty || !scope.Has(ctx) }

// A listeningStream hears what the service says of the rules that a request
// carries, at the end of the stream.
type listeningStream struct {
	grpc.ClientStream
	ctx           context.Context
	serverStreams bool
}

// RecvMsg implements [grpc.ClientStream].
func (s *listeningStream) RecvMsg(m any) error {
	err := s.ClientStream.RecvMsg(m)
	if err != nil || !s.serverStreams { // an only message comes with the status
		fault.Heard(s.ctx, s.ClientStream.Trailer()[StatusKey])
	}
	return err
}

// anonymous returns ctx without anything of ours, in its baggage or its metadata.
func anonymous(ctx context.Context) context.Context {
	ctx = scope.StripContext(ctx)
	md, ok := metadata.FromOutgoingContext(ctx) // a copy
	if !ok {
		return ctx
	}
	stripped := withoutFaultMetadata(md)
	if len(md[TokenKey]) > 0 {
		if stripped == nil {
			stripped = md
		}
		delete(stripped, TokenKey)
	}
	if stripped == nil {
		return ctx
	}
	return metadata.NewOutgoingContext(ctx, stripped)
}
