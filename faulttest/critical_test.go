package faulttest_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/misfit-go/misfit/internal/absent"
	"github.com/stretchr/testify/require"
)

// shop is a page that needs the catalog, can do without ratings, and without either
// of two caches of stock.
func shop(ctx context.Context, inj *fault.Injector) error {
	if _, err := get(ctx, inj, "catalog"); err != nil {
		return err
	}
	_, _ = get(ctx, inj, "ratings")
	_, err := get(ctx, inj, "stock-a")
	if err != nil {
		_, err = get(ctx, inj, "stock-b")
	}
	return err
}

func testShop(t testing.TB, inj *fault.Injector) {
	require.NoError(t, shop(t.Context(), inj))
}

func needsMachinery(t *testing.T) {
	if absent.Machinery {
		t.Skip(fault.ErrDisabled)
	}
}

func TestCritical(t *testing.T) {
	needsMachinery(t)
	r, log, failed := faulttest.ProbeCritical(t, testShop)
	require.True(t, failed)
	require.Equal(t, []string{"http.client:catalog"}, r.Critical)
	require.Equal(t, []string{"http.client:ratings", "http.client:stock-a"}, r.Tolerated)
	require.Equal(t, [][]string{{"http.client:stock-a", "http.client:stock-b"}}, r.Together, "though the page fails before it gets there")
	require.Equal(t, r.Critical, r.New)
	require.Regexp(t, "http.client:catalog +✗ critical +NEW: Received unexpected error: 503", log)
	require.Contains(t, log, "newly critical: http.client:catalog: the test fails when it does, and it is not allowed")

	r, log, failed = faulttest.ProbeCritical(t, testShop, faulttest.Allowed("catalog"))
	require.True(t, failed)
	require.Empty(t, r.New)
	require.Equal(t, []string{"http.client:stock-b"}, r.NotReached)
	require.Equal(t, [][]string{{"http.client:stock-a", "http.client:stock-b"}}, r.NewTogether)
	require.Contains(t, log, "newly critical together: http.client:stock-a + http.client:stock-b")
	require.Contains(t, log, "called only when others fail")

	r, log, failed = faulttest.ProbeCritical(t, testShop, faulttest.Allowed("http.client:cat*", "stock-b"))
	require.False(t, failed, log)
	require.Empty(t, r.Together)
	require.Contains(t, log, "✗ critical   Received")
	require.Contains(t, log, `"stock-b" is Allowed, and the test calls nothing of that name`)
	_, log, failed = faulttest.ProbeCritical(t, testShop, faulttest.Allowed("catalog", "stock-b"), faulttest.ExactlyListed())
	require.True(t, failed)
	require.Contains(t, log, "stock-b")

	r, log, failed = faulttest.ProbeCritical(t, testShop, faulttest.Allowed("catalog", "stock-*", "ratings"))
	require.False(t, failed)
	require.Contains(t, log, "no longer critical: http.client:ratings")
	require.Equal(t, []string{"http.client:ratings", "http.client:stock-a"}, r.NoLonger)
}

// TestShopCriticality is the test of the example and of docs/critical.md, which shows
// the table that it logs.
func TestShopCriticality(t *testing.T) {
	needsMachinery(t)
	r := faulttest.Critical(t, testShop, faulttest.Listed("testdata/shop_critical.json"), faulttest.ExactlyListed())
	doc, err := os.ReadFile("../docs/critical.md")
	require.NoError(t, err)
	table, _, _ := strings.Cut(r.String(), "9 runs in ")
	require.NotEqual(t, r.String(), table)
	require.Contains(t, string(doc), "    "+strings.ReplaceAll(strings.TrimSpace(table), "\n", "\n    ")+"\n    9 runs in ")
}

