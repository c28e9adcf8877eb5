package control

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/fault"
)

// open marks what comes with the library and says nothing of the service: the page
// has to be there to ask who somebody is.
const open Role = 0

// needs says of every route who may use it. A route that is missing here, or that
// is no more, fails the test.
var needs = map[string]Role{
	"GET /":                       Viewer,
	"GET /assets/{name}":          open,
	"GET /openapi.json":           Viewer,
	"GET /v1/status":              Viewer,
	"GET /v1/guardrails":          Viewer,
	"GET /v1/points":              Viewer,
	"GET /v1/verdicts":            Viewer,
	"DELETE /v1/verdicts":         Operator,
	"GET /v1/explain":             Viewer,
	"GET /v1/rules":               Viewer,
	"GET /v1/rules/{id}":          Viewer,
	"PUT /v1/rules/{id}":          Operator,
	"DELETE /v1/rules/{id}":       Operator,
	"POST /v1/rules/{id}/widen":   Operator,
	"POST /v1/rules/{id}/extend":  Operator,
	"POST /v1/rules/{id}/pause":   Operator,
	"POST /v1/rules/{id}/unpause": Operator,
	"POST /v1/validate":           Operator,
	"POST /v1/halt":               Operator,
	"POST /v1/resume":             Admin,
	"GET /v1/events":              Viewer,
	"GET /v1/audit":               Viewer,
}

func TestEveryRouteIsInTheTable(t *testing.T) {
	var have []string
	for _, route := range New(fault.New("checkout")).routes() {
		name := route.method + " /" + route.path
		have = append(have, name)
		if needs[name] == open {
			require.True(t, route.isStatic(httptest.NewRequest(route.method, "/"+route.path, nil)), name)
			continue
		}
		require.Equal(t, needs[name], route.need, name)
	}
	want := make([]string, 0, len(needs))
	for name := range needs {
		want = append(want, name)
	}
	slices.Sort(have)
	slices.Sort(want)
	require.Equal(t, want, have)
}

// Every route by every role, wrong credentials, and none at all.
func TestEveryRouteByEveryRole(t *testing.T) {
	const wrong = "Bearer wrong-wrong-wrong-wrong-wrong"
	roles := AuthorizerFunc(func(r *http.Request) (Principal, bool, error) {
		role, err := ParseRole(r.Header.Get("Test-Role"))
		return Principal{Name: "kim", Role: role}, err == nil, nil
	})
	nobody := AuthorizerFunc(func(*http.Request) (Principal, bool, error) { return Principal{}, false, nil })
	remote, here := "192.0.2.1:1", "127.0.0.1:1"
	read := func(r Role) bool { return r <= Viewer }
	every, none := func(Role) bool { return true }, func(Role) bool { return false }

	tests := []struct {
		name    string
		options []Option
		peer    string
		role    string // of who asks; empty: no credentials
		bearer  string
		may     func(Role) bool
		status  int // where not
	}{
		{"no credentials", []Option{WithAuthorizer(roles)}, remote, "", "", none, 401},
		{"no credentials, same machine", []Option{WithAuthorizer(roles)}, here, "", "", none, 401},
		{"wrong credentials", []Option{WithAuthorizer(roles)}, remote, "", wrong, none, 401},
		{"wrong credentials, same machine", []Option{WithAuthorizer(roles), AllowLoopback()}, here, "", wrong, none, 401},
		{"viewer", []Option{WithAuthorizer(roles)}, remote, "viewer", "", read, 403},
		{"operator", []Option{WithAuthorizer(roles)}, remote, "operator", "", func(r Role) bool { return r < Admin }, 403},
		{"admin", []Option{WithAuthorizer(roles)}, remote, "admin", "", every, 403},
		{"the second one knows", []Option{WithAuthorizer(nobody, roles)}, remote, "operator", "", func(r Role) bool { return r < Admin }, 403},
		{"the first option knows", []Option{WithAuthorizer(roles), WithAuthorizer(nobody)}, remote, "viewer", "", read, 403},
		{"the second option knows", []Option{WithAuthorizer(nobody), WithAuthorizer(roles)}, remote, "viewer", "", read, 403},
		{"read-only viewer", []Option{WithAuthorizer(roles), ReadOnly()}, remote, "viewer", "", read, 403},
		{"read-only admin", []Option{ReadOnly(), WithAuthorizer(roles)}, remote, "admin", "", read, 403},
		{"loopback allowed, same machine", []Option{WithAuthorizer(roles), AllowLoopback()}, here, "", "", every, 403},
		{"loopback allowed, another machine", []Option{WithAuthorizer(roles), AllowLoopback()}, remote, "", "", none, 401},
		{"loopback allowed, viewer", []Option{WithAuthorizer(roles), AllowLoopback()}, here, "viewer", "", read, 403},

		{"nothing configured, another machine", nil, remote, "", "", read, 403},
		{"nothing configured, same machine", nil, here, "", "", every, 403},
		{"nothing configured, a role in vain", nil, remote, "admin", wrong, read, 403},
		{"nothing configured, read-only", []Option{ReadOnly()}, here, "", "", read, 403},
		{"loopback allowed without authorizers", []Option{AllowLoopback()}, remote, "", "", read, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, need := range needs {
				method, path, _ := strings.Cut(name, " ")
				path = strings.NewReplacer("{id}", "r", "{name}", "none").Replace(path)
				methods := []string{method}
				if method == http.MethodGet {
					methods = append(methods, http.MethodHead)
				}
				for _, method := range methods {
					inj := fault.New("checkout")
					status := request(t, New(inj, tt.options...), method, path, tt.peer, tt.role, tt.bearer)
					if need != open && !tt.may(need) {
						require.Equal(t, tt.status, status, "%s %s", method, path)
						require.False(t, inj.Status().Halted)
						continue
					}
					require.NotContains(t, []int{401, 403, 405, 429}, status, "%s %s", method, path)
					require.Less(t, status, 500, "%s %s", method, path)
				}
			}
		})
	}
}

