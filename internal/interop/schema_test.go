package interop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/misfit-go/misfit/fault"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// schema compiles the schema of rule files, which also holds it against that
// of JSON Schema itself.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(rulefile.Schema()))
	require.NoError(t, err)
	id := doc.(map[string]any)["$id"].(string)
	c := jsonschema.NewCompiler()
	c.AssertFormat() // as editors do
	require.NoError(t, c.AddResource(id, doc))
	compiled, err := c.Compile(id)
	require.NoError(t, err)
	return compiled
}

func check(t *testing.T, s *jsonschema.Schema, file string) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(file))
	require.NoError(t, err, file)
	return s.Validate(doc)
}

// beyondSchemas are refusals whose reasons no schema can see: they compare one
// value with another.
var beyondSchemas = []string{"is less than min", "is not the smaller", "is outside 0s to 24h0m0s", "want a duration of at most"}

// TestSchemaOfTheDecisionTable holds the schema against the rules that package
// fault tests itself with.
func TestSchemaOfTheDecisionTable(t *testing.T) {
	s := schema(t)
	data, err := os.ReadFile("../../fault/testdata/rules.txt")
	require.NoError(t, err)
	good, bad := 0, 0
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "\t") || !json.Valid([]byte(line)) {
			continue
		}
		_, parseErr := fault.ParseRule([]byte(line))
		schemaErr := check(t, s, `{"rules": [`+line+`]}`)
		switch {
		case parseErr == nil:
			good++
			require.NoError(t, schemaErr, line)
		case !containsAny(parseErr.Error(), beyondSchemas):
			bad++
			require.Error(t, schemaErr, "%s\nof which is said:\n%v", line, parseErr)
		}
	}
	require.Greater(t, good, 5)
	require.Greater(t, bad, 10)
}

// TestSchemaOfFiles holds the schema against the files that package rulefile
// tests itself with, as far as they are JSON or can be turned into it.
func TestSchemaOfFiles(t *testing.T) {
	s := schema(t)
	data, err := os.ReadFile("../../control/rulefile/testdata/parse.txt")
	require.NoError(t, err)
	good, bad := 0, 0
	for _, text := range strings.Split(string(data), "\n=== ") {
		_, rest, _ := strings.Cut(text, "\n")
		file, _, found := strings.Cut(rest, "=>\n")
		require.True(t, found, text)
		rules, err := rulefile.Parse([]byte(file))
		switch {
		case err == nil:
			good++
			if rules == nil {
				rules = []fault.Rule{}
			}
			printed, err := json.Marshal(map[string]any{"rules": rules})
			require.NoError(t, err)
			require.NoError(t, check(t, s, string(printed)))
		case json.Valid([]byte(file)):
			bad++
			require.Error(t, check(t, s, file), file)
		}
	}
	require.Greater(t, good, 5)
	require.Greater(t, bad, 2)
}

