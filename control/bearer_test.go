package control_test

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
)

// bearer is an authorizer that knows one token.
func bearer(t testing.TB, token, name string, role control.Role) control.Authorizer {
	t.Helper()
	a, err := control.BearerTokens(map[string]control.Principal{hash(t, token): {Name: name, Role: role}})
	require.NoError(t, err)
	return a
}

func hash(t testing.TB, token string) string {
	t.Helper()
	hashed, err := control.HashToken(token)
	require.NoError(t, err)
	return hashed
}

const kimsToken = "Zm9yIHRlc3RzOiBub3QgYSBzZWNyZXQ"

func TestHashToken(t *testing.T) {
	require.Equal(t, fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(kimsToken))), hash(t, kimsToken))
	for _, token := range []string{
		"0123456789012345678901", strings.Repeat("x", 1024), "a-b.c_d~e+f/g0123456789==", "6fd3cd8d-2d4a-4f2e-a9a8-1c5b6f5f7a10",
	} {
		hash(t, token)
	}
	for _, token := range []string{
		"", "hunter2", "012345678901234567890", strings.Repeat("x", 1025), kimsToken + "\n", " " + kimsToken, kimsToken + " x",
		"=" + kimsToken, kimsToken + "=x", kimsToken + "ü", kimsToken + "\x00", kimsToken + ",", "Bearer " + kimsToken,
	} {
		_, err := control.HashToken(token)
		require.ErrorContains(t, err, "this is no token", "%q", token)
		if token != "" {
			require.NotContains(t, err.Error(), token, "the error shows it")
		}
	}
}

func TestBearerTokensRefusesMistakes(t *testing.T) {
	kim := control.Principal{Name: "kim", Role: control.Viewer}
	good := hash(t, kimsToken)
	tests := []struct {
		name   string
		tokens map[string]control.Principal
		want   string
	}{
		{"none", nil, "there are no tokens"},
		{"a token in place of its hash", map[string]control.Principal{kimsToken: kim}, `tokens of "kim": a key is not "sha256:" and 64 hexadecimal digits`},
		{"no algorithm", map[string]control.Principal{strings.TrimPrefix(good, "sha256:"): kim}, "sha256:"},
		{"another algorithm", map[string]control.Principal{"sha512" + strings.TrimPrefix(good, "sha256"): kim}, "sha256:"},
		{"too short", map[string]control.Principal{good[:len(good)-2]: kim}, "64 hexadecimal digits"},
		{"half a byte more", map[string]control.Principal{good + "a": kim}, "64 hexadecimal digits"},
		{"too long", map[string]control.Principal{good + "aa": kim}, "64 hexadecimal digits"},
		{"not hexadecimal", map[string]control.Principal{good[:len(good)-1] + "g": kim}, "64 hexadecimal digits"},
		{"empty", map[string]control.Principal{"": kim}, "64 hexadecimal digits"},
		{"the hash of nothing", map[string]control.Principal{fmt.Sprintf("sha256:%x", sha256.Sum256(nil)): kim}, "the token was empty"},
		{"twice, in capitals", map[string]control.Principal{
			good: kim, "sha256:" + strings.ToUpper(good[7:]): {Name: "lee", Role: control.Admin},
		}, `tokens of "lee": one is also that of "kim"`},
		{"no name", map[string]control.Principal{good: {Role: control.Admin}}, "name"},
		{"no role", map[string]control.Principal{good: {Name: "kim"}}, "role"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := control.BearerTokens(tt.tokens)
			require.ErrorContains(t, err, tt.want)
			require.Nil(t, a)
			require.NotContains(t, err.Error(), kimsToken)
		})
	}
	_, err := control.BearerTokens(map[string]control.Principal{"": {}, "x": kim})
	for _, want := range []string{`tokens of "": a key`, `tokens of "".name`, `tokens of "".role`, `tokens of "kim": a key`} {
		require.ErrorContains(t, err, want)
	}
}

