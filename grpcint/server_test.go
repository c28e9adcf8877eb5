package grpcint_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// problems keeps what an injector has ignored.
type problems struct{ texts []string }

func (p *problems) Observe(e fault.Event) {
	if e.Kind == fault.Problem {
		p.texts = append(p.texts, e.Err.Error())
	}
}

func TestIdentityTravels(t *testing.T) {
	who := scope.Request{ID: "r-1", Customer: "42 & sons", Attributes: map[string]string{"plan": "gold"}}
	for _, options := range map[string][]rigOption{"by call": nil, "by attempt": {byAttempt}} {
		x := newRig(t, options...)
		put(t, x.server, rule("elsewhere", "other", fail(fault.Refused))) // else nobody has a use for it
		for _, r := range rpcs {
			require.NoError(t, r.timed(scope.With(t.Context(), who), x).err)
			require.Equal(t, &who, x.service.took()[0].who, r.name)

			ctx := metadata.AppendToOutgoingContext(scope.With(t.Context(), who), "x-mine", "1", "baggage", "team=blue")
			require.NoError(t, r.timed(ctx, x).err)
			h := x.service.took()[0]
			require.Equal(t, &who, h.who, r.name)
			md, _ := metadata.FromIncomingContext(h.ctx)
			require.Equal(t, []string{"1"}, md["x-mine"])
			require.Len(t, md["baggage"], 1)
			require.True(t, strings.HasPrefix(md["baggage"][0], "team=blue,misfit."), md["baggage"][0])

			require.NoError(t, r.timed(t.Context(), x).err)
			require.Nil(t, x.service.took()[0].who, "%s: no identity is made up without need", r.name)
		}
	}
}

func TestARuleThatDrawsByRequestGivesEachAnIdentity(t *testing.T) {
	x := newRig(t)
	put(t, x.server, rule("r", "other", fail(fault.Refused), only(scope.Percent(1, scope.PerRequest))))
	for _, r := range rpcs {
		require.NoError(t, r.timed(t.Context(), x).err)
		require.NotEmpty(t, x.service.took()[0].who.ID, r.name)
	}
}

func TestIdentify(t *testing.T) {
	seen := &problems{}
	x := newRig(t, withInjector(fault.WithObserver(seen)), withOptions(grpcint.Identify(func(ctx context.Context, method string) scope.Request {
		md, _ := metadata.FromIncomingContext(ctx)
		switch user := strings.Join(md["x-user"], ""); user {
		case "":
			panic("no user")
		default:
			return scope.Request{Customer: user, Attributes: map[string]string{"method": method}}
		}
	})))
	put(t, x.server, rule("elsewhere", "other", fail(fault.Refused)))
	for _, r := range rpcs {
		ctx := scope.With(t.Context(), scope.Request{ID: "r-1", Customer: "told", Attributes: map[string]string{"plan": "gold"}})
		require.NoError(t, r.timed(metadata.AppendToOutgoingContext(ctx, "x-user", "42"), x).err)
		require.Equal(t, &scope.Request{
			ID: "r-1", Customer: "42", Attributes: map[string]string{"plan": "gold", "method": r.method},
		}, x.service.took()[0].who, "what the service says goes before what it is told")

		seen.texts = nil
		require.NoError(t, r.timed(ctx, x).err)
		require.Equal(t, "told", x.service.took()[0].who.Customer)
		require.Equal(t, []string{"scope: the Identify function panicked: no user"}, seen.texts)
	}
	require.Panics(t, func() { grpcint.Identify(nil) })
}

const refuseInJSON = `{"target": {"points": ["*", "grpc.server:*"]}, "fault": {"error": {"class": "unavailable"}}}`

func TestRequestRules(t *testing.T) {
	for _, r := range rpcs {
		for name, test := range map[string]struct {
			option []grpcint.Option
			sent   []string
			code   codes.Code
			status string
		}{
			"none":    {[]grpcint.Option{grpcint.UnsafeRequestRules()}, nil, codes.OK, ""},
			"taken":   {[]grpcint.Option{grpcint.UnsafeRequestRules()}, []string{refuseInJSON}, codes.Unavailable, `applied;rule="request-`},
			"without": {nil, []string{refuseInJSON}, codes.OK, ""},
			"two":     {[]grpcint.Option{grpcint.UnsafeRequestRules()}, []string{refuseInJSON, refuseInJSON}, codes.OK, `refused;service="`},
			"bad":     {[]grpcint.Option{grpcint.UnsafeRequestRules()}, []string{`{"fault": {"eror": 1}}`}, codes.OK, `refused;service="backend";reason="fault: per-request rule: fault.eror: unknown field`},
		} {
			t.Run(r.name+"/"+name, func(t *testing.T) {
				x := newRig(t, withOptions(test.option...))
				ctx := t.Context()
				for _, text := range test.sent {
					ctx = metadata.AppendToOutgoingContext(ctx, grpcint.RuleKey, text)
				}
				s := r.timed(ctx, x)
				require.Equal(t, test.code, status.Code(s.err), "%v", s.err)
				require.True(t, strings.HasPrefix(strings.Join(s.trailer[grpcint.StatusKey], " "), test.status), "%v", s.trailer)
				if test.status == "" {
					require.Empty(t, s.trailer[grpcint.StatusKey])
				}
				require.NoError(t, r.timed(t.Context(), x).err, "it is for that call alone")
			})
		}
	}
}

