package scope_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
)

func withBaggage(t *testing.T, text string) context.Context {
	bag, err := baggage.Parse(text)
	require.NoError(t, err)
	return baggage.ContextWithBaggage(context.Background(), bag)
}

// membersOf lists the members of the baggage of ctx, sorted.
func membersOf(ctx context.Context) string {
	var members []string
	for _, m := range baggage.FromContext(ctx).Members() {
		members = append(members, m.String())
	}
	slices.Sort(members)
	return strings.Join(members, ",")
}

func TestMember(t *testing.T) {
	ctx := withBaggage(t, "theirs=1;p=2")
	require.Empty(t, scope.TokenMember.Of(ctx))
	require.Equal(t, ctx, scope.TokenMember.Without(ctx))
	with, err := scope.TokenMember.With(ctx, "a.b-c_d")
	require.NoError(t, err)
	require.Equal(t, "misfit.token=a.b-c_d,theirs=1;p=2", membersOf(with), "a token needs no escaping")
	require.Equal(t, "a.b-c_d", scope.TokenMember.Of(with))
	require.Empty(t, scope.RuleMember.Of(with))
	other, err := scope.TokenMember.With(with, "other")
	require.NoError(t, err)
	require.Equal(t, "other", scope.TokenMember.Of(other), "there is one")
	require.Equal(t, membersOf(ctx), membersOf(scope.TokenMember.Without(other)))

	// There is room for 8,192 bytes and 64 members in all.
	full := withBaggage(t, "theirs="+strings.Repeat("x", 8192-len("theirs=")-len(",misfit.token=")-100))
	_, err = scope.TokenMember.With(full, strings.Repeat("t", 100))
	require.NoError(t, err)
	same, err := scope.TokenMember.With(full, strings.Repeat("t", 101))
	require.ErrorContains(t, err, "scope: misfit.token of 114 bytes does not fit beside 1 members of baggage with 8078 bytes; at most 64 members with 8192 bytes are allowed")
	require.Equal(t, full, same)
	many := withBaggage(t, "m"+strings.Join(strings.Split(strings.Repeat("x", 64), ""), "=1,m")+"=1")
	require.Equal(t, 1, baggage.FromContext(many).Len(), "all the same name")

	require.True(t, scope.TokenMember.In([]string{"a=1", "b=2, misfit.token=x"}))
	require.False(t, scope.TokenMember.In([]string{"a=1", "misfit.rule=x"}))
	require.False(t, scope.TokenMember.In(nil))
	require.Equal(t, "token", scope.TokenMember.Name())
}

func TestStrip(t *testing.T) {
	for name, test := range map[string]struct {
		lines []string
		keep  []scope.Member
		want  []string // nil: as it was
	}{
		"nothing":            {nil, nil, nil},
		"others'":            {[]string{"theirs=1", "a=misfit.id"}, nil, nil},
		"ours":               {[]string{"misfit.id=a,misfit.customer=42"}, nil, []string{}},
		"among others'":      {[]string{"a=1 ;p, misfit.id=x ,\tb=2", "misfit.attr.plan=gold", "c"}, nil, []string{"a=1 ;p,\tb=2", "c"}},
		"kept":               {[]string{"misfit.token=x,misfit.id=a"}, []scope.Member{scope.TokenMember}, []string{"misfit.token=x"}},
		"kept alone":         {[]string{"misfit.token=x"}, []scope.Member{scope.TokenMember}, nil},
		"as a prefix":        {[]string{"misfit.tokens=x"}, []scope.Member{scope.TokenMember}, []string{}},
		"without a value":    {[]string{"misfit.id,misfit.customer;p=1,a=1"}, nil, []string{"a=1"}},
		"ours in a property": {[]string{"a=1;misfit.id=2"}, nil, nil},
		"another case":       {[]string{"Misfit.id=a"}, nil, nil},
		"malformed others'":  {[]string{"=,;,misfit.id=1,\"%%"}, nil, []string{"=,;,\"%%"}},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(test.lines)
			got, changed := scope.StripHeader(test.lines, test.keep...)
			require.Equal(t, before, test.lines, "the caller's lines are as they were")
			require.Equal(t, test.want != nil, changed)
			if changed {
				require.ElementsMatch(t, test.want, got)
			} else {
				require.Equal(t, test.lines, got)
			}
		})
	}
	ctx := withBaggage(t, "theirs=1,misfit.id=a,misfit.token=t,misfit.attr.plan=gold")
	require.Equal(t, "theirs=1", membersOf(scope.StripContext(ctx)))
	require.Equal(t, "misfit.token=t,theirs=1", membersOf(scope.StripContext(ctx, scope.TokenMember)))
	plain := withBaggage(t, "theirs=1")
	require.Equal(t, plain, scope.StripContext(plain))
	require.Equal(t, context.Background(), scope.StripContext(context.Background()))
}

