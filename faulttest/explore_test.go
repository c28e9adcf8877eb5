package faulttest_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/faulttest"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what is found to testdata")

// insideVariable is set where this test binary runs one of the tests that are to fail.
const insideVariable = "FAULTTEST_INSIDE"

func inside(t *testing.T) string {
	variant := os.Getenv(insideVariable)
	if variant == "" {
		t.Skip("is run by another test")
	}
	return variant
}

// runInside runs this test binary and returns what it writes, without times.
func runInside(t *testing.T, variant string, args ...string) (out string, ok bool) {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"-test.timeout=30s"}, args...)...)
	cmd.Env = append(os.Environ(), insideVariable+"="+variant)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil {
		require.ErrorAs(t, err, &exit, "%s", text)
	}
	out = regexp.MustCompile(`\(\d+\.\d+s\)`).ReplaceAllString(string(text), "(…s)")
	out = regexp.MustCompile(`runs in [0-9.µmns]+:`).ReplaceAllString(out, "runs in …:")
	out = regexp.MustCompile(`coverage: .*\n`).ReplaceAllString(out, "")
	return regexp.MustCompile(`_test\.go:\d+`).ReplaceAllString(out, "_test.go:…"), err == nil
}

// page is a test of a page made of ratings, which may be missing, and inventory, which
// is asked twice.
func page(t *testing.T, inj *fault.Injector, patient bool) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	ratings, err := get(ctx, inj, "ratings")
	if err != nil {
		ratings = ""
	}
	if faulttest.Injected(t, "ratings") {
		require.Empty(t, ratings)
	} else {
		require.Equal(t, "well", ratings)
	}
	ctx = t.Context()
	if !patient {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
	}
	if _, err = get(ctx, inj, "inventory"); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		_, err = get(ctx, inj, "inventory")
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		panic("no inventory: " + err.Error())
	}
}

func TestInsidePage(t *testing.T) {
	variant := inside(t)
	options := []faulttest.Option{faulttest.Bubble()}
	switch path, saved := strings.CutPrefix(variant, "saved:"); {
	case saved:
		options = append(options, faulttest.Saved(path))
	case variant == "parallel":
		options = append(options, faulttest.Parallel(4))
	}
	faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) { page(t, inj, variant != "impatient") }, options...)
}

// golden compares text with a file.
func golden(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

func TestExplore(t *testing.T) {
	out, ok := runInside(t, "plain", "-test.run=^TestInsidePage$")
	require.False(t, ok)
	golden(t, "page.txt", report(out))

	again, _ := runInside(t, "plain", "-test.run=^TestInsidePage$")
	require.Equal(t, report(out), report(again), "every run is the same")
	parallel, _ := runInside(t, "parallel", "-test.run=^TestInsidePage$")
	require.Equal(t, report(out), report(parallel), "and so is one that runs several at once")
}

// report is the table in the output of a test.
func report(out string) string {
	i := strings.Index(out, "    inventory GET /x   ")
	if i < 0 {
		return out
	}
	return out[i:]
}

// Each failure's last line runs it again, and nothing else.
func TestReplay(t *testing.T) {
	out, _ := runInside(t, "plain", "-test.run=^TestInsidePage$")
	lines := regexp.MustCompile(`(?m)^\t?\s*(.*): (.*)\n\s*go test -run '(.*)' (-faulttest.replay=.*)$`).FindAllStringSubmatch(out, -1)
	require.NotEmpty(t, lines)
	for _, line := range lines {
		replayed, ok := runInside(t, "plain", "-test.run="+line[3], "-test.v", line[4])
		require.False(t, ok)
		require.Contains(t, replayed, "--- FAIL: TestInsidePage/replay")
		require.NotContains(t, replayed, "no_faults")
		require.Equal(t, 1, strings.Count(replayed, "=== RUN   TestInsidePage/"))
		require.Contains(t, replayed, strings.Split(line[1], ":")[0])
	}
	token := lines[0][4]
	for _, test := range []struct{ variant, run, token, want string }{
		{"plain", "^TestInsidePage$", token[:len(token)-1], "it is cut off, or mistyped"},
		{"plain", "^TestInsidePage$", "-faulttest.replay=2xyz", "it is of another version of faulttest"},
		{"fails", "^TestInsideBroken$", token, "is of another test than TestInsideBroken"},
		{"plain", "^TestInsidePage$/^ratings", token, "leaves out the subtest \"replay\""},
	} {
		out, ok := runInside(t, test.variant, "-test.run="+test.run, test.token)
		require.False(t, ok)
		require.Contains(t, out, test.want)
	}
}

// A token for what the test does not do any more says so.
func TestReplayOfWhatIsGone(t *testing.T) {
	out, ok := runInside(t, "gone", "-test.run=^TestInsideChanging$")
	require.False(t, ok)
	token := regexp.MustCompile(`-faulttest.replay=\S+`).FindString(out)
	require.NotEmpty(t, token)
	out, ok = runInside(t, "call", "-test.run=^TestInsideChanging$", token)
	require.False(t, ok)
	require.Contains(t, out, "1 of the calls that were to get a fault were not made")
	require.Contains(t, out, "custom:b GET, in faulttest_test.TestInsideChanging")
	out, ok = runInside(t, "fault", "-test.run=^TestInsideChanging$", token)
	require.False(t, ok)
	require.Contains(t, out, `what is to be injected into a GET is none of what can be: "panic"`)
}

func TestInsideChanging(t *testing.T) {
	variant := inside(t)
	name, entry := "a", faulttest.Fail(fault.Refused)
	switch variant {
	case "call":
		name = "b"
	case "fault":
		entry = faulttest.Panic()
	}
	faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) {
		require.NoError(t, inj.Point("custom", name).Inject(t.Context(), fault.Operation{Name: "GET"}))
	}, faulttest.Faults("custom", entry))
}