func request(t *testing.T, h http.Handler, method, path, peer, role, bearer string) int {
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // events would go on
	r := httptest.NewRequestWithContext(ctx, method, path, strings.NewReader("{}"))
	r.RemoteAddr, r.Host = peer, "localhost"
	if role != "" {
		r.Header.Set("Test-Role", role)
	}
	if bearer != "" {
		r.Header.Set("Authorization", bearer)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, w.Code == http.StatusUnauthorized, w.Header().Get("WWW-Authenticate") != "")
	return w.Code
}

// The page is for everyone, what it shows is not.
func TestThePageIsOpen(t *testing.T) {
	nobody := AuthorizerFunc(func(*http.Request) (Principal, bool, error) { return Principal{}, false, nil })
	h := New(fault.New("checkout"), WithAuthorizer(nobody))
	for accept, status := range map[string]int{"text/html,*/*;q=0.8": 200, "*/*": 401, "": 401} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, status, w.Code, accept)

		for name, need := range needs {
			method, path, _ := strings.Cut(name, " ")
			if need == open || path == "/" {
				continue
			}
			r = httptest.NewRequest(method, path, nil)
			r.Header.Set("Accept", accept)
			w = httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, 401, w.Code, "%s, Accept: %s", name, accept)
		}
	}
}

// With a refusal comes who was refused, if that is known and fit for the record.
func TestWhoIsRefused(t *testing.T) {
	tests := []struct {
		name string
		p    Principal
		ok   bool
		want Principal
	}{
		{"a role too low", Principal{"kim", Viewer}, true, Principal{"kim", Viewer}},
		{"no role", Principal{"kim", 0}, true, Principal{"kim", 0}},
		{"no such role", Principal{"kim", 7}, true, Principal{}},
		{"no name and no role", Principal{}, true, Principal{}},
		{"a name that is too long", Principal{strings.Repeat("k", 1000), 0}, true, Principal{}},
		{"not known", Principal{"kim", Admin}, false, Principal{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := newGuard()
			g.authorizers = []Authorizer{AuthorizerFunc(func(*http.Request) (Principal, bool, error) { return tt.p, tt.ok, nil })}
			r := httptest.NewRequest("POST", "http://localhost/v1/halt", nil)
			got, err := g.admit(r, Operator)
			require.Error(t, err)
			require.Equal(t, tt.want, got)
		})
	}
}

func TestWhoIsLetIn(t *testing.T) {
	g := newGuard()
	r := httptest.NewRequest("GET", "http://localhost/v1/status", nil)
	r.RemoteAddr = "127.0.0.1:1"
	p, err := g.admit(r, Viewer)
	require.NoError(t, err)
	require.Equal(t, Principal{"anyone", Viewer}, p)
	p, err = g.admit(r, Admin)
	require.NoError(t, err)
	require.Equal(t, Principal{"local", Admin}, p)
	_, err = g.admit(r, Admin+1)
	require.Error(t, err, "a need that nobody meets")

	g.authorizers = []Authorizer{AuthorizerFunc(func(*http.Request) (Principal, bool, error) { return Principal{"kim", Operator}, true, nil })}
	p, err = g.admit(r, Operator)
	require.NoError(t, err)
	require.Equal(t, Principal{"kim", Operator}, p)
}
