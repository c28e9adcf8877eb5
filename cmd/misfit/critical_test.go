package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
	built "github.com/misfit-go/misfit/internal/absent"
	"github.com/misfit-go/misfit/internal/criticality"
	"github.com/stretchr/testify/require"
)

// critical runs the command with flags before those of a journey.
func critical(key string, journey []string, flags ...string) result {
	return misfit(slices.Concat([]string{"critical", "-key", key}, flags, journey)...)
}

func readReport(t *testing.T, r result) (report criticalReport) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(r.out), &report), r.out+r.err)
	return report
}

func verdicts(r criticalReport) map[string]string {
	all := make(map[string]string)
	for _, d := range r.Dependencies {
		all[strings.TrimPrefix(d.Point, "http.client:")] = string(d.Verdict)
	}
	return all
}

// A script, and what answers say.
func TestCriticalByStatus(t *testing.T) {
	needsCurl(t)
	private, public := keys(t)
	newMarket(t, public)
	journey := []string{"-journey", script(t, curls)}

	r := critical(private, journey, "-allow", "login,product", "-json")
	require.Equal(t, statusNo, r.status, r.err)
	report := readReport(t, r)
	require.Equal(t, map[string]string{
		"login": "critical", "product": "critical", "ratings": "tolerated", "recommendations": "tolerated",
		"stock-a": "tolerated", "stock-b": "not reached",
	}, verdicts(report), r.err)
	require.Equal(t, []criticalSet{{Points: []string{"http.client:stock-a", "http.client:stock-b"}}}, report.Together)
	require.Contains(t, r.err, "newly critical together: http.client:stock-a + http.client:stock-b")
	require.Contains(t, r.err, "  | curl: (22)", "the output of what failed")
	require.Equal(t, strings.Count(r.err, "misfit critical: run "), report.Runs)

	// docs/critical.md shows the table.
	r = critical(private, journey, "-allow", "login,product")
	table, _, _ := strings.Cut(r.out, "\n\n")
	for line := range strings.Lines(table + "\n") {
		require.Contains(t, read(t, "../../docs/critical.md"), "\n  "+line)
	}

	r = critical(private, journey, "-allow", "login,prod*,stock-b")
	require.Equal(t, statusDone, r.status, r.err)
	require.Regexp(t, `http.client:login +critical +yes +exit status 22: curl`, r.out)
	require.Regexp(t, `all but what may be critical +passed`, r.out)
	require.Contains(t, r.out, "may be critical, and is not reached: stock-b")
	require.Equal(t, statusNo, critical(private, journey, "-allow", "login,prod*,stock-b", "-strict").status)

	r = critical(private, journey)
	require.Equal(t, statusNo, r.status)
	require.Contains(t, r.err, "newly critical: http.client:login\n  newly critical: http.client:product\n")
	require.Regexp(t, `http.client:login +critical +NEW`, r.out)
}

// A test in Go, whose requests carry the token in a header or in baggage, and what the
// control endpoints say.
func TestCriticalByEndpoints(t *testing.T) {
	for _, how := range []string{"header", "baggage"} {
		t.Run(how, func(t *testing.T) {
			private, public := keys(t)
			m := newMarket(t, public)
			journey := goJourney(t, how)
			r := critical(private, journey, "-url", m.controls, "-allow", "login,product", "-points", "sql:nowhere,ratings", "-for", "customer=42", "-o", "json")
			require.Equal(t, statusNo, r.status, r.err)
			report := readReport(t, r)
			require.Equal(t, map[string]string{
				"login": "critical", "product": "critical", "ratings": "tolerated", "recommendations": "tolerated",
				"stock-a": "tolerated", "stock-b": "not reached", "sql:nowhere": "not reached",
			}, verdicts(report), r.err)
			require.Len(t, report.Together, 1)
		})
	}
}

// With endpoints alone nothing has to be shown.
func TestCriticalSilentJourney(t *testing.T) {
	needsCurl(t)
	private, public := keys(t)
	m := newMarket(t, public)
	t.Setenv("MISFIT_URL", m.controls)
	journey := []string{"-journey", script(t, `exec curl -fs -o /dev/null -H "baggage: $MISFIT_FAULT_BAGGAGE" "$SHOP"`)}
	r := critical(private, journey, "-allow", "login,product,stock-*", "-json")
	require.Equal(t, statusDone, r.status, r.err)
	require.Equal(t, "critical", verdicts(readReport(t, r))["product"])
	require.Equal(t, "not reached", verdicts(readReport(t, r))["stock-b"])
	require.Equal(t, []string{"http.client:stock-a", "stock-*"}, append(readReport(t, r).NoLonger, readReport(t, r).Allowed[2:]...))

	// A fallback, too, is found by its rule alone.
	r = critical(private, journey, "-allow", "login,product", "-json")
	require.Equal(t, statusNo, r.status, r.err)
	require.Equal(t, [][]string{{"http.client:stock-a", "http.client:stock-b"}}, readReport(t, r).NewlyTogether)

	t.Setenv("MISFIT_URL", "http://127.0.0.1:1/debug")
	r = critical(private, journey)
	require.Equal(t, statusFile, r.status)
	require.Contains(t, r.err, "http://127.0.0.1:1/debug: ")
}

