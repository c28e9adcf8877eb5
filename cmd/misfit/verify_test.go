package main

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

// signed signs claims that the command itself would not.
func signed(t testing.TB, private string, change func(*token.Claims)) string {
	t.Helper()
	s, err := readSigner(private)
	require.NoError(t, err)
	now := time.Now()
	claims := token.Claims{Issuer: s.Issuer, Audience: s.Audience, Token: fault.Token{
		ID: "game-day", Subject: "kim", NotBefore: now, Expires: now.Add(time.Hour),
		Rules: []fault.Rule{{Target: fault.Target{Points: []string{"ratings"}}, Fault: fault.Fault{Panic: true}}},
	}}
	change(&claims)
	text, err := token.Sign(s.Key, claims)
	require.NoError(t, err)
	return text
}

func unchanged(*token.Claims) {}

func TestVerify(t *testing.T) {
	private, public := keys(t, "-id", "k1", "-issuer", "misfit")
	otherPrivate, _ := keys(t, "-id", "k2")
	samePrivate, _ := keys(t, "-id", "k1")
	secretPrivate, _ := keys(t, "-id", "k1", "-algorithm", "HS256")
	good := signed(t, private, unchanged)
	header, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

	for _, tt := range []struct {
		name string
		text string
		want string // "" if it is accepted
	}{
		{"good", good, ""},
		{"another environment", signed(t, private, func(c *token.Claims) { c.Audience = "production" }), `is for the environment "production"; this is "test"`},
		{"expired", signed(t, private, func(c *token.Claims) {
			c.NotBefore, c.Expires = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
		}), "expired 1m"},
		{"not yet good", signed(t, private, func(c *token.Claims) {
			c.NotBefore, c.Expires = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		}), "is not valid before"},
		{"another issuer", signed(t, private, func(c *token.Claims) { c.Issuer = "me" }), `is issued by "me"; accepted are "misfit"`},
		{"another key", signed(t, otherPrivate, unchanged), `no key in force is named "k2"; ` + public + " has k1 (EdDSA)"},
		{"a key of the same name", signed(t, samePrivate, unchanged), "signature is not that of the key"},
		{"a secret of the same name", signed(t, secretPrivate, unchanged), `it is signed with HS256; key "k1" is for EdDSA`},
		{"altered", header + "." + part(strings.Replace(decoded(t, payload), "ratings", "payment", 1)) + "." + signature, "signature is not that of the key"},
		{"no signature", header + "." + payload + ".", "its signature has 0 bytes"},
		{"alg none", part(`{"alg":"none","kid":"k1"}`) + "." + payload + "." + signature, `it is signed with "none"`},
		{"nonsense", "nonsense", "not a token: is not a compact JWS"},
		{"too long", good + strings.Repeat("A", fault.MaxTokenBytes), "at most 4096"},
	} {
		r := misfit("token", "verify", "-keys", public, tt.text)
		if tt.want == "" {
			require.Zero(t, r.status, "%s: %s", tt.name, r.err)
			require.Empty(t, r.err)
			require.True(t, strings.HasPrefix(r.out, "Genuine, current and not revoked"), r.out)
			require.Contains(t, r.out, "game-day")
		} else {
			require.Equal(t, statusNo, r.status, tt.name)
			require.Empty(t, r.out, tt.name)
			require.Contains(t, r.err, tt.want, tt.name)
			require.NotContains(t, r.err, "not accepted", "%s: the user has the keys", tt.name)
		}

		r = misfit("token", "verify", "-keys", public, "-o", "json", tt.text)
		var got description
		require.NoError(t, json.Unmarshal([]byte(r.out), &got), tt.name)
		require.Equal(t, tt.want == "", got.Verified, tt.name)
		require.Contains(t, got.Reason, tt.want, tt.name)
		require.Equal(t, tt.want == "", r.status == statusDone, tt.name)
		require.Equal(t, len(tt.text), got.Bytes, tt.name)
	}
}

func decoded(t testing.TB, part string) string {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(part)
	require.NoError(t, err)
	return string(data)
}

func TestVerifyRevoked(t *testing.T) {
	private, public := keys(t)
	text := signed(t, private, unchanged)
	done(t, "token", "verify", "-keys", public, text)
	set := readKeys(t, public)
	set.Revoked = []string{"game-day"}
	data, err := json.Marshal(set)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(public, data, 0o644))
	r := misfit("token", "verify", "-keys", public, text)
	require.Equal(t, statusNo, r.status)
	require.Contains(t, r.err, `refused: "game-day" has been revoked`)
}

func TestVerifyForAService(t *testing.T) {
	private, public := keys(t)
	all := signed(t, private, unchanged)
	some := signed(t, private, func(c *token.Claims) { c.Services = []string{"shop", "stock"} })
	done(t, "token", "verify", "-keys", public, "-service", "checkout", all)
	done(t, "token", "verify", "-keys", public, "-service", "stock", some)
	require.Contains(t, done(t, "token", "verify", "-keys", public, some), "only shop, stock")
	r := misfit("token", "verify", "-keys", public, "-service", "checkout", some)
	require.Equal(t, statusNo, r.status)
	require.Contains(t, r.err, "the token is for shop, stock, not for checkout")
}

