package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// followed is a service that follows its requests.
func followed(t *testing.T) service { return followedBy(t, fault.VerdictSettings{}) }

func followedBy(t *testing.T, s fault.VerdictSettings) service {
	t.Helper()
	inj := fault.New("shop", fault.WithVerdicts(s))
	server := httptest.NewServer(http.StripPrefix(mount, control.New(inj)))
	t.Cleanup(server.Close)
	return service{inj, server.URL + mount}
}

// meet has a request meet the fault of a rule.
func (s service) meet(t *testing.T, rule string, f fault.Fault, o fault.Outcome, degraded string) {
	t.Helper()
	point := s.inj.Point("http.client", "ratings")
	require.NoError(t, s.inj.Put(fault.Rule{ID: rule, Priority: 1, Target: fault.Target{Points: []string{"ratings"}}, Scope: scope.Requests(rule), Fault: f, TTL: time.Minute}))
	ctx, trial := s.inj.BeginTrial(scope.With(t.Context(), scope.Request{ID: rule}))
	_ = point.Inject(ctx, fault.Operation{Verb: "GET", Name: "/ratings/7"})
	if degraded != "" {
		fault.Degraded(ctx, degraded)
	}
	o.Endpoint = fault.Operation{Verb: "GET", Name: "/products/{id}"}
	trial.End(o)
}

func TestVerdicts(t *testing.T) {
	noEnvironment(t)
	shop, other := followed(t), serve(t, "other", nil)
	failing := fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}}
	out := done(t, "verdicts", "-url", shop.url+","+other.url)
	require.Contains(t, out, "No verdicts: no fault has happened yet.")
	require.Contains(t, out, "Requests are not followed here")
	r := misfit("verdicts", "-url", shop.url, "-fail-on", "surfaced")
	require.Equal(t, 1, r.status, "nothing is known")
	require.Contains(t, r.err, "there are no verdicts")

	shop.meet(t, "a", failing, fault.Outcome{}, "")
	done(t, "verdicts", "-url", shop.url, "-fail-on", "surfaced,degraded")
	shop.meet(t, "b", failing, fault.Outcome{}, "no ratings")
	done(t, "verdicts", "-url", shop.url, "-fail-on", "surfaced")
	r = misfit("verdicts", "-url", shop.url, "-fail-on", "degraded")
	require.Equal(t, 1, r.status)
	require.Contains(t, r.err, "error unavailable at http.client:ratings degraded in 1 request at GET /products/{id}")
	shop.meet(t, "c", fault.Fault{Delay: &fault.Delay{Fixed: 1}}, fault.Outcome{Failed: true}, "")
	_ = shop.inj.Point("http.client", "ratings").Inject(scope.With(context.Background(), scope.Request{ID: "c"}), fault.Operation{Name: "x"})
	r = misfit("verdicts", "-url", shop.url, "-fail-on", "surfaced")
	require.Equal(t, 1, r.status)
	require.Contains(t, r.err, "delay 1ns at http.client:ratings surfaced in 1 request at GET /products/{id}")
	done(t, "verdicts", "-url", shop.url, "-fail-on", "surfaced", "-rule", "b")

	require.Equal(t, `shop at URL

  RULE  POINT                OPERATION       FAULT              ENDPOINT            MASKED  DEGRADED  SURFACED  ADDED
  a     http.client:ratings  GET /ratings/7  error unavailable  GET /products/{id}  1       0         0         -
  b     http.client:ratings  GET /ratings/7  error unavailable  GET /products/{id}  0       1         0         -
  c     http.client:ratings  GET /ratings/7  delay 1ns          GET /products/{id}  0       0         1         -
  c     http.client:ratings  x               delay 1ns          -                   0       0         0         -

  a at GET /products/{id}: 1 masked request whose latency decided nothing: a stream, or fewer than 100 requests without a fault to compare with
  b at GET /products/{id}: degraded: no ratings
  c at no endpoint: 1 hit outside of any request that is followed

`, strings.ReplaceAll(done(t, "verdicts", "-url", shop.url), shop.url, "URL"))

	r = misfit("verdicts", "-url", shop.url, "-o", "json", "-fail-on", "surfaced")
	require.Equal(t, 1, r.status)
	var answers []struct{ Answer verdictsAnswer }
	require.NoError(t, json.Unmarshal([]byte(r.out), &answers))
	require.Len(t, answers[0].Answer.Verdicts, 4)

	r = misfit("verdicts", "-url", shop.url, "-reset", "-fail-on", "surfaced")
	require.Equal(t, 2, r.status)
	urls := shop.url + "," + other.url
	require.Equal(t, "shop at "+shop.url+": forgot 2 rows of verdicts\nother at "+other.url+": forgot 0 rows of verdicts\n", done(t, "verdicts", "-url", urls, "-reset", "-rule", "c"))
	require.Len(t, shop.inj.Verdicts().Rows, 2)
	require.Contains(t, done(t, "verdicts", "-url", urls, "-reset", "-o", "json"), `"forgotten": 2`)
	require.Empty(t, shop.inj.Verdicts().Rows)
	require.Equal(t, 1, misfit("verdicts", "-url", shop.url, "-fail-on", "surfaced").status, "nothing is known any more")

	full := followedBy(t, fault.VerdictSettings{MaxRows: 1})
	full.meet(t, "a", failing, fault.Outcome{}, "")
	done(t, "verdicts", "-url", full.url, "-fail-on", "surfaced")
	full.meet(t, "b", failing, fault.Outcome{Failed: true}, "")
	r = misfit("verdicts", "-url", full.url, "-fail-on", "surfaced")
	require.Equal(t, 1, r.status, "nobody knows")
	require.Contains(t, r.err, "of 1 verdict nothing is known, for want of room")

	r = misfit("verdicts", "-fail-on", "masked")
	require.Equal(t, 2, r.status)
	require.Contains(t, r.err, "give degraded or surfaced")
}