// There may be more points than a token can have rules. Those that the journey calls
// are asked for in the second run.
func TestCriticalManyPoints(t *testing.T) {
	const more = 300
	for _, suffix := range []string{"", strings.Repeat("-long", 20)} {
		t.Run(fmt.Sprint("names of ", len(suffix)), func(t *testing.T) {
			private, public := keys(t)
			m := newMarket(t, public)
			for i := range more {
				m.shop.Point("http.client", fmt.Sprintf("a-%d%s", i, suffix)) // before all others in the order of points
				m.product.Point("http.server", fmt.Sprintf("a-%d%s", i, suffix))
			}
			r := critical(private, goJourney(t, "baggage"), "-url", m.controls, "-allow", "login,product,stock-*", "-json")
			require.Equal(t, statusDone, r.status, r.err)
			report := readReport(t, r)
			require.Len(t, report.Dependencies, more+6)
			require.Equal(t, "tolerated", verdicts(report)["ratings"])
			require.Equal(t, "not reached", verdicts(report)["a-0"+suffix])
			require.Equal(t, 8, report.Runs, "one more to see what is reached")
		})
	}
}

func TestCriticalBaseline(t *testing.T) {
	private, public := keys(t)
	newMarket(t, public)
	journey := goJourney(t, "header")
	path := filepath.Join(t.TempDir(), "critical.json")
	r := critical(private, journey, "-baseline", path)
	require.Equal(t, statusFile, r.status)
	require.Contains(t, r.err, "there is no file "+path+" yet; -update writes it")

	r = critical(private, journey, "-baseline", path, "-update")
	require.Equal(t, statusDone, r.status, r.err)
	require.Contains(t, read(t, path), `"critical": [
    "http.client:login",
    "http.client:product"
  ]`)
	r = critical(private, journey, "-baseline", path, "-strict")
	require.Equal(t, statusDone, r.status, r.err)

	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(read(t, path), `"http.client:login"`, `"http.client:ratings"`, 1)), 0o600))
	r = critical(private, journey, "-baseline", path)
	require.Equal(t, statusFile, r.status)
	require.Contains(t, r.err, `"http.client:ratings" is in the list already`)
	require.NoError(t, os.WriteFile(path, []byte(`{"version":1,"of":"","critical":["http.client:product","http.client:ratings"],"together":[["http.client:stock-a","http.client:stock-b"]],"tolerated":[]}`), 0o600))
	r = critical(private, journey, "-baseline", path)
	require.Equal(t, statusNo, r.status)
	require.Contains(t, r.err, "newly critical: http.client:login\n")
	require.NotContains(t, r.err, "newly critical: http.client:product")
	require.Contains(t, r.out, "no longer critical: http.client:ratings\n")
}

func TestCriticalJUnit(t *testing.T) {
	private, public := keys(t)
	newMarket(t, public)
	path := filepath.Join(t.TempDir(), "junit.xml")
	r := critical(private, goJourney(t, "header"), "-allow", "login,recommendations", "-junit", path)
	require.Equal(t, statusNo, r.status, r.err)
	var suites junitSuites
	require.NoError(t, xml.Unmarshal([]byte(read(t, path)), &suites))
	require.Equal(t, []int{7, 2, 1}, []int{suites.Tests, suites.Failures, suites.Skipped}, read(t, path))
	for _, c := range suites.Suite.Cases {
		require.Equal(t, c.Name == "http.client:product" || strings.Contains(c.Name, " + "), c.Failure != nil, c.Name)
	}
	require.Contains(t, read(t, path), "no longer critical")

	// Nothing in it breaks the XML, or a terminal.
	report := &criticalReport{
		Journey: []string{"a\x1b[31m", "<b>"},
		Dependencies: []criticalDependency{
			{Point: "x:\x00\x01]]>&", Verdict: "critical", Why: "\xff\x1b[2J\u202e<![CDATA["},
			{Point: "x:skipped", Verdict: "not reached", Why: "\x0b"},
			{Point: "x:unclear", Verdict: "unclear", Why: "\ufffe"},
			{Point: "x:fine", Verdict: "critical", Known: true, Why: "\x07"},
		},
		Together: []criticalSet{{Points: []string{"a\x02", "b"}}},
		Unclear:  []string{"x:unclear"}, Unexplained: "\x1b",
		Missing: []string{"typo"},
	}
	data, err := report.junit(true)
	require.NoError(t, err)
	suites = junitSuites{}
	require.NoError(t, xml.Unmarshal(data, &suites))
	require.Equal(t, []int{7, 3, 2, 1}, []int{suites.Tests, suites.Failures, suites.Errors, suites.Skipped})
	require.Equal(t, suites.Suite.Tests, len(suites.Suite.Cases))
	require.Equal(t, `x:\u0000\u0001]]>&`, suites.Suite.Cases[0].Name)
	require.NotContains(t, string(data), "\x1b")
	require.NotContains(t, string(data), "\u202e")
}