func TestSubtestsAreSelected(t *testing.T) {
	out, ok := runInside(t, "plain", "-test.v", "-test.run=^TestInsidePage$/^ratings_GET_x_503$")
	require.True(t, ok, out)
	require.Equal(t, 1, strings.Count(out, "=== RUN   TestInsidePage/"))
	require.Contains(t, out, "--- PASS: TestInsidePage/ratings_GET_x_503")
	out, ok = runInside(t, "plain", "-test.v", "-test.run=^TestInsidePage$/^inventory_GET_x_503_and_inventory_GET_x_2_503$")
	require.True(t, ok, "the second call is not known where the first has no fault: %s", out)

	out, ok = runInside(t, "plain", "-test.failfast", "-test.run=^TestInsidePage$")
	require.False(t, ok)
	require.Equal(t, 1, strings.Count(out, "--- FAIL: TestInsidePage/"), out)
	require.Contains(t, out, " that go test was not to run (-run, -failfast)")
	out, ok = runInside(t, "plain", "-test.count=2", "-test.run=^TestInsidePage$")
	require.False(t, ok)
	require.Equal(t, 2, strings.Count(out, "--- FAIL: TestInsidePage/inventory_GET_x_black_hole "), out)
}

func TestInsideBroken(t *testing.T) {
	switch inside(t) {
	case "fails":
		faulttest.Explore(t, func(t *testing.T, _ *fault.Injector) { t.Fatal("of its own") })
	case "unused":
		faulttest.Explore(t, func(*testing.T, *fault.Injector) {})
	case "panics":
		faulttest.Explore(t, func(*testing.T, *fault.Injector) { panic("of its own") })
	case "twice":
		for range 2 {
			faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) { _, _ = get(t.Context(), inj, "x") }, faulttest.Bubble())
		}
	case "cannot":
		faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) { _, _ = get(t.Context(), inj, "x") },
			faulttest.Faults("x", faulttest.Code("UNAVAILABLE")))
	case "deadlock":
		faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) {
			if _, err := get(t.Context(), inj, "x"); err != nil {
				go func() { select {} }()
			}
		}, faulttest.Bubble(), faulttest.Faults("x", faulttest.Status(503)))
	case "parallel":
		faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) {
			t.Parallel()
			_, _ = get(t.Context(), inj, "x")
		})
	case "bubble":
		synctest.Test(t, func(t *testing.T) {
			faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) { _, _ = get(t.Context(), inj, "x") })
		})
	case "late":
		faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) {
			t.Run("part", func(t *testing.T) {
				t.Parallel()
				_, _ = get(t.Context(), inj, "x")
			})
		})
	case "logs":
		faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) {
			t.Log("starts:\nat once")
			if _, err := get(t.Context(), inj, "x"); err != nil {
				t.Error("no answer")
			}
		}, faulttest.Faults("x", faulttest.Fail(fault.Refused)))
	case "one name":
		faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) { _, _ = get(t.Context(), inj, "x") },
			faulttest.Faults("x", faulttest.CutBody(0), faulttest.CutBody(100)))
	case "skips":
		faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) { t.Skip("not today") })
	case "cleanup":
		faulttest.Explore(t, func(t *testing.T, inj *fault.Injector) {
			_, err := get(t.Context(), inj, "x")
			t.Cleanup(func() {
				if faulttest.Injected(t, "x") {
					t.Error("in Cleanup: ", err)
				}
			})
		}, faulttest.Faults("x", faulttest.Status(503)))
	}
}

