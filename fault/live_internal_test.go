package fault

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// A clock that jumps cannot be had in a test, so the two readings of time are
// set apart by hand.
func TestEitherClockEndsARule(t *testing.T) {
	now := time.Now()
	for name, l := range map[string]*liveRule{
		"time has passed, the clock jumped back":     {deadline: now.Add(-1), rule: Rule{Expires: now.Add(time.Hour).Round(0)}},
		"the clock jumped ahead, no time has passed": {deadline: now.Add(time.Hour), rule: Rule{Expires: now.Add(-1).Round(0)}},
	} {
		require.True(t, l.expired(now), name)
	}
	require.False(t, (&liveRule{deadline: now.Add(1), rule: Rule{Expires: now.Add(1).Round(0)}}).expired(now))
}

func TestExpiryDoesNotNeedTheCleanup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := New("svc")
		db := inj.Point("custom", "db")
		require.NoError(t, inj.Put(Rule{
			ID:     "r",
			Target: Target{Points: []string{"db"}},
			Scope:  scope.Everyone(),
			Fault:  Fault{Error: &ErrorFault{Class: Refused}},
			TTL:    time.Minute,
		}))
		inj.rules["r"].cleanup.Stop()
		require.Error(t, db.Inject(context.Background(), Operation{}))
		time.Sleep(time.Minute)
		require.NoError(t, db.Inject(context.Background(), Operation{}))
		status, ok := inj.Rule("r")
		require.True(t, ok)
		require.Equal(t, map[SkipReason]uint64{SkipExpired: 1}, status.Skips)
	})
}

// trusting is a verifier that accepts everything.
type trusting struct{}

func (trusting) VerifyToken(string) (Token, error) {
	rule := Rule{Target: Target{Points: []string{"db"}}, Fault: Fault{BlackHole: true}}
	now := time.Now()
	return Token{ID: "t", Subject: "s", NotBefore: now, Expires: now.Add(time.Hour), Rules: []Rule{rule}}, nil
}

func (trusting) OnRevocation(func()) {}

// BenchmarkVerifiedToken measures what it costs to know a token again, of 450
// bytes, among as many as there can be.
func BenchmarkVerifiedToken(b *testing.B) {
	inj := New("svc", WithTokens(trusting{}))
	texts := make([]string, maxCarried)
	for i := range texts {
		texts[i] = fmt.Sprintf("%0450d", i)
		if _, err := inj.takeToken(texts[i]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, err := inj.takeToken(texts[i%maxCarried]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