// TestSchemaAgrees sets one part of a rule at a time, and holds that the
// schema and Parse say the same of it.
func TestSchemaAgrees(t *testing.T) {
	s := schema(t)
	for _, part := range []struct {
		field  string
		values []string // in JSON
		good   int      // how many of them, the first ones, are good
	}{
		{"id", []string{
			`"a"`, `"0"`, `"a.b_c-d"`, `"` + strings.Repeat("a", 64) + `"`, `"requests"`,
			`""`, `"-a"`, `"a b"`, `"ä"`, `"` + strings.Repeat("a", 65) + `"`, `"request-a"`, `1`, `null`,
		}, 5},
		{"note", []string{`"x"`, `"` + strings.Repeat("a", 1024) + `"`, `"` + strings.Repeat("a", 1025) + `"`, `1`, `null`}, 2},
		{"priority", []string{`-1000`, `1000`, `0`, `-1001`, `1001`, `1.5`, `"1"`}, 3},
		{"paused", []string{`true`, `false`, `1`, `"true"`, `null`}, 2},
		{"more", []string{`1`}, 0},
		{"target", []string{
			`{"points": ["a"]}`, `{"points": ["a:b", "*:*", "a:b:c", "a b"]}`, `{"except": {"points": ["a"]}}`, `{"points": [], "except": {"operations": ["a"]}}`,
			`{"points": ["a"], "operations": ["GET /x", "x", "SELECT a b"], "services": ["x"]}`,
			// bad from here on
			`{}`, `{"points": []}`, `{"operations": ["a"]}`, `{"points": [""]}`, `{"points": [":b"]}`, `{"points": ["a:"]}`, `{"points": "a"}`, `{"points": null}`,
			`{"points": ["` + strings.Repeat("a", 513) + `"]}`, `{"points": ["a"], "operations": [""]}`, `{"points": ["a"], "operations": ["GET "]}`, `{"points": ["a"], "operations": [" /x"]}`, `{"points": ["a"], "operations": ["GET  /x"]}`,
			`{"points": ["a"], "operations": ["` + strings.Repeat("a", 513) + `"]}`, `{"points": ["a"], "services": [""]}`,
			`{"points": ["a"], "except": {}}`, `{"points": ["a"], "except": {"points": []}}`, `{"points": ["a"], "except": {"points": [""]}}`,
			`{"points": ["a"], "except": {"operations": []}}`, `{"points": ["a"], "except": {"operations": [""]}}`, `{"points": ["a"], "except": null}`, `{"points": ["a"], "point": 1}`, `{"points": ["a"], "except": {"points": ["a"], "services": []}}`,
			`{"points": [` + strings.Repeat(`"a",`, 1000) + `"a"]}`, `{"points": ["a"], "services": [` + strings.Repeat(`"a",`, 1000) + `"a"]}`,
			`{"points": ["a"], "operations": [` + strings.Repeat(`"a",`, 1000) + `"a"]}`, `null`,
		}, 5},
		{"scope", []string{
			`{"percent": 0}`, `{"percent": 100}`, `{"percent": 0.0001, "unit": "call", "salt": "x"}`, `{"requests": ["a"]}`, `{"customers": ["a", "b"]}`,
			`{"attributes": {"a-b": ["c"]}}`, `{"percent": 1, "unit": "attribute:x"}`, `{"customers": ["a"], "attempts": 1000000}`, `{"percent": 1, "customers": []}`,
			`{"percent": 1, "unit": "request"}`, `{"percent": 1, "unit": "customer"}`,
			// bad from here on
			`{}`, `null`, `{"requests": [""]}`, `{"percent": -1}`, `{"percent": 100.1}`, `{"percent": "1"}`, `{"percent": null}`, `{"percent": 1, "unit": "x"}`,
			`{"percent": 1, "unit": "attribute:"}`, `{"percent": 1, "unit": "attribute:a b"}`, `{"customers": ["a"], "unit": "call"}`, `{"customers": ["a"], "salt": "x"}`,
			`{"percent": 1, "salt": "` + strings.Repeat("a", 129) + `"}`, `{"attempts": 1}`, `{"percent": 1, "attempts": -1}`, `{"percent": 1, "attempts": 1000001}`,
			`{"customers": []}`, `{"customers": [""]}`, `{"customers": ["a", "a"]}`, `{"customers": [42]}`, `{"customers": "a"}`, `{"customers": ["` + strings.Repeat("a", 257) + `"]}`,
			`{"requests": []}`, `{"attributes": {}}`, `{"attributes": {"a": []}}`, `{"attributes": {"a b": ["c"]}}`, `{"attributes": {"": ["c"]}}`, `{"attributes": {"a": "c"}}`, `{"percents": 1}`,
		}, 11},
		{"fault", []string{
			`{"delay": {"fixed": "1s"}}`, `{"delay": {"min": "1ms", "max": "1s"}}`, `{"delay": {"max": "1s"}}`, `{"delay": {"median": "1ms", "p99": "1s"}}`,
			`{"delay": {"median": "1ms", "p99": "1s", "max": "1h"}}`, `{"delay": {"padTo": "1h1m1.5s"}}`, `{"delay": {"fixed": "1µs"}}`, `{"delay": {"fixed": "1μs"}}`, `{"delay": {"fixed": "1us"}}`, `{"delay": {"fixed": "+.5s"}}`, `{"delay": {"fixed": "1.s"}}`,
			`{"blackHole": true}`, `{"panic": true}`, `{"panic": true, "blackHole": false}`, `{"delay": {"fixed": "1s"}, "panic": true}`,
			`{"error": {"class": "refused"}}`, `{"error": {"class": "internal"}, "panic": false}`, `{"error": {"name": "x"}}`, `{"error": {"http": {"status": 200}}}`, `{"error": {"http": {"status": 599, "headers": {"X": "a\tb"}, "body": "x"}}}`, `{"error": {"http": {"status": 204, "body": ""}}}`,
			`{"lostReply": true}`, `{"lostReply": true, "error": {"class": "reset"}}`, `{"lostReply": true, "blackHole": true, "delay": {"fixed": "1s"}}`, `{"duplicate": true}`,
			`{"stream": {"cut": true}}`, `{"stream": {"direction": "request", "after": 5, "stall": true, "cut": false}}`, `{"stream": {"perSecond": 5, "corrupt": 1}}`, `{"stream": {"corrupt": 0.5, "cut": true}, "delay": {"fixed": "1s"}}`,
			`{"stream": {"perSecond": 1}}`, `{"stream": {"corrupt": 0.5, "direction": "response"}, "panic": false, "lostReply": false, "duplicate": false, "blackHole": false}`,
			`{"error": {"class": "refused"}, "panic": false, "duplicate": false, "blackHole": false}`, `{"lostReply": true, "panic": false, "duplicate": false}`, `{"duplicate": true, "panic": false, "lostReply": false}`,
			// bad from here on
			`{}`, `null`, `{"panic": false}`, `{"blackHole": false}`, `{"lostReply": false}`, `{"duplicate": false}`, `{"blackHole": 1}`, `{"panic": true, "blackHole": true}`, `{"error": {"class": "reset"}, "panic": true}`, `{"error": {"class": "reset"}, "blackHole": true}`,
			`{"error": {"class": "reset"}, "stream": {"cut": true}}`, `{"error": {"class": "reset"}, "duplicate": true}`, `{"blackHole": true, "stream": {"cut": true}}`, `{"blackHole": true, "duplicate": true}`,
			`{"panic": true, "stream": {"cut": true}}`, `{"panic": true, "lostReply": true}`, `{"panic": true, "duplicate": true}`, `{"stream": {"cut": true}, "lostReply": true}`, `{"stream": {"cut": true}, "duplicate": true}`, `{"lostReply": true, "duplicate": true}`,
			`{"delay": {}}`, `{"delay": null}`, `{"delay": {"min": "1s"}}`, `{"delay": {"fixed": "1s", "max": "1s"}}`, `{"delay": {"fixed": "1s", "padTo": "1s"}}`, `{"delay": {"median": "1s"}}`, `{"delay": {"p99": "1s"}}`, `{"delay": {"median": "1s", "p99": "1s", "min": "1s"}}`,
			`{"delay": {"fixed": 5}}`, `{"delay": {"fixed": "5"}}`, `{"delay": {"fixed": "-5s"}}`, `{"delay": {"fixed": "5 s"}}`, `{"delay": {"fixed": "5d"}}`, `{"delay": {"fixed": "s"}}`, `{"delay": {"fixed": "."}}`, `{"delay": {"fixed": ""}}`, `{"delay": {"Fixed": "1s"}}`,
			`{"error": {}}`, `{"error": {"class": "odd"}}`, `{"error": {"class": "reset", "name": "x"}}`, `{"error": {"name": ""}}`, `{"error": {"http": {}}}`, `{"error": {"http": {"status": 199}}}`, `{"error": {"http": {"status": 600}}}`, `{"error": {"http": {"status": "200"}}}`,
			`{"error": {"http": {"status": 204, "body": "x"}}}`, `{"error": {"http": {"status": 304, "body": "x"}}}`, `{"error": {"http": {"status": 200, "headers": {"a b": "c"}}}}`, `{"error": {"http": {"status": 200, "headers": {"Content-Length": "1"}}}}`, `{"error": {"http": {"status": 200, "headers": {"Trailer": "1"}}}}`, `{"error": {"http": {"status": 200, "headers": {"Connection": "1"}}}}`, `{"error": {"http": {"status": 200, "headers": {"Transfer-Encoding": "1"}}}}`,
			`{"error": {"http": {"status": 200, "headers": {"X": "a\nb"}}}}`, `{"error": {"http": {"status": 200, "headers": {"X": 1}}}}`,
			`{"error": {"http": {"status": 200, "body": "` + strings.Repeat("a", 65537) + `"}}}`, `{"error": {"http": {"status": 200, "reason": "x"}}}`,
			`{"stream": {}}`, `{"stream": {"after": 5}}`, `{"stream": {"cut": false}}`, `{"stream": {"cut": true, "stall": true}}`, `{"stream": {"perSecond": 0}}`, `{"stream": {"perSecond": -1}}`, `{"stream": {"corrupt": 0}}`, `{"stream": {"corrupt": 1.1}}`, `{"stream": {"cut": true, "after": -1}}`, `{"stream": {"cut": true, "direction": "up"}}`,
			`{"stream": {"stall": false}}`, `{"stream": {"cut": true, "perSecond": -1}}`, `{"stream": {"cut": true, "corrupt": -0.1}}`,
		}, 34},
		{"fault", within(`{"error": {"grpc": %s}}`,
			`{"code": "CANCELLED"}`, `{"code": "UNAUTHENTICATED", "message": "", "trailers": {}}`, `{"code": "ABORTED", "message": "`+strings.Repeat("é", 2048)+`"}`,
			`{"code": "UNAVAILABLE", "message": "m", "retryInfo": {"retryDelay": "2s"}, "errorInfo": {"reason": "r"}, "trailers": {"x": "y"}}`,
			// bad from here on
			`null`, `{}`, `"ABORTED"`, `{"message": "m"}`, `{"code": null}`, `{"code": ""}`, `{"code": 14}`, `{"code": "OK"}`, `{"code": "aborted"}`, `{"code": "CANCELED"}`, `{"code": "ABORTED", "details": []}`,
			`{"code": "ABORTED", "message": 1}`, `{"code": "ABORTED", "message": "`+strings.Repeat("a", 4097)+`"}`,
			`{"code": "ABORTED"}, "class": "reset"`, `{"code": "ABORTED"}, "name": "x"`, `{"code": "ABORTED"}, "http": {"status": 200}`,
		), 4},
		{"fault", within(`{"error": {"grpc": {"code": "ABORTED", "retryInfo": %s}}}`,
			`{}`, `{"retryDelay": "0s"}`, `{"retryDelay": "24h"}`,
			// bad from here on
			`null`, `"2s"`, `{"retryDelay": "-1s"}`, `{"retryDelay": "2"}`, `{"retryDelay": 2}`, `{"retryDelay": ""}`, `{"retryDelay": null}`, `{"delay": "2s"}`,
		), 3},
		{"fault", within(`{"error": {"grpc": {"code": "ABORTED", "errorInfo": %s}}}`,
			`{"reason": "a"}`, `{"reason": "a b", "domain": "", "metadata": {}}`, `{"reason": "`+strings.Repeat("a", 4096)+`", "domain": "`+strings.Repeat("a", 4096)+`"}`,
			`{"reason": "a", "metadata": {"`+strings.Repeat("a", 64)+`": "`+strings.Repeat("a", 4096)+`", "é ": ""}}`, `{"reason": "a", "metadata": {`+entries(64)+`}}`,
			// bad from here on
			`null`, `{}`, `"a"`, `{"domain": "a"}`, `{"reason": ""}`, `{"reason": 1}`, `{"reason": "`+strings.Repeat("a", 4097)+`"}`, `{"reason": "a", "code": 1}`,
			`{"reason": "a", "domain": 1}`, `{"reason": "a", "domain": "`+strings.Repeat("a", 4097)+`"}`, `{"reason": "a", "metadata": null}`, `{"reason": "a", "metadata": {"": "b"}}`, `{"reason": "a", "metadata": {"b": 1}}`,
			`{"reason": "a", "metadata": {"`+strings.Repeat("a", 65)+`": "b"}}`, `{"reason": "a", "metadata": {"b": "`+strings.Repeat("a", 4097)+`"}}`, `{"reason": "a", "metadata": {`+entries(65)+`}}`,
		), 5},
		{"fault", within(`{"error": {"grpc": {"code": "ABORTED", "trailers": %s}}}`,
			`{}`, `{"x": "", "0_-.": " ~", "-binary": "1", "bin": "1"}`, `{"grpc-retry-pushback-ms": "-1", "grpc": "1", "x-grpc-status": "1", "`+strings.Repeat("a", 128)+`": "1"}`, `{"x": "`+strings.Repeat("a", 4096)+`"}`, `{`+entries(64)+`}`,
			// bad from here on
			`null`, `[]`, `{"": "1"}`, `{"X": "1"}`, `{"a b": "1"}`, `{":path": "1"}`, `{"é": "1"}`, `{"a\n": "1"}`, `{"grpc-": "1"}`, `{"grpc-status": "1"}`, `{"content-type": "1"}`, `{"te": "1"}`, `{"fault-status": "1"}`, `{"`+strings.Repeat("a", 129)+`": "1"}`, `{"grpc-retry-pushback-msx": "1"}`, `{"x-bin": "1"}`, `{"-bin": "1"}`,
			`{"x": 1}`, `{"x": null}`, `{"x": ["1"]}`, `{"x": "a\tb"}`, `{"x": "a\n"}`, `{"x": "\u007f"}`, `{"x": "é"}`, `{"x": "`+strings.Repeat("a", 4097)+`"}`, `{`+entries(65)+`}`,
		), 5},
		{"fault", within(`{"stream": %s}`,
			`{"error": {"class": "internal"}}`, `{"error": {"name": "x"}, "after": 3, "direction": "request", "corrupt": 0.5}`, `{"error": {"grpc": {"code": "ABORTED"}}, "cut": false, "stall": false, "perSecond": 0, "corrupt": 0}`,
			`{"delay": {"fixed": "1s"}}`, `{"delay": {"min": "1ms", "max": "1s"}, "after": 3, "corrupt": 1}`, `{"delay": {"median": "1ms", "p99": "1s", "max": "2s"}, "cut": false, "stall": false, "perSecond": 0}`,
			`{"stall": true, "cut": false, "perSecond": 0}`, `{"error": {"class": "internal"}}, "delay": {"padTo": "1s"}`,
			// bad from here on
			`{"error": null}`, `{"error": {}}`, `{"error": "reset"}`, `{"error": {"class": "odd"}}`, `{"error": {"class": "reset", "name": "x"}}`, `{"error": {"http": {"status": 99}}}`, `{"error": {"grpc": {"code": "OK"}}}`,
			`{"delay": null}`, `{"delay": {}}`, `{"delay": "1s"}`, `{"delay": {"padTo": "1s"}}`, `{"delay": {"fixed": "1s", "padTo": "1s"}}`, `{"delay": {"fixed": "5"}}`,
			`{"cut": true, "error": {"class": "reset"}}`, `{"cut": true, "perSecond": 1}`, `{"cut": true, "delay": {"fixed": "1s"}}`, `{"error": {"class": "reset"}, "stall": true}`, `{"error": {"class": "reset"}, "perSecond": 1}`, `{"error": {"class": "reset"}, "delay": {"fixed": "1s"}}`,
			`{"stall": true, "perSecond": 1}`, `{"stall": true, "delay": {"fixed": "1s"}}`, `{"perSecond": 1, "delay": {"fixed": "1s"}}`, `{"cut": true, "stall": true, "corrupt": 0.5}`, `{"error": {"class": "reset"}}, "error": {"class": "reset"}`, `{"delay": {"fixed": "1s"}}, "lostReply": true`,
		), 8},
		{"limits", []string{`{}`, `{"concurrent": 1, "perSecond": 100000, "total": 5}`, `{"concurrent": -1}`, `{"perSecond": -1}`, `{"perSecond": 100001}`, `{"total": -1}`, `{"total": 1.5}`, `{"rate": 1}`, `null`}, 2},
		{"ttl", []string{`"10m"`, `"1h30m"`, `10`, `"10"`, `"-10m"`, `""`, `"soon"`, `null`}, 2},
		{"expires", []string{`"2030-01-02T03:04:05Z"`, `"2030-01-02T03:04:05.5+02:00"`, `"2030-01-02"`, `"2030-01-02 03:04:05"`, `"tomorrow"`, `1`, `null`}, 2},
	} {
		for i, value := range part.values {
			fields := ruleFields()
			if part.field == "expires" {
				delete(fields, "ttl")
			}
			fields[part.field] = json.RawMessage(value)
			file := asFile(t, fields)
			_, parseErr := rulefile.Parse([]byte(file))
			schemaErr := check(t, s, file)
			if i < part.good {
				require.NoError(t, parseErr, "%s: %.200s", part.field, value)
				require.NoError(t, schemaErr, "%s: %.200s", part.field, value)
			} else {
				require.Error(t, parseErr, "%s: %.200s", part.field, value)
				require.Error(t, schemaErr, "%s: %.200s\nof which is said: %v", part.field, value, parseErr)
			}
		}
	}
	for _, file := range []string{`[]`, `{}`, `{"rules": null}`, `{"rules": {}}`, `{"rules": [], "version": 1}`, `{"rules": [null]}`} {
		_, err := rulefile.Parse([]byte(file))
		require.Error(t, err, file)
		require.Error(t, check(t, s, file), file)
	}
	for _, missing := range []string{"id", "target", "scope", "fault", "ttl"} {
		fields := ruleFields()
		delete(fields, missing)
		file := asFile(t, fields)
		_, err := rulefile.Parse([]byte(file))
		require.Error(t, err, missing)
		require.Error(t, check(t, s, file), missing)
	}
	both := `{"rules": [{"id": "a", "target": {"points": ["x"]}, "scope": {"percent": 1}, "fault": {"panic": true}, "ttl": "1m", "expires": "2030-01-02T03:04:05Z"}]}`
	_, err := rulefile.Parse([]byte(both))
	require.Error(t, err)
	require.Error(t, check(t, s, both))
}

// ruleFields is a good rule.
func ruleFields() map[string]json.RawMessage {
	return map[string]json.RawMessage{
		"id":     json.RawMessage(`"a"`),
		"target": json.RawMessage(`{"points": ["x"]}`),
		"scope":  json.RawMessage(`{"percent": 1}`),
		"fault":  json.RawMessage(`{"panic": true}`),
		"ttl":    json.RawMessage(`"1m"`),
	}
}

// within puts each value into a larger one.
func within(format string, values ...string) []string {
	for i, value := range values {
		values[i] = fmt.Sprintf(format, value)
	}
	return values
}

// entries are n members of an object.
func entries(n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"k%d": "v"`, i)
	}
	return strings.Join(members, ", ")
}

func asFile(t *testing.T, rule map[string]json.RawMessage) string {
	t.Helper()
	file, err := json.Marshal(map[string]any{"rules": []any{rule}})
	require.NoError(t, err)
	return string(file)
}

func containsAny(s string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}
