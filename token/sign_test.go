package token_test

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

// What is signed is what is read, whatever it is.
func TestSignThenVerify(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	keys := []token.Key{generate(t, ""), generate(t, "2026-01"), hmacKey(t, "k2")}
	texts := []string{"a", "Kim <kim@example.com>", `"\/`, "ü – 猫 😀", "\u2028\x01\t", "a,b;c=d%20", "<&>", strings.Repeat("x", 128)}
	text := func() string { return texts[random.IntN(len(texts))] }
	rules := []fault.Rule{
		ratings(),
		{Target: fault.Target{Points: []string{"*"}, Except: &fault.Except{Operations: []string{"GET /healthz"}}}, Fault: fault.Fault{BlackHole: true}},
		{
			Note: "why? <b>&", Priority: -7, Target: fault.Target{Services: []string{"a"}, Points: []string{"sql:orders-db"}, Operations: []string{"COMMIT"}},
			Scope: scope.Scope{Percent: new(12.5)}, Fault: fault.Fault{Delay: &fault.Delay{Fixed: 1500 * time.Millisecond}}, Limits: fault.Limits{Concurrent: 1, PerSecond: 2, Total: 3},
		},
	}
	for i := range 500 {
		key := keys[random.IntN(len(keys))]
		c := token.Claims{Issuer: text(), Audience: []string{"production", "p", "eu-1.prod_2"}[random.IntN(3)]}
		c.ID, c.Subject = token.NewID(), text()
		for range random.IntN(4) {
			c.Services = append(c.Services, fmt.Sprint(text(), len(c.Services)))
		}
		c.NotBefore = time.Now().Add(-time.Duration(random.Int64N(int64(time.Hour)))).Truncate(time.Second).UTC()
		c.Expires = c.NotBefore.Add(time.Hour + time.Duration(1+random.IntN(1e5))*time.Second)
		for range 1 + random.IntN(5) {
			c.Rules = append(c.Rules, rules[random.IntN(len(rules))])
		}
		signed, err := token.Sign(key, c)
		require.NoError(t, err)
		require.LessOrEqual(t, len(signed), fault.MaxTokenBytes)

		h, got, err := token.Inspect(signed)
		require.NoError(t, err)
		require.Equal(t, token.Header{Algorithm: key.Algorithm(), KeyID: key.ID()}, h)
		require.Equal(t, c, got, i)

		v := verifier(t, token.KeySet{Audience: c.Audience, Issuers: []string{c.Issuer}, Keys: []token.Key{key.Public()}})
		verified, err := v.VerifyToken(signed)
		require.NoError(t, err)
		require.Equal(t, c.Token, verified)
	}
}

// The bytes of a token, as others may depend on them.
func TestTokenOnTheWire(t *testing.T) {
	c := token.Claims{Issuer: "ci", Audience: "production", Token: fault.Token{
		ID: "k3v9q2m7xa", Subject: "Kim <kim@example.com>", NotBefore: time.Unix(1767860000, 0), Expires: time.Unix(1767860600, 0), Rules: []fault.Rule{ratings()},
	}}
	const end = `"nbf":1767860000,"exp":1767860600,"jti":"k3v9q2m7xa","rules":[{"target":{"points":["ratings"]},"scope":{"customers":["42"]},"fault":{"error":{"class":"unavailable"}}}]}`
	for _, key := range []token.Key{generate(t, "k1"), hmacKey(t, "k1")} {
		c.Services = nil
		parts := strings.Split(sign(t, key, c), ".")
		require.Equal(t, `{"alg":"`+key.Algorithm()+`","kid":"k1"}`, decode(t, parts[0]))
		require.Equal(t, `{"iss":"ci","sub":"Kim <kim@example.com>","aud":"production",`+end, decode(t, parts[1]))
		c.Services = []string{"checkout", "cart"}
		parts = strings.Split(sign(t, key, c), ".")
		require.Equal(t, `{"iss":"ci","sub":"Kim <kim@example.com>","aud":["production/checkout","production/cart"],`+end, decode(t, parts[1]))
	}
}

