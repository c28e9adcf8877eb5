package faulttest_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/stretchr/testify/require"
)

// stubborn asks a store up to five times, and another one once.
func stubborn(t testing.TB, inj *fault.Injector) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if ask(ctx, inj, "other") != nil {
		return
	}
	for range 5 {
		if ask(ctx, inj, "store") == nil {
			return
		}
	}
	t.Error("gave up")
}

func skippedOf(report *faulttest.Report) (n int) {
	for _, skipped := range report.Skipped {
		n += skipped
	}
	return n
}

// No pair of faults shows what an outage does.
func TestOutages(t *testing.T) {
	faults := faulttest.Faults("custom", faulttest.Fail(fault.Unavailable), faulttest.Delay(time.Second))
	report := faulttest.Survey(t, stubborn, faulttest.Bubble(), faults)
	require.Empty(t, report.Failures())
	t.Run("asked for", func(t *testing.T) {
		report := faulttest.Survey(t, stubborn, faulttest.Bubble(), faults, faulttest.Outages())
		require.Len(t, report.Failures(), 1)
		require.Equal(t, "store, every call: unavailable", report.Failures()[0].Faults())
		require.Equal(t, []string{
			"other_GET_unavailable", "other_GET_delay_1s", "store_GET_unavailable", "store_GET_delay_1s",
			"store_every_call_unavailable", "store_every_call_delay_1s",
			"other_GET_delay_1s_and_store_GET_unavailable", "other_GET_delay_1s_and_store_GET_delay_1s",
			"store_GET_unavailable_and_store_GET_2_unavailable", "store_GET_unavailable_and_store_GET_2_delay_1s",
		}, names(report))
		require.Len(t, report.Calls, 6, "which nobody made as one")
		require.Equal(t, report.Combinations, len(report.Results)+skippedOf(report))
	})
	t.Run("led", func(t *testing.T) {
		report := faulttest.Survey(t, stubborn, faulttest.Bubble(), faults, faulttest.Outages(), faulttest.Led())
		require.Len(t, report.Failures(), 1)
		require.Len(t, report.Results, 10)
		require.Equal(t, report.Combinations, len(report.Results)+skippedOf(report))
	})
	t.Run("a single call fails already", func(t *testing.T) {
		report := faulttest.Survey(t, func(t testing.TB, inj *fault.Injector) {
			require.NoError(t, ask(t.Context(), inj, "store"))
			require.NoError(t, ask(t.Context(), inj, "store"))
		}, oneFault, faulttest.Outages())
		require.Len(t, report.Failures(), 2)
		require.Len(t, report.Results, 2)
		require.Equal(t, 2, report.Skipped[faulttest.ContainsFailure], "an outage, and the pair")
	})
}

func TestInsideOutage(t *testing.T) {
	faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) { stubborn(t, inj) }, faulttest.Bubble(), faulttest.Outages(),
		faulttest.Faults("custom", faulttest.Fail(fault.Unavailable).At("GET")),
		faulttest.Saved(inside(t)))
}

func TestOutagesAreReplayedAndSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "outage.json")
	out, ok := runInside(t, path, "-test.run=^TestInsideOutage$", "-faulttest.update")
	require.False(t, ok)
	require.Contains(t, out, "store, every call   unavailable ✗ gave up")
	token := regexp.MustCompile(`-faulttest.replay=\S+`).FindString(out)
	replayed, ok := runInside(t, path, "-test.run=^TestInsideOutage$", token)
	require.False(t, ok)
	require.Contains(t, replayed, "store GET: unavailable + store GET #2: unavailable + store GET #3: unavailable + store GET #4: unavailable + store GET #5: unavailable   ✗ gave up")

	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, faulttest.CheckSaved(text))
	again, ok := runInside(t, path, "-test.run=^TestInsideOutage$")
	require.False(t, ok)
	require.Equal(t, 1, strings.Count(again, "--- FAIL: TestInsideOutage/store_every_call_unavailable "))
}