func TestAuthorizationHeaders(t *testing.T) {
	const lees = "another-token-of-more-than-22-bytes"
	a, err := control.BearerTokens(map[string]control.Principal{
		hash(t, kimsToken): {Name: "kim", Role: control.Operator},
		"sha256:" + strings.ToUpper(hash(t, lees)[7:]): {Name: "lee", Role: control.Viewer},
	})
	require.NoError(t, err)
	none, wrong := `Bearer realm="misfit"`, `Bearer realm="misfit", error="invalid_token"`
	tests := []struct {
		name   string
		values []string
		want   string // the challenge; empty: let in
	}{
		{"as it should be", []string{"Bearer " + kimsToken}, ""},
		{"a hash in capitals", []string{"Bearer " + lees}, ""},
		{"lower case scheme", []string{"bearer " + kimsToken}, ""},
		{"upper case scheme", []string{"BEARER " + kimsToken}, ""},
		{"two spaces", []string{"Bearer  " + kimsToken}, ""},

		{"none", nil, none},
		{"empty", []string{""}, none},
		{"Basic", []string{"Basic a2ltOg=="}, none},
		{"Basic with the token", []string{"Basic " + kimsToken}, none},
		{"the token alone", []string{kimsToken}, none},
		{"Token", []string{"Token " + kimsToken}, none},
		{"a tab", []string{"Bearer\t" + kimsToken}, none},
		{"no space", []string{"Bearer" + kimsToken}, none},
		{"a colon", []string{"Bearer: " + kimsToken}, none},

		{"empty token", []string{"Bearer"}, wrong},
		{"empty token, space", []string{"Bearer "}, wrong},
		{"another token", []string{"Bearer " + lees + "x"}, wrong},
		{"short token", []string{"Bearer x"}, wrong},
		{"token in capitals", []string{"Bearer " + strings.ToUpper(kimsToken)}, wrong},
		{"the start of the token", []string{"Bearer " + kimsToken[:len(kimsToken)-1]}, wrong},
		{"more than the token", []string{"Bearer " + kimsToken + "="}, wrong},
		{"the hash", []string{"Bearer " + hash(t, kimsToken)}, wrong},
		{"the digits of the hash", []string{"Bearer " + hash(t, kimsToken)[7:]}, wrong},
		{"in quotes", []string{`Bearer "` + kimsToken + `"`}, wrong},
		{"space and tab", []string{"Bearer \t" + kimsToken}, wrong},
		{"a parameter", []string{"Bearer token=" + kimsToken}, wrong},
		{"a list", []string{"Bearer " + kimsToken + ", Bearer " + lees}, wrong},
		{"the scheme twice", []string{"Bearer Bearer " + kimsToken}, wrong},
		{"a very long one", []string{"Bearer " + strings.Repeat("x", 1<<20)}, wrong},
		{"two headers", []string{"Bearer " + kimsToken, "Bearer " + lees}, wrong},
		{"the same twice", []string{"Bearer " + kimsToken, "Bearer " + kimsToken}, wrong},
		{"beside Basic", []string{"Bearer " + kimsToken, "Basic a2ltOg=="}, wrong},
		{"many headers", append(make([]string, 1000), "Bearer "+kimsToken), wrong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := control.New(fault.New("checkout"), control.WithAuthorizer(a))
			req := remote("GET", "/v1/status")
			req.Header["Authorization"] = tt.values
			got := direct(h, req)
			if tt.want == "" {
				require.Equal(t, 200, got.status, got.body)
				return
			}
			p := requireProblem(t, got, 401, "about:blank")
			require.Equal(t, tt.want, got.header.Get("WWW-Authenticate"))
			if tt.want == wrong {
				require.Equal(t, "the credentials are not accepted", p.Detail, "the same for all of them")
			}
		})
	}
	// Where tokens turn up in logs they do not count.
	h := control.New(fault.New("checkout"), control.WithAuthorizer(a))
	require.Equal(t, 401, direct(h, remote("GET", "/v1/status?access_token="+kimsToken)).status)
	require.Equal(t, 401, direct(h, remote("GET", "/v1/status", "Cookie", "token="+kimsToken)).status)
	require.Equal(t, 401, direct(h, remote("GET", "/v1/status", "Proxy-Authorization", "Bearer "+kimsToken)).status)
}

