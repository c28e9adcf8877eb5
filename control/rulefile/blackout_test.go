package rulefile_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/control/blackout"
	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/misfit-go/misfit/fault"
	"github.com/stretchr/testify/require"
)

// A service that starts in a blackout starts; its rules are over, as they would be
// had it started before, and come back neither at once nor later by themselves.
func TestBlackout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	write(t, path, file(rule("a", "ttl: 20h"), rule("b", "ttl: 20h")))
	synctest.Test(t, func(t *testing.T) {
		office, err := blackout.Parse("0 9 * * * for 8h")
		require.NoError(t, err)
		var told problems
		inj := fault.New("svc", fault.WithGuardrails(fault.Guardrails{Blackouts: []fault.Blackout{office}}), fault.WithObserver(&told))
		time.Sleep(10 * time.Hour)
		watcher, err := rulefile.Watch(t.Context(), inj, path)
		require.NoError(t, err)
		require.Len(t, told.texts, 1)
		require.Regexp(t, `^rulefile: .*/rules.yaml: fault: blackout: .* until 2000-01-01T17:00:00Z$`, told.texts[0])
		require.Empty(t, live(inj))

		write(t, path, file(rule("a", "ttl: 20h"), rule("b", "ttl: 20h"), rule("c")))
		time.Sleep(3 * time.Second)
		require.ErrorIs(t, watcher.Status().Err, fault.ErrBlackout)
		write(t, path, file(rule("a", "ttl: 20h")))
		time.Sleep(3 * time.Second)
		require.NoError(t, watcher.Status().Err, "what is taken out needs no leave")

		time.Sleep(8 * time.Hour)
		require.Empty(t, live(inj))
		write(t, path, file(rule("a", "ttl: 20h", "paused: true"), rule("b", "ttl: 20h")))
		time.Sleep(3 * time.Second)
		require.Equal(t, []string{"a", "b"}, live(inj))
		status, _ := inj.Rule("a")
		require.True(t, status.Rule.Paused)
		time.Sleep(16 * time.Hour)
		require.Empty(t, live(inj), "the next one ends them")
		synctest.Wait()
	})
}
