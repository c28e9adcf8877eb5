package rulefile_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// TestSchemaHasTheFields holds the schema against the Go types: each field of
// a rule is in the schema with a type that fits, each property of the schema
// is a field, and each has a description to show in an editor. What the
// schema says about values is held in module internal/interop, which has a
// validator.
func TestSchemaHasTheFields(t *testing.T) {
	var root map[string]any
	require.NoError(t, json.Unmarshal(rulefile.Schema(), &root))
	w := schemaWalk{t: t, defs: root["$defs"].(map[string]any), used: map[string]bool{}}
	w.compare("", reflect.TypeFor[struct {
		Rules []fault.Rule `json:"rules"`
	}](), root)
	for name := range w.defs {
		require.True(t, w.used[name] || name == "token", "$defs.%s is not used for any field", name)
	}
}

func TestSchemaHasTheValues(t *testing.T) {
	var root struct {
		Defs map[string]struct {
			MaxItems   int
			Properties map[string]struct {
				Enum  []string
				AnyOf []struct{ Enum []string }
			}
		} `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(rulefile.Schema(), &root))
	var classes, codes []string
	for _, c := range fault.Classes() {
		classes = append(classes, string(c))
	}
	for _, c := range fault.GRPCCodes() {
		codes = append(codes, string(c))
	}
	require.ElementsMatch(t, classes, root.Defs["error"].Properties["class"].Enum)
	require.ElementsMatch(t, codes, root.Defs["grpc"].Properties["code"].Enum)
	require.ElementsMatch(t, []string{string(fault.Response), string(fault.Request)}, root.Defs["stream"].Properties["direction"].Enum)
	require.ElementsMatch(t, []string{string(scope.PerRequest), string(scope.PerCustomer), string(scope.PerCall)}, root.Defs["scope"].Properties["unit"].AnyOf[0].Enum)
	require.Equal(t, scope.MaxListed, root.Defs["values"].MaxItems)
}

type schemaWalk struct {
	t    *testing.T
	defs map[string]any
	used map[string]bool
}

// resolve follows a reference; what stands beside it wins.
func (w schemaWalk) resolve(path string, node any) map[string]any {
	n, ok := node.(map[string]any)
	require.True(w.t, ok, "%s: no schema", path)
	ref, ok := n["$ref"].(string)
	if !ok {
		return n
	}
	name := strings.TrimPrefix(ref, "#/$defs/")
	require.Contains(w.t, w.defs, name, path)
	w.used[name] = true
	all := maps.Clone(w.resolve(path, w.defs[name]))
	maps.Copy(all, n)
	return all
}

func (w schemaWalk) compare(path string, t reflect.Type, node any) {
	n := w.resolve(path, node)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	kind := func(want string) { require.Equal(w.t, want, n["type"], path) }
	switch {
	case t == reflect.TypeFor[time.Duration]():
		kind("string")
		require.Equal(w.t, "#/$defs/duration", n["$ref"], path)
	case t == reflect.TypeFor[time.Time]():
		kind("string")
		require.Equal(w.t, "date-time", n["format"], path)
	case t.Kind() == reflect.Struct:
		kind("object")
		require.Equal(w.t, false, n["additionalProperties"], path)
		properties := n["properties"].(map[string]any)
		fields := fieldsOf(t)
		require.ElementsMatch(w.t, slices.Collect(maps.Keys(fields)), slices.Collect(maps.Keys(properties)), "%s: in the Go type, and in schema.json", path)
		for name, field := range fields {
			at := path + "." + name
			require.NotEmpty(w.t, w.resolve(at, properties[name])["description"], at)
			w.compare(at, field, properties[name])
		}
	case t.Kind() == reflect.Map:
		kind("object")
		w.compare(path+".*", t.Elem(), n["additionalProperties"])
	case t.Kind() == reflect.Slice:
		kind("array")
		w.compare(path+"[]", t.Elem(), n["items"])
	case t.Kind() == reflect.String:
		kind("string")
	case t.Kind() == reflect.Bool:
		kind("boolean")
	case t.Kind() == reflect.Float64:
		kind("number")
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		kind("integer")
	default:
		require.Failf(w.t, "no rule for the type", "%s: %s", path, t)
	}
}

// fieldsOf lists fields by the names they have in JSON. Those of a type that
// writes itself, without tags, are in lower camel case there.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := make(map[string]reflect.Type)
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = strings.ToLower(f.Name[:1]) + f.Name[1:]
		}
		fields[name] = f.Type
	}
	return fields
}
