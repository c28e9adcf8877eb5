package control_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
)

// knows is an authorizer that takes everyone for one and the same.
func knows(name string, role control.Role) control.Authorizer {
	return control.AuthorizerFunc(func(*http.Request) (control.Principal, bool, error) {
		return control.Principal{Name: name, Role: role}, true, nil
	})
}

// remote is a request as a program on another machine makes it.
func remote(method, path string, header ...string) *http.Request {
	return guarded(method, path, "192.0.2.1:50000", "192.0.2.7:8080", header)
}

func TestRoles(t *testing.T) {
	require.True(t, control.Viewer < control.Operator && control.Operator < control.Admin)
	for name, role := range map[string]control.Role{"viewer": control.Viewer, "operator": control.Operator, "admin": control.Admin} {
		require.Equal(t, name, role.String())
		got, err := control.ParseRole(name)
		require.NoError(t, err)
		require.Equal(t, role, got)
		text, err := json.Marshal(control.Principal{Name: "kim", Role: role})
		require.NoError(t, err)
		require.JSONEq(t, `{"name": "kim", "role": "`+name+`"}`, string(text))
		var p control.Principal
		require.NoError(t, json.Unmarshal(text, &p))
		require.Equal(t, control.Principal{Name: "kim", Role: role}, p)
	}
	for _, name := range []string{"", "none", "Admin", "admin ", "root", "3", "Role(3)"} {
		_, err := control.ParseRole(name)
		require.ErrorContains(t, err, "viewer, operator or admin", name)
	}
	for role, name := range map[control.Role]string{0: "none", -1: "Role(-1)", 4: "Role(4)"} {
		require.Equal(t, name, role.String())
		_, err := role.MarshalText()
		require.Error(t, err)
	}
}

func TestPrincipalValidate(t *testing.T) {
	tests := []struct {
		name string
		role control.Role
		want string // empty: it is good
	}{
		{"kim", control.Viewer, ""},
		{"auth0|5f7c8ec7c33c6c004bbafe82", control.Operator, ""},
		{"CN=Kim Müller, O=Ops", control.Admin, ""},
		{strings.Repeat("k", 128), control.Admin, ""},
		{"", control.Viewer, "name: is 0 bytes long"},
		{strings.Repeat("k", 129), control.Viewer, "name: is 129 bytes long"},
		{"kim\n", control.Viewer, "cannot be printed"},
		{"\u202emik", control.Viewer, "cannot be printed"},
		{"\xff", control.Viewer, "cannot be printed"},
		{"local", control.Admin, "without credentials"},
		{"anyone", control.Viewer, "without credentials"},
		{"kim", 0, "role: none is not viewer, operator or admin"},
		{"kim", 4, "role: Role(4)"},
		{"kim", -1, "role: Role(-1)"},
		{"", 0, "role: none"},
	}
	for _, tt := range tests {
		err := control.Principal{Name: tt.name, Role: tt.role}.Validate()
		if tt.want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, tt.want)
	}
}

func TestWithAuthorizerNeedsOne(t *testing.T) {
	for name, give := range map[string]func(){
		"none":     func() { control.WithAuthorizer() },
		"nil":      func() { control.WithAuthorizer(nil) },
		"nil func": func() { control.WithAuthorizer(control.AuthorizerFunc(nil)) },
		"one nil":  func() { control.WithAuthorizer(knows("kim", control.Admin), nil) },
		"a failed constructor": func() {
			a, _ := control.BearerTokens(nil)
			control.WithAuthorizer(a)
		},
	} {
		require.Panics(t, give, name)
	}
}

func TestRefusalsSayWhatIsMissing(t *testing.T) {
	h := control.New(fault.New("checkout"), control.WithAuthorizer(knows("kim", control.Viewer)))
	p := requireProblem(t, direct(h, remote("POST", "/v1/halt")), 403, "urn:misfit:problem:role-too-low")
	require.Equal(t, `"kim" has the role viewer; this needs operator`, p.Detail)
	p = requireProblem(t, direct(h, remote("POST", "/v1/resume")), 403, "urn:misfit:problem:role-too-low")
	require.Equal(t, `"kim" has the role viewer; this needs admin`, p.Detail)
}

