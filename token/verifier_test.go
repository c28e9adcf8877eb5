package token_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

var _ fault.TokenVerifier = (*token.Verifier)(nil)

func TestNothingIsAcceptedWithoutKeys(t *testing.T) {
	text := sign(t, generate(t, "k1"), claims())
	for name, test := range map[string]struct {
		v    *token.Verifier
		want string
	}{
		"nil":     {nil, "no keys are in force: none were given"},
		"zero":    {new(token.Verifier), "no keys are in force: none were given"},
		"no keys": {verifier(t, production()), `no key in force is named "k1"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.v.VerifyToken(text)
			notGenuine(t, err, test.want)
			test.v.OnRevocation(func() {})
			test.v.OnRevocation(nil)
			require.Empty(t, test.v.Keys().Keys)
		})
	}
	require.EqualError(t, (*token.Verifier)(nil).Replace(production()), "token: make the Verifier with NewVerifier")
	require.EqualError(t, new(token.Verifier).Replace(production()), "token: make the Verifier with NewVerifier")
}

// A token that was accepted is not, at once, when it or its key is revoked, and
// who remembers it is told.
func TestRevocation(t *testing.T) {
	old, next := generate(t, "2026-01"), generate(t, "2026-02")
	impostor := generate(t, "2026-01")
	text := sign(t, old, claims())
	revoked := production(old, next)
	revoked.Revoked = []string{"k3v9q2m7xa"}
	otherRevoked := production(old, next)
	otherRevoked.Revoked = []string{"k3v9q2m7x"}
	elsewhere := production(old, next)
	elsewhere.Audience = "staging"
	otherIssuer := production(old)
	otherIssuer.Issuers = []string{"oncall"}
	for name, test := range map[string]struct {
		keys    token.KeySet
		genuine string // why it is refused though genuine
		forged  string // why it is not genuine
	}{
		"the token":                   {revoked, `"k3v9q2m7xa" has been revoked: make another one`, ""},
		"another token":               {otherRevoked, "", ""},
		"the key":                     {production(next), "", `no key in force is named "2026-01"`},
		"every key":                   {production(), "", `no key in force is named "2026-01"`},
		"the key, by one of its name": {production(impostor, next), "", "signature is not that of the key"},
		"the key, by an HMAC key":     {production(hmacKey(t, "2026-01")), "", `key "2026-01" is for HS256`},
		"another key":                 {production(old), "", ""},
		"the environment":             {elsewhere, `is for the environment "production"; this is "staging"`, ""},
		"the issuer":                  {otherIssuer, `is issued by "ci"; accepted are "oncall"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := verifier(t, production(old, next))
			var told []string
			v.OnRevocation(func() {
				_, err := v.VerifyToken(text) // as it will be from now on
				told = append(told, fmt.Sprint("first: ", err == nil))
			})
			v.OnRevocation(func() {
				v.OnRevocation(func() {}) // nothing is locked
				told = append(told, "second")
			})
			_, err := v.VerifyToken(text)
			require.NoError(t, err)
			require.Empty(t, told)

			require.NoError(t, v.Replace(test.keys))
			accepted := test.genuine == "" && test.forged == ""
			require.Equal(t, []string{fmt.Sprint("first: ", accepted), "second"}, told)
			require.Equal(t, test.keys, v.Keys())
			for range 3 { // replayed
				_, err = v.VerifyToken(text)
				switch {
				case accepted:
					require.NoError(t, err)
				case test.forged != "":
					notGenuine(t, err, test.forged)
				default:
					refused(t, err, test.genuine)
				}
			}

			require.NoError(t, v.Replace(production(old)))
			_, err = v.VerifyToken(text)
			require.NoError(t, err, "taken back")
		})
	}
}

// A key is changed without a moment in which tokens are refused.
func TestRotation(t *testing.T) {
	old, next := generate(t, "2026-01"), generate(t, "2026-02")
	before, after := sign(t, old, claims()), sign(t, next, claims())
	v := verifier(t, production(old))
	accepts := func(want string) {
		t.Helper()
		_, first := v.VerifyToken(before)
		_, second := v.VerifyToken(after)
		require.Equal(t, want, fmt.Sprint(first == nil, second == nil))
	}
	accepts("true false")
	require.NoError(t, v.Replace(production(old, next)))
	accepts("true true")
	require.NoError(t, v.Replace(production(next)))
	accepts("false true")
}

// What the caller does with a key set afterwards changes nothing.
func TestKeySetsAreCopied(t *testing.T) {
	key := generate(t, "k1")
	set := production(key)
	set.Issuers, set.Revoked = []string{"ci"}, []string{"a"}
	v := verifier(t, set)
	set.Keys[0], set.Issuers[0], set.Revoked[0] = generate(t, "k1").Public(), "x", "k3v9q2m7xa"
	got := v.Keys()
	got.Keys[0], got.Issuers[0], got.Revoked[0] = generate(t, "k1").Public(), "x", "k3v9q2m7xa"
	_, err := v.VerifyToken(sign(t, key, claims()))
	require.NoError(t, err)
	require.Equal(t, []string{"ci"}, v.Keys().Issuers)
}

// Beside others who change the keys, each verdict is one of the two that were
// right at some moment, and right once a change has returned.
func TestConcurrentUse(t *testing.T) {
	key, other := generate(t, "k1"), generate(t, "k2")
	v := verifier(t, production(key, other), token.MaxVerificationsPerSecond(1_000_000))
	text, always := sign(t, key, claims()), sign(t, other, with(claims(), "always"))
	var told atomic.Int64
	v.OnRevocation(func() { told.Add(1) })
	done := make(chan struct{})
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				got, err := v.VerifyToken(always)
				if err != nil || got.ID != "always" {
					t.Error(got, err)
				}
				if _, err = v.VerifyToken(text); err != nil {
					notGenuine(t, err, `no key in force is named "k1"`)
				}
				_, err = v.VerifyToken(text[:len(text)-1] + "AQgw"[i%4:i%4+1]) // one of which may be the good one
				_ = err
				_ = v.Keys().String()
			}
		})
	}
	const changes = 200
	for range changes {
		require.NoError(t, v.Replace(production(other)))
		_, err := v.VerifyToken(text)
		notGenuine(t, err, "no key in force")
		require.NoError(t, v.Replace(production(other, key)))
		_, err = v.VerifyToken(text)
		require.NoError(t, err)
		time.Sleep(10 * time.Microsecond)
	}
	close(done)
	callers.Wait()
	require.EqualValues(t, 2*changes, told.Load())
}