// What proves nothing is not taken for anything.
func TestCriticalProvesNothing(t *testing.T) {
	needsCurl(t)
	private, public := keys(t)
	other, _ := keys(t)
	m := newMarket(t, public)
	for _, test := range []struct {
		name, journey, key string
		flags              []string
		want               string
	}{
		{"fails anyway", curls + "echo the page is blue; exit 3", private, nil, "the journey fails though nothing else does, so that nothing can be told: exit status 3: the page is blue"},
		{"no token", `curl -fsS -D /dev/stderr "$SHOP"`, private, nil, "not reached: the journey passed, and no line of its output has a Fault-Status"},
		{"no token, and endpoints", `curl -fsS "$SHOP"`, private, []string{"-url", m.controls}, "not reached: the journey passed, and no endpoint knows its token"},
		{"does nothing", `true`, private, nil, "not reached"},
		{"shows nothing", `curl -fsS -H "$MISFIT_FAULT_HEADER" "$SHOP"`, private, nil, "not reached"},
		{"wrong key", curls, other, nil, "not reached: services refuse the token: shop: the token is not accepted"},
		{"for another customer", curls, private, []string{"-for", "customer=43"}, "out of its scope"},
		{"hangs", `exec sleep 100`, private, []string{"-limit", "1s"}, "nothing can be told: took longer than 1s, and was killed"},
		{"forged status", `echo 'Fault-Status: applied;rule="token-x";point="http.client:login"'`, private, nil, "not reached"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := critical(test.key, []string{"-journey", script(t, test.journey)}, test.flags...)
			require.Equal(t, statusFile, r.status, r.err)
			require.Contains(t, r.err, test.want)
			require.Empty(t, r.out)
		})
	}
}

// A journey that shows nothing when it fails leaves what it failed of in the dark.
func TestCriticalUnclear(t *testing.T) {
	needsCurl(t)
	private, public := keys(t)
	newMarket(t, public)
	journey := script(t, `out=$(curl -fsSi -H "$MISFIT_FAULT_HEADER" "$SHOP"); echo "$out"`)
	r := critical(private, []string{"-journey", journey}, "-json", "-allow", "login")
	require.Equal(t, statusFile, r.status, r.err)
	require.Equal(t, "unclear", verdicts(readReport(t, r))["product"])
	require.Contains(t, r.err, "nothing shows that a call was made to fail: http.client:login, http.client:product")
}

func TestCriticalGuardrails(t *testing.T) {
	needsCurl(t)
	private, public := keys(t)
	newMarket(t, public, fault.WithGuardrails(fault.Guardrails{Protected: []string{"login"}}))
	r := critical(private, []string{"-journey", script(t, curls)}, "-allow", "product,stock-b", "-points", "login", "-json")
	require.Equal(t, statusDone, r.status, r.err)
	require.Equal(t, "not reached", verdicts(readReport(t, r))["login"])
}

// A fault that is no answer is one that a journey without patience fails of.
func TestCriticalHang(t *testing.T) {
	needsCurl(t)
	private, public := keys(t)
	m := newMarket(t, public)
	begun := time.Now()
	r := critical(private, []string{"-journey", script(t, curls)}, "-url", m.controls, "-black-hole", "-limit", "1s", "-allow", "*", "-json")
	require.Equal(t, statusDone, r.status, r.err)
	for _, d := range readReport(t, r).Dependencies {
		if d.Verdict != "not reached" {
			require.Equal(t, "took longer than 1s, and was killed", d.Why)
		}
	}
	require.Greater(t, time.Since(begun), 4*time.Second)
	require.Eventually(t, func() bool { return m.shop.Status().Held == 0 }, time.Minute, time.Millisecond, "callers are gone")
}

