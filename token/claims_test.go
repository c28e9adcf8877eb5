package token_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

// What is signed by the right key is still only accepted if it says, in exactly
// one way, something that is for here and now. The reason is for its maker.
func TestGenuineAndRefused(t *testing.T) {
	type raw = json.RawMessage
	rule := func(fields string) raw {
		return raw(`[{"target":{"points":["ratings"]},"fault":{"panic":true}` + fields + `}]`)
	}
	now := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Unix() // as bubbles of synctest begin
	good := payloadAt(now)
	for name, test := range map[string]struct {
		claims object
		want   string
	}{
		"iss missing":   {good.with("iss", nil), "iss: is required"},
		"sub missing":   {good.with("sub", nil), "sub: is required"},
		"aud missing":   {good.with("aud", nil), "aud: is required"},
		"nbf missing":   {good.with("nbf", nil), "nbf: is required"},
		"exp missing":   {good.with("exp", nil), "exp: is required"},
		"jti missing":   {good.with("jti", nil), "jti: is required"},
		"rules missing": {good.with("rules", nil), "rules: is required"},
		"all missing":   {object{}, "iss: is required\nsub: is required\naud: is required\nnbf: is required\nexp: is required\njti: is required\nrules: is required"},
		"iss null":      {good.with("iss", raw("null")), "iss: must not be null"},
		"aud null":      {good.with("aud", raw("null")), "aud: is required"},
		"exp null":      {good.with("exp", raw("null")), "exp: is required"},
		"rules null":    {good.with("rules", raw("null")), "rules: is required"},
		"iss empty":     {good.with("iss", ""), "iss: is required"},
		"jti a number":  {good.with("jti", 7), "jti: want a string, got a number"},
		"jti malformed": {good.with("jti", "-x"), `fault: token: id: "-x" is not 1 to 32 letters, digits and ._- beginning with a letter or digit`},
		"sub too long":  {good.with("sub", strings.Repeat("x", 129)), "fault: token: subject: has 129 bytes; 1 to 128 are allowed: say who asks"},

		"exp a fraction":            {good.with("exp", raw("1e9")), "exp: want whole seconds since 1970, up to the year 9999"},
		"exp with a point":          {good.with("exp", raw("946684900.0")), "exp: want whole seconds since 1970, up to the year 9999"},
		"exp negative":              {good.with("exp", -1), "exp: want whole seconds since 1970, up to the year 9999"},
		"exp minus zero":            {good.with("exp", raw("-0")), "exp: want whole seconds since 1970, up to the year 9999"},
		"exp a string":              {good.with("exp", "946684900"), "exp: want whole seconds since 1970, up to the year 9999"},
		"exp beyond 64 bits":        {good.with("exp", raw("18446744073709551616")), "exp: want whole seconds since 1970, up to the year 9999"},
		"exp beyond 63 bits":        {good.with("exp", raw("9223372036854775808")), "exp: want whole seconds since 1970, up to the year 9999"},
		"exp in the year 10000":     {good.with("exp", raw("253402300800")), "exp: want whole seconds since 1970, up to the year 9999"},
		"exp in milliseconds":       {good.with("exp", (now+600)*1000), "exp: want whole seconds since 1970, up to the year 9999"},
		"nbf a fraction":            {good.with("nbf", raw("0.5")), "nbf: want whole seconds since 1970, up to the year 9999"},
		"iat a fraction":            {good.with("iat", raw("0.5")), "iat: want whole seconds since 1970, up to the year 9999"},
		"exp before nbf":            {good.with("exp", now-2).with("nbf", now-1), "fault: token: expires: 1999-12-31T23:59:58Z is not after 1999-12-31T23:59:59Z"},
		"expired":                   {good.with("exp", now-180).with("nbf", now-600), "expired 3m0s ago, at 1999-12-31T23:57:00Z: make another one"},
		"expired this very moment":  {good.with("exp", now).with("nbf", now-600), "expired 0s ago, at 2000-01-01T00:00:00Z: make another one"},
		"not yet valid":             {good.with("nbf", now+300), "is not valid before 2000-01-01T00:05:00Z, which is in 5m0s"},
		"not yet valid by a second": {good.with("nbf", now+61), "is not valid before 2000-01-01T00:01:01Z, which is in 1m1s"},

		"of another environment":     {good.with("aud", "staging"), `is for the environment "staging"; this is "production"`},
		"of a similar environment":   {good.with("aud", "Production"), `is for the environment "Production"; this is "production"`},
		"of a longer environment":    {good.with("aud", "production-eu"), `is for the environment "production-eu"; this is "production"`},
		"of several others":          {good.with("aud", []string{"a/x", "b", "a", "c", "d", "e", "f"}), `is for the environment "a", "b", "c", "d", "e", …; this is "production"`},
		"of a service elsewhere":     {good.with("aud", "staging/checkout"), `is for the environment "staging"; this is "production"`},
		"of a service of that name":  {good.with("aud", "staging/production"), `is for the environment "staging"; this is "production"`},
		"aud empty":                  {good.with("aud", ""), `aud[0]: want an environment such as "production", or a service in it such as "production/checkout", got ""`},
		"aud without a service":      {good.with("aud", []string{"production", "production/"}), `aud[1]: want an environment such as "production", or a service in it such as "production/checkout", got "production/"`},
		"aud without an environment": {good.with("aud", "/checkout"), `aud[0]: want an environment such as "production", or a service in it such as "production/checkout", got "/checkout"`},
		"aud no list":                {good.with("aud", raw(`[]`)), "aud: is required"},
		"aud a number":               {good.with("aud", 1), "aud: want an array, got a number"},
		"aud with a number":          {good.with("aud", raw(`["production",1]`)), "aud[1]: want a string, got a number"},
		"of an unknown issuer":       {good.with("iss", "mallory"), `is issued by "mallory"; accepted are "ci", "oncall"`},
		"revoked":                    {good.with("jti", "revoked-1"), `"revoked-1" has been revoked: make another one`},
		"revoked and expired":        {good.with("jti", "revoked-1").with("exp", now-1).with("nbf", now-600), `"revoked-1" has been revoked: make another one`},

		"unknown claim":             {good.with("admin", true), "admin: unknown field; known are iss, sub, aud, nbf, exp, iat, jti, rules"},
		"claim in another case":     {good.with("Exp", now), `Exp: unknown field "Exp"; did you mean "exp"?`},
		"rules not a list":          {good.with("rules", raw(`{}`)), "rules: want an array, got an object"},
		"no rules":                  {good.with("rules", raw(`[]`)), "fault: token: rules: has 0 entries; 1 to 16 are allowed"},
		"17 rules":                  {good.with("rules", raw(`[`+strings.Repeat(`{"target":{"points":["r"]},"fault":{"panic":true}},`, 16)+`{"target":{"points":["r"]},"fault":{"panic":true}}]`)), "fault: token: rules: has 17 entries; 1 to 16 are allowed"},
		"rule null":                 {good.with("rules", raw(`[null]`)), "rules[0]: must not be null"},
		"unknown field of a rule":   {good.with("rules", rule(`,"faults":{}`)), `rules[0].faults: unknown field "faults"; did you mean "fault"?`},
		"unknown field of a fault":  {good.with("rules", raw(`[{"target":{"points":["r"]},"fault":{"blackhole":true}}]`)), `rules[0].fault.blackhole: unknown field "blackhole"; did you mean "blackHole"?`},
		"unknown field of a target": {good.with("rules", raw(`[{"target":{"point":["r"]},"fault":{"panic":true}}]`)), `rules[0].target.point: unknown field "point"; did you mean "points"?`},
		"unknown field of a scope":  {good.with("rules", rule(`,"scope":{"customer":["42"]}`)), `rules[0].scope.customer: unknown field "customer"; did you mean "customers"?`},
		"member of a rule twice":    {good.with("rules", raw(`x`)), "rules[0].fault: given more than once"},
		"member of a scope twice":   {good.with("rules", raw(`y`)), "rules[0].scope.customers: given more than once"},
		"rule with an ID":           {good.with("rules", rule(`,"id":"x"`)), "fault: token: rules[0].id: is given by the token; leave it out"},
		"rule with a TTL":           {good.with("rules", rule(`,"ttl":"10h"`)), "fault: token: rules[0].ttl: is that of the token; leave it out"},
		"rule with an expiry":       {good.with("rules", rule(`,"expires":"2100-01-01T00:00:00Z"`)), "fault: token: rules[0].expires: is that of the token; leave it out"},
		"rule without a fault":      {good.with("rules", raw(`[{"target":{"points":["r"]},"fault":{}}]`)), "fault: token: rules[0].fault: does nothing: give a delay, an error, a blackHole, a panic, a stream, a lostReply or a duplicate"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				key, secret := generate(t, "k1"), hmacKey(t, "k2")
				set := production(key, secret)
				set.Issuers, set.Revoked = []string{"ci", "oncall"}, []string{"revoked-1"}
				v := verifier(t, set)
				text := test.claims.twice().String()
				for _, key := range []token.Key{key, secret} {
					signed := jws(t, key, header(key).String(), text)
					for range 2 { // once remembered, no other verdict
						got, err := v.VerifyToken(signed)
						refused(t, err, test.want)
						require.Zero(t, got)
					}
				}
			})
		})
	}
}