// TestRequestRuleTravels has a service in the middle that passes a rule on.
func TestRequestRuleTravels(t *testing.T) {
	back := newRig(t, withOptions(grpcint.UnsafeRequestRules()))
	front := newRig(t, withOptions(grpcint.UnsafeRequestRules()))
	for _, r := range rpcs {
		ctx := metadata.AppendToOutgoingContext(t.Context(), grpcint.RuleKey,
			strings.Replace(refuseInJSON, `"target": {`, `"target": {"services": ["behind"], `, 1))
		require.NoError(t, r.timed(ctx, front).err, "it is not for this service")
		onward := context.WithoutCancel(front.service.took()[0].ctx)
		s := r.timed(onward, back)
		require.NoError(t, s.err, "nor for that")
		require.Len(t, back.server.Rules(), 1, "which knows of it all the same")
	}
}

func TestPanicsNeedRecovery(t *testing.T) {
	inj := fault.New("backend")
	grpcint.ServerOptions(inj)
	put(t, inj, rule("r", serverPoint, fault.Fault{Panic: true}))
	live, _ := inj.Rule("r")
	require.Equal(t, []string{serverPoint}, live.Unsupported, "a panic would end the process")

	t.Run("given to one interceptor only", func(t *testing.T) {
		seen := &problems{}
		inj := fault.New("backend", fault.WithObserver(seen))
		grpcint.UnaryServerInterceptor(inj, grpcint.Recovered())
		stream := grpcint.StreamServerInterceptor(inj)
		put(t, inj, rule("r", serverPoint, fault.Fault{Panic: true}))
		handled := false
		err := stream(nil, contextStream{ctx: t.Context()}, &grpc.StreamServerInfo{FullMethod: "/a/b"}, func(any, grpc.ServerStream) error {
			handled = true
			return nil
		})
		require.NoError(t, err)
		require.True(t, handled)
		require.Len(t, seen.texts, 1)
		require.Contains(t, seen.texts[0], "give the option Recovered to both")
	})
}

// contextStream is a stream without messages.
type contextStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s contextStream) Context() context.Context { return s.ctx }
func (contextStream) SetTrailer(metadata.MD)     {}

func TestNothingWithoutAnInjector(t *testing.T) {
	t.Setenv("MISFIT_DISABLED", "1")
	errHandler, ctx := errors.New("the handler's"), t.Context()
	for name, inj := range map[string]*fault.Injector{"nil": nil, "disabled": fault.New("svc")} {
		require.Empty(t, grpcint.DialOptions(inj, "x"), name)
		require.Empty(t, grpcint.AttemptDialOptions(inj, "x"), name)
		require.Empty(t, grpcint.ServerOptions(inj), name)
		require.Equal(t, errHandler, grpcint.UnaryClientInterceptor(inj, "x")(ctx, "/a/b", nil, nil, nil,
			func(context.Context, string, any, any, *grpc.ClientConn, ...grpc.CallOption) error { return errHandler }))
		_, err := grpcint.StreamClientInterceptor(inj, "x")(ctx, nil, nil, "/a/b",
			func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
				return nil, errHandler
			})
		require.Equal(t, errHandler, err)
		_, err = grpcint.UnaryServerInterceptor(inj)(ctx, nil, nil, func(context.Context, any) (any, error) { return nil, errHandler })
		require.Equal(t, errHandler, err)
		err = grpcint.StreamServerInterceptor(inj)(nil, nil, nil, func(any, grpc.ServerStream) error { return errHandler })
		require.Equal(t, errHandler, err)
	}
}

// TestOneByOne chains the four interceptors by hand, with a point for each
// target.
func TestOneByOne(t *testing.T) {
	client := fault.New("frontend")
	x := newRig(t, withDial(
		grpc.WithChainUnaryInterceptor(grpcint.UnaryClientInterceptor(client, "")),
		grpc.WithChainStreamInterceptor(grpcint.StreamClientInterceptor(client, "")),
	))
	for _, r := range rpcs {
		require.NoError(t, r.timed(t.Context(), x).err)
	}
	var points []string
	for _, p := range client.Points() {
		points = append(points, p.Kind+" "+p.Name)
	}
	require.Equal(t, []string{"grpc.client backend:50051"}, points)
	put(t, client, rule("r", "grpc.client:backend:50051", fail(fault.Internal)))
	for _, r := range rpcs {
		require.Equal(t, codes.Internal, status.Code(r.timed(t.Context(), x).err))
	}
}