func TestReadingTokens(t *testing.T) {
	private, public := keys(t)
	text := signed(t, private, unchanged)
	for _, command := range [][]string{{"token", "inspect"}, {"token", "verify", "-keys", public}} {
		want := done(t, append(command, "-o", "json", text)...)
		for _, tt := range []struct {
			stdin string
			args  []string
		}{
			{"", []string{" " + text + "\n"}},
			{text, nil},
			{text + "\r\n", nil},
			{"\n" + text + "\n", []string{"-"}},
		} {
			r := misfitWith(tt.stdin, append(append(command, "-o", "json"), tt.args...)...)
			require.Zero(t, r.status, r.err)
			require.Equal(t, want, r.out)
		}
		for _, stdin := range []string{"", " \n"} {
			r := misfitWith(stdin, command...)
			require.Equal(t, statusUsage, r.status)
			require.Contains(t, r.err, "standard input is empty")
		}
		r := misfitWith(strings.Repeat("A", maxInputBytes+1), append(command, "-")...)
		require.Equal(t, statusFile, r.status)
	}

	// Nobody waits for a terminal without a word.
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	var messages strings.Builder
	require.Equal(t, statusUsage, run([]string{"token", "inspect"}, null, &messages, &messages))
	require.Contains(t, messages.String(), "which token?")
}

func TestInspect(t *testing.T) {
	private, _ := keys(t, "-id", "k1")
	text := signed(t, private, func(c *token.Claims) {
		c.Services = []string{"shop"}
		c.NotBefore = time.Now().Add(time.Minute)
		c.Rules = append(c.Rules, fault.Rule{Target: fault.Target{Except: &fault.Except{Points: []string{"pay"}}}, Fault: fault.Fault{BlackHole: true}})
	})
	out := done(t, "token", "inspect", text)
	require.True(t, strings.HasPrefix(out, "Not verified"))
	for _, want := range []string{
		"token     game-day\n", "asked by  kim\n", "for       environment test, only shop\n",
		"signed    by misfit with key k1 (EdDSA)\n", "begins    in ", "expires   in ",
		"rule 1    panic at ratings, for every request that carries it\n",
		"rule 2    black hole at every dependency but not pay, for every request that carries it\n",
		`          {"target":{"except":{"points":["pay"]}},"fault":{"blackHole":true}}` + "\n",
	} {
		require.Contains(t, out, want)
	}

	old := signed(t, private, func(c *token.Claims) {
		c.NotBefore, c.Expires = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	})
	require.Contains(t, done(t, "token", "inspect", old), "expired   1h")

	var got description
	require.NoError(t, json.Unmarshal([]byte(done(t, "token", "inspect", "-o", "json", text)), &got))
	require.False(t, got.Verified)
	require.Equal(t, "k1", got.Key)
	require.Len(t, got.Rules, 2)
	require.Equal(t, []string{"shop"}, got.Services)
	require.Equal(t, len(text), got.Bytes)
}

// A forged token does not steer the terminal of who looks into it.
func TestInspectIsPrintable(t *testing.T) {
	private, _ := keys(t)
	const nasty = "\x1b[2Jkim\nVerified\u202e\u009b31m\U000e0041"
	text := signed(t, private, func(c *token.Claims) {
		c.Subject, c.Issuer = nasty, nasty
		c.Rules[0].Target.Points = []string{nasty}
	})
	for _, out := range []string{done(t, "token", "inspect", text), done(t, "token", "inspect", "-o", "json", text)} {
		require.NotContains(t, out, "\x1b")
		require.NotContains(t, out, "\u202e")
		require.NotContains(t, out, "\u009b")
		require.NotContains(t, out, "\nVerified")
		require.Contains(t, out, `\u001b[2Jkim\nVerified\u202e\u009b31m\udb40\udc41`)
	}
	var got description
	require.NoError(t, json.Unmarshal([]byte(done(t, "token", "inspect", "-o", "json", text)), &got))
	require.Equal(t, nasty, got.Subject, "nothing is lost in JSON")

	r := misfit("token", "--\x1b[2J")
	require.Contains(t, r.err, `there is no flag -\u001b[2J`, "and what was typed steers none")
}

func TestVerifyKeyFiles(t *testing.T) {
	private, _ := keys(t)
	text := signed(t, private, unchanged)
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for path, want := range map[string]string{
		empty:                 "is not a services' key file",
		filepath.Dir(private): "-keys: ",
		private:               "has the private half",
	} {
		r := misfit("token", "verify", "-keys", path, text)
		require.Equal(t, statusFile, r.status)
		require.Contains(t, r.err, want)
		require.NotContains(t, r.err, secret(t, private))
	}
}