// twice puts members in that package json would not write twice.
func (o object) twice() object {
	rules, _ := o["rules"].(json.RawMessage)
	switch string(rules) {
	case "x":
		return o.with("rules", text(`[{"target":{"points":["r"]},"fault":{"panic":true},"fault":{"blackHole":true}}]`))
	case "y":
		return o.with("rules", text(`[{"target":{"points":["r"]},"fault":{"panic":true},"scope":{"customers":["42"],"customers":["*"]}}]`))
	}
	return o
}

func text(s string) json.RawMessage { return json.RawMessage(s) }

// Texts that no object of Go stands for.
func TestGenuineAndNoObject(t *testing.T) {
	key := generate(t, "k1")
	v := verifier(t, production(key))
	good := payload().String()
	for name, test := range map[string]struct{ payload, want string }{
		"claim twice":          {strings.Replace(good, "{", `{"exp":99999999999,`, 1), "exp: given more than once"},
		"claim twice, escaped": {strings.Replace(good, "{", `{"\u0065xp":99999999999,`, 1), "exp: given more than once"},
		"no object":            {`"exp"`, "want an object, got a string"},
		"null":                 {"null", "must not be null"},
		"two objects":          {good + good, "trailing data after the value at 1:" + itoa(len(good)+1)},
		"not JSON":             {"exp=1", "syntax error: invalid character 'e' looking for beginning of value at 1:1"},
		"not UTF-8":            {strings.Replace(good, "kim", "k\xffm", 1), "invalid UTF-8 at 1:" + itoa(strings.Index(good, "kim")+2)},
		"half of a surrogate":  {strings.Replace(good, "kim", `k\ud800m`, 1), `sub: half of a surrogate pair in "k\ud800m@example.com"`},
		"nested":               {strings.Repeat("[", 2000), "nested more than 64 levels deep at 1:65"},
		"a JWE within":         {"eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA", "syntax error: invalid character 'e' looking for beginning of value at 1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := v.VerifyToken(jws(t, key, header(key).String(), test.payload))
			refused(t, err, test.want)
		})
	}
}

