package token_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/token"
)

// A test client makes a token, which a service with the public half accepts.
func Example() {
	key, err := token.GenerateKey("2026-01")
	if err != nil {
		panic(err)
	}
	text, err := token.Sign(key, token.Claims{
		Issuer:   "ci",
		Audience: "staging",
		Token: fault.Token{
			ID: token.NewID(), Subject: "kim@example.com",
			NotBefore: time.Now(), Expires: time.Now().Add(10 * time.Minute),
			Rules: []fault.Rule{{
				Target: fault.Target{Points: []string{"ratings"}},
				Scope:  scope.Customers("42"),
				Fault:  fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}},
			}},
		},
	})
	if err != nil {
		panic(err)
	}
	// request.Header.Set("Fault-Token", text)

	verifier, err := token.NewVerifier(token.KeySet{Audience: "staging", Keys: []token.Key{key.Public()}})
	if err != nil {
		panic(err)
	}
	got, err := verifier.VerifyToken(text)
	fmt.Println(got.Subject, got.Rules, err)

	_, err = verifier.VerifyToken(text[:len(text)-4] + "AAAA")
	fmt.Println(errors.Is(err, fault.ErrNotGenuine))

	// Output:
	// kim@example.com [{"target":{"points":["ratings"]},"scope":{"customers":["42"]},"fault":{"error":{"class":"unavailable"}}}] <nil>
	// true
}

// What services get is the public half, in a file that they follow.
func ExampleWatchFile() {
	dir, err := os.MkdirTemp("", "misfit")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "keys.json")

	key, err := token.GenerateKey("2026-01")
	if err != nil {
		panic(err)
	}
	data, err := json.Marshal(token.KeySet{Audience: "production", Issuers: []string{"ci", "oncall"}, Keys: []token.Key{key.Public()}})
	if err != nil {
		panic(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		panic(err)
	}

	ctx, stop := context.WithCancel(context.Background()) // usually that of main
	defer stop()
	verifier, err := token.WatchFile(ctx, path, token.OnError(func(err error) {
		fmt.Println("no token is accepted while:", err)
	}))
	if err != nil {
		panic(err)
	}
	fmt.Println(verifier.Keys())
	// Output:
	// audience production; issuers: ci, oncall; keys: 2026-01 (EdDSA); 0 revoked
}

func ExampleVerifier_Replace() {
	old, err := token.GenerateKey("2026-01")
	if err != nil {
		panic(err)
	}
	next, err := token.GenerateKey("2026-02")
	if err != nil {
		panic(err)
	}
	verifier, err := token.NewVerifier(token.KeySet{Audience: "production", Keys: []token.Key{old.Public()}})
	if err != nil {
		panic(err)
	}
	verifier.OnRevocation(func() { fmt.Println("whoever remembers tokens asks again") })

	keys := verifier.Keys()
	keys.Keys = append(keys.Keys, next.Public())
	keys.Revoked = append(keys.Revoked, "k3v9q2m7xa")
	if err := verifier.Replace(keys); err != nil {
		panic(err)
	}
	fmt.Println(verifier.Keys())
	// Output:
	// whoever remembers tokens asks again
	// audience production; issuers: anyone who has a key; keys: 2026-01 (EdDSA), 2026-02 (EdDSA); 1 revoked
}

func ExampleHMACKey() {
	secret := []byte("0hGv9kq2…: 32 or more bytes drawn at random")
	key, err := token.HMACKey("small", secret)
	fmt.Println(key, err)

	_, err = token.HMACKey("small", []byte("changeme"))
	fmt.Println(err)
	// Output:
	// small (HS256) <nil>
	// token: the secret of key "small" has 8 bytes; 32 to 1024 are allowed
}

func ExampleParseKeySet() {
	_, err := token.ParseKeySet([]byte(`{
		"audience": "production/checkout",
		"issuer":   ["ci"],
		"keys":     [{"kty": "OKP", "crv": "Ed25519", "kid": "2026-01", "x": "AAAA"}]
	}`))
	fmt.Println(err)
	// Output:
	// token: key set: issuer: unknown field "issuer"; did you mean "issuers"?
	// keys[0].x: has 3 bytes; want 32
}

func ExampleInspect() {
	text := "eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtMDEifQ." +
		"eyJpc3MiOiJjaSIsInN1YiI6ImtpbSIsImF1ZCI6InN0YWdpbmciLCJuYmYiOjE3Njc4NjAwMDAsImV4cCI6MTc2Nzg2MDYwMCwianRpIjoiazN2OXEybTciLCJydWxlcyI6W3sidGFyZ2V0Ijp7InBvaW50cyI6WyJyYXRpbmdzIl19LCJmYXVsdCI6eyJwYW5pYyI6dHJ1ZX19XX0." +
		"AAAA" // nobody's signature
	header, claims, err := token.Inspect(text)
	fmt.Println(header.KeyID, claims.Subject, claims.Audience, claims.Expires, claims.Rules, err)
	// Output:
	// 2026-01 kim staging 2026-01-08 08:23:20 +0000 UTC [{"target":{"points":["ratings"]},"fault":{"panic":true}}] <nil>
}