func TestWhatCannotBeExplored(t *testing.T) {
	for variant, want := range map[string]string{
		"fails":    "TestInsideBroken is not explored: it fails without any fault (failed): of its own",
		"panics":   "it fails without any fault (panicked): of its own",
		"unused":   "it reaches no injection point: does what it tests use the injector that it is given?",
		"twice":    "TestInsideBroken explores twice: put each into a subtest of its own (t.Run)",
		"cannot":   `"UNAVAILABLE" cannot be injected at http.client:x`,
		"deadlock": "503 ✗ faulttest: deadlock: main bubble goroutine has exited but blocked goroutines remain",
		"parallel": "it calls T.Parallel, which has it wait until exploration is over",
		"bubble":   "exploration cannot be inside a bubble of testing/synctest",
		"late":     "it makes calls only once its function has returned, when no fault is injected any more: wait for what it starts, and leave T.Parallel out of its subtests; calls seen:\n    \thttp.client:x GET /x",
		"logs":     "refused ✗ no answer\n",
		"one name": `two faults for http.client:x GET /x are called "reset in body": call one of them something else (Entry.As)`,
		"skips":    "is not explored: it skips itself",
		"cleanup":  "503 ✗ in Cleanup: 503 Service Unavailable",
	} {
		t.Run(variant, func(t *testing.T) {
			out, ok := runInside(t, variant, "-test.run=^TestInsideBroken$")
			require.False(t, ok)
			require.Contains(t, out, want)
		})
	}
}

func TestSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "page.json")
	out, ok := runInside(t, "saved:"+path, "-test.v", "-test.run=^TestInsidePage$", "-faulttest.update")
	require.False(t, ok)
	require.Contains(t, out, "faulttest: wrote "+path+": 3 calls, ")
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	golden(t, "saved.json", string(text))
	require.NoError(t, faulttest.CheckSaved(text))

	again, ok := runInside(t, "saved:"+path, "-test.v", "-test.run=^TestInsidePage$")
	require.False(t, ok)
	require.Equal(t, strings.Count(out, "=== RUN   TestInsidePage/inv"), strings.Count(again, "=== RUN   TestInsidePage/inv"), "the same cases")
	require.NotContains(t, again, "calls that")

	doubted, ok := runInside(t, "saved:"+path, "-test.run=^TestInsidePage$", "-faulttest.noreduce")
	require.False(t, ok)
	require.Contains(t, doubted, "-faulttest.noreduce has nothing to run, since the cases are those of "+path+": give -faulttest.update as well")

	refused, ok := runInside(t, "saved:"+path, "-test.run=^TestInsidePage$/^ratings", "-faulttest.update")
	require.False(t, ok)
	require.Contains(t, refused, "-faulttest.update needs all cases to be run")
	fewer := strings.ReplaceAll(string(text), `"http.client:ratings"`, `"http.client:sratings"`)
	fewer = regexp.MustCompile(`(?s)"id": "([0-9a-f]{10})",\s*"point": "http.client:sratings"`).ReplaceAllString(fewer, `"id": "0123456789", "point": "http.client:ratings"`)
	old := regexp.MustCompile(`"id": "([0-9a-f]{10})",\s*"point": "http.client:ratings"`).FindStringSubmatch(string(text))[1]
	fewer = strings.ReplaceAll(fewer, old, "0123456789")
	require.NoError(t, os.WriteFile(path, []byte(fewer), 0o666))
	out, _ = runInside(t, "saved:"+path, "-test.run=^TestInsidePage$")
	require.Contains(t, out, "has the call ratings GET /x, which is not made any more")
	require.Contains(t, out, "calls that "+path+" does not have (-faulttest.update adds them):\n    \thttp.client:ratings GET /x")

	require.NoError(t, os.WriteFile(path, []byte(`{"version": 1, "extra": 2}`), 0o666))
	out, ok = runInside(t, "saved:"+path, "-test.run=^TestInsidePage$")
	require.False(t, ok)
	require.Contains(t, out, "cannot be read; -faulttest.update writes it anew: ")
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(text), "TestInsidePage", "TestOther", 1)), 0o666))
	out, ok = runInside(t, "saved:"+path, "-test.run=^TestInsidePage$")
	require.False(t, ok)
	require.Contains(t, out, "is of the test TestOther")
}

func TestNoReduceFlag(t *testing.T) {
	out, _ := runInside(t, "plain", "-test.run=^TestInsidePage$", "-faulttest.noreduce=5", "-faulttest.seed=3")
	all, _ := runInside(t, "plain", "-test.v", "-test.run=^TestInsidePage$", "-faulttest.noreduce")
	require.Contains(t, all, "run all the same: 66 of those, and 0 came to something else")
	require.Contains(t, all, "1 of the calls that were to get a fault were not made, as was taken for granted")
	require.NotContains(t, all, "does not do the same in each run")
	require.Contains(t, out, "run all the same: 5 of those, and 0 came to something else than was taken for granted")
	out, ok := runInside(t, "plain", "-test.run=^TestInsidePage$", "-faulttest.noreduce=0x")
	require.False(t, ok)
	require.Contains(t, out, "is no number of cases")
}
