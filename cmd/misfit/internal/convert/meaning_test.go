package convert_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/cmd/misfit/internal/convert"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// A caller is a service with the rules in force, and its point for calls to a
// dependency.
func caller(t testing.TB, service, dependency string, rules []fault.Rule) *fault.Point {
	t.Helper()
	inj := fault.New(service)
	point := inj.PointOf(fault.Kind{
		Name: "http.client",
		Effects: []fault.Effect{
			fault.EffectDelay, fault.EffectErrorHTTP, fault.EffectErrorName, fault.EffectOf(fault.Timeout), fault.EffectPanic,
		},
	}, dependency)
	for _, r := range rules {
		require.NoError(t, inj.Put(r))
	}
	return point
}

// A call is one that Envoy would see.
type call struct {
	service, method, path string
	headers               map[string]string
}

// decide returns what a rule does to c.
func (c call) decide(point *fault.Point, id int) fault.Fault {
	r := scope.Request{ID: fmt.Sprint("request", id), Customer: c.headers["end-user"], Attributes: map[string]string{}}
	for name, value := range c.headers {
		if name != "end-user" {
			r.Attributes[name] = value
		}
	}
	d := point.Decide(scope.With(context.Background(), r), fault.Operation{Verb: c.method, Name: c.path})
	defer d.Done()
	return d.Fault()
}

// What follows says what Istio's documentation says, in the plainest way there
// is, to compare with.
type (
	stringMatch  map[string]string // exact, prefix or regex
	matchRequest struct {
		URI          stringMatch            `json:"uri,omitempty"`
		Method       stringMatch            `json:"method,omitempty"`
		Headers      map[string]stringMatch `json:"headers,omitempty"`
		SourceLabels map[string]string      `json:"sourceLabels,omitempty"`
	}
	percentage struct {
		Value float64 `json:"value"`
	}
	delay struct {
		FixedDelay string      `json:"fixedDelay"`
		Percentage *percentage `json:"percentage,omitempty"`
	}
	abort struct {
		HTTPStatus int         `json:"httpStatus"`
		Percentage *percentage `json:"percentage,omitempty"`
	}
	faultInjection struct {
		Delay *delay `json:"delay,omitempty"`
		Abort *abort `json:"abort,omitempty"`
	}
	route struct {
		Match []matchRequest  `json:"match,omitempty"`
		Fault *faultInjection `json:"fault,omitempty"`
	}
)

func (m stringMatch) matches(s string) bool {
	switch {
	case m == nil:
		return true
	case m["regex"] != "":
		return regexp.MustCompile("^(?:" + m["regex"] + ")$").MatchString(s)
	case m["prefix"] != "":
		return strings.HasPrefix(s, m["prefix"])
	}
	return s == m["exact"]
}

func (m matchRequest) matches(c call) bool {
	for name, want := range m.Headers {
		value, has := c.headers[name]
		if !has || len(want) > 0 && !want.matches(value) {
			return false
		}
	}
	app, constrained := m.SourceLabels["app"]
	return m.URI.matches(c.path) && m.Method.matches(c.method) && (!constrained || app == c.service)
}

func (r route) matches(c call) bool {
	return len(r.Match) == 0 || slices.ContainsFunc(r.Match, func(m matchRequest) bool { return m.matches(c) })
}

// expected is the fault of the first route that matches.
func expected(routes []route, c call) faultInjection {
	for _, r := range routes {
		if r.matches(c) {
			if r.Fault == nil {
				return faultInjection{}
			}
			return *r.Fault
		}
	}
	return faultInjection{}
}

func manifest(t testing.TB, routes []route) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]any{
		"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
		"metadata": map[string]string{"name": "ratings"},
		"spec":     map[string]any{"hosts": []string{"ratings"}, "http": routes},
	})
	require.NoError(t, err)
	return data
}

