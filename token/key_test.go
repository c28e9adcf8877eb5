package token_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

func TestGenerateKey(t *testing.T) {
	key := generate(t, "2026-01")
	require.Equal(t, "2026-01", key.ID())
	require.Equal(t, "EdDSA", key.Algorithm())
	require.True(t, key.CanSign())
	require.False(t, key.Public().CanSign())
	require.Equal(t, "2026-01", key.Public().ID())
	require.Equal(t, "EdDSA", key.Public().Algorithm())
	require.Equal(t, key.Public(), key.Public().Public())

	for range 200 {
		key := generate(t, "")
		require.Regexp(t, `^[A-Za-z0-9][A-Za-z0-9_-]{7}$`, key.ID())
		thumbprint := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + encode(string(octets(t, key, "x"))) + `"}`))
		require.Contains(t, encode(string(thumbprint[:])), key.ID(), "RFC 7638")
	}

	for _, id := range []string{" ", "a b", "ä", "a\n", "../x", strings.Repeat("x", 65)} {
		key, err := token.GenerateKey(id)
		require.EqualError(t, err, fmt.Sprintf("token: key ID %s is not 1 to 64 letters, digits and ._-", quoted(id)))
		require.Zero(t, key)
	}
}

func quoted(s string) string {
	if len(s) > 64 {
		return fmt.Sprintf("%q…", s[:64])
	}
	return fmt.Sprintf("%q", s)
}

func TestHMACKey(t *testing.T) {
	secret := sha256.Sum256(nil)
	key, err := token.HMACKey("k2", secret[:])
	require.NoError(t, err)
	require.Equal(t, "HS256", key.Algorithm())
	require.True(t, key.CanSign())
	require.Equal(t, key, key.Public())
	before := sign(t, key, claims())
	for i := range secret {
		secret[i] = 0 // the caller's to erase
	}
	require.Equal(t, before, sign(t, key, claims()))

	good := sha256.Sum256(nil)
	for _, test := range []struct {
		id     string
		secret []byte
		want   string
	}{
		{"k2", nil, `token: the secret of key "k2" has 0 bytes; 32 to 1024 are allowed`},
		{"k2", good[:31], `token: the secret of key "k2" has 31 bytes; 32 to 1024 are allowed`},
		{"k2", make([]byte, 1025), `token: the secret of key "k2" has 1025 bytes; 32 to 1024 are allowed`},
		{"k2", make([]byte, 32), `token: the secret of key "k2" is not random: it repeats itself`},
		{"k2", []byte(strings.Repeat("changeme", 4)), `token: the secret of key "k2" is not random: it repeats itself`},
		{"", good[:], `token: key ID "" is not 1 to 64 letters, digits and ._-`},
	} {
		key, err := token.HMACKey(test.id, test.secret)
		require.EqualError(t, err, test.want)
		require.Zero(t, key)
	}
}

func TestZeroKey(t *testing.T) {
	var key token.Key
	require.Empty(t, key.ID())
	require.Empty(t, key.Algorithm())
	require.False(t, key.CanSign())
	require.Zero(t, key.Public())
	require.Equal(t, "no key", key.String())
	_, err := json.Marshal(key)
	require.ErrorContains(t, err, "token: the key is empty")
}

// A key reads back what it writes, and so does another implementation.
func TestKeyInJSON(t *testing.T) {
	for _, key := range []token.Key{generate(t, ""), generate(t, "k1").Public(), hmacKey(t, "k2")} {
		text, err := json.Marshal(key)
		require.NoError(t, err)
		var again token.Key
		require.NoError(t, json.Unmarshal(text, &again))
		require.Equal(t, key, again)

		other, err := jwkOf(t, key).MarshalJSON()
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(other, &again), "%s", other)
		require.Equal(t, key, again)
	}

	var key token.Key // RFC 8037, appendices A.1 and A.3
	require.NoError(t, json.Unmarshal([]byte(`{"kty":"OKP","crv":"Ed25519","kid":"x",
		"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`), &key))
	require.Equal(t, "x (EdDSA, private)", key.String())
	input := "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc" // appendix A.4
	require.Equal(t, "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
		encode(string(ed25519.Sign(ed25519.NewKeyFromSeed(octets(t, key, "d")), []byte(input)))))
}

