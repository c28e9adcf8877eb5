package fault_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

// TestBlackoutsUnderLoad has everything at once, for the race detector, and holds
// that no rule is live in the end.
func TestBlackoutsUnderLoad(t *testing.T) {
	b := new(board)
	var began, ended atomic.Int32
	n := new(notary)
	text := n.issueToken(token("t1", atDB(blackHole)))
	inj := fault.New("svc", withBlackouts(b), fault.WithTokens(n), fault.WithObserver(fault.ObserverFunc(func(e fault.Event) {
		switch e.Kind {
		case fault.BlackoutBegin:
			began.Add(1)
		case fault.BlackoutEnd:
			ended.Add(1)
		}
	})))
	db := inj.Point("custom", "db")
	stop := make(chan struct{})
	var wg sync.WaitGroup
	run := func(f func()) {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f()
				}
			}
		})
	}
	for i := range 4 {
		id := fmt.Sprintf("r%d", i%2)
		run(func() {
			paused := func(r *fault.Rule) { r.Paused = rand.IntN(2) == 0 }
			_ = inj.Put(rule(id, blackHole, paused))
		})
		run(func() {
			ctx, cancel := context.WithTimeout(withToken(inj, customer("42"), text), time.Millisecond)
			defer cancel()
			_ = db.Inject(ctx, fault.Operation{})
		})
	}
	run(func() {
		_, _ = inj.WithRequestRule(context.Background(), `{"target":{"points":["db"]},"fault":{"panic":true}}`)
	})
	run(func() { inj.Halt(); inj.Resume() })
	run(func() { _, _, _ = inj.Armed(rule("r", blackHole)); _ = inj.Source("api").Check(rule("r", blackHole)) })
	run(func() { inj.Status(); inj.Rules(); _, _ = inj.Explain(fault.Question{Point: "db"}) })
	for range 100 {
		b.set(time.Now().Add(time.Hour), time.Time{})
		time.Sleep(time.Millisecond)
		b.set(time.Time{}, time.Time{})
		time.Sleep(time.Millisecond)
	}
	b.set(time.Now().Add(time.Hour), time.Time{})
	require.Error(t, inj.Source("last").Check(rule("r", blackHole)))
	require.Empty(t, inj.Rules(), "from the moment that somebody has looked")
	close(stop)
	wg.Wait()
	require.Empty(t, inj.Rules())
	require.Zero(t, inj.Status().Held)
	require.NotZero(t, began.Load())
	require.Equal(t, began.Load(), ended.Load()+1)
}
