package scope_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	traceparent = "00-" + traceID + "-00f067aa0ba902b7-00"
)

func header(pairs ...string) propagation.HeaderCarrier {
	h := propagation.HeaderCarrier{}
	for i := 0; i < len(pairs); i += 2 {
		h[pairs[i]] = append(h[pairs[i]], pairs[i+1])
	}
	return h
}

func TestFromWithout(t *testing.T) {
	require.Nil(t, scope.From(context.Background()))
	require.False(t, scope.Has(context.Background()))
	require.True(t, scope.Has(scope.With(context.Background(), scope.Request{})))
	var none context.Context
	require.Nil(t, scope.From(none))
	var r *scope.Request
	_, ok := r.Attribute("plan")
	require.False(t, ok)
}

func TestHopByHop(t *testing.T) {
	entry := scope.With(context.Background(), scope.Request{
		Customer:   "42, Ünal=x;",
		Attributes: map[string]string{"plan": "gold", "région": "left out: not a token"},
	})
	sent := scope.From(entry)
	require.Len(t, sent.ID, 32, "minted where there is no trace")

	wire := header()
	require.True(t, scope.Inject(entry, wire))
	require.Empty(t, wire.Get("traceparent"), "no trace is started")
	require.Empty(t, wire.Get("tracestate"))

	ctx, got, err := scope.Extract(context.Background(), wire)
	require.NoError(t, err)
	require.Equal(t, scope.Request{ID: sent.ID, Customer: sent.Customer, Attributes: map[string]string{"plan": "gold"}}, got)

	next := header()
	require.True(t, scope.Inject(scope.With(ctx, got), next))
	require.ElementsMatch(t, strings.Split(wire.Get("baggage"), ","), strings.Split(next.Get("baggage"), ","))
}

func TestTraceIsTheIdentity(t *testing.T) {
	wire := header("Traceparent", traceparent, "Tracestate", "ot=th:8,vendor=x", "Baggage", "theirs=1;prop=2")
	ctx, r, err := scope.Extract(context.Background(), wire)
	require.NoError(t, err)
	require.Equal(t, traceID, r.ID)

	next := header()
	require.True(t, scope.Inject(scope.With(ctx, r), next))
	require.Equal(t, traceparent, next.Get("traceparent"), "passed on, not sampled")
	require.Equal(t, "ot=th:8,vendor=x", next.Get("tracestate"))
	require.Equal(t, "theirs=1;prop=2", next.Get("baggage"), "the trace carries the identity")
}

func TestATraceSomebodyElseWroteStays(t *testing.T) {
	ctx, r, err := scope.Extract(context.Background(), header("Traceparent", traceparent))
	require.NoError(t, err)
	const child = "00-" + traceID + "-b7ad6b7169203331-01"
	wire := header("Traceparent", child)
	require.False(t, scope.Inject(scope.With(ctx, r), wire))
	require.Equal(t, child, wire.Get("traceparent"))
}

func TestMemberGoesBeforeTrace(t *testing.T) {
	_, r, err := scope.Extract(context.Background(), header("Traceparent", traceparent, "Baggage", "misfit.id=own"))
	require.NoError(t, err)
	require.Equal(t, "own", r.ID)
}

func TestContextGoesBeforeHeaders(t *testing.T) {
	span, err := trace.TraceIDFromHex("0af7651916cd43dd8448eb211c80319c")
	require.NoError(t, err)
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: span, SpanID: trace.SpanID{1}}))
	m, err := baggage.NewMemberRaw("misfit.customer", "7")
	require.NoError(t, err)
	bag, err := baggage.New(m)
	require.NoError(t, err)
	ctx = baggage.ContextWithBaggage(ctx, bag)
	_, r, err := scope.Extract(ctx, header("Traceparent", traceparent, "Baggage", "misfit.customer=42"))
	require.NoError(t, err)
	require.Equal(t, scope.Request{ID: span.String(), Customer: "7"}, r)
}

func TestWithReplacesTheIdentity(t *testing.T) {
	ctx := scope.With(context.Background(), scope.Request{ID: "a", Customer: "42", Attributes: map[string]string{"plan": "gold"}})
	ctx = scope.With(ctx, scope.Request{ID: "b"})
	wire := header()
	scope.Inject(ctx, wire)
	require.Equal(t, "misfit.id=b", wire.Get("baggage"))
}

