package fault_test

import (
	"context"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// injectNothing readies a test for a library that injects nothing, in the one way or
// the other: by the build tag, or else by the environment.
func injectNothing(t *testing.T) {
	if !absent.Machinery {
		t.Setenv("MISFIT_DISABLED", "1")
	}
}

// nobody is a verifier that must not be asked.
type nobody struct{ testing.TB }

func (n nobody) VerifyToken(string) (fault.Token, error) {
	n.Error("asked for a token")
	return fault.Token{}, fault.ErrNotGenuine
}

func (n nobody) OnRevocation(func()) { n.Error("asked for revocations") }

func TestPassThrough(t *testing.T) {
	injectNothing(t)
	for name, inj := range map[string]*fault.Injector{"disabled": fault.New("svc", fault.WithTokens(nobody{t})), "nil": nil} {
		t.Run(name, func(t *testing.T) {
			require.True(t, inj.Disabled())
			require.True(t, inj.Status().Disabled)
			require.True(t, inj.Idle())
			require.False(t, inj.NeedsIdentity())
			require.False(t, inj.TakesTokens())

			require.ErrorIs(t, inj.Put(rule("r", unavailable)), fault.ErrDisabled)
			require.ErrorIs(t, inj.Source("file").Change([]fault.Rule{rule("r", unavailable)}, []string{"s"}), fault.ErrDisabled)
			require.Empty(t, inj.Rules())
			_, ok := inj.Rule("r")
			require.False(t, ok)
			require.False(t, inj.Delete("r"))
			require.Empty(t, inj.Halt())
			inj.Resume()
			inj.Source("file").Fail(context.Canceled)
			require.Empty(t, inj.Status().Failing)

			e, err := inj.Explain(fault.Question{Point: "custom:db"})
			require.NoError(t, err)
			require.True(t, e.Disabled)
		})
	}
}

func TestPassThroughOfCalls(t *testing.T) {
	injectNothing(t)
	inj := fault.New("svc", fault.WithTokens(nobody{t}))
	_ = inj.Put(rule("r", fault.Fault{BlackHole: true}))
	ctx := scope.With(t.Context(), scope.Request{ID: "1"})

	carrying := inj.Receive(ctx, fault.Sent{
		Tokens: []string{"a token"}, Believed: true, Rules: []string{`{"fault":{"blackHole":true}}`}, Own: []fault.Rule{rule("own", unavailable)},
	})
	require.Equal(t, ctx, carrying)
	carrying, err := inj.WithRequestRule(ctx, `{"fault":{"blackHole":true}}`)
	require.ErrorIs(t, err, fault.ErrDisabled)
	require.Equal(t, ctx, carrying)
	require.False(t, fault.Carries(ctx))
	require.Empty(t, fault.Answer(ctx))

	op := fault.Operation{Name: "GET"}
	for name, p := range map[string]*fault.Point{"some": inj.Point("custom", "db"), "nil": nil} {
		require.False(t, p.Armed(), name)
		require.NoError(t, p.Inject(ctx, op))
		for _, d := range []fault.Decision{
			p.Decide(ctx, op),
			p.DecideNamed(ctx, op, func() string { t.Error("asked for a name"); return "" }),
		} {
			require.False(t, d.Hit())
			require.Equal(t, fault.Decision{}, d.Fork())
			require.NoError(t, d.Before(ctx))
			require.NoError(t, d.Hold(ctx))
			require.NoError(t, d.After(ctx))
			require.NoError(t, d.Err())
			require.NoError(t, d.Named())
			require.NoError(t, d.Registered())
			require.Equal(t, fault.Fault{}, d.Fault())
			require.Empty(t, d.Rule())
			require.False(t, d.InForce())
			stream := d.Stream(fault.Response)
			n, err := stream.Next(ctx, 7)
			require.NoError(t, err)
			require.Equal(t, 7, n)
			require.NoError(t, stream.End(ctx))
			d.Done()
		}
	}
	_, some, err := inj.Point("http.server", "svc").EnvoyRule(fault.EnvoyHeaders{}, map[string][]string{"X-Envoy-Fault-Abort-Request": {"503"}}, false)
	require.NoError(t, err)
	require.False(t, some)
}