// A system without the machinery tolerates nothing: it is not asked.
func TestPassThroughIsNotTolerance(t *testing.T) {
	needsCurl(t)
	if !built.Machinery {
		t.Setenv("MISFIT_DISABLED", "1")
	}
	private, public := keys(t)
	m := passMarket(t, public)
	for _, flags := range [][]string{nil, {"-url", m.controls}} {
		r := critical(private, []string{"-journey", script(t, curls)}, flags...)
		require.Equal(t, statusFile, r.status)
		require.Contains(t, r.err, "misfit critical: not reached: the journey passed, and no ")
	}
}

// Once a run is over, nobody can do more with its token.
func TestCriticalTakesTokensBack(t *testing.T) {
	private, public := keys(t)
	m := newMarket(t, public)
	seen := filepath.Join(t.TempDir(), "tokens")
	journey := []string{"-journey", script(t, `echo "$MISFIT_FAULT_TOKEN" >>"`+seen+`"; exec curl -fs -D /dev/stderr -H "$MISFIT_FAULT_HEADER" "$SHOP"`)}
	needsCurl(t)

	r := critical(private, journey, "-allow", "login,product,stock-*", "-url", m.controls, "-json")
	require.Equal(t, statusDone, r.status, r.err)
	require.True(t, readReport(t, r).TokensUntil.IsZero())
	require.NotContains(t, r.out+r.err, "tokens")
	require.Empty(t, m.shop.Rules())
	require.Empty(t, m.product.Rules())
	for text := range strings.Lines(read(t, seen)) {
		_, status := get(t, m.url, "42", strings.TrimSpace(text))
		require.Contains(t, status, "was taken back here")
		require.Empty(t, m.shop.Rules())
	}

	// Where nobody knows where to, it is said until when they live.
	r = critical(private, journey, "-allow", "login,product,stock-*", "-limit", "10s", "-json")
	require.Equal(t, statusDone, r.status, r.err)
	require.WithinDuration(t, time.Now().Add(70*time.Second), readReport(t, r).TokensUntil, 30*time.Second)
	require.Contains(t, r.err, "services may take the tokens of these runs until "+stamp(readReport(t, r).TokensUntil))
	require.Len(t, m.shop.Rules(), readReport(t, r).Runs)
}

// Who may look and not change is told so once, and has the answer all the same.
func TestCriticalMayNotTakeBack(t *testing.T) {
	private, public := keys(t)
	m := newMarket(t, public)
	var refused atomic.Int64
	viewer := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			refused.Add(1)
		}
		control.New(m.shop, control.ReadOnly()).ServeHTTP(w, r)
	}))
	product := strings.Split(m.controls, ",")[1]
	r := critical(private, goJourney(t, "header"), "-allow", "login,product,stock-*", "-url", viewer+","+product, "-json")
	require.Equal(t, statusDone, r.status, r.err)
	require.EqualValues(t, 1, refused.Load(), "it would fare no better again")
	require.Equal(t, 1, strings.Count(r.err, "warning: the tokens of these runs are not taken back at "+viewer+", and good until "), r.err)
	require.Contains(t, r.err, "read-only")
	require.False(t, readReport(t, r).TokensUntil.IsZero())
	require.Empty(t, m.product.Rules())
}

// What an endpoint refuses says nothing of dependencies, and status 1 would.
func TestCriticalEndpointsThatRefuse(t *testing.T) {
	private, public := keys(t)
	m := newMarket(t, public)
	inj := fault.New("guarded")
	guarded := open(t, control.New(inj, control.WithAuthorizer(control.AuthorizerFunc(func(*http.Request) (control.Principal, bool, error) {
		return control.Principal{}, false, errors.New("no such token")
	}))))
	for _, url := range []string{guarded, m.url + "/nowhere"} {
		r := critical(private, goJourney(t, "header"), "-url", url)
		require.Equal(t, statusFile, r.status, r.err)
		require.Contains(t, r.err, url+": ")
	}

	// One that comes to it later.
	var asked atomic.Int64
	shop := control.New(m.shop)
	late := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		shop.ServeHTTP(w, r)
	}))
	r := critical(private, goJourney(t, "header"), "-url", late)
	require.Equal(t, statusFile, r.status, r.err)
}

