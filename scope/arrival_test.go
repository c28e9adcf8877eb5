package scope_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const arrivedTrace = "4bf92f3577b34da6a3ce929d0e0e4736"

func arrivingHeader(lines ...string) propagation.HeaderCarrier {
	h := http.Header{"Traceparent": {"00-" + arrivedTrace + "-00f067aa0ba902b7-01"}, "Tracestate": {"theirs=1"}}
	if len(lines) > 0 {
		h["Baggage"] = lines
	}
	return propagation.HeaderCarrier(h)
}

// arrive has a request arrive, and collects what is reported of it.
func arrive(ctx context.Context, carrier propagation.TextMapCarrier) (context.Context, *[]error) {
	var mu sync.Mutex
	var reported []error
	return scope.Arrive(ctx, carrier, func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			reported = append(reported, err)
		}
	}), &reported
}

// TestArriveIsEnter holds that who asks late is told what Enter would have said, and
// that the same goes on.
func TestArriveIsEnter(t *testing.T) {
	for name, carrier := range map[string]propagation.HeaderCarrier{
		"a trace":                  arrivingHeader(),
		"a trace and identity":     arrivingHeader("misfit.customer=42,misfit.attr.plan=gold,team=blue"),
		"an ID of its own":         arrivingHeader("misfit.id=r-1"),
		"lines":                    arrivingHeader("misfit.customer=42", "team=blue;p=1"),
		"identity and no trace":    {"Baggage": {"misfit.id=r-1,team=blue"}},
		"customer and no ID":       {"Baggage": {"misfit.customer=42"}},
		"nothing that can be read": {"Baggage": {"====,;;"}, "Traceparent": {"zz"}},
		"half of it":               arrivingHeader("misfit.customer=42,====,team=blue"),
		"too much":                 arrivingHeader("team=" + strings.Repeat("b", 9_000)),
		"a value too long":         arrivingHeader("misfit.customer=" + strings.Repeat("4", 300)),
		"nothing":                  {},
	} {
		t.Run(name, func(t *testing.T) {
			entered, ignored := scope.Enter(t.Context(), carrier, nil)
			arrived, reported := arrive(t.Context(), carrier)
			require.True(t, scope.Has(arrived))
			require.Empty(t, *reported, "read before anybody asked")

			want, got := *scope.From(entered), *scope.From(arrived)
			if len(want.ID) == 32 && want.ID != arrivedTrace { // each is given one at random
				require.Len(t, got.ID, 32)
				require.NotEqual(t, want.ID, got.ID)
				want.ID = got.ID
				entered, _ = scope.Enter(t.Context(), carrier, func() scope.Request { return scope.Request{ID: got.ID} })
			}
			require.Equal(t, want, got)
			if ignored == nil {
				require.Empty(t, *reported)
			} else {
				require.Len(t, *reported, 1)
				require.EqualError(t, (*reported)[0], ignored.Error())
			}

			sentOn := func(ctx context.Context) http.Header {
				h := make(http.Header)
				scope.Inject(ctx, propagation.HeaderCarrier(h))
				h["Baggage"] = sortedMembers(h.Get("Baggage"))
				return h
			}
			require.Equal(t, sentOn(entered), sentOn(arrived))
			require.Equal(t, scope.HasTrace(entered), scope.HasTrace(arrived))
			require.Equal(t, scope.TokenMember.Of(entered), scope.TokenMember.Of(arrived))
		})
	}
}

func sortedMembers(header string) []string {
	bag, err := baggage.Parse(header)
	if err != nil {
		return strings.Split(header, ",")
	}
	members := make([]string, 0, bag.Len())
	for _, m := range bag.Members() {
		members = append(members, m.String())
	}
	slices.Sort(members)
	return members
}

// TestArriveLeavesTheContext holds that OpenTelemetry's own context is as it was.
func TestArriveLeavesTheContext(t *testing.T) {
	ctx, _ := arrive(t.Context(), arrivingHeader("misfit.customer=42,team=blue"))
	require.NotNil(t, scope.From(ctx))
	require.False(t, trace.SpanContextFromContext(ctx).IsValid())
	require.Zero(t, baggage.FromContext(ctx).Len())
}

