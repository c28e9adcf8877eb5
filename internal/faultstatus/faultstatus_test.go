package faultstatus_test

import (
	"strings"
	"testing"

	"github.com/dunglas/httpsfv"
	"github.com/misfit-go/misfit/internal/faultstatus"
	"github.com/stretchr/testify/require"
)

func TestFormat(t *testing.T) {
	require.Equal(t, `applied;rule="r-1";point="http.client:ratings";service="shop"`, faultstatus.OfCall("r-1", "http.client:ratings", "shop"))
	require.Equal(t, `refused;reason="send one", missed;rule="r"`, faultstatus.Format([]faultstatus.Item{
		{Verdict: faultstatus.Refused, Reason: "send one"}, {Verdict: faultstatus.Missed, Rule: "r"},
	}))
	require.Empty(t, faultstatus.Format(nil))
	require.Equal(t, 15, strings.Count(faultstatus.Format(make20()), ","), "16 at most")
}

func make20() []faultstatus.Item {
	items := make([]faultstatus.Item, 20)
	for i := range items {
		items[i].Verdict = faultstatus.Skipped
	}
	return items
}

func TestTexts(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"every character that may stand for itself", " !#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~", " !#$%&'()*+,-./09:;<=>?@AZ[]^_`az{|}~"},
		{"quotes", `say "no"`, `say \"no\"`},
		{"backslashes", `a\b\"`, `a\\b\\\"`},
		{"control characters", "a\x00b\tc\x1fd\x7fe\r", "a?b?c?d?e?"},
		{"line breaks", "first\nsecond\n", "first; second; "},
		{"outside of ASCII, by bytes", "é€\u2028", "????????"},
		{"not UTF-8", "\xff\x80", "??"},
		{"as long as may be", strings.Repeat("x", 512), strings.Repeat("x", 512)},
		{"too long", strings.Repeat("x", 513), strings.Repeat("x", 512)},
		{"too long, in the middle of a character", strings.Repeat("x", 511) + "é", strings.Repeat("x", 511) + "?"},
		{"too long, with what is written as two", strings.Repeat(`"`, 600), strings.Repeat(`\"`, 512)},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := faultstatus.Format([]faultstatus.Item{{Verdict: faultstatus.Refused, Rule: test.text, Point: test.text, Service: test.text, Reason: test.text}})
			require.Equal(t, `refused;rule="`+test.want+`";point="`+test.want+`";service="`+test.want+`";reason="`+test.want+`"`, got)
		})
	}
}

func TestParse(t *testing.T) {
	applied := faultstatus.Item{Verdict: faultstatus.Applied, Rule: "r", Point: "sql:db", Service: "stock"}
	for name, test := range map[string]struct {
		lines []string
		want  []faultstatus.Item
	}{
		"nothing":            {nil, nil},
		"empty":              {[]string{""}, nil},
		"one":                {[]string{`applied;rule="r";point="sql:db";service="stock"`}, []faultstatus.Item{applied}},
		"two lines":          {[]string{`applied;rule="r";point="sql:db";service="stock"`, "refused"}, []faultstatus.Item{applied, {Verdict: faultstatus.Refused}}},
		"more than we know":  {[]string{`applied;rule="r";new=1;point="sql:db";service="stock", later, 7, "applied", (a b)`}, []faultstatus.Item{applied}},
		"of another type":    {[]string{`applied;rule=7;point=sql;reason`}, []faultstatus.Item{{Verdict: faultstatus.Applied}}},
		"malformed":          {[]string{`applied;rule="r`}, nil},
		"malformed after it": {[]string{`applied`, `;`}, nil},
		"too long":           {[]string{`applied;reason="` + strings.Repeat("x", 16<<10) + `"`}, nil},
		"a long text":        {[]string{`applied;reason="` + strings.Repeat("x", 600) + `"`}, []faultstatus.Item{{Verdict: faultstatus.Applied, Reason: strings.Repeat("x", 512)}}},
		"more than 16":       {[]string{strings.Repeat("skipped, ", 19) + "skipped"}, make20()[:16]},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, test.want, faultstatus.Parse(test.lines))
		})
	}
}

// FuzzFormat: whatever texts there are, the field is one, and says what it was
// given.
func FuzzFormat(f *testing.F) {
	f.Add("token-1", "http.client:ratings", "shop", "no call was made")
	f.Add("\"\\\n\x00\xff", "", "é", strings.Repeat("\"", 600))
	f.Fuzz(func(t *testing.T, rule, point, service, reason string) {
		item := faultstatus.Item{Verdict: faultstatus.Missed, Rule: rule, Point: point, Service: service, Reason: reason}
		text := faultstatus.Format([]faultstatus.Item{item, item})
		for _, c := range []byte(text) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q has a %q", text, c)
			}
		}
		if _, err := httpsfv.UnmarshalList([]string{text}); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again := faultstatus.Parse([]string{text})
		if len(again) != 2 || again[0] != again[1] || faultstatus.Format(again) != text {
			t.Fatalf("%q became %q", text, faultstatus.Format(again))
		}
	})
}

// FuzzParse: whatever a service behind says, what is passed on is a field, and of
// bounded size.
func FuzzParse(f *testing.F) {
	f.Add(`applied;rule="r";point="sql:db";service="stock", refused;reason="no"`, "missed")
	f.Add(`skipped;reason=%"f%c3%bc"`, ",,;")
	f.Add(`applied;rule="\"`, "\x00")
	f.Fuzz(func(t *testing.T, first, second string) {
		items := faultstatus.Parse([]string{first, second})
		text := faultstatus.Format(items)
		if len(items) > 16 || len(text) > 16*(4*2*512+64) {
			t.Fatalf("%d items, %d bytes", len(items), len(text))
		}
		if len(items) > 0 && len(faultstatus.Parse([]string{text})) != len(items) && len(text) <= 16<<10 {
			t.Fatalf("%q does not read back", text)
		}
	})
}
