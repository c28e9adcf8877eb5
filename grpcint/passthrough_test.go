package grpcint_test

import (
	"context"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// injectNothing readies a test for a library that injects nothing, in the one way or
// the other: by the build tag, or else by the environment.
func injectNothing(t *testing.T) {
	if !absent.Machinery {
		t.Setenv("MISFIT_DISABLED", "1")
	}
}

func TestPassThroughWhateverTheOptions(t *testing.T) {
	injectNothing(t)
	inj := fault.New("backend")
	options := []grpcint.Option{
		grpcint.Identify(func(context.Context, string) scope.Request { return scope.Request{} }),
		grpcint.UnsafeRequestRules(), grpcint.EnvoyHeaders(fault.EnvoyHeaders{}), grpcint.Recovered(),
	}
	require.Empty(t, grpcint.ServerOptions(inj, options...))
	require.Empty(t, grpcint.DialOptions(inj, ""))
	require.Empty(t, grpcint.AttemptDialOptions(inj, ""))

	// Those by hand hand on the very context and stream.
	ctx := scope.With(lies(t.Context()), scope.Request{Customer: "42"})
	_, err := grpcint.UnaryServerInterceptor(inj, options...)(ctx, nil, &grpc.UnaryServerInfo{}, func(got context.Context, _ any) (any, error) {
		require.Equal(t, ctx, got)
		return nil, nil
	})
	require.NoError(t, err)
	stream := contextStream{ctx: ctx}
	require.NoError(t, grpcint.StreamServerInterceptor(inj, options...)(nil, stream, &grpc.StreamServerInfo{}, func(_ any, got grpc.ServerStream) error {
		require.Equal(t, stream, got)
		return nil
	}))
	require.NoError(t, grpcint.UnaryClientInterceptor(inj, "")(ctx, "/a/b", nil, nil, nil,
		func(got context.Context, _ string, _, _ any, _ *grpc.ClientConn, opts ...grpc.CallOption) error {
			require.Equal(t, ctx, got)
			require.Empty(t, opts)
			return nil
		}))
	_, err = grpcint.StreamClientInterceptor(inj, "")(ctx, nil, nil, "/a/b",
		func(got context.Context, _ *grpc.StreamDesc, _ *grpc.ClientConn, _ string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			require.Equal(t, ctx, got)
			require.Empty(t, opts)
			return nil, nil
		})
	require.NoError(t, err)
	require.Empty(t, inj.Points())
}

// Who is a stranger, and who a third party, has nothing to do with faults.
func TestPassThroughProtects(t *testing.T) {
	injectNothing(t)
	for name, dial := range map[string]func(*fault.Injector, string, ...grpcint.ClientOption) []grpc.DialOption{
		"by call": grpcint.DialOptions, "by attempt": grpcint.AttemptDialOptions,
	} {
		x := newRig(t, withOptions(grpcint.PublicEndpoint()))
		them := newRig(t, withDial(dial(fault.New("backend"), "them", grpcint.ThirdParty())...))
		for _, r := range rpcs {
			require.NoError(t, r.timed(lies(t.Context()), x).err)
			h := x.service.took()[0]
			md, _ := metadata.FromIncomingContext(h.ctx)
			require.Equal(t, []string{"theirs=1,misfit.id=" + h.who.ID}, md["baggage"], name)
			require.Empty(t, md[grpcint.RuleKey])

			ctx := scope.With(lies(t.Context()), scope.Request{Customer: "alice"})
			require.NotZero(t, baggage.FromContext(ctx).Len())
			require.NoError(t, r.timed(ctx, them).err)
			md, _ = metadata.FromIncomingContext(them.service.took()[0].ctx)
			require.Equal(t, []string{"theirs=1"}, md["baggage"], name)
			require.Empty(t, md[grpcint.RuleKey])
		}
	}
}