// Whatever an authorizer returns or does, it lets in nobody but whom it names in
// full.
func TestAuthorizersThatGoWrong(t *testing.T) {
	kim := control.Principal{Name: "kim", Role: control.Admin}
	secret := errors.New("the password is 12345")
	tests := []struct {
		name   string
		f      control.AuthorizerFunc
		status int
	}{
		{"an error", func(*http.Request) (control.Principal, bool, error) { return control.Principal{}, false, secret }, 401},
		{"an error beside a principal", func(*http.Request) (control.Principal, bool, error) { return kim, true, secret }, 401},
		{"a principal that it does not know", func(*http.Request) (control.Principal, bool, error) { return kim, false, nil }, 401},
		{"a panic", func(*http.Request) (control.Principal, bool, error) { panic(secret) }, 500},
		{"a panic of nothing", func(*http.Request) (control.Principal, bool, error) { panic(nil) }, 500},
		{"an abort", func(*http.Request) (control.Principal, bool, error) { panic(http.ErrAbortHandler) }, 500},
		{"a nil dereference", func(r *http.Request) (control.Principal, bool, error) {
			return control.Principal{Name: r.TLS.ServerName, Role: control.Admin}, true, nil
		}, 500},
		{"nobody", func(*http.Request) (control.Principal, bool, error) { return control.Principal{}, true, nil }, 403},
		{"no role", func(*http.Request) (control.Principal, bool, error) {
			return control.Principal{Name: "kim"}, true, nil
		}, 403},
		{"a role beyond all", func(*http.Request) (control.Principal, bool, error) {
			return control.Principal{Name: "kim", Role: 99}, true, nil
		}, 403},
		{"a role below all", func(*http.Request) (control.Principal, bool, error) {
			return control.Principal{Name: "kim", Role: -99}, true, nil
		}, 403},
		{"no name", func(*http.Request) (control.Principal, bool, error) {
			return control.Principal{Role: control.Admin}, true, nil
		}, 403},
		{"a name of many lines", func(*http.Request) (control.Principal, bool, error) {
			return control.Principal{Name: "kim\n{}", Role: control.Admin}, true, nil
		}, 403},
		{"one of our names", func(*http.Request) (control.Principal, bool, error) {
			return control.Principal{Name: "local", Role: control.Admin}, true, nil
		}, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var logged bytes.Buffer
			inj := fault.New("checkout")
			require.NoError(t, inj.Put(hole("kept")))
			server := httptest.NewUnstartedServer(control.New(inj, control.AllowLoopback(),
				control.WithAuthorizer(tt.f, knows("somebody", control.Admin))))
			server.Config.ErrorLog = log.New(&logged, "", 0)
			server.Start()
			s := &site{t, inj, server.URL, server.Client()}
			for _, req := range [][2]string{{"GET", "/v1/status"}, {"DELETE", "/v1/rules/kept"}, {"POST", "/v1/halt"}} {
				got := s.do(req[0], req[1], "")
				if tt.name == "a principal that it does not know" {
					// The next one is asked, and knows everyone.
					require.Less(t, got.status, 300)
					continue
				}
				require.Equal(t, tt.status, got.status, got.body)
				require.NotContains(t, got.body, "12345")
			}
			server.Close()
			require.Equal(t, tt.status == 500, strings.Contains(logged.String(), "control: panic in control.AuthorizerFunc, nobody was let in: "), logged.String())
		})
	}
}

func TestTheFirstAuthorizerThatKnowsDecides(t *testing.T) {
	never := control.AuthorizerFunc(func(*http.Request) (control.Principal, bool, error) {
		panic("not to be asked")
	})
	h := control.New(fault.New("checkout"), control.WithAuthorizer(knows("kim", control.Viewer), never))
	require.Equal(t, 200, direct(h, remote("GET", "/v1/status")).status)
	require.Equal(t, 403, direct(h, remote("POST", "/v1/halt")).status)

	wrong := control.AuthorizerFunc(func(*http.Request) (control.Principal, bool, error) {
		return control.Principal{}, false, errors.New("revoked")
	})
	h = control.New(fault.New("checkout"), control.WithAuthorizer(wrong, never))
	require.Equal(t, 401, direct(h, remote("GET", "/v1/status")).status)
}

// What a path says plays no part in who may do it: that is asked of the route
// which will be served.
func TestNoPathAvoidsTheGuard(t *testing.T) {
	inj := fault.New("checkout")
	require.NoError(t, inj.Put(hole("kept")))
	h := control.New(inj, control.WithAuthorizer(knows("kim", control.Viewer)))
	mux := http.NewServeMux()
	mux.Handle(prefix+"/", http.StripPrefix(prefix, h))
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, path := range []string{
		"/v1/halt", "/v1/halt/", "//v1/halt", "/v1//halt", "/./v1/halt", "/v1/./halt", "/v1/status/../halt", "/v1/rules/../halt",
		"/v1%2fhalt", "/%2e/v1/halt", "/v1/%2e%2e/v1/halt", "/v1/%68alt", "/V1/HALT", "/v1/Halt", "/v1/halt%00", "/v1/halt?x", "/v1/halt;x",
		"/v1/halt%20", "/%76%31/halt", "/v1/rules/..%2fhalt", "/v1/rules/%2e%2e/halt", "/assets/../v1/halt", "/assets/..%2fv1%2fhalt", "/v1\\halt",
		"/v1/rules/kept", "/v1/rules/kept/", "/v1//rules/kept", "/v1/rules//kept", "/v1/rules/%6bept", "/V1/rules/kept", "/v1/rules/kept/pause",
		"/v1/rules/kept/../kept", "/v1/status/../rules/kept", "/v1/rules/kept/%2e%2e/kept", "/v1/rules%2fkept", "/assets/../v1/rules/kept",
	} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "post", "delete"} {
			req, err := http.NewRequestWithContext(t.Context(), method, server.URL+prefix, strings.NewReader("{}"))
			require.NoError(t, err)
			req.URL.Opaque = "//" + req.URL.Host + prefix + path // as it is, dots and all
			resp, err := server.Client().Transport.RoundTrip(req)
			if err != nil {
				continue // not even a request
			}
			resp.Body.Close()
			require.Contains(t, []int{307, 301, 400, 403, 404, 405}, resp.StatusCode, "%s %s", method, path)
			require.False(t, inj.Status().Halted, "%s %s", method, path)
			require.Len(t, inj.Rules(), 1, "%s %s", method, path)
		}
	}
	// A header of the kind that frameworks take for the method changes nothing.
	got := direct(h, remote("GET", "/v1/status", "X-HTTP-Method-Override", "POST", "X-Original-URL", "/v1/halt", "X-Rewrite-URL", "/v1/halt"))
	require.Equal(t, 200, got.status)
	require.False(t, inj.Status().Halted)
}