// TestArriveGoesOnAsItCame holds that what is plain goes on byte for byte, at the price
// of the headers it is written to, and that what is not is printed once.
func TestArriveGoesOnAsItCame(t *testing.T) {
	came := arrivingHeader("zone=b,misfit.customer=42,app=a")
	came["Traceparent"] = []string{"00-" + arrivedTrace + "-00f067aa0ba902b7-03"}
	ctx, _ := arrive(t.Context(), came)
	sent := make(http.Header)
	require.True(t, scope.Inject(ctx, propagation.HeaderCarrier(sent)))
	require.Equal(t, http.Header(came), sent)
	require.False(t, scope.Inject(ctx, propagation.HeaderCarrier(sent)), "it is there already")

	kept := mapped{}
	require.Zero(t, testing.AllocsPerRun(100, func() { scope.Inject(ctx, kept) }))

	for _, not := range []propagation.HeaderCarrier{
		{"Traceparent": {"zz"}, "Baggage": {"misfit.id=r-1"}},
		{"Tracestate": {"theirs=1"}, "Baggage": {"misfit.id=r-1"}},
		{"Baggage": {"misfit.id=r-1"}, "Traceparent": came["Traceparent"], "Tracestate": {"====,"}},
	} {
		ctx, _ := arrive(t.Context(), not)
		sent := make(http.Header)
		require.True(t, scope.Inject(ctx, propagation.HeaderCarrier(sent)))
		require.Equal(t, []string{"misfit.id=r-1"}, sent["Baggage"])
		require.Empty(t, sent["Tracestate"], "%v", not)
		require.NotEqual(t, []string{"zz"}, sent["Traceparent"])
	}

	unnamed, _ := arrive(t.Context(), propagation.HeaderCarrier{"Baggage": {"misfit.customer=42"}})
	require.NotNil(t, scope.From(unnamed))
	scope.Inject(unnamed, kept)
	require.Zero(t, testing.AllocsPerRun(100, func() { scope.Inject(unnamed, kept) }), "printed again")
}

