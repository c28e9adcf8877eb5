package token_test

import (
	"strings"
	"testing"

	"github.com/misfit-go/misfit/token"
)

// BenchmarkVerify is what a token costs a process by what becomes of it. The
// injector asks once for each token in use, and for each that was refused.
func BenchmarkVerify(b *testing.B) {
	key, secret, stranger := generate(b, "k1"), hmacKey(b, "k2"), generate(b, "k9")
	good, goodHMAC := sign(b, key, claims()), sign(b, secret, claims())
	expired := claims()
	expired.NotBefore, expired.Expires = expired.NotBefore.AddDate(-1, 0, 0), expired.Expires.AddDate(-1, 0, 0)
	many := make([]string, 20_000) // more than are remembered, by far
	manyHMAC := make([]string, len(many))
	for i := range many {
		c := with(claims(), token.NewID())
		many[i], manyHMAC[i] = sign(b, key, c), sign(b, secret, c)
	}
	const unlimited = 1_000_000_000
	for _, test := range []struct {
		name      string
		perSecond int
		text      func(i int) string
		accepted  bool
	}{
		{"good/EdDSA", unlimited, func(i int) string { return many[i%len(many)] }, true},
		{"good/HS256", unlimited, func(i int) string { return manyHMAC[i%len(many)] }, true},
		{"good/remembered", unlimited, func(int) string { return good }, true},
		{"refused/expired", unlimited, func(int) string { return sign(b, key, expired) }, false},
		{"refused/signature/EdDSA", unlimited, func(i int) string { return forgery(good, i) }, false},
		{"refused/signature/HS256", unlimited, func(int) string { return goodHMAC[:len(goodHMAC)-4] + "AAAA" }, false},
		{"refused/rate", 1, func(i int) string { return forgery(good, i) }, false},
		{"refused/kid", unlimited, func() func(int) string { text := sign(b, stranger, claims()); return func(int) string { return text } }(), false},
		{"refused/alg", unlimited, func() func(int) string {
			text := jws(b, key, `{"alg":"none","kid":"k1"}`, payload().String())
			return func(int) string { return text }
		}(), false},
		{"refused/shape", unlimited, func(int) string { return good + "=" }, false},
		{"refused/dots", unlimited, func() func(int) string { text := strings.Repeat(".", 4096); return func(int) string { return text } }(), false},
		{"refused/4KB", unlimited, func() func(int) string {
			text := good + strings.Repeat("A", 4096-len(good))
			return func(int) string { return text }
		}(), false},
		{"refused/8MB", unlimited, func() func(int) string { text := strings.Repeat("A", 8<<20); return func(int) string { return text } }(), false},
	} {
		b.Run(test.name, func(b *testing.B) {
			v := verifier(b, production(key, secret), token.MaxVerificationsPerSecond(test.perSecond))
			text := test.text
			if test.name == "refused/expired" {
				one := text(0)
				text = func(int) string { return one }
			}
			_, _ = v.VerifyToken(text(0)) // the rate, where it is one
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := v.VerifyToken(text(i)); (err == nil) != test.accepted {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	for _, key := range []token.Key{generate(b, "k1"), hmacKey(b, "k2")} {
		b.Run(key.Algorithm(), func(b *testing.B) {
			c := claims()
			for b.Loop() {
				sign(b, key, c)
			}
		})
	}
}