// Fractions of a second are dropped, and with them zones and monotonic clocks.
func TestSignDropsFractions(t *testing.T) {
	key := generate(t, "")
	c := claims()
	c.NotBefore = c.NotBefore.Add(999 * time.Millisecond).In(time.FixedZone("x", 3600))
	c.Expires = c.Expires.Add(time.Nanosecond)
	_, got, err := token.Inspect(sign(t, key, c))
	require.NoError(t, err)
	require.Equal(t, c.NotBefore.Truncate(time.Second).UTC(), got.NotBefore)
	require.Equal(t, c.Expires.Truncate(time.Second), got.Expires)

	c.Expires = c.NotBefore.Truncate(time.Second).Add(999 * time.Millisecond)
	_, err = token.Sign(key, c)
	require.ErrorContains(t, err, "token: claims: expires: ")
	require.ErrorContains(t, err, " is not after ")
}

func TestSignRefuses(t *testing.T) {
	key := generate(t, "k1")
	for name, test := range map[string]struct {
		key    token.Key
		change func(c *token.Claims)
		want   string
	}{
		"no key":          {token.Key{}, func(c *token.Claims) {}, "token: cannot sign with key no key: it is not the private half of one"},
		"a public half":   {key.Public(), func(c *token.Claims) {}, "token: cannot sign with key k1 (EdDSA): it is not the private half of one"},
		"no issuer":       {key, func(c *token.Claims) { c.Issuer = "" }, "token: claims: issuer: has 0 bytes; 1 to 128 are allowed: say who issues the token"},
		"issuer too long": {key, func(c *token.Claims) { c.Issuer = strings.Repeat("x", 129) }, "token: claims: issuer: has 129 bytes; 1 to 128 are allowed: say who issues the token"},
		"issuer no text":  {key, func(c *token.Claims) { c.Issuer = "\xff" }, "token: claims: issuer: is not UTF-8"},
		"no audience":     {key, func(c *token.Claims) { c.Audience = "" }, `token: claims: audience: want an environment such as "production": 1 to 64 letters, digits and ._- beginning with a letter or digit, got ""`},
		"two audiences":   {key, func(c *token.Claims) { c.Audience = "a/b" }, `token: claims: audience: want an environment such as "production": 1 to 64 letters, digits and ._- beginning with a letter or digit, got "a/b"`},
		"no ID":           {key, func(c *token.Claims) { c.ID = "" }, `token: claims: id: "" is not 1 to 32 letters, digits and ._- beginning with a letter or digit`},
		"no subject":      {key, func(c *token.Claims) { c.Subject = "" }, "token: claims: subject: has 0 bytes; 1 to 128 are allowed: say who asks"},
		"subject no text": {key, func(c *token.Claims) { c.Subject = "\xff" }, "token: claims: subject: is not UTF-8"},
		"service no text": {key, func(c *token.Claims) { c.Services = []string{"a", "\xff"} }, "token: claims: services[1]: is not UTF-8"},
		"no service":      {key, func(c *token.Claims) { c.Services = []string{""} }, "token: claims: services[0]: is empty"},
		"no not-before":   {key, func(c *token.Claims) { c.NotBefore = time.Time{} }, "token: claims: notBefore: is required"},
		"no expiry":       {key, func(c *token.Claims) { c.Expires = time.Time{} }, "token: claims: expires: is required: every token expires"},
		"before 1970":     {key, func(c *token.Claims) { c.NotBefore = time.Unix(-1, 0) }, "token: claims: notBefore: is not in the years 1970 to 9999"},
		"after 9999":      {key, func(c *token.Claims) { c.Expires = time.Unix(253402300800, 0) }, "token: claims: expires: is not in the years 1970 to 9999"},
		"no rules":        {key, func(c *token.Claims) { c.Rules = nil }, "token: claims: rules: has 0 entries; 1 to 16 are allowed"},
		"a bad rule":      {key, func(c *token.Claims) { c.Rules[0].ID = "x" }, "token: claims: rules[0].id: is given by the token; leave it out"},
		"everything":      {key, func(c *token.Claims) { *c = token.Claims{} }, "token: claims: issuer: has 0 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			c := claims()
			test.change(&c)
			text, err := token.Sign(test.key, c)
			require.ErrorContains(t, err, test.want)
			require.Empty(t, text)
		})
	}
}

