package token_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

func generate(t testing.TB, id string) token.Key {
	t.Helper()
	key, err := token.GenerateKey(id)
	require.NoError(t, err)
	return key
}

func hmacKey(t testing.TB, id string) token.Key {
	t.Helper()
	secret := sha256.Sum256([]byte(id))
	key, err := token.HMACKey(id, secret[:])
	require.NoError(t, err)
	return key
}

// production is a key set with the public halves of keys.
func production(keys ...token.Key) token.KeySet {
	set := token.KeySet{Audience: "production"}
	for _, k := range keys {
		set.Keys = append(set.Keys, k.Public())
	}
	return set
}

func verifier(t testing.TB, keys token.KeySet, options ...token.Option) *token.Verifier {
	t.Helper()
	v, err := token.NewVerifier(keys, options...)
	require.NoError(t, err)
	return v
}

// ratings is the rule of the token that the examples have.
func ratings() fault.Rule {
	return fault.Rule{
		Target: fault.Target{Points: []string{"ratings"}},
		Scope:  scope.Customers("42"),
		Fault:  fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}},
	}
}

// claims are good from now on, for ten minutes.
func claims() token.Claims {
	now := time.Now().Truncate(time.Second).UTC()
	return token.Claims{
		Issuer: "ci", Audience: "production",
		Token: fault.Token{
			ID: "k3v9q2m7xa", Subject: "kim@example.com",
			NotBefore: now, Expires: now.Add(10 * time.Minute),
			Rules: []fault.Rule{ratings()},
		},
	}
}

func sign(t testing.TB, key token.Key, c token.Claims) string {
	t.Helper()
	text, err := token.Sign(key, c)
	require.NoError(t, err)
	return text
}

// object is JSON with members in the order of their names. A member whose value
// is nil is left out.
type object map[string]any

func (o object) with(name string, value any) object {
	o = maps.Clone(o)
	o[name] = value
	return o
}

func (o object) String() string {
	var members []string
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if o[name] == nil {
			continue
		}
		value, err := json.Marshal(o[name])
		if err != nil {
			panic(err)
		}
		members = append(members, fmt.Sprintf("%q:%s", name, value))
	}
	return "{" + strings.Join(members, ",") + "}"
}

// payload is the JSON of claims, made without package token.
func payload() object { return payloadAt(time.Now().Unix()) }

func payloadAt(now int64) object {
	return object{
		"iss": "ci", "sub": "kim@example.com", "aud": "production", "jti": "k3v9q2m7xa", "nbf": now, "exp": now + 600,
		"rules": json.RawMessage(`[{"target":{"points":["ratings"]},"fault":{"error":{"class":"unavailable"}}}]`),
	}
}

// jws signs any header and payload with key, without package token.
func jws(t testing.TB, key token.Key, header, payload string) string {
	t.Helper()
	input := encode(header) + "." + encode(payload)
	if key.Algorithm() == "HS256" {
		return input + "." + encode(hs256(octets(t, key, "k"), input))
	}
	private := ed25519.NewKeyFromSeed(octets(t, key, "d"))
	return input + "." + encode(string(ed25519.Sign(private, []byte(input))))
}

func hs256(secret []byte, input string) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(input))
	return string(mac.Sum(nil))
}

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func decode(t testing.TB, text string) string {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(text)
	require.NoError(t, err)
	return string(data)
}

func header(key token.Key) object { return object{"alg": key.Algorithm(), "kid": key.ID()} }

// octets returns a member of a key's JSON.
func octets(t testing.TB, key token.Key, member string) []byte {
	t.Helper()
	text, err := json.Marshal(key)
	require.NoError(t, err)
	var members map[string]string
	require.NoError(t, json.Unmarshal(text, &members))
	return []byte(decode(t, members[member]))
}

// write writes v as JSON, or as it is if it is a string.
func write(t testing.TB, path string, v any) {
	t.Helper()
	text, ok := v.(string)
	if !ok {
		data, err := json.Marshal(v)
		require.NoError(t, err)
		text = string(data)
	}
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

// replace writes beside path and renames, as careful editors do.
func replace(t testing.TB, path string, v any) {
	t.Helper()
	next := filepath.Join(filepath.Dir(path), "next")
	write(t, next, v)
	require.NoError(t, os.Rename(next, path))
}

// notGenuine holds that a text was refused with no more than that for whoever
// sent it, and with text in the detail.
func notGenuine(t testing.TB, err error, text string) {
	t.Helper()
	require.ErrorIs(t, err, fault.ErrNotGenuine)
	require.ErrorContains(t, err, text)
	require.True(t, strings.HasPrefix(err.Error(), "token: the token is not accepted: "), err)
	require.NotContains(t, err.Error(), "internal error", "a panic was contained")
	require.Less(t, len(err.Error()), 4096)
}

// refused holds that a genuine token was refused, with a text for its maker.
func refused(t testing.TB, err error, text string) {
	t.Helper()
	require.Error(t, err)
	require.NotErrorIs(t, err, fault.ErrNotGenuine)
	require.Equal(t, "token: "+text, err.Error())
}