func TestInjectLeavesHeadersOfOthers(t *testing.T) {
	ctx := scope.With(context.Background(), scope.Request{ID: "a", Customer: "42"})
	for _, test := range []struct {
		name    string
		present []string
		wrote   bool
		want    []string
	}{
		{"none", nil, true, []string{"misfit.id=a", "misfit.customer=42"}},
		{"others", []string{"x=1;p", "y=%20"}, true, []string{"x=1;p", "y=%20", "misfit.id=a", "misfit.customer=42"}},
		{"others on one line", []string{"x=1, y=2"}, true, []string{"x=1", "y=2", "misfit.id=a", "misfit.customer=42"}},
		{"already ours", []string{"misfit.customer=42,x=1,misfit.id=a"}, false, []string{"misfit.customer=42", "x=1", "misfit.id=a"}},
		{"others twice", []string{"x=1,x=2"}, true, []string{"x=1", "x=2", "misfit.id=a", "misfit.customer=42"}},
		{"ours twice, and not all", []string{"misfit.id=a,misfit.id=a"}, true, []string{"misfit.id=a", "misfit.customer=42"}},
		{"ours, outdated", []string{"misfit.customer=7,x=1"}, true, []string{"x=1", "misfit.id=a", "misfit.customer=42"}},
		{"broken, but not ours to mend", []string{"=,;,\"x"}, true, []string{"=", ";", "\"x", "misfit.id=a", "misfit.customer=42"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			wire := header("Traceparent", "theirs")
			wire["Baggage"] = append(wire["Baggage"], test.present...)
			require.Equal(t, test.wrote, scope.Inject(ctx, wire))
			require.ElementsMatch(t, test.want, strings.Split(strings.Join(wire["Baggage"], ","), ","))
			require.Equal(t, "theirs", wire.Get("traceparent"))
		})
	}
	require.False(t, scope.Inject(context.Background(), header()), "no request, nothing to say")
}

func TestOthersMembersStayWhenThereIsNoRoom(t *testing.T) {
	var full []string
	for i := range 64 {
		full = append(full, fmt.Sprintf("k%d=v", i))
	}
	for name, line := range map[string]string{
		"members": strings.Join(full, ","),
		"bytes":   "big=" + strings.Repeat("x", 8180),
	} {
		t.Run(name, func(t *testing.T) {
			ctx, r, err := scope.Extract(context.Background(), header("Baggage", line))
			require.NoError(t, err)
			r.ID = "does-not-fit"
			ctx = scope.With(ctx, r)
			require.Equal(t, "does-not-fit", scope.From(ctx).ID, "it counts in this process")
			wire := header()
			scope.Inject(ctx, wire)
			require.ElementsMatch(t, strings.Split(line, ","), strings.Split(wire.Get("baggage"), ","))

			other := header("Baggage", line)
			require.False(t, scope.Inject(scope.With(context.Background(), scope.Request{ID: "a"}), other))
			require.Equal(t, line, other.Get("baggage"))

			_, err = scope.RuleMember.With(ctx, "{}")
			require.ErrorContains(t, err, "does not fit")
		})
	}
}

func TestExtractBoundsWhatItBelieves(t *testing.T) {
	many := make([]string, 20)
	for i := range many {
		many[i] = fmt.Sprintf("misfit.attr.a%d=v", i)
	}
	for _, test := range []struct {
		name, line, problem string
		want                scope.Request
	}{
		{"8 KiB and one", "misfit.id=a,x=" + strings.Repeat("y", 8192-13), "8193 bytes is ignored", scope.Request{}},
		{"8 MiB", strings.Repeat("misfit.id=a,", 1<<20), "is ignored", scope.Request{}},
		{"long ID", "misfit.customer=1,misfit.id=" + strings.Repeat("y", 129), "misfit.id of 129 bytes is ignored", scope.Request{Customer: "1"}},
		{"long customer", "misfit.id=a,misfit.customer=" + strings.Repeat("y", 257), "misfit.customer of 257 bytes", scope.Request{ID: "a"}},
		{"broken member beside ours", "misfit.id=a,%%%,misfit.customer=1", "part of the incoming baggage is ignored", scope.Request{ID: "a", Customer: "1"}},
		{"last of two wins", "misfit.id=a,misfit.id=b", "", scope.Request{ID: "b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, r, err := scope.Extract(context.Background(), header("Baggage", test.line))
			if test.problem == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.problem)
			}
			require.Equal(t, test.want, r)
		})
	}
	_, r, err := scope.Extract(context.Background(), header("Baggage", strings.Join(many, ",")))
	require.ErrorContains(t, err, "attributes beyond 16")
	require.Len(t, r.Attributes, 16)
}

func TestRequestValidate(t *testing.T) {
	long := strings.Repeat("x", 300)
	require.NoError(t, scope.Request{ID: "a", Customer: "b", Attributes: map[string]string{"plan": "gold"}}.Validate())
	err := scope.Request{ID: long, Customer: long, Attributes: map[string]string{"a": long, "": "x"}}.Validate()
	for _, want := range []string{"id: has 300 bytes", "customer: has 300", "attributes.a: has 300", `attributes: name "" is not a token`} {
		require.ErrorContains(t, err, want)
	}
}