func TestSignBoundsTheSize(t *testing.T) {
	key := generate(t, "k1")
	c := claims()
	for n := 1; ; n++ {
		c.Rules[0].Note = strings.Repeat("x", 1000)
		text, err := token.Sign(key, c)
		if err != nil {
			require.ErrorContains(t, err, "token: has ")
			require.ErrorContains(t, err, " bytes; at most 4096 are allowed: say less in it")
			require.Greater(t, n, 2)
			break
		}
		require.LessOrEqual(t, len(text), fault.MaxTokenBytes)
		c.Rules = append([]fault.Rule{ratings()}, c.Rules...)
	}
}

func TestNewID(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := token.NewID()
		require.Regexp(t, regexp.MustCompile(`^[a-z0-9]{10}$`), id)
		require.False(t, seen[id])
		seen[id] = true
	}
}

// A token with one rule fits into a request's baggage beside others.
func TestSizeInBaggage(t *testing.T) {
	set := scope.Customers("42")
	for _, test := range []struct {
		name   string
		key    token.Key
		change func(c *token.Claims)
	}{
		{"a rule for one customer, EdDSA, derived kid", generate(t, ""), func(c *token.Claims) {}},
		{"the same with a kid of ten characters", generate(t, "2026-01-ci"), func(c *token.Claims) {}},
		{"the same with HS256", hmacKey(t, "2026-01-ci"), func(c *token.Claims) {}},
		{"the same without a scope", generate(t, ""), func(c *token.Claims) { c.Rules[0].Scope = scope.Scope{} }},
		{"a delay in one service", generate(t, ""), func(c *token.Claims) {
			c.Services = []string{"checkout"}
			c.Rules = []fault.Rule{{Target: fault.Target{Points: []string{"ratings"}}, Scope: set, Fault: fault.Fault{Delay: &fault.Delay{Fixed: 2 * time.Second}}}}
		}},
	} {
		c := claims()
		c.ID = token.NewID()
		test.change(&c)
		text := sign(t, test.key, c)
		require.Regexp(t, `^[A-Za-z0-9._-]+$`, text, "nothing that baggage would percent-encode")
		member := "misfit.token=" + text
		t.Logf("%s: %d bytes, as a baggage member %d", test.name, len(text), len(member))
		require.Less(t, len(member), 512)
	}
	t.Log("payload:", decode(t, strings.Split(sign(t, generate(t, ""), claims()), ".")[1]))
}

func TestInspect(t *testing.T) {
	key := generate(t, "k1")
	c := claims()
	text := sign(t, generate(t, "k1"), c) // no one's key
	h, got, err := token.Inspect(text)
	require.NoError(t, err)
	require.Equal(t, token.Header{Algorithm: "EdDSA", KeyID: "k1"}, h)
	require.Equal(t, c, got)

	unsigned := encode(`{"alg":"none","kid":"k1"}`) + "." + strings.Split(text, ".")[1] + "."
	h, got, err = token.Inspect(unsigned)
	require.NoError(t, err)
	require.Equal(t, token.Header{Algorithm: "none", KeyID: "k1"}, h)
	require.Equal(t, c, got)

	h, got, err = token.Inspect(jws(t, key, header(key).String(), payload().with("exp", nil).with("nbf", nil).with("aud", []string{"a", "b/x", "b/y"}).String()))
	require.EqualError(t, err, "token: nbf: is required\nexp: is required")
	require.Equal(t, "k1", h.KeyID)
	require.Equal(t, "ci", got.Issuer)
	require.Equal(t, "a,b", got.Audience)
	require.Equal(t, []string{"a", "b/x", "b/y"}, got.Services)
	require.Equal(t, "k3v9q2m7xa", got.ID)
	require.Zero(t, got.Expires)
	require.Len(t, got.Rules, 1)

	for _, text := range []string{"", "a.b", "a.b.c", strings.Repeat("A", 5000)} {
		h, got, err := token.Inspect(text)
		require.ErrorContains(t, err, "token: ")
		require.Zero(t, h)
		require.Zero(t, got)
	}
}
