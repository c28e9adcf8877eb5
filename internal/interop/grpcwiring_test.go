package interop_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/grpcint"
	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// The points that every call over gRPC passes: the shop's to the ratings, or
// each attempt of it, and the entry of the ratings.
const (
	rpcClientPoint  = "grpc.client:" + dependency
	rpcAttemptPoint = "grpc.attempt:" + dependency
	rpcServerPoint  = "grpc.server:" + dependency
)

// An rpcWiring is a way of putting the library on both sides of a connection.
type rpcWiring struct {
	name       string
	rules      []fault.Rule // of both processes
	here       bool         // they are aimed at the very points of the calls
	spent      bool         // they have done all they may
	identified bool         // calls are made for a request with an identity, and the server identifies them
	attempts   bool         // each attempt is a point of its own
	together   bool         // both sides are one process
	token      edit         // of the rule of the token that calls carry, in baggage if they are identified; nil: they carry none
}

// rpcWirings are those in which no fault applies to any call.
var rpcWirings = []rpcWiring{
	{name: "idle"},
	{name: "idle, one process", together: true},
	{name: "rules elsewhere", rules: everyFault(at("grpc.*:elsewhere"))},
	{name: "another operation", here: true, rules: everyFault(otherOperation)},
	{name: "another customer", here: true, rules: everyFault(who(scope.Customers("nobody")))},
	{name: "0 % of requests", here: true, rules: everyFault(who(scope.Percent(0, scope.PerRequest)))},
	{name: "next to no requests", here: true, rules: everyFault(who(scope.Percent(1e-9, scope.PerRequest)))}, // each of which gets an identity
	{name: "0 % of calls", here: true, together: true, rules: everyFault(who(scope.Percent(0, scope.PerCall)))},
	{name: "over the limit", here: true, spent: true, rules: aimed(func(r *fault.Rule) { everywhere(r); r.Limits.Total = 1 })},
	{name: "identified, idle", identified: true},
	{name: "identified, idle, one process", identified: true, together: true},
	{name: "identified, another customer", identified: true, here: true, rules: everyFault(who(scope.Customers("nobody")))},
	{name: "identified, another operation", identified: true, here: true, together: true, rules: everyFault(otherOperation)},
	{name: "attempts, idle", attempts: true},
	{name: "attempts, another operation", attempts: true, here: true, rules: everyFault(otherOperation)},
	{name: "attempts, 0 % of calls", attempts: true, here: true, rules: everyFault(who(scope.Percent(0, scope.PerCall)))},
	{name: "attempts, identified, another customer", attempts: true, identified: true, here: true, rules: everyFault(who(scope.Customers("nobody")))},
	{name: "a token for another dependency", token: at("grpc.*:elsewhere")},
	{name: "a token for another customer", together: true, token: func(r *fault.Rule) { everywhere(r); who(scope.Customers("nobody"))(r) }},
	{name: "identified, a token for another operation", identified: true, token: func(r *fault.Rule) { everywhere(r); otherOperation(r) }},
	{name: "attempts, identified, a token for another dependency", attempts: true, identified: true, token: at("grpc.*:elsewhere")},
}

func everywhere(r *fault.Rule) { at("grpc.*:" + dependency)(r) }

func otherOperation(r *fault.Rule) {
	r.Target.Operations = []string{"/grpc.testing.BenchmarkService/*", "/grpc.testing.TestService/Never", "/grpc.testing.TestService"}
}

// everyFault returns a rule for each thing that can happen to a call.
func everyFault(e edit) []fault.Rule {
	var edits []edit
	for _, f := range []fault.Fault{
		unavailable,
		{BlackHole: true},
		{Delay: &fault.Delay{Fixed: time.Minute}},
		{Delay: &fault.Delay{PadTo: time.Minute}},
		{LostReply: true},
		{Stream: &fault.StreamFault{Cut: true}},
		{Stream: &fault.StreamFault{Direction: fault.Request, After: 1, Stall: true}},
		{Stream: &fault.StreamFault{After: 1, PerSecond: 1}},
	} {
		edits = append(edits, func(r *fault.Rule) { everywhere(r); r.Fault = f; e(r) })
	}
	return aimed(edits...)
}

// rpcWired is the library, put where a wiring wants it.
type rpcWired struct {
	rpcWiring
	client, server *fault.Injector // nil: without the library
	carried        *carriedToken   // nil: none
}

