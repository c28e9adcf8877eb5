package inwords_test

import (
	"encoding/json"
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/inwords"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

func TestRule(t *testing.T) {
	for text, want := range map[string]string{
		`{"target":{"points":["a"]},"fault":{"panic":true},"scope":{"percent":100}}`:                                            "panic at a, for everyone",
		`{"target":{"points":["a"]},"fault":{"panic":true}}`:                                                                    "panic at a, for every request that carries it",
		`{"target":{"points":["a"]},"fault":{"panic":true},"scope":{"customers":["1"]},"limits":{"perSecond":2}}`:               `panic at a, for customer "1", at most 2 a second`,
		`{"target":{"points":["a"]},"fault":{"panic":true},"scope":{"customers":["1"]},"limits":{"concurrent":1,"total":3}}`:    `panic at a, for customer "1", at most 1 at once, at most 3 in all`,
		`{"target":{"points":["a"]},"fault":{"delay":{"fixed":"2s"},"blackHole":true},"scope":{"percent":1,"unit":"customer"}}`: "delay 2s, then black hole at a, for 1% of customers",
	} {
		var r fault.Rule
		require.NoError(t, r.UnmarshalJSON([]byte(text)), text)
		require.Equal(t, want, inwords.Rule(r), text)
	}
}

func TestTarget(t *testing.T) {
	for text, want := range map[string]string{
		`{"points":["a"]}`:                                       "a",
		`{"points":["*"],"services":["shop"]}`:                   "every dependency of shop",
		`{"points":["a","b"],"operations":["COMMIT"]}`:           "a, b in COMMIT",
		`{"points":["a","b","c","d","e"]}`:                       "a, b, c and 2 more",
		`{"except":{"points":["a"],"operations":["GET /"]}}`:     "every dependency but not a in GET /",
		`{"except":{"operations":["GET /"]}}`:                    "every dependency but not GET /",
		`{"except":{"points":["a"]},"services":["shop","edge"]}`: "every dependency but not a of shop, edge",
	} {
		var target fault.Target
		require.NoError(t, json.Unmarshal([]byte(text), &target), text)
		require.Equal(t, want, inwords.Target(target), text)
	}
}

func TestScope(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                   "every request that carries it",
		`{"customers":["42"]}`: `customer "42"`,
		`{"requests":["7f"],"customers":["1, 2 and 3","2"]}`:                 `request "7f" and customers "1, 2 and 3", "2"`,
		`{"requests":["1","2","3","4","5"]}`:                                 `requests "1", "2", "3" and 2 more`,
		`{"attributes":{"b":["2\n"],"a":["1"]},"percent":0.5,"unit":"call"}`: `a "1" and b "2\n" and 0.5% of calls`,
		`{"percent":5,"attempts":2}`:                                         "5% of requests, the first 2 calls of each request",
		`{"percent":100,"attempts":1}`:                                       "everyone, the first call of each request",
		`{"percent":100,"unit":"call"}`:                                      "everyone",
		`{"percent":0.000001,"unit":"request"}`:                              "0.000001% of requests",
		`{"percent":100,"unit":"customer"}`:                                  "100% of customers",
		`{"percent":1,"unit":"attribute:plan"}`:                              "1% by plan",
	} {
		var s scope.Scope
		require.NoError(t, json.Unmarshal([]byte(text), &s), text)
		require.Equal(t, want, inwords.Scope(s), text)
	}
}

// No kind of fault may be left out of what is said.
func TestFault(t *testing.T) {
	for _, test := range []struct{ fault, want string }{
		{`{"delay":{"fixed":"2s"},"error":{"class":"refused"}}`, "delay 2s, then error refused"},
		{`{"delay":{"padTo":"2s"}}`, "pad to 2s"},
		{`{"error":{"http":{"status":503}}}`, "HTTP 503"},
		{`{"error":{"grpc":{"code":"ABORTED"}}}`, "gRPC ABORTED"},
		{`{"error":{"name":"quota"}}`, `error "quota"`},
		{`{"blackHole":true}`, "black hole"},
		{`{"panic":true}`, "panic"},
		{`{"duplicate":true}`, "duplicate"},
		{`{"delay":{"padTo":"2s"},"duplicate":true}`, "pad to 2s, then duplicate"},
		{`{"lostReply":true}`, "lost reply"},
		{`{"lostReply":true,"error":{"class":"timeout"}}`, "lost reply, then error timeout"},
		{`{"lostReply":true,"blackHole":true}`, "lost reply, then black hole"},
		{`{"stream":{"cut":true}}`, "cut in the response"},
		{`{"stream":{"after":3,"cut":true,"direction":"request"}}`, "cut in the request after 3"},
		{`{"stream":{"after":3,"error":{"grpc":{"code":"DATA_LOSS"}}}}`, "gRPC DATA_LOSS in the response after 3"},
		{`{"stream":{"stall":true,"corrupt":0.25}}`, "stall and corrupt 25% in the response"},
		{`{"stream":{"perSecond":5}}`, "5 per second in the response"},
		{`{"delay":{"min":"1s","max":"2s"},"stream":{"delay":{"median":"1s","p99":"3s"}}}`, "delay 1s to 2s, then delay 1s, p99 3s each in the response"},
	} {
		var f fault.Fault
		require.NoError(t, json.Unmarshal([]byte(test.fault), &f), test.fault)
		require.Equal(t, test.want, inwords.Fault(f), test.fault)
	}
}
