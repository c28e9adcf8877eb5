package scope_test

import (
	"context"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
)

const enterBaggage = "misfit.id=carried,misfit.customer=7,misfit.attr.plan=gold,misfit.attr.region=eu,theirs=1"

func TestEnter(t *testing.T) {
	type attributes = map[string]string
	request := func(r scope.Request) *scope.Request { return &r }
	long := strings.Repeat("x", 300)
	for _, test := range []struct {
		name    string
		known   *scope.Request // what the context says
		header  string
		said    func() scope.Request
		want    scope.Request
		ignored []string // nothing if empty
	}{
		{
			name:   "the carrier alone",
			header: enterBaggage,
			want:   scope.Request{ID: "carried", Customer: "7", Attributes: attributes{"plan": "gold", "region": "eu"}},
		},
		{
			name:   "the context goes before the carrier, as a whole",
			known:  request(scope.Request{ID: "known", Attributes: attributes{"tier": "1"}}),
			header: enterBaggage,
			want:   scope.Request{ID: "known", Attributes: attributes{"tier": "1"}},
		},
		{
			name:   "the context says what baggage cannot carry",
			known:  request(scope.Request{ID: "known", Customer: long}),
			header: enterBaggage,
			want:   scope.Request{ID: "known", Customer: long},
		},
		{
			name:   "identify goes before the carrier",
			header: enterBaggage,
			said: func() scope.Request {
				return scope.Request{ID: "said", Customer: "42", Attributes: attributes{"plan": "free"}}
			},
			want: scope.Request{ID: "said", Customer: "42", Attributes: attributes{"plan": "free", "region": "eu"}},
		},
		{
			name:   "identify goes before the context",
			known:  request(scope.Request{ID: "known", Customer: "7", Attributes: attributes{"tier": "1", "plan": "gold"}}),
			header: enterBaggage,
			said: func() scope.Request {
				return scope.Request{Customer: "42", Attributes: attributes{"plan": "free"}}
			},
			want: scope.Request{ID: "known", Customer: "42", Attributes: attributes{"tier": "1", "plan": "free"}},
		},
		{
			name:   "what identify leaves empty stays",
			header: enterBaggage,
			said:   func() scope.Request { return scope.Request{} },
			want:   scope.Request{ID: "carried", Customer: "7", Attributes: attributes{"plan": "gold", "region": "eu"}},
		},
		{
			name:   "an ID alone",
			header: enterBaggage,
			said:   func() scope.Request { return scope.Request{ID: "said"} },
			want:   scope.Request{ID: "said", Customer: "7", Attributes: attributes{"plan": "gold", "region": "eu"}},
		},
		{
			name: "attributes where there were none",
			said: func() scope.Request { return scope.Request{ID: "said", Attributes: attributes{"plan": "free"}} },
			want: scope.Request{ID: "said", Attributes: attributes{"plan": "free"}},
		},
		{
			name:    "a panic is contained",
			header:  enterBaggage,
			said:    func() scope.Request { panic("no session") },
			want:    scope.Request{ID: "carried", Customer: "7", Attributes: attributes{"plan": "gold", "region": "eu"}},
			ignored: []string{"scope: the Identify function panicked: no session"},
		},
		{
			name:   "what breaks a limit is reported, and counts in this process",
			header: enterBaggage,
			said: func() scope.Request {
				return scope.Request{Customer: long, Attributes: attributes{"plan": long, "a b": "x"}}
			},
			want:    scope.Request{ID: "carried", Customer: long, Attributes: attributes{"plan": long, "a b": "x", "region": "eu"}},
			ignored: []string{"customer: has 300 bytes", "attributes.plan: has 300 bytes", `attributes: name "a b" is not a token`},
		},
		{
			name:    "what the carrier has too much of is ignored",
			header:  "misfit.id=carried,misfit.customer=" + long,
			want:    scope.Request{ID: "carried"},
			ignored: []string{"misfit.customer of 300 bytes is ignored"},
		},
		{
			name:    "everything wrong at once",
			header:  "misfit.id=carried,misfit.customer=" + long,
			said:    func() scope.Request { panic("no session") },
			want:    scope.Request{ID: "carried"},
			ignored: []string{"misfit.customer of 300 bytes is ignored", "panicked: no session"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := context.Background()
			if test.known != nil {
				ctx = scope.With(ctx, *test.known)
			}
			ctx, ignored := scope.Enter(ctx, header("Baggage", test.header), test.said)
			require.Equal(t, test.want, *scope.From(ctx))
			if len(test.ignored) == 0 {
				require.NoError(t, ignored)
			}
			for _, text := range test.ignored {
				require.ErrorContains(t, ignored, text)
			}
		})
	}
}

func TestEnterWithNothingToGoBy(t *testing.T) {
	first, err := scope.Enter(context.Background(), header(), nil)
	require.NoError(t, err)
	second, err := scope.Enter(context.Background(), header(), nil)
	require.NoError(t, err)
	require.Len(t, scope.From(first).ID, 32)
	require.NotEqual(t, scope.From(first).ID, scope.From(second).ID)

	traced, err := scope.Enter(context.Background(), header("Traceparent", traceparent), nil)
	require.NoError(t, err)
	require.Equal(t, traceID, scope.From(traced).ID, "the trace is the identity")
}

// What is found out goes on to the services behind.
func TestEnterPassesOn(t *testing.T) {
	in := header("Baggage", enterBaggage, "Traceparent", traceparent)
	ctx, err := scope.Enter(context.Background(), in, func() scope.Request {
		return scope.Request{Customer: "42", Attributes: map[string]string{"plan": strings.Repeat("x", 300)}}
	})
	require.Error(t, err)
	out := header()
	require.True(t, scope.Inject(ctx, out))
	require.Equal(t, traceparent, out.Get("traceparent"))
	require.ElementsMatch(t,
		[]string{"misfit.id=carried", "misfit.customer=42", "misfit.attr.region=eu", "theirs=1"},
		strings.Split(out.Get("baggage"), ","), "but not what breaks a limit")
}

func TestEnterLeavesTheCallersContextAlone(t *testing.T) {
	known := scope.With(context.Background(), scope.Request{ID: "known", Attributes: map[string]string{"plan": "gold"}})
	said := map[string]string{"plan": "free"}
	ctx, err := scope.Enter(known, header(), func() scope.Request { return scope.Request{Attributes: said} })
	require.NoError(t, err)
	require.Equal(t, map[string]string{"plan": "gold"}, scope.From(known).Attributes)
	said["plan"] = "changed later"
	require.Equal(t, map[string]string{"plan": "free"}, scope.From(ctx).Attributes)
	require.Equal(t, "gold", baggage.FromContext(known).Member("misfit.attr.plan").Value())
}
