package interop_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
)

// bearer are credentials of each call's.
type bearer string

func (b bearer) GetRequestMetadata(_ context.Context, uri ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b), "audience": strings.Join(uri, " ")}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }

// rpcFeatures are what else a service may do with its calls. Each has a text
// that shows somewhere if it does it.
var rpcFeatures = map[string]struct {
	server        []grpc.ServerOption
	dial          []grpc.DialOption
	call          []grpc.CallOption
	metadata      metadata.MD
	size          int  // of messages
	cutShort      bool // see rpcExchange
	endedByServer bool // of grpc, and not by the interceptor or the handler
	who, noted    string
}{
	"nothing": {who: "unary", noted: "FailedPrecondition"},
	"compression": {
		call: []grpc.CallOption{grpc.UseCompressor(gzip.Name)}, size: 10_000,
		who: "server sends", noted: `compression="gzip"`,
	},
	"credentials of a call": {
		call: []grpc.CallOption{grpc.PerRPCCredentials(bearer("token"))},
		who:  "handler", noted: `authorization:"Bearer token"`,
	},
	"credentials of a client": {
		dial: []grpc.DialOption{grpc.WithPerRPCCredentials(bearer("always"))},
		call: []grpc.CallOption{grpc.PerRPCCredentials(bearer("token"))},
		who:  "handler", noted: `authorization:"Bearer always" authorization:"Bearer token"`,
	},
	"large metadata": {
		metadata: metadata.Pairs("echo", strings.Repeat("x", 30_000), "echo", "again", "some-bin", "\x00\x01"),
		who:      "client receives", noted: "echo:30008 bytes",
	},
	"too much metadata": {
		server:   []grpc.ServerOption{grpc.MaxHeaderListSize(1000)},
		metadata: metadata.Pairs("echo", strings.Repeat("x", 30_000)), cutShort: true,
		who: "unary", noted: "header list size to send violates the maximum size",
	},
	"waiting for ready": {
		call: []grpc.CallOption{grpc.WaitForReady(true), grpc.StaticMethod()},
		who:  "unary", noted: "not now",
	},
	"too much to receive": {
		call: []grpc.CallOption{grpc.MaxCallRecvMsgSize(1000)}, size: 1001, cutShort: true,
		who: "chat", noted: "grpc: received message larger than max",
	},
	"too much to send": {
		call: []grpc.CallOption{grpc.MaxCallSendMsgSize(1000)}, size: 1001, cutShort: true,
		who: "unary", noted: "trying to send message larger than max",
	},
	"too much for the server to receive": {
		server: []grpc.ServerOption{grpc.MaxRecvMsgSize(1000)}, size: 1001, endedByServer: true,
		who: "count", noted: "grpc: received message larger than max",
	},
	"too much for the server to send": {
		server: []grpc.ServerOption{grpc.MaxSendMsgSize(1000)}, size: 1001, endedByServer: true,
		who: "chat", noted: "trying to send message larger than max",
	},
	"an authority of its own": {
		dial: []grpc.DialOption{grpc.WithAuthority("virtual.example")},
		who:  "handler", noted: `:authority:"virtual.example"`,
	},
}

// Calls of each kind go as they go without the library, to all that anyone can
// see of them: headers, trailers, statuses, messages and their order.
func TestCallsGoUnnoticed(t *testing.T) {
	for name, f := range rpcFeatures {
		t.Run(name, func(t *testing.T) {
			rpcUnnoticed(t, func(ctx context.Context, x *rpcExchange) {
				x.cutShort = f.cutShort
				if f.endedByServer {
					x.carried.answeredByOthers()
				}
				addr := x.serve(x.testService, append(f.server, grpc.StatsHandler(x.observed("server")))...)
				conn := x.dial(addr, append(f.dial, grpc.WithStatsHandler(x.observed("client")))...)
				ctx = x.rpc.caller(ctx)
				md, _ := metadata.FromOutgoingContext(ctx)
				x.callAll(metadata.NewOutgoingContext(ctx, metadata.Join(md, f.metadata)), conn, f.size, f.call...)
				require.Contains(x, x.noted(f.who), f.noted)
			})
		})
	}
}
