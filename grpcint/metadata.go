package grpcint

import (
	"context"

	"github.com/misfit-go/misfit/scope"
	"google.golang.org/grpc/metadata"
)

const (
	baggageKey     = "baggage"
	traceparentKey = "traceparent"
)

// withIdentity returns ctx, which belongs to a request, with the identity of the
// request in the metadata that is sent.
func withIdentity(ctx context.Context) context.Context {
	c := identifying{}
	if outgoingKey == nil || ctx.Value(outgoingKey) != nil {
		c.md, _ = metadata.FromOutgoingContext(ctx) // a copy
	}
	switch {
	case !scope.Inject(ctx, &c):
		return ctx
	case c.md != nil:
		return metadata.NewOutgoingContext(ctx, c.md)
	}
	return metadata.AppendToOutgoingContext(ctx, c.pairs...)
}

// identifying is a carrier that writes to metadata, or notes what is to be appended
// where there are none, which takes less to make.
type identifying struct {
	md    metadata.MD
	pairs []string
	room  [6]string // for traceparent, tracestate and baggage
}

func (c *identifying) Get(key string) string      { return carrier(c.md).Get(key) }
func (c *identifying) Values(key string) []string { return carrier(c.md).Values(key) }
func (c *identifying) Keys() []string             { return carrier(c.md).Keys() }

func (c *identifying) Set(key, value string) {
	if c.md != nil {
		carrier(c.md).Set(key, value)
		return
	}
	if c.pairs == nil {
		c.pairs = c.room[:0]
	}
	c.pairs = append(c.pairs, key, value)
}

// A carrier lets the scope package read and write metadata. The keys it asks for are
// in lower case.
type carrier metadata.MD

func (md carrier) Get(key string) string {
	if values := md[key]; len(values) > 0 {
		return values[0]
	}
	return ""
}

func (md carrier) Set(key, value string)      { md[key] = []string{value} }
func (md carrier) Values(key string) []string { return md[key] }

func (md carrier) Keys() []string {
	keys := make([]string, 0, len(md))
	for key := range md {
		keys = append(keys, key)
	}
	return keys
}

// incomingKey is the key under which package metadata keeps what has come in,
// nil if it cannot be told. That package has a look-up that does not copy, but
// one that goes through all of the metadata for a key that is not there; to
// find nothing has to cost next to nothing. outgoingKey is the one of what is sent.
var (
	incomingKey = keyAskedBy(metadata.FromIncomingContext)
	outgoingKey = keyAskedBy(metadata.FromOutgoingContext)
)

func keyAskedBy(look func(context.Context) (metadata.MD, bool)) any {
	var asked askedKey
	look(&asked)
	return asked.key
}

// askedKey is a context that notes what it is asked for.
type askedKey struct {
	context.Context
	key any
}

func (c *askedKey) Value(key any) any {
	c.key = key
	return nil
}

// metadataOf returns the metadata of an incoming call, to be read only. The keys
// are lower-case, as on the wire.
func metadataOf(ctx context.Context) metadata.MD {
	md, ok := ctx.Value(incomingKey).(metadata.MD)
	if !ok {
		md, _ = metadata.FromIncomingContext(ctx)
	}
	return md
}

// has reports whether the metadata of an incoming call have one of the keys.
func has(ctx context.Context, keys ...string) bool {
	md := metadataOf(ctx)
	for _, key := range keys {
		if len(md[key]) > 0 {
			return true
		}
	}
	return false
}
