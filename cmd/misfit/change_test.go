package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// meanwhile has somebody change a rule between a look at it and the next request
// of a method.
func meanwhile(method, body string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == method && strings.HasPrefix(r.URL.Path, "/v1/rules/one") {
				fresh := httptest.NewRequest(http.MethodPut, "/v1/rules/one", strings.NewReader(body))
				fresh.RemoteAddr, fresh.Host = r.RemoteAddr, r.Host
				next.ServeHTTP(httptest.NewRecorder(), fresh)
			}
			next.ServeHTTP(w, r)
		})
	}
}

const theirs = `{"target":{"points":["ratings"]},"scope":{"customers":["7"]},"fault":{"delay":{"fixed":"1s"}},"ttl":"5m"}`

// What somebody else does at the same moment is not lost.
func TestChangesOfOthersAreKept(t *testing.T) {
	noEnvironment(t)
	file := writeFile(t, "rules.yaml", rulesFile)

	t.Run("made", func(t *testing.T) {
		shop := serveBehind(t, "shop", nil, meanwhile(http.MethodPut, theirs))
		r := misfit("apply", "-f", file, "-url", shop.url)
		require.Equal(t, 1, r.status)
		require.Contains(t, r.out, "slow-ratings: made")
		require.Contains(t, r.err, "rule one: somebody else has changed it at this moment")
		status, ok := shop.inj.Rule("one")
		require.True(t, ok)
		require.Equal(t, []string{"7"}, status.Rule.Scope.Customers)
	})
	t.Run("edited", func(t *testing.T) {
		calm := serve(t, "calm", nil)
		done(t, "apply", "-f", file, "-url", calm.url)
		require.Contains(t, done(t, "apply", "-f", file, "-url", calm.url), "one: edited")
	})
	t.Run("widened", func(t *testing.T) {
		shop := serveBehind(t, "shop", nil, meanwhile(http.MethodPost, theirs))
		put(t, shop.url, "one", strings.Replace(theirs, "7", "8", 1))
		r := misfit("widen", "one", "-to", "percent=1%", "-url", shop.url)
		require.Equal(t, 1, r.status)
		require.Contains(t, r.err, "somebody else has changed it at this moment")
		status, _ := shop.inj.Rule("one")
		require.Equal(t, []string{"7"}, status.Rule.Scope.Customers)
	})
}

func put(t *testing.T, url, id, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url+"/v1/rules/"+id, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	resp.Body.Close()
	require.Less(t, resp.StatusCode, 300)
}

// A rule of the service's own is not taken away from it.
func TestRulesOfOthers(t *testing.T) {
	noEnvironment(t)
	shop := serve(t, "shop", []string{"ratings"})
	r := rule(t, `{"id":"one","target":{"points":["ratings"]},"scope":{"percent":1},"fault":{"error":{"class":"reset"}},"ttl":"10m"}`)
	require.NoError(t, shop.inj.Put(r))
	for _, args := range [][]string{
		{"widen", "one", "-to", "percent=5%"},
		{"pause", "one"},
		{"apply", "-f", writeFile(t, "rules.yaml", rulesFile)},
	} {
		r := misfit(append(args, "-url", shop.url)...)
		require.Equal(t, 1, r.status, args)
		require.Contains(t, r.err, "rule one: ", args)
	}
	require.Len(t, shop.inj.Rules(), 1)
	done(t, "delete", "one", "-url", shop.url)
	require.Empty(t, shop.inj.Rules())
}

// Whoever widens a rule widens nothing but what was asked for.
func TestScopeFrom(t *testing.T) {
	five := 5.0
	one := 1.0
	plan := map[string][]string{"plan": {"gold"}}
	for name, tt := range map[string]struct{ from, to, want scope.Scope }{
		"unit, salt and attempts stay": {
			scope.Scope{Percent: &one, Unit: scope.PerCustomer, Salt: "s", Attempts: 2},
			scope.Scope{Percent: &five},
			scope.Scope{Percent: &five, Unit: scope.PerCustomer, Salt: "s", Attempts: 2},
		},
		"another unit": {
			scope.Scope{Percent: &one, Unit: scope.PerCustomer},
			scope.Scope{Percent: &five, Unit: scope.PerRequest},
			scope.Scope{Percent: &five, Unit: scope.PerRequest},
		},
		"attributes stay": {
			scope.Scope{Percent: &one, Attributes: plan},
			scope.Scope{Percent: &five},
			scope.Scope{Percent: &five, Attributes: plan},
		},
		"unless they are named": {
			scope.Scope{Attributes: plan},
			scope.Scope{Attributes: map[string][]string{"plan": {"silver"}}},
			scope.Scope{Attributes: map[string][]string{"plan": {"silver"}}},
		},
		"customers do not": {
			scope.Scope{Customers: []string{"42"}},
			scope.Scope{Percent: &one},
			scope.Scope{Percent: &one},
		},
		"a unit needs a percentage": {
			scope.Scope{Percent: &one, Unit: scope.PerCustomer, Salt: "s"},
			scope.Scope{Customers: []string{"42"}},
			scope.Scope{Customers: []string{"42"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.want, scopeFrom(tt.from, tt.to))
			require.NoError(t, tt.want.Validate())
		})
	}
}

// An ID does not lead to another place.
func TestIDsAreNoPaths(t *testing.T) {
	for _, id := range []string{"", ".", "..", "a/b", "../halt", `a\b`} {
		for _, command := range []string{"rules", "delete", "pause", "extend", "widen"} {
			require.Equal(t, 2, misfit(command, id).status, "%s %q", command, id)
		}
	}
}
