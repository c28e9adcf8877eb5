package control

import (
	"fmt"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

// TestPrune holds that records whose rules are gone do not pile up, and that those
// of live rules stay.
func TestPrune(t *testing.T) {
	inj := fault.New("shop")
	s := newStore()
	save := func(id string) {
		rule := fault.Rule{
			ID: id, Target: fault.Target{Points: []string{"*"}}, Scope: scope.Everyone(),
			Fault: fault.Fault{BlackHole: true}, TTL: time.Hour,
		}
		c := s.begin(inj)
		defer c.done()
		require.NoError(t, inj.Source(Source).Put(rule))
		status, ok := inj.Rule(id)
		require.True(t, ok)
		_, err := c.save(status, c.of(status))
		require.NoError(t, err)
		require.NoError(t, c.commit())
	}
	records := func() int {
		all, err := s.db.Txn(false).Get(rulesTable, idIndex)
		require.NoError(t, err)
		n := 0
		for all.Next() != nil {
			n++
		}
		return n
	}
	for i := range 1_000 {
		save(fmt.Sprint("rule-", i))
	}
	require.Equal(t, 1_000, records(), "a live rule has lost its record")
	for i := range 900 {
		require.True(t, inj.Delete(fmt.Sprint("rule-", i)))
	}
	for range 2 * 1_000 / prunedAtOnce {
		save("one-more")
	}
	require.Equal(t, 101, records())
	inj.Halt()
	for range 2 * 1_000 / prunedAtOnce {
		inj.Resume()
		save("one-more")
	}
	require.Equal(t, 1, records())
}