func TestRuleTravels(t *testing.T) {
	const rule = `{"target":{"points":["ratings"]},"fault":{"error":{"class":"unavailable"}}}`
	ctx, err := scope.RuleMember.With(scope.With(context.Background(), scope.Request{Customer: "42"}), rule)
	require.NoError(t, err)
	wire := header()
	scope.Inject(ctx, wire)
	ctx, r, err := scope.Extract(context.Background(), wire)
	require.NoError(t, err)
	require.Equal(t, "42", r.Customer)
	require.Equal(t, rule, scope.RuleMember.Of(ctx))
	require.Equal(t, rule, scope.RuleMember.Of(scope.With(ctx, r)), "a new identity does not drop it")
	_, err = scope.RuleMember.With(ctx, "\xff")
	require.Error(t, err)
	_, err = scope.RuleMember.With(ctx, strings.Repeat(`"`, 8192))
	require.ErrorContains(t, err, "does not fit")
}

// FuzzInject holds what becomes of a baggage header that somebody else has written.
func FuzzInject(f *testing.F) {
	for _, present := range []string{
		"x=1", "misfit.id=a", "misfit.id=a,x=1", "x=1,misfit.id=a", "x=1,x=2", "misfit.id=a,misfit.id=a", "misfit.id=a,misfit.id=b",
		"misfit.id=a;p=1", " misfit.id=a , x=1", "misfit.id=", "misfit.id=a,", ",,", "=", "x=1;p,misfit.id=a", "misfit.customer=4 2", "misfit.other=1", "misfit.other=1,misfit.id=a", "misfit.other=4 2,misfit.id=a",
	} {
		for _, members := range []string{"", "x=1", "x=2", "x=1,y=2", "misfit.other=1", "x=1;p", "x=%25", "misfit.other=%25", "misfit.other=1;p", "misfit.other=4%202"} {
			f.Add(present, members)
		}
	}
	f.Fuzz(func(t *testing.T, present, members string) {
		bag, err := baggage.Parse(members)
		if err != nil || present == "" {
			t.Skip()
		}
		ctx := scope.With(baggage.ContextWithBaggage(context.Background(), bag), scope.Request{ID: "a"})
		var missing, ours, theirs []string
		entries := strings.Split(present, ",")
		for i := range entries {
			entries[i] = strings.TrimSpace(entries[i])
			if !strings.HasPrefix(entries[i], "misfit.") {
				theirs = append(theirs, entries[i])
			}
		}
		for _, m := range baggage.FromContext(ctx).Members() {
			if strings.HasPrefix(m.Key(), "misfit.") {
				ours = append(ours, m.String())
				if !slices.Contains(entries, m.String()) {
					missing = append(missing, m.String())
				}
			}
		}
		want := append(theirs, ours...)
		fits := len(strings.Join(want, ",")) <= 8192 && len(want) <= 64

		wire := header("Baggage", present)
		wrote := scope.Inject(ctx, wire)
		require.Equal(t, len(missing) > 0 && fits, wrote, "missing: %q", missing)
		if !wrote {
			require.Equal(t, []string{present}, wire["Baggage"])
			return
		}
		require.ElementsMatch(t, want, strings.Split(wire.Get("Baggage"), ","))
	})
}

func FuzzExtract(f *testing.F) {
	f.Add("misfit.id=a,misfit.customer=42,misfit.attr.plan=gold", traceparent, "ot=th:8")
	f.Add("misfit.id=%ff%00,misfit.rule=%7B%7D;x", "00-0-0-0", ",,")
	f.Add("=,;,\"", "", "")
	f.Add("misfit.attr.=x,misfit.attr.a b=y", "ff-"+traceID+"-00f067aa0ba902b7-01-x", "a=b")
	f.Fuzz(func(t *testing.T, line, parent, state string) {
		in := header("Baggage", line, "Traceparent", parent, "Tracestate", state)
		ctx, r, _ := scope.Extract(context.Background(), in)
		if err := r.Validate(); err != nil {
			t.Fatalf("believed an identity beyond the limits: %v", err)
		}
		ctx = scope.With(ctx, r)
		out := header()
		scope.Inject(ctx, out)
		if n := len(out.Get("baggage")); n > 8192 {
			t.Fatalf("wrote %d bytes of baggage", n)
		}
		_, again, err := scope.Extract(context.Background(), out)
		if err != nil {
			t.Fatalf("wrote %q, which does not read back: %v", out.Get("baggage"), err)
		}
		if r.ID != "" && again.ID != r.ID && len(line) < 4000 {
			t.Fatalf("identity %q became %q", r.ID, again.ID)
		}
		merged := header("Baggage", line)
		if len(line) <= 8192 && scope.Inject(ctx, merged) && len(merged.Get("baggage")) > 8192 {
			t.Fatal("merged beyond the limit")
		}
	})
}