func (w rpcWiring) build(t *testing.T) rpcWired {
	if absent.Machinery { // in the same places, with nothing to aim
		w.rules, w.here, w.spent, w.token = nil, false, false, nil
	}
	built := rpcWired{rpcWiring: w}
	if w.name == "" {
		return built
	}
	var options []fault.Option
	if w.token != nil {
		built.carried = newCarriedToken(t, w.token, dependency)
		options = append(options, fault.WithTokens(built.carried.verifier))
	}
	built.server = fault.New(dependency, options...)
	built.client = built.server
	if !w.together {
		built.client = fault.New(service, options...)
	}
	built.serverOptions()
	built.dialOptions()
	if len(w.rules) > 0 {
		require.NoError(t, built.server.Put(w.rules...))
		require.NoError(t, built.client.Put(w.rules...))
	}
	if w.spent {
		built.spend(t)
	}
	return built
}

// spend makes each rule do all that its limit allows.
func (w rpcWired) spend(t *testing.T) {
	ctx, method := t.Context(), "/grpc.testing.TestService/EmptyCall"
	err := grpcint.UnaryClientInterceptor(w.client, dependency)(ctx, method, nil, nil, nil, nil)
	require.ErrorIs(t, err, fault.ErrInjected)
	_, err = grpcint.UnaryServerInterceptor(w.server)(ctx, nil, &grpc.UnaryServerInfo{FullMethod: method}, nil)
	require.ErrorIs(t, err, fault.ErrInjected)
}

// serverOptions are those of the server.
func (w rpcWired) serverOptions() []grpc.ServerOption {
	if w.server == nil {
		return nil
	}
	var options []grpcint.Option
	if w.identified {
		options = append(options, grpcint.Identify(func(context.Context, string) scope.Request {
			return scope.Request{Attributes: map[string]string{"plan": "gold"}}
		}))
	}
	return grpcint.ServerOptions(w.server, options...)
}

// known are the options by which the server refuses calls to the test service
// that it does not know the request of, if the wiring says that it does. A
// server without rules and clients has no use for that.
func (w rpcWired) known() []grpc.ServerOption {
	if !w.identified || !w.here && !w.together || absent.Machinery {
		return nil
	}
	want := &scope.Request{ID: "r-1", Customer: "42", Attributes: map[string]string{"region": "north", "plan": "gold"}}
	check := func(ctx context.Context, method string) error {
		if got := scope.From(ctx); strings.HasPrefix(method, "/grpc.testing.") && !reflect.DeepEqual(want, got) {
			return status.Errorf(codes.Unauthenticated, "the request is %v", got)
		}
		return nil
	}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if err := check(ctx, info.FullMethod); err != nil {
				return nil, err
			}
			return handler(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if err := check(ss.Context(), info.FullMethod); err != nil {
				return err
			}
			return handler(srv, ss)
		}),
	}
}

// dialOptions are those of a client.
func (w rpcWired) dialOptions() []grpc.DialOption {
	switch {
	case w.client == nil:
		return nil
	case w.attempts:
		return grpcint.AttemptDialOptions(w.client, dependency)
	}
	return grpcint.DialOptions(w.client, dependency)
}

// caller returns the context of a call, as part of a request that has an
// identity, or a token, if the wiring says so.
func (w rpcWired) caller(ctx context.Context) context.Context {
	switch {
	case w.identified:
		ctx = scope.With(ctx, scope.Request{ID: "r-1", Customer: "42", Attributes: map[string]string{"region": "north"}})
		if w.carried != nil {
			ctx = w.client.Receive(ctx, fault.Sent{Tokens: []string{w.carried.text}})
		}
	case w.carried != nil:
		ctx = metadata.AppendToOutgoingContext(ctx, grpcint.TokenKey, w.carried.text)
	}
	return ctx
}

// verify checks that the rules were live where the wiring says, and that none
// of them did anything.
func (w rpcWired) verify(t *testing.T) {
	t.Helper()
	if w.client == nil {
		return
	}
	clientPoint := rpcClientPoint
	if w.attempts {
		clientPoint = rpcAttemptPoint
	}
	want := map[*fault.Injector][]string{w.client: {clientPoint}}
	want[w.server] = append(want[w.server], rpcServerPoint)
	for inj, points := range want {
		live := w.carried.unused(t, inj.Service(), inj.Rules())
		require.Len(t, live, len(w.rules))
		var armed []string
		for _, r := range live {
			armed = append(armed, r.Points...)
			hits := uint64(0)
			if w.spent {
				hits = 1
			}
			require.Equal(t, hits, r.Hits, fmt.Sprint(r.Rule))
		}
		slices.Sort(armed)
		if w.here {
			require.Equal(t, points, slices.Compact(armed))
		} else {
			require.Empty(t, armed)
		}
		require.Zero(t, inj.Status().Problems)
	}
}