func TestCriticalList(t *testing.T) {
	needsMachinery(t)
	path := filepath.Join(t.TempDir(), "testdata", "critical.json")
	with := []faulttest.Option{faulttest.Listed(path), faulttest.Allowed("catalog")}
	_, log, failed := faulttest.ProbeCritical(t, testShop, with...)
	require.True(t, failed)
	require.Contains(t, log, "there is no list "+path+" yet: -faulttest.update writes it")

	faulttest.Updating(func() {
		_, log, failed = faulttest.ProbeCritical(t, testShop, with...)
	})
	require.False(t, failed, log)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	r, log, failed := faulttest.ProbeCritical(t, testShop, faulttest.Listed(path))
	require.False(t, failed, log)
	require.Len(t, r.Together, 1)

	// Ratings become critical, and the second stock is not asked any more.
	worse := func(t testing.TB, inj *fault.Injector) {
		for _, name := range []string{"catalog", "ratings"} {
			_, err := get(t.Context(), inj, name)
			require.NoError(t, err)
		}
		_, _ = get(t.Context(), inj, "stock-a")
	}
	r, log, failed = faulttest.ProbeCritical(t, worse, faulttest.Listed(path))
	require.True(t, failed)
	require.Equal(t, []string{"http.client:ratings"}, r.New)
	require.Contains(t, log, "newly critical: http.client:ratings: the test fails when it does, and it is not in "+path)
	require.Contains(t, log, "no longer critical together: http.client:stock-a + http.client:stock-b")

	// Nothing is critical any more, and that is fine, unless asked for.
	fine := func(t testing.TB, inj *fault.Injector) { _, _ = get(t.Context(), inj, "ratings") }
	_, log, failed = faulttest.ProbeCritical(t, fine, faulttest.Listed(path))
	require.False(t, failed)
	require.Contains(t, log, "not reached any more: http.client:catalog")
	_, _, failed = faulttest.ProbeCritical(t, fine, faulttest.Listed(path), faulttest.ExactlyListed())
	require.True(t, failed)

	faulttest.Updating(func() { _, _, failed = faulttest.ProbeCritical(t, fine, faulttest.Listed(path)) })
	require.False(t, failed)
	updated, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(updated), `"critical": []`)

	for _, bad := range []string{"{", `{"version": 7}`, strings.Replace(string(data), t.Name(), "TestAnother", 1)} {
		require.NoError(t, os.WriteFile(path, []byte(bad), 0o600))
		_, log, failed = faulttest.ProbeCritical(t, testShop, faulttest.Listed(path))
		require.True(t, failed)
		require.Contains(t, log, path)
	}
	require.Contains(t, log, "is of TestAnother: give TestCriticalList a file of its own")
}

// The kind of failure matters: what copes with an answer may hang on silence.
func TestCriticalOtherFaults(t *testing.T) {
	needsMachinery(t)
	page := func(t testing.TB, inj *fault.Injector) { _, _ = get(context.Background(), inj, "ratings") }
	r, log, failed := faulttest.ProbeCritical(t, page)
	require.False(t, failed, log)
	require.Equal(t, []string{"http.client:ratings"}, r.Tolerated)

	r, log, failed = faulttest.ProbeCritical(t, page, faulttest.Faults("http.client", faulttest.BlackHole()), faulttest.CaseLimit(time.Second))
	require.True(t, failed)
	require.Equal(t, []string{"http.client:ratings"}, r.Critical)
	require.Contains(t, log, "no timeout on this call: ratings GET /x, in faulttest_test.get")

	start := time.Now()
	r, _, failed = faulttest.ProbeCritical(t, page, faulttest.Faults("ratings", faulttest.BlackHole()), faulttest.Bubble())
	require.True(t, failed)
	require.Len(t, r.Critical, 1)
	require.Less(t, time.Since(start), 10*time.Minute, "the limit in a bubble, which is virtual")

	r, log, _ = faulttest.ProbeCritical(t, page, faulttest.Faults("ratings"))
	require.Equal(t, []string{"http.client:ratings"}, r.NotReached)
	require.Contains(t, log, "never made to fail: see Faults")

	_, log, failed = faulttest.ProbeCritical(t, page, faulttest.Faults("ratings", faulttest.LostReply().As("lost"), faulttest.Code("nonsense")))
	require.False(t, failed, log)
	_, log, failed = faulttest.ProbeCritical(t, page, faulttest.Faults("ratings", faulttest.Named("nobody.knows")))
	require.True(t, failed)
	require.Contains(t, log, `"nobody.knows" cannot be injected at http.client:ratings, where the option Faults may name another`)
}