var (
	services = []string{"cart", "checkout"}
	methods  = []string{"GET", "POST", "PUT"}
	paths    = []string{"/", "/a", "/a/", "/ab", "/a/b", "/a/c", "/a/b/c", "/b", "/b/x/c", "/b/xy/c", "/b//c", "/a1", "/A"}
	users    = []string{"kim", "lee"}

	uris = []stringMatch{
		{"prefix": "/"},
		{"prefix": "/a"},
		{"prefix": "/a/"},
		{"prefix": "/b"},
		{"exact": "/a"},
		{"exact": "/a/b"},
		{"exact": "/b"},
		{"regex": "/a/(b|c)"},
		{"regex": "/a.*"},
		{"regex": "/b/[^/]+/c"},
		{"regex": "/a(/b)?"},
		{"regex": ".*"},
		{"regex": "/a[0-9]"},
		{"regex": "/.+"},
		{"regex": ".*/c"},
		{"regex": "^/a$"},
		{"regex": "/[ab]"},
		{"regex": "/.*b.*"},
		{"regex": "(?i)/a"},
		{"regex": "/(?i:a)/b"},
		{"regex": "(?i)/1"},
	}
	verbs = []stringMatch{{"exact": "GET"}, {"exact": "POST"}, {"regex": "GET|PUT"}}
	whos  = []stringMatch{{"exact": "kim"}, {"exact": "lee"}, {"regex": "kim|lee"}, {}, {"prefix": "k"}}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func randomRoutes(r *rand.Rand) []route {
	routes := make([]route, 1+r.IntN(4))
	for i := range routes {
		for range r.IntN(4) {
			var m matchRequest
			if r.IntN(3) > 0 {
				m.URI = pick(r, uris)
			}
			if r.IntN(3) == 0 {
				m.Method = pick(r, verbs)
			}
			for _, name := range []string{"end-user", "plan"} {
				if r.IntN(4) == 0 {
					if m.Headers == nil {
						m.Headers = make(map[string]stringMatch)
					}
					m.Headers[name] = pick(r, whos)
				}
			}
			if r.IntN(6) == 0 {
				m.SourceLabels = map[string]string{"app": pick(r, services)}
			}
			routes[i].Match = append(routes[i].Match, m)
		}
		if r.IntN(3) == 0 {
			continue
		}
		shares := []*percentage{nil, {0}, {100}, {100}}
		f := &faultInjection{}
		if r.IntN(2) == 0 {
			f.Delay = &delay{fmt.Sprintf("%ds", 1+i), pick(r, shares)}
		}
		if f.Delay == nil || r.IntN(2) == 0 {
			f.Abort = &abort{500 + i, pick(r, shares)}
		}
		routes[i].Fault = f
	}
	return routes
}

// Rules do to each call what Istio does, or where something was left out, that or
// nothing.
func TestIstioMeaning(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	exact, hits, rules := 0, 0, 0
	const rounds = 1000
	for range rounds {
		routes := randomRoutes(r)
		text := manifest(t, routes)
		result, err := convert.Istio(text, convert.Options{TTL: ttl})
		require.NoError(t, err)
		good(t, result)
		rules += len(result.Rules)
		points := make(map[string]*fault.Point)
		for _, service := range services {
			points[service] = caller(t, service, "ratings", result.Rules)
		}
		if !result.Lossy() {
			exact++
		}
		for i := range 60 {
			c := call{pick(r, services), pick(r, methods), pick(r, paths), map[string]string{}}
			for _, name := range []string{"end-user", "plan"} {
				if r.IntN(2) == 0 {
					c.headers[name] = pick(r, users)
				}
			}
			want := expected(routes, c)
			got := c.decide(points[c.service], i)
			if got.Delay == nil && got.Error == nil && result.Lossy() {
				continue
			}
			wantDelay, wantStatus, gotDelay, gotStatus := "", 0, "", 0
			if d := want.Delay; d != nil && d.Percentage != nil && d.Percentage.Value == 100 {
				wantDelay = d.FixedDelay
				hits++
			}
			if a := want.Abort; a != nil && a.Percentage != nil && a.Percentage.Value == 100 {
				wantStatus = a.HTTPStatus
				hits++
			}
			if got.Delay != nil {
				gotDelay = got.Delay.Fixed.String()
			}
			if got.Error != nil {
				gotStatus = got.Error.HTTP.Status
			}
			if wantDelay != gotDelay || wantStatus != gotStatus {
				t.Fatalf("%s\n%+v: want %q %d, got %q %d\n%s", text, c, wantDelay, wantStatus, gotDelay, gotStatus, described(t, result))
			}
		}
	}
	t.Logf("%d of %d without loss, %d rules, %d faults", exact, rounds, rules, hits)
	require.Greater(t, exact, rounds/4)
	require.Greater(t, hits, rounds)
}

// Where a condition names gateways, Istio does not look at labels.
func TestGatewaysBesideLabels(t *testing.T) {
	text := strings.Replace(string(manifest(t, []route{{
		Match: []matchRequest{{SourceLabels: map[string]string{"app": "cart"}}},
		Fault: &faultInjection{Abort: &abort{503, &percentage{50}}},
	}})), `"sourceLabels"`, `"gateways": ["mesh"], "sourceLabels"`, 1)
	result, err := convert.Istio([]byte(text), convert.Options{TTL: ttl})
	require.NoError(t, err)
	require.False(t, result.Lossy())
	require.Nil(t, result.Rules[0].Target.Services)
}

// Of the conditions of one route those that others can except come first, so that
// nothing is lost.
func TestConditionsOfOneRoute(t *testing.T) {
	routes := []route{{
		Match: []matchRequest{{Headers: map[string]stringMatch{"plan": {"exact": "kim"}}}, {URI: stringMatch{"prefix": "/a"}}},
		Fault: &faultInjection{Abort: &abort{503, &percentage{50}}},
	}}
	result, err := convert.Istio(manifest(t, routes), convert.Options{TTL: ttl})
	require.NoError(t, err)
	require.False(t, result.Lossy())
	require.Len(t, result.Rules, 2)
	require.Equal(t, []string{"/a*"}, result.Rules[0].Target.Operations)
	require.Equal(t, []string{"/a*"}, result.Rules[1].Target.Except.Operations)
}

// The rules that stand for a delay and an abort make the same of many calls as
// two dice do.
func TestIndependentDraws(t *testing.T) {
	const calls = 30_000
	for _, p := range []struct{ delay, abort float64 }{
		{10, 5}, {50, 50}, {100, 30}, {30, 100}, {100, 100}, {0.5, 99}, {25, 0}, {0, 25}, {99.9, 99.9}, {1, 1},
	} {
		routes := []route{{Fault: &faultInjection{
			Delay: &delay{"1s", &percentage{p.delay}},
			Abort: &abort{503, &percentage{p.abort}},
		}}}
		result, err := convert.Istio(manifest(t, routes), convert.Options{TTL: ttl})
		require.NoError(t, err)
		require.LessOrEqual(t, len(result.Rules), 3)
		point := caller(t, "cart", "ratings", result.Rules)
		counts := make(map[[2]bool]int)
		for i := range calls {
			f := call{method: "GET", path: "/"}.decide(point, i)
			counts[[2]bool{f.Delay != nil, f.Error != nil}]++
		}
		for _, delayed := range []bool{true, false} {
			for _, aborted := range []bool{true, false} {
				share := func(percent float64, so bool) float64 {
					if so {
						return percent / 100
					}
					return 1 - percent/100
				}
				want := share(p.delay, delayed) * share(p.abort, aborted)
				got := float64(counts[[2]bool{delayed, aborted}]) / calls
				deviation := math.Sqrt(want * (1 - want) / calls)
				require.InDelta(t, want, got, 5*deviation+1e-9, "%+v: delayed %v, aborted %v", p, delayed, aborted)
			}
		}
	}
}

// A second call of the same request draws again, as in a proxy.
func TestRetriesDrawAgain(t *testing.T) {
	routes := []route{{Fault: &faultInjection{Abort: &abort{503, &percentage{50}}}}}
	result, err := convert.Istio(manifest(t, routes), convert.Options{TTL: ttl})
	require.NoError(t, err)
	point := caller(t, "cart", "ratings", result.Rules)
	seen := make(map[bool]bool)
	for range 100 {
		seen[call{method: "GET", path: "/"}.decide(point, 1).Error != nil] = true
	}
	require.Len(t, seen, 2)
}
