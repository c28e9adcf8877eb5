package grpcint_test

import (
	"context"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
)

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// FuzzIncomingMetadata lets anything come in with a call, which then makes a
// call of its own over a real connection. Whatever that is, no rule selects
// either call, so both succeed.
func FuzzIncomingMetadata(f *testing.F) {
	f.Add("misfit.id=a,misfit.customer=42", "team=blue", traceparent, "x-more", "1", uint8(1))
	f.Add("misfit.rule=%7B%7D", "a=b;c", "00", "baggage-bin", "\x00\xff", uint8(0))
	f.Add("%ff=,;=", "misfit.attr.=x", "\xff", "Baggage", "a=b", uint8(200))
	f.Add(strings.Repeat("a=b,", 3000), "", "", "misfit.customer", "42", uint8(3))
	f.Add("misfit.customer="+strings.Repeat("%00", 300), "misfit.attr.a%20b=1", traceparent+"\n", "fault-rule", `{"fault":{}}`, uint8(2))

	back := newRig(f)
	inj := fault.New("middle")
	unrelated := []fault.Rule{
		rule("someone", "*:*", fail(fault.Refused), only(scope.Customers("nobody \x00"))),
		rule("elsewhere", "other", fail(fault.Refused), only(scope.Percent(50, scope.PerRequest))), // draws, so that all get an identity
		rule("attribute", "*:*", fail(fault.Refused), only(scope.Scope{Attributes: map[string][]string{"of": {"nobody \x00"}}})),
	}
	put(f, inj, unrelated...)
	put(f, back.server, unrelated...)
	conn := dialed(f, back, inj)
	server := grpcint.UnaryServerInterceptor(inj)
	f.Fuzz(func(t *testing.T, bag, more, parent, key, value string, times uint8) {
		md := metadata.MD{"baggage": {bag}, "traceparent": {parent}, strings.ToLower(key): {value}}
		for range times {
			md["baggage"] = append(md["baggage"], more)
			md["x-repeated"] = append(md["x-repeated"], value)
		}
		ctx := metadata.NewIncomingContext(t.Context(), md)
		handled := false
		_, err := server(ctx, nil, &grpc.UnaryServerInfo{FullMethod: "/a/b"}, func(ctx context.Context, _ any) (any, error) {
			handled = true
			who := scope.From(ctx)
			require.NotNil(t, who)
			require.NoError(t, who.Validate())
			return testpb.NewTestServiceClient(conn).UnaryCall(ctx, &testpb.SimpleRequest{})
		})
		require.NoError(t, err)
		require.True(t, handled)
		behind := back.service.took()
		require.Len(t, behind, 1)
		require.NotNil(t, behind[0].who)
	})
}

// FuzzRequestRule lets anything come in as a rule. A call that it does not
// select succeeds; what fails is told from a real failure.
func FuzzRequestRule(f *testing.F) {
	f.Add(refuseInJSON, "")
	f.Add(`{"target": {"points": ["grpc.server:*"]}, "fault": {"stream": {"error": {"grpc": {"code": "ABORTED", "trailers": {"x": "y"}}}}}}`, "")
	f.Add(`{"target":{"points":["*"]},"fault":{"blackHole":true},"scope":{"customers":["nobody"]}}`, "misfit.rule=%7B%7D")
	f.Add("\"\\\n\x00", "%ff")
	f.Fuzz(func(t *testing.T, text, bag string) {
		inj := fault.New("middle", fault.WithGuardrails(fault.Guardrails{MaxDelay: 1, MaxTTL: 1 << 40}))
		server := grpcint.UnaryServerInterceptor(inj, grpcint.UnsafeRequestRules())
		ctx, cancel := context.WithCancel(metadata.NewIncomingContext(t.Context(), metadata.Pairs(grpcint.RuleKey, text, "baggage", bag)))
		cancel() // nothing is waited for
		handled := false
		_, err := server(ctx, nil, &grpc.UnaryServerInfo{FullMethod: "/a/b"}, func(context.Context, any) (any, error) {
			handled = true
			return &testpb.SimpleResponse{}, nil
		})
		if err != nil {
			_, ok := grpcint.FromError(err)
			require.True(t, ok, "%v", err)
			return
		}
		require.True(t, handled)
	})
}