func itoa(n int) string { return string(must(json.Marshal(n))) }

// The clock decides at the moment of asking.
func TestLifeOfAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := generate(t, "")
		v := verifier(t, production(key))
		c := claims()
		c.NotBefore = c.NotBefore.Add(2 * token.Leeway)
		c.Expires = c.NotBefore.Add(10 * time.Minute)
		text := sign(t, key, c)
		_, err := v.VerifyToken(text)
		refused(t, err, "is not valid before 2000-01-01T00:02:00Z, which is in 2m0s")
		time.Sleep(token.Leeway - 1)
		_, err = v.VerifyToken(text)
		refused(t, err, "is not valid before 2000-01-01T00:02:00Z, which is in 1m0s")
		time.Sleep(time.Nanosecond)
		got, err := v.VerifyToken(text)
		require.NoError(t, err, "within the leeway")
		require.Equal(t, c.Token, got)
		time.Sleep(time.Until(c.Expires) - 1)
		_, err = v.VerifyToken(text)
		require.NoError(t, err)
		time.Sleep(time.Nanosecond)
		_, err = v.VerifyToken(text)
		refused(t, err, "expired 0s ago, at 2000-01-01T00:12:00Z: make another one")
		time.Sleep(time.Hour)
		_, err = v.VerifyToken(text)
		refused(t, err, "expired 1h0m0s ago, at 2000-01-01T00:12:00Z: make another one")
	})
}

func TestAudience(t *testing.T) {
	key := generate(t, "k1")
	for name, test := range map[string]struct {
		aud  any
		want []string
	}{
		"the environment":             {"production", nil},
		"in a list":                   {[]string{"production"}, nil},
		"a service":                   {"production/checkout", []string{"checkout"}},
		"services":                    {[]string{"production/checkout", "production/cart"}, []string{"checkout", "cart"}},
		"a service twice":             {[]string{"production/checkout", "production/checkout"}, []string{"checkout"}},
		"a service and all":           {[]string{"production/checkout", "production"}, nil},
		"all and a service":           {[]string{"production", "production/checkout"}, nil},
		"other environments too":      {[]string{"staging", "production/checkout", "staging/cart"}, []string{"checkout"}},
		"all, and elsewhere one":      {[]string{"staging/cart", "production"}, nil},
		"a service with a slash":      {"production/shop/checkout", []string{"shop/checkout"}},
		"a service of the same name":  {[]string{"production/production"}, []string{"production"}},
		"all elsewhere, a service us": {[]string{"staging", "production/a"}, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := verifier(t, production(key))
			got, err := v.VerifyToken(jws(t, key, header(key).String(), payload().with("aud", test.aud).String()))
			require.NoError(t, err)
			require.Equal(t, test.want, got.Services)
		})
	}
}

// iat is what other makers of tokens write; it changes nothing.
func TestIssuedAt(t *testing.T) {
	key := generate(t, "k1")
	v := verifier(t, production(key))
	for _, iat := range []int64{0, 1, time.Now().Unix(), 253402300799} {
		got, err := v.VerifyToken(jws(t, key, header(key).String(), payload().with("iat", iat).String()))
		require.NoError(t, err)
		require.Equal(t, fault.Token{
			ID: "k3v9q2m7xa", Subject: "kim@example.com", NotBefore: got.NotBefore, Expires: got.NotBefore.Add(10 * time.Minute),
			Rules: []fault.Rule{{Target: fault.Target{Points: []string{"ratings"}}, Fault: fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}}}},
		}, got)
	}
}