// The hash of a password may be listed, but no password is a token.
func TestPasswordsAreNoTokens(t *testing.T) {
	for _, password := range []string{"hunter2", "correct horse battery staple correct", strings.Repeat("x", 1025)} {
		a, err := control.BearerTokens(map[string]control.Principal{
			fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(password))): {Name: "kim", Role: control.Admin},
		})
		require.NoError(t, err)
		h := control.New(fault.New("checkout"), control.WithAuthorizer(a))
		require.Equal(t, 401, direct(h, remote("GET", "/v1/status", "Authorization", "Bearer "+password)).status)
	}
}

// What net/http makes of the bytes on the wire is not what it is given in memory.
func TestAuthorizationOnTheWire(t *testing.T) {
	server := httptest.NewServer(control.New(fault.New("checkout"), control.WithAuthorizer(bearer(t, kimsToken, "kim", control.Operator))))
	defer server.Close()
	for headers, status := range map[string]int{
		"Authorization: Bearer " + kimsToken:                                    200,
		"AUTHORIZATION:Bearer " + kimsToken:                                     200,
		"authorization:\tBearer " + kimsToken + "  \t":                          200,
		"Authorization: Bearer\t" + kimsToken:                                   401,
		"Authorization: Bearer\r\n " + kimsToken:                                200, // one line in two
		"Authorization: Bearer " + kimsToken + "\x00":                           400,
		"Authorization : Bearer " + kimsToken:                                   400,
		"Authorization: Bearer x\r\nAuthorization: Bearer " + kimsToken:         401,
		"Authorization: Bearer " + strings.Repeat("x", 2<<20):                   431,
		strings.Repeat("A: b\r\n", 1000) + "Authorization: Bearer " + kimsToken: 200,
		strings.Repeat("Authorization: Basic a2ltOg==\r\n", 1000) + "A: b":      401,
		"Connection: Authorization\r\nAuthorization: Bearer " + kimsToken:       200,
		"Content-Length: 0\r\nX-Authorization: Bearer " + kimsToken:             401,
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		go func() { // who is refused for size has not read everything
			_, _ = io.WriteString(conn, "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n"+headers+"\r\n\r\n")
		}()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, "%.60q", headers)
		require.Equal(t, status, resp.StatusCode, "%.60q", headers)
		conn.Close()
	}
}

// A token that the list does not know may be one that the next authorizer knows.
func TestBearerTokensBeforeAnother(t *testing.T) {
	jwt := strings.Repeat("x", 5000)
	other := control.AuthorizerFunc(func(r *http.Request) (control.Principal, bool, error) {
		return control.Principal{Name: "lee", Role: control.Operator}, r.Header.Get("Authorization") == "Bearer "+jwt, nil
	})
	h := control.New(fault.New("checkout"), control.WithAuthorizer(bearer(t, kimsToken, "kim", control.Viewer), other))
	require.Equal(t, 403, direct(h, remote("POST", "/v1/halt", "Authorization", "Bearer "+kimsToken)).status)
	require.Equal(t, 200, direct(h, remote("POST", "/v1/halt", "Authorization", "Bearer "+jwt)).status)
	require.Equal(t, 401, direct(h, remote("POST", "/v1/halt", "Authorization", "Bearer "+jwt[1:])).status)
}

// Nothing but the token opens, whatever else is sent, and nothing fails.
func FuzzAuthorization(f *testing.F) {
	opens := regexp.MustCompile(`^(?i:bearer) +` + kimsToken + `$`)
	a := bearer(f, kimsToken, "kim", control.Admin)
	f.Add("Bearer "+kimsToken, "")
	f.Fuzz(func(t *testing.T, first, second string) {
		h := control.New(fault.New("checkout"), control.WithAuthorizer(a))
		req := remote("GET", "/v1/status")
		req.Header["Authorization"] = []string{first}
		if second != "" {
			req.Header["Authorization"] = []string{first, second}
		}
		got := direct(h, req)
		if second == "" && opens.MatchString(first) {
			require.Equal(t, 200, got.status)
			return
		}
		p := requireProblem(t, got, 401, "about:blank")
		require.Contains(t, got.header.Get("WWW-Authenticate"), `Bearer realm="misfit"`)
		if len(first) > 8 {
			require.NotContains(t, p.Detail, first)
		}
	})
}
