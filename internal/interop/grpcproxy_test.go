package interop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// rawCodec leaves messages as the bytes that they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "raw" }

func (rawCodec) Marshal(v any) ([]byte, error) {
	message, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("%T is not bytes", v)
	}
	return *message, nil
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	message, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("%T is not bytes", v)
	}
	*message = append([]byte(nil), data...)
	return nil
}

// proxyTo passes calls of any method on, metadata and all.
func proxyTo(backend *grpc.ClientConn) grpc.StreamHandler {
	return func(_ any, in grpc.ServerStream) error {
		method, ok := grpc.MethodFromServerStream(in)
		if !ok {
			return status.Error(codes.Internal, "no method")
		}
		md, _ := metadata.FromIncomingContext(in.Context())
		ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(in.Context(), md.Copy()))
		defer cancel()
		desc := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
		out, err := backend.NewStream(ctx, desc, method, grpc.ForceCodec(rawCodec{}))
		if err != nil {
			return err
		}
		go func() { // until the handler returns
			for {
				var message []byte
				switch err := in.RecvMsg(&message); {
				case errors.Is(err, io.EOF):
					_ = out.CloseSend()
					return
				case err != nil || out.SendMsg(&message) != nil:
					return
				}
			}
		}()
		if header, err := out.Header(); err == nil {
			in.SendHeader(header)
		}
		for {
			var message []byte
			if err := out.RecvMsg(&message); err != nil {
				in.SetTrailer(out.Trailer())
				if errors.Is(err, io.EOF) {
					return nil
				}
				return err
			}
			if err := in.SendMsg(&message); err != nil {
				return err
			}
		}
	}
}

// A proxy that knows no method and no message passes everything on, the
// identity too, which does not double on the way.
func TestProxyWithCodecOfItsOwn(t *testing.T) {
	rpcUnnoticed(t, func(ctx context.Context, x *rpcExchange) {
		backend := x.dial(x.serve(x.testService))
		proxy := x.serve(func(*grpc.Server) {}, grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(proxyTo(backend)),
			grpc.StatsHandler(x.observed("proxy")))
		x.callAll(metadata.AppendToOutgoingContext(x.rpc.caller(ctx), "echo", "hi"), x.dial(proxy), 100)
		require.Contains(x, x.noted("handler"), `twice []`)
		require.Contains(x, x.noted("proxy receives"), "*[]uint8 of 10")
	})
}

// A unary call with a codec of its own.
func TestUnaryWithCodecOfItsOwn(t *testing.T) {
	echo := func(_ any, ss grpc.ServerStream) error {
		var message []byte
		if err := ss.RecvMsg(&message); err != nil {
			return err
		}
		return ss.SendMsg(&message)
	}
	rpcUnnoticed(t, func(ctx context.Context, x *rpcExchange) {
		conn := x.dial(x.serve(func(*grpc.Server) {}, grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(echo)))
		x.asking("raw", []grpc.CallOption{grpc.ForceCodec(rawCodec{})}, func(options []grpc.CallOption) {
			sent, got := []byte("\x00bytes\xff"), []byte("of before")
			err := conn.Invoke(x.rpc.caller(ctx), "/raw.Echo/Echo", &sent, &got, options...)
			x.note("raw", fmt.Sprintf("%q %s", got, describeStatus(err)))
			require.Equal(x, sent, got)
		})
	})
}
