package fault

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

func ruleAt(priority int, id string) *liveRule {
	return &liveRule{rule: Rule{ID: id, Priority: priority}}
}

// TestRuleChange compares changes with what sorting everything anew gives.
func TestRuleChange(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var list []*liveRule
	for range 500 {
		var c ruleChange
		next := slices.Clone(list)
		for i := range random.IntN(6) {
			c.come = append(c.come, ruleAt(random.IntN(4), fmt.Sprint(random.IntN(1_000_000), "-", i)))
		}
		for range random.IntN(6) {
			if len(next) == 0 {
				break
			}
			i := random.IntN(len(next))
			l := next[i]
			c.gone = append(c.gone, l)
			next = slices.Delete(next, i, i+1)
			if random.IntN(2) == 0 { // an edit, which may move the rule
				c.come = append(c.come, ruleAt(l.rule.Priority-random.IntN(2), l.rule.ID))
			}
		}
		c.sort()
		next = append(next, c.come...)
		slices.SortFunc(next, compareOrder)
		before := slices.Clone(list)
		got := c.of(list)
		require.True(t, slices.Equal(before, list), "what calls are reading has changed")
		require.True(t, slices.Equal(next, got), "the order is another")
		list = got
	}
}

// TestSnapshotsFollow puts, edits and deletes rules of every kind of scope, and
// compares every snapshot with one that is made of all rules at once.
func TestSnapshotsFollow(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	inj := New("shop")
	p := inj.Point("test", "ratings")
	inj.Point("test", "stock")
	scopes := []func() scope.Scope{
		scope.Everyone,
		func() scope.Scope { return scope.Percent(0.1, scope.PerRequest) },
		func() scope.Scope { return scope.Customers(fmt.Sprint("c", random.IntN(3)), "c9") },
		func() scope.Scope { return scope.Requests(fmt.Sprint("r", random.IntN(3))) },
	}
	targets := []string{"ratings", "stock", "*"}
	for range 1_000 {
		var put []Rule
		for i := range random.IntN(4) {
			put = append(put, Rule{
				ID:       fmt.Sprint(i, "-", random.IntN(8)),
				Priority: random.IntN(3),
				Target:   Target{Points: []string{targets[random.IntN(3)]}},
				Scope:    scopes[random.IntN(len(scopes))](),
				Fault:    Fault{BlackHole: true},
				Paused:   random.IntN(4) == 0,
				TTL:      time.Hour,
			})
		}
		var remove []string
		for i := range random.IntN(4) {
			remove = append(remove, fmt.Sprint(i, "-", random.IntN(8)))
		}
		require.NoError(t, inj.Source("test").Change(put, remove))

		var fresh snapshot
		for _, l := range inj.ordered {
			if !l.rule.Paused && l.arming(inj, p) == armedHere {
				fresh = fresh.after(ruleChange{come: []*liveRule{l}})
			}
		}
		require.True(t, slices.IsSortedFunc(inj.ordered, compareOrder))
		require.Equal(t, len(inj.rules), len(inj.ordered))
		var sum shares
		for _, l := range inj.ordered {
			sum += inj.share(l.rule)
		}
		require.Equal(t, sum, inj.tally.share)
		require.Equal(t, fresh.orIdle() == nil, p.snapshot.Load() == nil)
		if s := p.snapshot.Load(); s != nil {
			require.Equal(t, ids(fresh.rules), ids(s.rules))
			require.Equal(t, ids(fresh.scan), ids(s.scan))
			require.Equal(t, idsBy(fresh.byCustomer), idsBy(s.byCustomer))
			require.Equal(t, idsBy(fresh.byRequest), idsBy(s.byRequest))
		}
		require.Equal(t, inj.tally.rules > 0, !inj.Idle())
	}
	inj.Halt()
	require.Nil(t, p.snapshot.Load())
	require.True(t, inj.Idle())
}

func ids(list []*liveRule) []string {
	ids := []string{}
	for _, l := range list {
		ids = append(ids, l.rule.ID)
	}
	return ids
}

func idsBy(index map[string][]*liveRule) map[string][]string {
	by := make(map[string][]string)
	for key, list := range index {
		by[key] = ids(list)
	}
	return by
}

// TestExpireTogether holds that rules which were put together cost one
// publication when they expire, not one each.
func TestExpireTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inj := New("shop")
		p := inj.Point("test", "ratings")
		all := Target{Points: []string{"*"}}
		rules := make([]Rule, 100)
		for i := range rules {
			rules[i] = Rule{ID: fmt.Sprint("rule-", i), Target: all, Scope: scope.Everyone(), Fault: Fault{BlackHole: true}, TTL: time.Minute}
		}
		require.NoError(t, inj.Put(rules...))
		require.NoError(t, inj.Put(Rule{ID: "longer", Target: all, Scope: scope.Everyone(), Fault: Fault{BlackHole: true}, TTL: time.Hour}))
		inj.mu.Lock()
		l := inj.rules["rule-42"]
		inj.mu.Unlock()
		l.cleanup.Stop() // so that another one's timer has to take it
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"longer"}, ids(p.snapshot.Load().rules))
		require.Nil(t, l.current())
		inj.Halt()
	})
}
