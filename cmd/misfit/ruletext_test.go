package main

import (
	"testing"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

func TestRuleInWords(t *testing.T) {
	for text, want := range map[string]string{
		`{"target":{"points":["a"]},"fault":{"error":{"class":"reset"}}}`:                                                                            "error reset at a, for every request with the token",
		`{"target":{"points":["*"],"services":["shop"]},"fault":{"error":{"http":{"status":503}}}}`:                                                  "HTTP 503 at every dependency of shop, for every request with the token",
		`{"target":{"points":["a","b"],"operations":["COMMIT"]},"fault":{"error":{"grpc":{"code":"ABORTED"}}}}`:                                      "gRPC ABORTED at a, b in COMMIT, for every request with the token",
		`{"target":{"except":{"points":["a"],"operations":["GET /"]}},"fault":{"error":{"name":"x.y"}}}`:                                             `error "x.y" at every dependency but not a in GET /, for every request with the token`,
		`{"target":{"except":{"operations":["GET /"]}},"fault":{"panic":true}}`:                                                                      "panic at every dependency but not GET /, for every request with the token",
		`{"target":{"points":["a"]},"fault":{"delay":{"fixed":"2s"},"blackHole":true}}`:                                                              "delay of 2s, then black hole at a, for every request with the token",
		`{"target":{"points":["a"]},"fault":{"delay":{"padTo":"2s"},"duplicate":true}}`:                                                              "padding to 2s, then duplicate at a, for every request with the token",
		`{"target":{"points":["a"]},"fault":{"delay":{"median":"1s","p99":"2s"},"stream":{"cut":true}}}`:                                             "delay of 1s, p99 2s, then fault in mid-stream at a, for every request with the token",
		`{"target":{"points":["a"]},"fault":{"lostReply":true,"error":{"class":"reset"}},"scope":{"requests":["7f"],"customers":["1","2"]}}`:         "lost reply, then error reset at a, for request 7f and customer 1, 2",
		`{"target":{"points":["a"]},"fault":{"panic":true},"scope":{"attributes":{"b":["2"],"a":["1"]},"percent":0.5,"unit":"call"}}`:                "panic at a, for a 1 and b 2 and 0.5% by call",
		`{"target":{"points":["a"]},"fault":{"panic":true},"scope":{"percent":5,"attempts":2}}`:                                                      "panic at a, for 5% by request, the first 2 calls of each",
		`{"target":{"points":["a"]},"fault":{"panic":true},"scope":{"customers":["1","2","3","4","5","6","7"]},"limits":{"concurrent":1,"total":3}}`: "panic at a, for customer 1, 2, 3, 4, 5 and 2 more, at most 1 at once, at most 3 in all",
		`{"target":{"points":["a"]},"fault":{"panic":true},"limits":{"perSecond":2}}`:                                                                "panic at a, for every request with the token, at most 2 a second",
	} {
		var r fault.Rule
		require.NoError(t, r.UnmarshalJSON([]byte(text)))
		require.Equal(t, want, ruleInWords(r), text)
	}
}