func TestEnterPublic(t *testing.T) {
	const lies = "misfit.id=mine,misfit.customer=42,misfit.attr.plan=gold,misfit.rule=x,misfit.token=t,theirs=1"
	bob := func() scope.Request { return scope.Request{Customer: "bob"} }
	for name, ctx := range map[string]context.Context{
		"in the header":              context.Background(),
		"read by OpenTelemetry":      withBaggage(t, lies),
		"and who it is is not known": withBaggage(t, "misfit.id=other"),
	} {
		got, err := scope.EnterPublic(ctx, header("Baggage", lies, "Traceparent", traceparent), bob)
		require.NoError(t, err)
		who := scope.From(got)
		require.Equal(t, "bob", who.Customer, name)
		require.Empty(t, who.Attributes)
		require.Len(t, who.ID, 32)
		require.NotEqual(t, traceID, who.ID, "the trace does not pick it")
		require.True(t, trace.SpanContextFromContext(got).IsValid(), "but goes on")
		want := "misfit.customer=bob,misfit.id=" + who.ID
		if name != "and who it is is not known" {
			want += ",misfit.token=t,theirs=1"
		}
		require.Equal(t, want, membersOf(got), name)
		again, err := scope.EnterPublic(ctx, header("Baggage", lies, "Traceparent", traceparent), bob)
		require.NoError(t, err)
		require.NotEqual(t, who.ID, scope.From(again).ID, "each time another")
	}
	known := scope.With(withBaggage(t, lies), scope.Request{ID: "ours", Customer: "eve"})
	got, err := scope.EnterPublic(known, header("Baggage", lies), nil)
	require.NoError(t, err)
	require.Equal(t, &scope.Request{ID: "ours", Customer: "eve"}, scope.From(got), "what the service has said is believed")
	require.Equal(t, "misfit.customer=eve,misfit.id=ours,misfit.token=t,theirs=1", membersOf(got))
	_, err = scope.EnterPublic(context.Background(), header("Baggage", strings.Repeat("x", 9000)), nil)
	require.ErrorContains(t, err, "scope: incoming baggage of 9000 bytes is ignored")
}

// FuzzMerge: whatever is in a baggage header, what belongs to others is neither
// lost nor changed by merging ours into it and by taking ours out of it.
func FuzzMerge(f *testing.F) {
	f.Add("theirs=1;p=2, misfit.id=a,b=2", "token.text", "42")
	f.Add("=,;,\"%%,misfit.customer", "", "")
	f.Add(strings.Repeat("x=1,", 63), "t", strings.Repeat("c", 256))
	f.Add("misfit.attr.a=1\t;x , misfit.token = old", "new", "é")
	f.Fuzz(func(t *testing.T, line, token, customer string) {
		theirs := func(lines ...string) []string {
			var entries []string
			for _, line := range lines {
				for entry := range strings.SplitSeq(line, ",") {
					key := strings.TrimSpace(entry)
					if i := strings.IndexAny(key, "=;"); i >= 0 {
						key = strings.TrimSpace(key[:i])
					}
					if !strings.HasPrefix(key, "misfit.") && strings.TrimSpace(entry) != "" {
						entries = append(entries, strings.TrimSpace(entry))
					}
				}
			}
			return entries
		}
		ctx := scope.With(context.Background(), scope.Request{ID: "r-1", Customer: customer})
		if with, err := scope.TokenMember.With(ctx, token); err == nil && token != "" {
			ctx = with
		}
		merged := header("Baggage", line)
		scope.Inject(ctx, merged)
		if before, after := theirs(line), theirs(merged.Values("baggage")...); !slices.Equal(before, after) {
			t.Fatalf("%q became %q", before, after)
		}
		stripped, changed := scope.StripHeader([]string{line})
		if before, after := theirs(line), theirs(stripped...); !slices.Equal(before, after) {
			t.Fatalf("%q became %q", before, after)
		}
		if again, more := scope.StripHeader(stripped); more {
			t.Fatalf("%q still has %q", stripped, again)
		}
		bag, _ := baggage.Parse(strings.Join(stripped, ","))
		for _, m := range bag.Members() {
			if strings.HasPrefix(m.Key(), "misfit.") {
				t.Fatalf("%q, changed %v, still has %s", stripped, changed, m.Key())
			}
		}
	})
}