// TestArriveInsideTracing holds that what an OpenTelemetry handler further out has
// put into the context is believed before the headers.
func TestArriveInsideTracing(t *testing.T) {
	outer := propagation.TraceContext{}.Extract(t.Context(), propagation.HeaderCarrier{
		"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	})
	ctx, _ := arrive(outer, arrivingHeader("misfit.customer=42"))
	require.Equal(t, "0af7651916cd43dd8448eb211c80319c", scope.From(ctx).ID)
	require.Equal(t, "42", scope.From(ctx).Customer)
	require.Equal(t, 1, baggage.FromContext(ctx).Len(), "the identity is in the baggage, for OpenTelemetry to pass on")

	known := scope.With(t.Context(), scope.Request{ID: "r-1"})
	ctx, _ = arrive(known, arrivingHeader("misfit.customer=42"))
	require.Equal(t, "r-1", scope.From(ctx).ID)
}

// TestArrivedMeanwhile holds that what the service puts into the context itself goes
// on together with what the request brought.
func TestArrivedMeanwhile(t *testing.T) {
	sentOn := func(ctx context.Context) http.Header {
		h := make(http.Header)
		require.True(t, scope.Inject(ctx, propagation.HeaderCarrier(h)))
		return h
	}
	t.Run("baggage", func(t *testing.T) {
		ctx, _ := arrive(t.Context(), arrivingHeader("misfit.customer=42,team=blue,mood=fine"))
		own, err := baggage.Parse("team=red,shift=late")
		require.NoError(t, err)
		h := sentOn(baggage.ContextWithBaggage(ctx, own))
		require.Equal(t, []string{"misfit.customer=42", "mood=fine", "shift=late", "team=red"}, sortedMembers(h.Get("Baggage")))
		require.Contains(t, h.Get("Traceparent"), arrivedTrace)
	})
	t.Run("another trace", func(t *testing.T) {
		ctx, _ := arrive(t.Context(), arrivingHeader("misfit.customer=42"))
		another := propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier{
			"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		})
		h := sentOn(another)
		require.Contains(t, h.Get("Traceparent"), "0af7651916cd43dd8448eb211c80319c")
		require.Equal(t, []string{"misfit.customer=42", "misfit.id=" + arrivedTrace}, sortedMembers(h.Get("Baggage")),
			"the trace that carried the identity is another one now")
	})
	t.Run("another identity", func(t *testing.T) {
		ctx, _ := arrive(t.Context(), arrivingHeader("misfit.customer=42,team=blue"))
		ctx = scope.With(ctx, scope.Request{Customer: "43"})
		require.Equal(t, &scope.Request{ID: arrivedTrace, Customer: "43"}, scope.From(ctx))
		require.Equal(t, []string{"misfit.customer=43", "team=blue"}, sortedMembers(sentOn(ctx).Get("Baggage")))
	})
	t.Run("another identity beside baggage that cannot be read", func(t *testing.T) {
		carrier := arrivingHeader("====,;;")
		entered, err := scope.Enter(t.Context(), carrier, nil)
		require.Error(t, err)
		arrived, _ := arrive(t.Context(), carrier)
		who := scope.Request{ID: "r-1", Customer: "43"}
		require.Empty(t, sentOn(scope.With(entered, who)).Get("Baggage"))
		require.Empty(t, sentOn(scope.With(arrived, who)).Get("Baggage"), "written over what could not be read")
	})
	t.Run("a token", func(t *testing.T) {
		ctx, _ := arrive(t.Context(), arrivingHeader("misfit.customer=42"))
		carrying, err := scope.TokenMember.With(ctx, "abc")
		require.NoError(t, err)
		require.Equal(t, "abc", scope.TokenMember.Of(carrying))
		require.Equal(t, []string{"misfit.customer=42", "misfit.token=abc"}, sortedMembers(sentOn(carrying).Get("Baggage")))
		require.Empty(t, scope.TokenMember.Of(scope.TokenMember.Without(carrying)))
	})
	t.Run("nothing of ours", func(t *testing.T) {
		ctx, _ := arrive(t.Context(), arrivingHeader("misfit.customer=42,team=blue,misfit.token=abc"))
		stripped := scope.StripContext(ctx)
		require.Equal(t, []string{"team=blue"}, sortedMembers(sentOn(stripped).Get("Baggage")))
	})
	t.Run("a public endpoint further in", func(t *testing.T) {
		ctx, _ := arrive(t.Context(), arrivingHeader("misfit.customer=42"))
		public, err := scope.EnterPublic(ctx, arrivingHeader(), nil)
		require.NoError(t, err)
		require.Equal(t, "42", scope.From(public).Customer, "what the context says is believed")
	})
}

// TestArriveConcurrently holds that all who ask are told the same.
func TestArriveConcurrently(t *testing.T) {
	ctx, reported := arrive(t.Context(), propagation.HeaderCarrier{"Baggage": {"misfit.customer=42,===="}})
	asked := make([]*scope.Request, 32)
	var wg sync.WaitGroup
	for i := range asked {
		wg.Go(func() {
			asked[i] = scope.From(ctx)
			h := make(http.Header)
			scope.Inject(ctx, propagation.HeaderCarrier(h))
		})
	}
	wg.Wait()
	for _, r := range asked {
		require.Same(t, asked[0], r)
	}
	require.Len(t, *reported, 1)
}

type ownKey struct{}

// TestArriveAsContext holds that contexts made of it end with it, and without a
// goroutine each.
func TestArriveAsContext(t *testing.T) {
	outer, cancel := context.WithCancelCause(context.WithValue(t.Context(), ownKey{}, "value"))
	ctx, _ := arrive(outer, arrivingHeader())
	inner, stop := context.WithCancel(ctx)
	defer stop()
	require.Equal(t, "value", inner.Value(ownKey{}))
	why := errors.New("why")
	cancel(why)
	<-inner.Done()
	require.Equal(t, why, context.Cause(inner))
}

// TestArriveCost holds that a request that nobody asks about costs next to nothing.
func TestArriveCost(t *testing.T) {
	var carrier propagation.TextMapCarrier = mapped{"traceparent": {"00-" + arrivedTrace + "-00f067aa0ba902b7-01"}, "baggage": {"team=blue"}}
	report := func(error) {}
	ctx := t.Context()
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { _ = scope.Arrive(ctx, carrier, report) }), 1.0)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		if scope.From(scope.Arrive(ctx, carrier, report)).ID != arrivedTrace {
			t.Error("another one")
		}
	}), 1.0, "to ask who it is")
}

// mapped is a carrier whose keys are as they are.
type mapped map[string][]string

func (m mapped) Get(key string) string {
	if values := m[key]; len(values) > 0 {
		return values[0]
	}
	return ""
}
func (m mapped) Values(key string) []string { return m[key] }
func (mapped) Set(string, string)           {}
func (mapped) Keys() []string               { return nil }
