package fault_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

func TestTokenGuardrails(t *testing.T) {
	n := new(notary)
	inj := fault.New("svc", fault.WithTokens(n), fault.WithGuardrails(fault.Guardrails{
		MaxDelay: time.Minute,
		Tokens: fault.TokenGuardrails{
			MaxTTL: time.Hour, MaxDelay: time.Second, MaxHold: time.Minute,
			Effects:      []fault.Effect{fault.EffectDelay, fault.EffectBlackHole, fault.StreamEffects(fault.Response, fault.EffectStall)[0], fault.EffectOf(fault.Unavailable)},
			Points:       []string{"db", "http.client:rat*"},
			RequireScope: []string{"customers", "attributes.tester"},
		},
	}))
	db := inj.Point("custom", "db")
	forOne := for_(scope.Customers("42"))
	put(t, inj, rule("operators-may", fault.Fault{Delay: &fault.Delay{Fixed: 30 * time.Second}}, at("other")))
	inj.Delete("operators-may")
	for name, test := range map[string]struct {
		rule fault.Rule
		life time.Duration
		want string // "" if it is taken
	}{
		"within":               {atDB(unavailable, forOne), time.Hour, ""},
		"by an attribute":      {atDB(unavailable, for_(scope.Scope{Attributes: map[string][]string{"tester": {"yes"}}})), time.Hour, ""},
		"too long a life":      {atDB(unavailable, forOne), time.Hour + 1, "expires: is 1h0m0.000000001s after notBefore; the guardrail Tokens.MaxTTL allows 1h0m0s"},
		"delay":                {atDB(fault.Fault{Delay: &fault.Delay{Fixed: time.Second}}, forOne), time.Hour, ""},
		"too long a delay":     {atDB(fault.Fault{Delay: &fault.Delay{Fixed: time.Second + 1}}, forOne), time.Hour, "rules[0].fault.delay: may last 1.000000001s; the guardrail Tokens.MaxDelay allows 1s"},
		"hold":                 {atDB(blackHole, forOne), time.Minute, ""},
		"too long a hold":      {atDB(blackHole, forOne), time.Minute + 1, "rules[0].fault: may hold a call for the 1m0.000000001s that the token lives; the guardrail Tokens.MaxHold allows 1m0s"},
		"too long a stall":     {atDB(fault.Fault{Stream: &fault.StreamFault{Stall: true}}, forOne), time.Hour, "Tokens.MaxHold allows 1m0s"},
		"another fault":        {atDB(fault.Fault{Error: &fault.ErrorFault{Class: fault.Reset}}, forOne), time.Hour, "rules[0].fault: may not do error.class.reset; the guardrail Tokens.Effects allows delay, blackHole, "},
		"a point by kind":      {atDB(unavailable, forOne, at("http.client:ratings")), time.Hour, ""},
		"another kind":         {atDB(unavailable, forOne, at("grpc.client:ratings")), time.Hour, `rules[0].target.points[0]: "grpc.client:ratings" is not within the guardrail Tokens.Points: db, http.client:rat*`},
		"any kind":             {atDB(unavailable, forOne, at("db", "ratings")), time.Hour, `rules[0].target.points[1]: "ratings" is not within`},
		"everywhere":           {atDB(unavailable, forOne, at("*")), time.Hour, `"*" is not within`},
		"everywhere but":       {atDB(unavailable, forOne, at(), func(r *fault.Rule) { r.Target.Except = &fault.Except{Points: []string{"x"}} }), time.Hour, `"*" is not within`},
		"the server itself":    {atDB(unavailable, forOne, at("http.server:db")), time.Hour, `"http.server:db" is not within`},
		"no scope":             {atDB(unavailable), time.Hour, "rules[0].scope: has none of what the guardrail Tokens.RequireScope asks for: customers, attributes.tester"},
		"another scope":        {atDB(unavailable, for_(scope.Requests("r"))), time.Hour, "Tokens.RequireScope"},
		"another attribute":    {atDB(unavailable, for_(scope.Scope{Attributes: map[string][]string{"plan": {"x"}}})), time.Hour, "Tokens.RequireScope"},
		"the other guardrails": {atDB(fault.Fault{Delay: &fault.Delay{Fixed: time.Hour}}, forOne), time.Minute, "Tokens.MaxDelay"},
	} {
		t.Run(name, func(t *testing.T) {
			tok := token("", test.rule)
			tok.Expires = tok.NotBefore.Add(test.life)
			ctx := withToken(inj, scope.With(context.Background(), scope.Request{Customer: "42", Attributes: map[string]string{"tester": "yes"}}), n.issueToken(tok))
			if test.want == "" {
				require.NotContains(t, fault.Answer(ctx), "refused")
				return
			}
			require.Contains(t, strings.ReplaceAll(fault.Answer(ctx), `\"`, `"`), test.want)
			require.Empty(t, hitBy(db, ctx, ""))
			require.Empty(t, scope.TokenMember.Of(ctx))
		})
	}
	require.NotPanics(t, func() { inj.Guardrails().Tokens.Points[0] = "changed" })
	require.Equal(t, "db", inj.Guardrails().Tokens.Points[0])
}

func TestTokensMayNotPanicByDefault(t *testing.T) {
	n := new(notary)
	inj := fault.New("svc", fault.WithTokens(n))
	ctx := withToken(inj, customer("1"), n.issue(atDB(fault.Fault{Panic: true})))
	require.Contains(t, fault.Answer(ctx), "may not do panic; the guardrail Tokens.Effects allows everything but panic")
}

func TestMostConcurrentTokenFaults(t *testing.T) {
	n := new(notary)
	inj := fault.New("svc", fault.WithTokens(n), fault.WithGuardrails(fault.Guardrails{Tokens: fault.TokenGuardrails{MaxConcurrent: 2}}))
	db := inj.Point("custom", "db")
	first, second := n.issue(atDB(unavailable)), n.issue(atDB(unavailable))
	var running []fault.Decision
	for _, text := range []string{first, second} {
		d := db.Decide(withToken(inj, customer("1"), text), fault.Operation{})
		require.True(t, d.Hit())
		running = append(running, d)
	}
	ctx := withToken(inj, customer("1"), first)
	require.Empty(t, hitBy(db, ctx, ""), "over the ceiling of all tokens together")
	require.Equal(t, `skipped;rule="token-t1";point="custom:db";service="svc";reason="held back: tokens"`, fault.Answer(ctx))
	status, _ := inj.Rule("token-t1")
	require.Equal(t, map[fault.SkipReason]uint64{fault.SkipTokens: 1}, status.Skips)
	put(t, inj, rule("operators", unavailable, at("cache")))
	require.Equal(t, "operators", hitBy(inj.Point("custom", "cache"), ctx, ""), "rules of others do not count")
	for range 3 {
		running[0].Done()
		require.Equal(t, "token-t1", hitBy(db, ctx, ""))
	}
	running[1].Done()
}
