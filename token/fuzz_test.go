package token_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

// fuzzKeys are the same in every run, as the texts of a corpus are.
func fuzzKeys(t testing.TB) (edDSA, hs256 token.Key) {
	t.Helper()
	require.NoError(t, edDSA.UnmarshalJSON([]byte(`{"kty":"OKP","crv":"Ed25519","kid":"k1",
		"d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`)))
	return edDSA, hmacKey(t, "k2")
}

// FuzzVerify looks at text as a token, and as the payload and the header of one
// that is genuine. Nothing panics, what is refused is refused in the right way,
// and what is accepted says the same when it is signed again.
func FuzzVerify(f *testing.F) {
	edDSA, hs256 := fuzzKeys(f)
	v := verifier(f, production(edDSA, hs256), token.MaxVerificationsPerSecond(1_000_000_000))
	lasting := payload().with("nbf", 0).with("exp", 253402300799)
	for _, header := range []string{`{"alg":"EdDSA","kid":"k1"}`, `{"alg":"HS256","kid":"k2","typ":"JWT"}`, `{"alg":"none","kid":"k1"}`, `{"kid":"k1","alg":"EdDSA","alg":"HS256"}`} {
		f.Add(jws(f, edDSA, header, lasting.String()))
		f.Add(jws(f, hs256, header, lasting.String()))
		f.Add(header)
	}
	for _, claims := range []object{
		lasting, lasting.with("aud", []string{"production/a", "staging"}), lasting.with("iat", 1), lasting.with("exp", 1), lasting.with("exp", nil),
		lasting.with("exp", json.RawMessage("1e9")), lasting.with("x", 1), lasting.with("rules", json.RawMessage(`[{"target":{"points":["*"]},"scope":{"percent":1.5},"fault":{"delay":{"fixed":"2s"}},"limits":{"total":1}}]`)),
	} {
		f.Add(claims.String())
	}
	f.Add("")
	f.Add("..")
	f.Fuzz(func(t *testing.T, text string) {
		// As it is. No one without a key makes a token, but the corpus may have one.
		check(t, v, text, false)
		check(t, v, jws(t, edDSA, `{"alg":"EdDSA","kid":"k1"}`, text), len(text) > 0)
		check(t, v, jws(t, hs256, `{"alg":"HS256","kid":"k2"}`, text), len(text) > 0)
		check(t, v, jws(t, edDSA, text, lasting.String()), false)
	})
}

func check(t *testing.T, v *token.Verifier, text string, genuine bool) {
	t.Helper()
	got, err := v.VerifyToken(text)
	header, c, inspected := token.Inspect(text)
	if err != nil {
		require.Zero(t, got)
		if genuine && len(text) <= fault.MaxTokenBytes {
			require.NotErrorIs(t, err, fault.ErrNotGenuine)
		}
		require.True(t, strings.HasPrefix(err.Error(), "token: "), err)
		require.NotContains(t, err.Error(), "internal error", "a panic was contained")
		require.Less(t, len(err.Error()), 1<<20)
		return
	}
	require.LessOrEqual(t, len(text), fault.MaxTokenBytes)
	require.NoError(t, inspected)
	require.NoError(t, got.Validate())
	require.NotEmpty(t, c.Issuer)
	require.Contains(t, []string{"k1 EdDSA", "k2 HS256"}, header.KeyID+" "+header.Algorithm)
	require.True(t, time.Now().Before(got.Expires))
	require.False(t, time.Now().Add(token.Leeway).Before(got.NotBefore))

	key, _ := fuzzKeys(t)
	again, err := token.Sign(key, token.Claims{Issuer: "fuzz", Audience: "production", Token: got})
	if err != nil {
		require.ErrorContains(t, err, "say less in it", "what is as written may be shorter than as printed")
		return
	}
	same, err := v.VerifyToken(again)
	require.NoError(t, err)
	require.Equal(t, asJSON(t, got), asJSON(t, same))
}

func asJSON(t *testing.T, tok fault.Token) string { return string(must(json.Marshal(tok))) }

// FuzzParseKeySet checks that nothing panics, that what is accepted is safe and
// prints itself back, and that no error gives a secret away.
func FuzzParseKeySet(f *testing.F) {
	edDSA, hs256 := fuzzKeys(f)
	for _, set := range []any{
		production(edDSA, hs256), production(),
		token.KeySet{Audience: "p", Issuers: []string{"ci"}, Keys: []token.Key{hs256}, Revoked: []string{"a", "b.c"}},
		map[string]any{"audience": "p", "keys": []token.Key{edDSA}},
		map[string]any{"audience": "p", "keys": []token.Key{hs256, hs256}},
		map[string]any{"audience": "", "keys": nil, "x": 1},
	} {
		f.Add(must(json.Marshal(set)))
	}
	f.Add([]byte(`{"audience":"p","keys":[{"kty":"oct","kid":"a","k":"AAAA","use":"enc","key_ops":["sign"]}]}`))
	f.Add([]byte("{"))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := token.ParseKeySet(data)
		if err != nil {
			require.Zero(t, set)
			require.True(t, strings.HasPrefix(err.Error(), "token: key set: "), err)
			return
		}
		require.NoError(t, set.Validate())
		ids := make(map[string]bool)
		for _, k := range set.Keys {
			require.False(t, ids[k.ID()])
			ids[k.ID()] = true
			require.Equal(t, k.Algorithm() == "HS256", k.CanSign())
		}
		text, err := json.Marshal(set)
		require.NoError(t, err)
		again, err := token.ParseKeySet(text)
		require.NoError(t, err, "%s", text)
		require.JSONEq(t, string(text), string(must(json.Marshal(again))))
		verifier(t, set)
	})
}
