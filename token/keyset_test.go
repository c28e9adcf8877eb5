package token_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

func TestKeySetInJSON(t *testing.T) {
	key, secret := generate(t, "k1"), hmacKey(t, "k2")
	for _, set := range []token.KeySet{
		production(key, secret),
		{Audience: "staging", Issuers: []string{"ci", "ü"}, Keys: []token.Key{secret}, Revoked: []string{"a", "B.2_c-d"}},
		{Audience: "p", Keys: []token.Key{}},
	} {
		text, err := json.Marshal(set)
		require.NoError(t, err)
		again, err := token.ParseKeySet(text)
		require.NoError(t, err)
		require.Equal(t, set, again)
	}

	// Private halves do not get into the file of a service.
	text, err := json.Marshal(token.KeySet{Audience: "p", Keys: []token.Key{key}})
	require.NoError(t, err)
	again, err := token.ParseKeySet(text)
	require.NoError(t, err)
	require.Equal(t, []token.Key{key.Public()}, again.Keys)

	// Another implementation reads the keys.
	var jwks struct {
		Keys []json.RawMessage `json:"keys"`
	}
	require.NoError(t, json.Unmarshal(must(json.Marshal(production(key, secret))), &jwks))
	require.Len(t, jwks.Keys, 2)
}

func TestBadKeySets(t *testing.T) {
	key, secret := generate(t, "k1"), hmacKey(t, "k2")
	public, private := string(must(json.Marshal(key.Public()))), string(must(json.Marshal(key)))
	hmac := string(must(json.Marshal(secret)))
	set := func(members string) string { return `{"audience":"production",` + members + `}` }
	long := strings.Repeat("x", 129)
	for name, test := range map[string]struct{ text, want string }{
		"empty":                {"", "syntax error: unexpected end of input at 1:1"},
		"half-written":         {set(`"keys":[` + public[:len(public)/2])[:60], "syntax error: unexpected end of input at 1:61"},
		"null":                 {"null", "must not be null"},
		"a list":               {"[]", "want an object, got an array"},
		"two sets":             {set(`"keys":[]`) + "{}", "trailing data after the value at 1:36"},
		"nothing in it":        {"{}", `keys: is required; a set without keys says so with "keys": []` + "\n" + `audience: want an environment such as "production": 1 to 64 letters, digits and ._- beginning with a letter or digit, got ""`},
		"a private key itself": {`{"kty":"OKP"}`, "kty: unknown field; known are audience, issuers, keys, revoked"},
		"keys null":            {set(`"keys":null`), `keys: is required; a set without keys says so with "keys": []`},
		"keys misspelt":        {set(`"key":[]`), `key: unknown field "key"; did you mean "keys"?`},
		"keys twice":           {set(`"keys":[],"keys":[` + public + `]`), "keys: given more than once"},
		"a key null":           {set(`"keys":[` + public + `,null]`), "keys[1]: must not be null"},
		"a bad key":            {set(`"keys":[` + public + `,{"kty":"RSA","kid":"r"}]`), `keys[1].kty: want "OKP", for Ed25519, or "oct", for HMAC, got "RSA"`},
		"member of a key":      {set(`"keys":[{"kid":"a","kid":"b"}]`), "keys[0].kid: given more than once"},
		"a private half":       {set(`"keys":[` + hmac + `,` + private + `]`), `keys[1].d: is the private half of key "k1", with which tokens are signed; services have only the public half: leave d out`},
		"same kid":             {set(`"keys":[` + public + `,` + hmac + `,` + public + `]`), `keys[2].kid: "k1" is that of keys[0] too`},
		"weak secret":          {set(`"keys":[{"kty":"oct","kid":"a","k":"c2VjcmV0"}]`), "keys[0].k: has 6 bytes; 32 to 1024 are allowed"},
		"audience a service":   {`{"audience":"production/checkout","keys":[]}`, `audience: want an environment such as "production": 1 to 64 letters, digits and ._- beginning with a letter or digit, got "production/checkout"`},
		"issuer empty":         {set(`"issuers":["ci",""],"keys":[]`), "issuers[1]: has 0 bytes; 1 to 128 are allowed"},
		"issuer too long":      {set(`"issuers":["` + long + `"],"keys":[]`), "issuers[0]: has 129 bytes; 1 to 128 are allowed"},
		"issuers one string":   {set(`"issuers":"ci","keys":[]`), "issuers: want an array, got a string"},
		"revoked no ID":        {set(`"keys":[],"revoked":["a"," b"]`), `revoked[1]: " b" is not the ID of a token`},
		"revoked too long":     {set(`"keys":[],"revoked":["` + long + `"]`), `revoked[0]: "` + long[:64] + `"… is not the ID of a token`},
		"too many keys":        {set(`"keys":[` + strings.Repeat(public+",", 100) + public + `]`), "keys: has 101 entries; at most 100 are allowed"},
		"too many revoked":     {set(`"keys":[],"revoked":["a"` + strings.Repeat(`,"a"`, 20_000) + `]`), "revoked: has 20001 entries; at most 20000 are allowed"},
		"too large":            {set(`"keys":[]`) + strings.Repeat(" ", 1<<20), "has more than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			set, err := token.ParseKeySet([]byte(test.text))
			require.EqualError(t, err, "token: key set: "+test.want)
			require.Zero(t, set)
		})
	}
}

func TestBadKeySetsFromCode(t *testing.T) {
	key := generate(t, "k1")
	v := verifier(t, production(key))
	for name, test := range map[string]struct {
		set  token.KeySet
		want string
	}{
		"zero":           {token.KeySet{}, `audience: want an environment such as "production"`},
		"no key":         {token.KeySet{Audience: "p", Keys: []token.Key{{}, {}}}, "keys[0]: is empty\nkeys[1]: is empty"},
		"a private half": {token.KeySet{Audience: "p", Keys: []token.Key{key}}, `keys[0].d: is the private half of key "k1"`},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, test.set.Validate(), "token: key set: "+test.want)
			_, err := token.NewVerifier(test.set)
			require.ErrorContains(t, err, "token: key set: "+test.want)
			require.ErrorContains(t, v.Replace(test.set), "token: key set: "+test.want)
			require.Equal(t, production(key), v.Keys(), "nothing has changed")
		})
	}
}

func TestKeySetString(t *testing.T) {
	set := token.KeySet{Audience: "production", Issuers: []string{"ci", "oncall"}, Keys: []token.Key{generate(t, "k1").Public(), hmacKey(t, "k2")}, Revoked: []string{"a"}}
	require.Equal(t, "audience production; issuers: ci, oncall; keys: k1 (EdDSA), k2 (HS256); 1 revoked", fmt.Sprint(set))
	require.Equal(t, "audience ; issuers: anyone who has a key; keys: none; 0 revoked", token.KeySet{}.String())
}
