package interop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// The procedures of a service written by hand, of well-known types.
const (
	greet   = "/test.v1.Greeter/Greet"
	count   = "/test.v1.Greeter/Count"
	collect = "/test.v1.Greeter/Collect"
	chat    = "/test.v1.Greeter/Chat"
)

type (
	text   = wrapperspb.StringValue
	number = wrapperspb.Int64Value
)

// greeter is the service, whose mux the middleware goes around.
func (x *exchange) greeter(acknowledged <-chan int64) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(greet, connect.NewUnaryHandler(greet, func(ctx context.Context, req *connect.Request[text]) (*connect.Response[text], error) {
		_, deadline := ctx.Deadline()
		x.note("greet", fmt.Sprint(req.Msg.GetValue(), describeHeader(req.Header()), req.Peer().Protocol, deadline))
		if req.Msg.GetValue() == "" {
			err := connect.NewError(connect.CodeInvalidArgument, errors.New("who?"))
			detail, detailErr := connect.NewErrorDetail(wrapperspb.String("a name is needed"))
			x.note("greet", describeError(detailErr))
			err.AddDetail(detail)
			err.Meta().Set("Meta", "1")
			return nil, err
		}
		resp := connect.NewResponse(wrapperspb.String("hello " + req.Msg.GetValue()))
		resp.Header().Set("Extra", "1")
		resp.Trailer().Set("After", "2")
		return resp, nil
	}))
	mux.Handle(count, connect.NewServerStreamHandler(count, func(ctx context.Context, req *connect.Request[number], stream *connect.ServerStream[number]) error {
		stream.ResponseTrailer().Set("After", "2")
		for i := range req.Msg.GetValue() {
			x.note("count", describeError(stream.Send(wrapperspb.Int64(i))))
			select {
			case got := <-acknowledged: // the next one is sent when this one has arrived
				x.note("count", fmt.Sprint("acknowledged ", got))
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return connect.NewError(connect.CodeResourceExhausted, errors.New("no more numbers"))
	}))
	mux.Handle(collect, connect.NewClientStreamHandler(collect, func(_ context.Context, stream *connect.ClientStream[number]) (*connect.Response[number], error) {
		var sum int64
		for stream.Receive() {
			sum += stream.Msg().GetValue()
		}
		x.note("collect", describeError(stream.Err()))
		return connect.NewResponse(wrapperspb.Int64(sum)), nil
	}))
	mux.Handle(chat, connect.NewBidiStreamHandler(chat, func(_ context.Context, stream *connect.BidiStream[text, text]) error {
		for {
			said, err := stream.Receive()
			x.note("chat", fmt.Sprint(said.GetValue(), describeError(err)))
			if err != nil {
				return nil
			}
			x.note("chat", describeError(stream.Send(wrapperspb.String("echo of "+said.GetValue()))))
		}
	}))
	return mux
}

// Each kind of call, in each of the protocols that connect speaks.
func TestConnect(t *testing.T) {
	for name, options := range map[string][]connect.ClientOption{
		"connect":  nil,
		"json":     {connect.WithProtoJSON()},
		"get":      {connect.WithHTTPGet()},
		"grpc":     {connect.WithGRPC()},
		"grpc-web": {connect.WithGRPCWeb()},
	} {
		t.Run(name, func(t *testing.T) {
			unnoticedByProtocol(t, func(ctx context.Context, x *exchange, p protocol) {
				if name == "grpc" && p == http1 {
					x.note("client", "gRPC is spoken over HTTP/2 only")
					return
				}
				acknowledged := make(chan int64)
				server := x.serve(p, "server", x.greeter(acknowledged))
				c := x.client(server)
				x.greetAll(ctx, c, server.URL, options)
				x.countAll(ctx, c, server.URL, acknowledged, options)
				x.collectAll(ctx, c, server.URL, options)
				if p == http2 {
					x.chatAll(ctx, c, server.URL, options)
				}
			})
		})
	}
}

func (x *exchange) greetAll(ctx context.Context, c *http.Client, url string, options []connect.ClientOption) {
	ctx, cancel := context.WithTimeout(ctx, time.Hour) // travels as a header
	defer cancel()
	client := connect.NewClient[text, text](c, url+greet, append(options, connect.WithSendGzip())...)
	for _, name := range []string{"you", ""} {
		resp, err := client.CallUnary(ctx, connect.NewRequest(wrapperspb.String(name)))
		if err != nil {
			x.rpcError("greeted", err)
			continue
		}
		x.note("greeted", fmt.Sprint(resp.Msg.GetValue(), describeHeader(resp.Header()), describeHeader(resp.Trailer())))
	}
	require.Contains(x, x.noted("greeted"), "hello you")
	require.Contains(x, x.noted("greeted"), "a name is needed")
	_, err := connect.NewClient[text, text](c, url+"/test.v1.Greeter/None", options...).CallUnary(ctx, connect.NewRequest(wrapperspb.String("")))
	x.rpcError("greeted", err)
}

func (x *exchange) countAll(ctx context.Context, c *http.Client, url string, acknowledged chan<- int64, options []connect.ClientOption) {
	stream, err := connect.NewClient[number, number](c, url+count, options...).CallServerStream(ctx, connect.NewRequest(wrapperspb.Int64(4)))
	require.NoError(x, err)
	for stream.Receive() {
		x.note("counted", fmt.Sprint(stream.Msg().GetValue()))
		select {
		case acknowledged <- stream.Msg().GetValue():
		case <-ctx.Done():
		}
	}
	x.rpcError("counted", stream.Err())
	x.note("counted", describeHeader(stream.ResponseHeader())+describeHeader(stream.ResponseTrailer())+describeError(stream.Close()))
	require.Contains(x, x.noted("counted"), "no more numbers")
}

func (x *exchange) collectAll(ctx context.Context, c *http.Client, url string, options []connect.ClientOption) {
	stream := connect.NewClient[number, number](c, url+collect, options...).CallClientStream(ctx)
	for i := range 4 {
		require.NoError(x, stream.Send(wrapperspb.Int64(int64(i))))
	}
	resp, err := stream.CloseAndReceive()
	require.NoError(x, err)
	x.note("collected", fmt.Sprint(resp.Msg.GetValue(), describeHeader(resp.Header())))
}

func (x *exchange) chatAll(ctx context.Context, c *http.Client, url string, options []connect.ClientOption) {
	stream := connect.NewClient[text, text](c, url+chat, options...).CallBidiStream(ctx)
	for i := range 3 {
		require.NoError(x, stream.Send(wrapperspb.String(fmt.Sprint("line ", i))))
		echo, err := stream.Receive()
		require.NoError(x, err)
		x.note("chatted", echo.GetValue())
	}
	require.NoError(x, stream.CloseRequest())
	_, err := stream.Receive()
	x.note("chatted", fmt.Sprint(errors.Is(err, io.EOF), describeError(stream.CloseResponse()), describeHeader(stream.ResponseTrailer())))
}

// rpcError notes all that an error of connect carries.
func (x *exchange) rpcError(who string, err error) {
	var rpc *connect.Error
	if !errors.As(err, &rpc) {
		x.note(who, describeError(err))
		return
	}
	x.note(who, fmt.Sprint(rpc.Code(), rpc.Message(), describeHeader(rpc.Meta()), connect.IsWireError(err)))
	for _, detail := range rpc.Details() {
		value, err := detail.Value()
		x.note(who, fmt.Sprint(value.(*text).GetValue(), describeError(err)))
	}
}