// A report for CI says also that there is none.
func TestCriticalJUnitOfNothing(t *testing.T) {
	needsCurl(t)
	private, public := keys(t)
	newMarket(t, public)
	path := filepath.Join(t.TempDir(), "junit.xml")
	require.NoError(t, os.WriteFile(path, []byte("of yesterday, when all was well"), 0o600))
	r := critical(private, []string{"-journey", script(t, `cat "`+path+`" >"`+path+`.meanwhile"; exit 3`)}, "-junit", path)
	require.Equal(t, statusFile, r.status)
	for path, want := range map[string]string{path: "the journey fails though nothing else does", path + ".meanwhile": "the run did not come to its end"} {
		var suites junitSuites
		require.NoError(t, xml.Unmarshal([]byte(read(t, path)), &suites))
		require.Equal(t, []int{1, 0, 1}, []int{suites.Tests, suites.Failures, suites.Errors})
		require.Contains(t, suites.Suite.Cases[0].Error.Message, want)
	}

	// Nor does one of an earlier run stay where nothing was run.
	require.NoError(t, os.WriteFile(path, []byte("of yesterday"), 0o600))
	require.Equal(t, statusFile, critical(private, []string{"-journey", "./no-such-program"}, "-junit", path).status)
	require.Contains(t, read(t, path), "there is no program ./no-such-program")
	require.NoError(t, os.WriteFile(path, []byte("of yesterday"), 0o600))
	require.Equal(t, statusUsage, critical(private, []string{"-journey", "true"}, "-junit", path, "-limit", "1h").status)
	require.Equal(t, "of yesterday", read(t, path), "nothing was asked")
}

// Where nothing can be written is said before anything is run.
func TestCriticalSaysAtOnce(t *testing.T) {
	private, _ := keys(t)
	ran := filepath.Join(t.TempDir(), "ran")
	journey := []string{"-journey", script(t, `touch "`+ran+`"`)}
	nowhere := filepath.Join(t.TempDir(), "nowhere", "file")
	for _, flags := range [][]string{{"-junit", nowhere}, {"-junit", t.TempDir()}, {"-baseline", nowhere, "-update"}} {
		r := critical(private, journey, flags...)
		require.Equal(t, statusFile, r.status)
		require.Contains(t, r.err, flags[0]+": ")
		require.NoFileExists(t, ran)
	}
}

// Ctrl-C in the middle of a run takes its token back, too.
func TestCriticalTakesBackWhenStopped(t *testing.T) {
	needsCurl(t)
	private, public := keys(t)
	m := newMarket(t, public)
	c := &criticalCommand{remote: &remote{s: &streams{err: io.Discard}, urls: strings.Split(m.controls, ","), timeout: time.Minute, format: "text"}, keyFile: private}
	sign, err := c.signing()
	require.NoError(t, err)
	clients, err := c.clients()
	require.NoError(t, err)
	j, err := newJourney(script(t, `curl -fs -H "$MISFIT_FAULT_HEADER" "$SHOP"; exec sleep 100`), nil, time.Minute)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer m.shop.Observe(fault.ObserverFunc(func(e fault.Event) {
		if e.Kind == fault.Hit {
			stop()
		}
	}))()
	run := &trial{out: io.Discard, journey: j, clients: clients, sign: sign, fault: fault.Fault{Delay: &fault.Delay{Fixed: 1}}}
	_, err = run.run(ctx, "everything", run.rules(criticality.Failing{All: true}))
	require.ErrorContains(t, err, "stopped")
	require.Empty(t, m.shop.Rules())
	require.Empty(t, run.kept)
	require.True(t, run.until.IsZero())
}

// That a journey goes well while some of the calls are let pass is no tolerance, and is
// said.
func TestCriticalOfSomeCalls(t *testing.T) {
	needsCurl(t)
	private, public := keys(t)
	m := newMarket(t, public, fault.WithGuardrails(fault.Guardrails{MaxHeld: 1}))
	journey := script(t, `cd "$(mktemp -d "`+t.TempDir()+`/XXXXXX")"
for i in 1 2; do (curl -fs -H "$MISFIT_FAULT_HEADER" "$SHOP/$i" && touch "done-$i") >/dev/null 2>&1 & done
until [ -e done-1 ] || [ -e done-2 ]; do sleep 0.02; done
`)
	path := filepath.Join(t.TempDir(), "junit.xml")
	r := critical(private, []string{"-journey", journey}, "-url", m.controls, "-black-hole", "-allow", "*", "-json", "-junit", path)
	require.Equal(t, statusDone, r.status, r.err)
	for _, d := range readReport(t, r).Dependencies {
		if d.Point == "http.client:login" {
			require.Equal(t, "not all calls were made to fail: skipped: 1 held", d.Why)
		}
	}
	require.Contains(t, r.err, "  warning: not all calls were made to fail: skipped: 1 held\n")
	require.Contains(t, read(t, path), "<system-out>no longer critical: not all calls were made to fail: skipped: 1 held</system-out>")
}