func TestBadJWKs(t *testing.T) {
	const (
		x = `"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
		d = `"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"`
		k = `"k":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"`
	)
	// ed and oct begin good keys; the rest of each text spoils it.
	const (
		ed  = `{"kty":"OKP","kid":"a","crv":"Ed25519",`
		oct = `{"kty":"oct","kid":"a",`
	)
	for name, test := range map[string]struct{ jwk, want string }{
		"empty":                {`{}`, `kid: "" is not 1 to 64 letters, digits and ._-` + "\n" + `kty: want "OKP", for Ed25519, or "oct", for HMAC, got ""`},
		"null":                 {`null`, "must not be null"},
		"a string":             {`"` + "secret" + `"`, "want an object, got a string"},
		"RSA":                  {`{"kty":"RSA","kid":"a"}`, `kty: want "OKP", for Ed25519, or "oct", for HMAC, got "RSA"`},
		"of RSA":               {ed + x + `,"n":"AQ","e":"AQAB"}`, "n: unknown field; known are kty, crv, alg, kid, use, key_ops, x, d, k\ne: unknown field; known are kty, crv, alg, kid, use, key_ops, x, d, k"},
		"X25519":               {`{"kty":"OKP","kid":"a","crv":"X25519",` + x + `}`, `crv: want "Ed25519", got "X25519"`},
		"alg of HMAC":          {ed + x + `,"alg":"HS256"}`, `alg: want "EdDSA", got "HS256"`},
		"alg none":             {oct + k + `,"alg":"none"}`, `alg: want "HS256", got "none"`},
		"alg HS512":            {oct + k + `,"alg":"HS512"}`, `alg: want "HS256", got "HS512"`},
		"for encryption":       {ed + x + `,"use":"enc"}`, `use: want "sig", got "enc"`},
		"for other operations": {ed + x + `,"key_ops":["verify","deriveKey"]}`, `key_ops[1]: want "sign" or "verify", got "deriveKey"`},
		"not for verifying":    {oct + k + `,"key_ops":["sign"]}`, `key_ops: lacks "verify"`},
		"kid twice":            {ed + x + `,"kid":"b"}`, "kid: given more than once"},
		"no kid":               {`{"kty":"OKP","crv":"Ed25519",` + x + `}`, `kid: "" is not 1 to 64 letters, digits and ._-`},
		"x missing":            {ed + `"use":"sig"}`, "x: is required"},
		"x padded":             {ed + `"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo="}`, "x: is not base64url without padding"},
		"x with bits left":     {ed + `"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURp"}`, "x: is not base64url without padding"},
		"x on two lines":       {ed + `"x":"11qYAYKxCrfVS_7TyWQHOg\n7hcvPapiMlrwIaaPcHURo"}`, "x: is not base64url without padding"},
		"x too short":          {ed + `"x":"AQID"}`, "x: has 3 bytes; want 32"},
		"x of another d":       {ed + `"x":"EVgLEXi3hMNLyyZxyxcxCnXJ2XGhgA0lkOWuBRVJBIM",` + d + `}`, "x: is not the public half of d"},
		"d too short":          {ed + x + `,"d":"AQID"}`, "d: has 3 bytes; want 32"},
		"d malformed":          {ed + x + `,"d":"secret!"}`, "d: is not base64url without padding"},
		"d without x":          {ed + d + `}`, "x: is required"},
		"k of HMAC":            {ed + x + `,` + k + `}`, "k: is of keys for HMAC only"},
		"HMAC with a curve":    {oct + k + `,"crv":"Ed25519",` + x + `}`, "crv: is of keys for EdDSA only\nx: is of keys for EdDSA only"},
		"HMAC without k":       {oct + `"alg":"HS256"}`, "k: is required"},
		"HMAC, k too short":    {oct + `"k":"c2VjcmV0"}`, "k: has 6 bytes; 32 to 1024 are allowed"},
		"HMAC, k of zeros":     {oct + `"k":"` + encode(string(make([]byte, 32))) + `"}`, "k: is not random: it repeats itself"},
		"HMAC, k malformed":    {oct + `"k":"not/base64"}`, "k: is not base64url without padding"},
	} {
		t.Run(name, func(t *testing.T) {
			var key token.Key
			err := key.UnmarshalJSON([]byte(test.jwk))
			require.EqualError(t, err, test.want)
			require.Zero(t, key)
		})
	}
	for _, good := range []string{ed + x + `}`, ed + x + `,` + d + `,"key_ops":["sign"]}`, ed + x + `,"key_ops":["verify"]}`, oct + k + `,"key_ops":["sign","verify"]}`} {
		require.NoError(t, new(token.Key).UnmarshalJSON([]byte(good)), good)
	}
}

// Anybody can sign for a point of low order: with S = 0 and R = the neutral
// element every eighth message verifies.
func TestWeakPublicKeys(t *testing.T) {
	for _, y := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	} {
		for _, sign := range []byte{0, 0x80} {
			x := must(hex.DecodeString(y))
			x[31] |= sign
			err := new(token.Key).UnmarshalJSON([]byte(`{"kty":"OKP","kid":"a","crv":"Ed25519","x":"` + encode(string(x)) + `"}`))
			require.EqualError(t, err, "x: is a key that anybody can sign for: generate one", y)
		}
	}
}

// No way to print a key, or what has one, shows a secret.
func TestSecretsAreNotPrinted(t *testing.T) {
	private, secret := generate(t, "k1"), hmacKey(t, "k2")
	v := verifier(t, production(private, secret))
	type holder struct {
		Key    token.Key
		hidden token.Key
		Set    token.KeySet
		hide   token.KeySet
	}
	set := token.KeySet{Audience: "production", Keys: []token.Key{private, secret}}
	var printed bytes.Buffer
	values := []any{private, &private, secret, []token.Key{private, secret}, map[string]token.Key{"a": secret}, set, &set, holder{private, secret, set, set}, &holder{private, secret, set, set}, v, v.Keys()}
	for _, value := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
			fmt.Fprintf(&printed, verb+"\n", value)
		}
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&printed, nil), slog.NewJSONHandler(&printed, nil)} {
		log := slog.New(handler)
		log.Info("x", "key", private, "key", secret, "set", set, "verifier", v)
	}
	for _, octets := range [][]byte{octets(t, private, "d"), octets(t, secret, "k")} {
		hexed := hex.EncodeToString(octets)
		for _, text := range []string{
			string(octets), encode(string(octets)), hexed, strings.ToUpper(hexed),
			strings.Trim(fmt.Sprint(octets), "[]"), strings.Trim(fmt.Sprintf("%#v", octets), "[]byte{}"),
		} {
			require.NotContains(t, printed.String(), text)
		}
	}
	require.Contains(t, printed.String(), "k1 (EdDSA, private)")
	require.Contains(t, printed.String(), "audience production; issuers: anyone who has a key; keys: k1 (EdDSA, private), k2 (HS256); 0 revoked")
}
