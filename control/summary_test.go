package control_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// TestOverviewSaysWhatEachFaultDoes holds the page for people to every kind of
// fault there is: none may be left out of what it says.
func TestOverviewSaysWhatEachFaultDoes(t *testing.T) {
	inj := fault.New("edge", fault.WithNamedError("quota", http.ErrServerClosed))
	s := newSite(t, inj)
	for what, want := range map[string]string{
		`{"delay":{"fixed":"2s"},"error":{"class":"refused"}}`:         "delay 2s, then error refused",
		`{"delay":{"padTo":"2s"}}`:                                     "pad to 2s",
		`{"error":{"http":{"status":503}}}`:                            "HTTP 503",
		`{"error":{"grpc":{"code":"ABORTED"}}}`:                        "gRPC ABORTED",
		`{"error":{"name":"quota"}}`:                                   `error "quota"`,
		`{"blackHole":true}`:                                           "black hole",
		`{"panic":true}`:                                               "panic",
		`{"duplicate":true}`:                                           "duplicate",
		`{"lostReply":true}`:                                           "lost reply",
		`{"lostReply":true,"error":{"class":"timeout"}}`:               "lost reply, then error timeout",
		`{"lostReply":true,"blackHole":true}`:                          "lost reply, then black hole",
		`{"stream":{"cut":true}}`:                                      "cut in the response",
		`{"stream":{"after":3,"cut":true,"direction":"request"}}`:      "cut in the request after 3",
		`{"stream":{"after":3,"error":{"grpc":{"code":"DATA_LOSS"}}}}`: "gRPC DATA_LOSS in the response after 3",
		`{"stream":{"stall":true,"corrupt":0.25}}`:                     "stall and corrupt 25% in the response",
		`{"stream":{"perSecond":5}}`:                                   "5 per second in the response",
		`{"delay":{"min":"1s","max":"2s"},"stream":{"delay":{"median":"1s","p99":"3s"}}}`: "delay 1s to 2s, then delay 1s, p99 3s each in the response",
	} {
		var f fault.Fault
		require.NoError(t, json.Unmarshal([]byte(what), &f), what)
		require.NoError(t, inj.Put(fault.Rule{
			ID: "r", Target: fault.Target{Points: []string{"x"}}, Scope: scope.Everyone(), Fault: f, TTL: time.Hour,
		}))
		page := s.do("GET", "/", "").body
		require.Regexp(t, `(?m)^  r +code +everyone +`+regexp.QuoteMeta(want)+` +nowhere`, page, what)
	}
}