func TestCriticalTellsNothing(t *testing.T) {
	needsMachinery(t)
	for name, test := range map[string]struct {
		f       func(t testing.TB, inj *fault.Injector)
		options []faulttest.Option
		want    string
	}{
		"it fails anyway": {func(t testing.TB, inj *fault.Injector) {
			_, _ = get(t.Context(), inj, "ratings")
			t.Errorf("out of stock")
		}, nil, "it fails without any fault, and so with one nothing is told: out of stock"},
		"it skips":         {func(t testing.TB, _ *fault.Injector) { t.Skip("not today") }, nil, "it skips itself"},
		"it panics":        {func(testing.TB, *fault.Injector) { panic("oh") }, nil, "it fails without any fault, and so with one nothing is told: oh"},
		"it calls nothing": {func(testing.TB, *fault.Injector) {}, nil, "it reaches no injection point"},
		"bad pattern":      {testShop, []faulttest.Option{faulttest.Allowed("")}, `Allowed: "" names no dependency`},
		"too many runs":    {testShop, []faulttest.Option{faulttest.MaxRuns(2)}, "more runs than are allowed, or time is up, after 2 runs"},
		"no time":          {testShop, []faulttest.Option{faulttest.Timeout(1)}, "time is up, after 0 runs"},
	} {
		t.Run(name, func(t *testing.T) {
			_, log, failed := faulttest.ProbeCritical(t, test.f, test.options...)
			require.True(t, failed)
			require.Contains(t, log, test.want)
		})
	}
}

// A search that had to end early is no pass.
func TestCriticalTooMany(t *testing.T) {
	needsMachinery(t)
	r, log, failed := faulttest.ProbeCritical(t, testShop, faulttest.MaxRuns(7), faulttest.Allowed("catalog"))
	require.True(t, failed)
	require.True(t, r.More)
	require.Contains(t, log, "no set of dependencies that is critical was found in 6 runs: see MaxRuns: Received unexpected")
	require.Contains(t, log, "not all sets of dependencies were tried: see MaxRuns")
}

// A test that does not do the same in each run proves nothing, and says so.
func TestCriticalFlaky(t *testing.T) {
	needsMachinery(t)
	n := 0
	r, log, failed := faulttest.ProbeCritical(t, func(t testing.TB, inj *fault.Injector) {
		if n++; n <= 2 { // the run without faults, and that with all failing
			_, _ = get(t.Context(), inj, "ratings")
			return
		}
		t.Error("moody")
	})
	require.True(t, failed)
	require.Equal(t, []string{"http.client:ratings"}, r.Unclear)
	require.Contains(t, log, "fails at times without a fault")
}

// The entry of a service is no dependency: its caller is the test.
func TestCriticalLeavesEntriesAlone(t *testing.T) {
	needsMachinery(t)
	r := faulttest.Critical(t, func(t testing.TB, inj *fault.Injector) {
		require.NoError(t, inj.Point("http.server", "shop").Inject(t.Context(), fault.Operation{Name: "GET"}))
		_, _ = get(t.Context(), inj, "ratings")
	})
	require.Equal(t, []string{"http.client:ratings"}, r.Tolerated)
	require.Empty(t, r.NotReached)
	require.Equal(t, 3, r.Runs)
}

// What is injected can be asked for, as in exploration; and panics, retries and
// parallel calls are those of a test.
func TestCriticalRuns(t *testing.T) {
	needsMachinery(t)
	asked := 0
	r := faulttest.Critical(t, func(t testing.TB, inj *fault.Injector) {
		require.Equal(t, "shop", inj.Service())
		if faulttest.Injected(t, "ratings") {
			t.Error("before it is called")
		}
		_, err := get(t.Context(), inj, "ratings")
		if faulttest.Injected(t, "ratings") != errors.Is(err, fault.ErrInjected) && err == nil {
			t.Error("injected, and no error")
		}
		if faulttest.Injected(t, "ratings") {
			asked++
		}
		if _, err := get(t.Context(), inj, "quota"); err != nil {
			panic(err)
		}
	}, faulttest.Service("shop"), faulttest.Allowed("quota"))
	require.Equal(t, 2, asked, "with all failing, and alone")
	require.Equal(t, []string{"http.client:quota"}, r.Critical)
	require.Equal(t, http.StatusText(http.StatusServiceUnavailable), strings.TrimPrefix(r.Why["http.client:quota"], "503 "))
	require.Equal(t, 4, r.Runs)
}

// A test of faults does not pass where none are injected.
func TestPassThroughIsNotTolerance(t *testing.T) {
	if !absent.Machinery {
		t.Setenv("MISFIT_DISABLED", "1")
	}
	_, log, failed := faulttest.ProbeCritical(t, testShop)
	require.Equal(t, !absent.Machinery, failed, "where a binary was built like that, it is skipped")
	require.Contains(t, log, "faulttest: nothing")
}
