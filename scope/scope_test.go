package scope_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestScopePrintsWhatItParses(t *testing.T) {
	for _, text := range []string{
		`{"requests":["a","b"]}`,
		`{"customers":["42"],"attempts":2}`,
		`{"attributes":{"plan":["gold","silver"],"region":["eu"]}}`,
		`{"percent":0}`,
		`{"percent":0.0001,"unit":"call"}`,
		`{"percent":25,"unit":"attribute:tenant","salt":"shared"}`,
		`{"customers":["ä\"\\ "],"percent":100,"unit":"customer"}`,
	} {
		var fromJSON scope.Scope
		require.NoError(t, json.Unmarshal([]byte(text), &fromJSON), text)
		require.NoError(t, fromJSON.Validate(), text)
		require.Equal(t, text, fromJSON.String())

		// YAML is read by way of JSON, so that the field names are the same.
		var tree any
		require.NoError(t, yaml.Unmarshal([]byte(text), &tree))
		asYAML, err := yaml.Marshal(tree)
		require.NoError(t, err)
		tree = nil
		require.NoError(t, yaml.Unmarshal(asYAML, &tree))
		again, err := json.Marshal(tree)
		require.NoError(t, err)
		var fromYAML scope.Scope
		require.NoError(t, json.Unmarshal(again, &fromYAML))
		require.Equal(t, fromJSON, fromYAML, "%s", asYAML)
	}
}

func TestScopeConstructors(t *testing.T) {
	for want, s := range map[string]scope.Scope{
		`{"percent":100,"unit":"request"}`:         scope.Everyone(),
		`{"requests":["r"]}`:                       scope.Requests("r"),
		`{"customers":["a","b"]}`:                  scope.Customers("a", "b"),
		`{"percent":1,"unit":"customer"}`:          scope.Percent(1, scope.PerCustomer),
		`{"percent":1,"unit":"attribute:country"}`: scope.Percent(1, scope.PerAttribute("country")),
	} {
		require.Equal(t, want, s.String())
		require.NoError(t, s.Validate())
	}
}

func TestScopeValidate(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, test := range []struct {
		scope scope.Scope
		want  string
	}{
		{scope.Scope{}, `selects nobody: name requests, customers or attributes, or give a percent (100 is everyone)`},
		{scope.Scope{Attempts: 2}, `selects nobody: name requests, customers or attributes, or give a percent (100 is everyone)`},
		{scope.Percent(101, scope.PerCall), `percent: 101 is outside 0 to 100`},
		{scope.Percent(-0.1, scope.PerCall), `percent: -0.1 is outside 0 to 100`},
		{scope.Percent(math.NaN(), scope.PerCall), `percent: NaN is outside 0 to 100`},
		{scope.Percent(math.Inf(1), scope.PerCall), `percent: +Inf is outside 0 to 100`},
		{scope.Percent(1, "custmer"), `unit: "custmer" is unknown; use request, customer, call or attribute:<name>`},
		{scope.Percent(1, "attribute:"), `unit: name "" is not a token: use letters, digits and !#$%&'*+-.^_` + "`|~"},
		{scope.Scope{Customers: []string{"1"}, Unit: scope.PerCall, Salt: "s"}, "unit: has no meaning without a percent\nsalt: has no meaning without a percent"},
		{scope.Customers("a", "", "a"), "customers[1]: is empty\n" + `customers[2]: "a" is listed twice`},
		{scope.Requests(long), `requests[0]: has 300 bytes; at most 256 are allowed`},
		{scope.Scope{Attributes: map[string][]string{"a b": {"x"}, "plan": {}}}, `attributes: name "a b" is not a token: use letters, digits and !#$%&'*+-.^_` + "`|~\n" + `attributes.plan: has no values; list those to select`},
		{scope.Scope{Percent: new(1.0), Salt: long, Attempts: -1}, "salt: has 300 bytes; at most 128 are allowed\nattempts: -1 is outside 0 to 1000000"},
	} {
		require.EqualError(t, test.scope.Validate(), test.want)
	}
	require.NoError(t, scope.Customers(make100k()...).Validate())
	require.ErrorContains(t, scope.Customers(append(make100k(), "more")...).Validate(), "customers: has 100001 entries")
}

func make100k() []string {
	list := make([]string, scope.MaxListed)
	for i := range list {
		list[i] = string(rune('a'+i%26)) + string(rune(0x4e00+i/26))
	}
	return list
}

func TestScopeUnmarshalReportsEverything(t *testing.T) {
	var s scope.Scope
	err := json.Unmarshal([]byte(`{"customer":["42"],"percent":"1","attempts":1.5}`), &s)
	require.ErrorContains(t, err, "customer")
	require.ErrorContains(t, err, "percent: ")
	require.ErrorContains(t, err, "attempts: ")
}

func TestShare(t *testing.T) {
	require.EqualValues(t, 100, scope.Everyone().Share())
	require.EqualValues(t, 5, scope.Percent(5, scope.PerCall).Share())
	require.EqualValues(t, 0, scope.Customers("42").Share())
	require.EqualValues(t, 100, scope.Scope{Attributes: map[string][]string{"plan": {"gold"}}}.Share())
}

func FuzzScope(f *testing.F) {
	f.Add([]byte(`{"percent":1,"unit":"customer","salt":"s","attempts":2}`))
	f.Add([]byte(`{"requests":["a"],"customers":["b"],"attributes":{"plan":["gold"]}}`))
	f.Add([]byte(`{"percent":1e999}`))
	f.Add([]byte(`{"percent":-0}`))
	f.Add([]byte(`{"customers":null,"attributes":{"":[]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s scope.Scope
		if json.Unmarshal(data, &s) != nil || s.Validate() != nil {
			return
		}
		var again scope.Scope
		if err := json.Unmarshal([]byte(s.String()), &again); err != nil {
			t.Fatalf("%s does not read back: %v", s, err)
		}
		if again.String() != s.String() {
			t.Fatalf("%s reads back as %s", s, again)
		}
		s.Matcher("salt").Match(&scope.Request{ID: "r", Customer: "b"}, 0)
		s.Matcher("salt").Match(nil, 0)
	})
}
