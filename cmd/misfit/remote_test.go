package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/scope"
	"github.com/stretchr/testify/require"
)

const mount = "/debug/faults"

// A service has a control endpoint, and a point or two.
type service struct {
	inj *fault.Injector
	url string // of the endpoint
}

func serve(t *testing.T, name string, points []string, options ...control.Option) service {
	t.Helper()
	return serveBehind(t, name, points, func(next http.Handler) http.Handler { return next }, options...)
}

// serveBehind puts something in front of the endpoint.
func serveBehind(t *testing.T, name string, points []string, front func(http.Handler) http.Handler, options ...control.Option) service {
	t.Helper()
	inj := fault.New(name)
	for _, point := range points {
		inj.Point("http.client", point)
	}
	mux := http.NewServeMux()
	mux.Handle(mount+"/", http.StripPrefix(mount, front(control.New(inj, options...))))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return service{inj, server.URL + mount}
}

// refusing returns a URL at which nobody listens. Nobody begins to, since the port is
// the far end of a connection.
func refusing(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return "http://" + conn.LocalAddr().String()
}

// noEnvironment keeps what is set outside away from the test.
func noEnvironment(t *testing.T) {
	t.Helper()
	t.Setenv("MISFIT_URL", "")
	t.Setenv("MISFIT_TOKEN", "")
}

const rulesFile = `rules:
  - id: slow-ratings
    note: does checkout survive?
    target: {points: [ratings]}
    scope: {percent: 1, unit: customer}
    fault: {delay: {fixed: 300ms}}
    ttl: 10m
  - id: one
    target: {points: [ratings]}
    scope: {customers: ["42"]}
    fault: {error: {class: unavailable}}
    ttl: 10m
`

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// testdata/remote.txt has command lines, what they print, and their exit status,
// against two services that have just begun.
func TestRemoteStory(t *testing.T) {
	noEnvironment(t)
	shop, edge := serve(t, "shop", []string{"ratings", "orders"}), serve(t, "edge", nil)
	stable := strings.NewReplacer(shop.url, "SHOP", edge.url, "EDGE")
	want := read(t, "testdata/remote.txt")
	wd, err := os.Getwd()
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("rules.yaml", []byte(rulesFile), 0o600))
	require.NoError(t, os.WriteFile("wider.yaml", []byte(strings.Replace(rulesFile, "percent: 1", "percent: 5", 1)), 0o600))
	require.NoError(t, os.WriteFile("bad.yaml", []byte("rules:\n  - id: x\n    targets: {}\n"), 0o600))

	var all []string
	for text := range strings.SplitSeq(strings.TrimSpace(want), "\n\n$ ") {
		line, _, _ := strings.Cut(strings.TrimPrefix(text, "$ "), "\n")
		command, ok := strings.CutPrefix(line, "misfit")
		require.True(t, ok, line)
		command = strings.NewReplacer("SHOP", shop.url, "EDGE", edge.url).Replace(command)
		r := misfit(split(t, command)...)
		got := fmt.Sprintf("%s\n%s%s%d", line, r.out, r.err, r.status)
		got = steady(stable.Replace(got))
		if !*update {
			require.Equal(t, strings.TrimPrefix(text, "$ "), got)
		}
		all = append(all, "$ "+got)
	}
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join(wd, "testdata/remote.txt"), []byte(strings.Join(all, "\n\n")+"\n"), 0o644))
	}
}

var unsteady = []struct {
	pattern *regexp.Regexp
	text    string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC`), "DATE-AND-TIME-IN-UTC..."},
	{regexp.MustCompile(`\b9m5\d(\.\d+)?s`), "10m0s"},
	{regexp.MustCompile(`\b19m5\d(\.\d+)?s`), "20m0s"},
	{regexp.MustCompile(`"remote": "[^"]*"`), `"remote": "ADDRESS"`},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "HASH"},
}

// steady takes out of a text what differs from run to run.
func steady(text string) string {
	for _, u := range unsteady {
		text = u.pattern.ReplaceAllString(text, u.text)
	}
	return text
}

func TestRemoteFromEnvironment(t *testing.T) {
	noEnvironment(t)
	a, b := serve(t, "a", nil), serve(t, "b", nil)
	t.Setenv("MISFIT_URL", a.url+", "+b.url+"/,"+a.url)
	out := done(t, "rules")
	require.Equal(t, "a at "+a.url+"\n\n  No rules.\n\nb at "+b.url+"\n\n  No rules.\n\n", out)
	require.NotContains(t, done(t, "rules", "-url", b.url), "a at")
}

func TestManyPagesOfRules(t *testing.T) {
	noEnvironment(t)
	shop := serve(t, "shop", nil)
	const n = 250
	for i := range n {
		require.NoError(t, shop.inj.Put(fault.Rule{
			ID: fmt.Sprintf("r%d", i), Target: fault.Target{Points: []string{"x"}}, Scope: customers("42"),
			Fault: fault.Fault{Error: &fault.ErrorFault{Class: fault.Unavailable}}, TTL: time.Minute,
		}))
	}
	out := done(t, "rules", "-url", shop.url)
	for i := range n {
		require.Equal(t, 1, strings.Count(out, fmt.Sprintf("  r%d ", i)), i)
	}
}

func TestCredentials(t *testing.T) {
	noEnvironment(t)
	const kim, vic = "kims-token-0123456789abcdef", "vics-token-0123456789abcdef"
	names := make(map[string]control.Principal)
	for token, p := range map[string]control.Principal{kim: {Name: "kim", Role: control.Operator}, vic: {Name: "vic", Role: control.Viewer}} {
		hash, err := control.HashToken(token)
		require.NoError(t, err)
		names[hash] = p
	}
	tokens, err := control.BearerTokens(names)
	require.NoError(t, err)
	shop := serve(t, "shop", []string{"ratings"}, control.WithAuthorizer(tokens))

	r := misfit("rules", "-url", shop.url)
	require.Equal(t, 1, r.status)
	require.Contains(t, r.err, "this endpoint asks who you are")
	done(t, "halt", "-url", shop.url, "-token-file", writeFile(t, "token", kim+"\n"))

	t.Setenv("MISFIT_TOKEN", vic)
	require.Contains(t, done(t, "rules", "-url", shop.url), "HALTED")
	r = misfit("halt", "-url", shop.url)
	require.Equal(t, 1, r.status)
	require.Contains(t, r.err, `NOT HALTED: "vic" has the role viewer`)

	t.Setenv("MISFIT_TOKEN", "wrong"+kim)
	file := writeFile(t, "rules.yaml", rulesFile)
	r = misfit("apply", "-f", file, "-url", shop.url)
	require.Equal(t, 1, r.status)
	require.Contains(t, r.err, "rule slow-ratings: the credentials are not accepted")
	require.Contains(t, r.err, "rule one: not tried")
	require.NotContains(t, r.err+r.out, kim, "a secret is shown")

	t.Setenv("MISFIT_TOKEN", "two words")
	require.Equal(t, 3, misfit("rules", "-url", shop.url).status)
	require.Equal(t, 3, misfit("rules", "-url", shop.url, "-token-file", writeFile(t, "none", "\n")).status)
}

// Who is sent elsewhere does not go there, least of all with the token.
func TestRedirectsAreNotFollowed(t *testing.T) {
	noEnvironment(t)
	t.Setenv("MISFIT_TOKEN", "kims-token-0123456789abcdef")
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer other.Close()
	for _, status := range []int{301, 302, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(other.URL, status))
		for _, command := range []string{"rules", "halt", "events"} {
			r := misfit(command, "-url", server.URL)
			require.Equal(t, 1, r.status, r.err)
			require.Contains(t, r.err, "it redirects to")
		}
		server.Close()
	}
	require.False(t, reached)
}

// One service is well, one is down, one never answers.
func TestSomeEndpointsFail(t *testing.T) {
	noEnvironment(t)
	shop := serve(t, "shop", []string{"ratings"})
	down := refusing(t)
	let := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-let:
		}
	}))
	defer slow.Close()
	defer close(let)
	urls := strings.Join([]string{down, shop.url, slow.URL}, ",")
	file := writeFile(t, "rules.yaml", rulesFile)

	for _, args := range [][]string{{"points"}, {"verdicts"}, {"verdicts", "-fail-on", "surfaced"}, {"rules"}, {"audit"}, {"explain", "-point", "ratings"}, {"halt"}, {"resume"}} {
		begun := time.Now()
		r := misfit(append(args, "-url", urls, "-timeout", "1s")...)
		require.Less(t, time.Since(begun), 30*time.Second)
		require.Equal(t, 3, r.status, args)
		require.Contains(t, r.out, "shop at "+shop.url, args)
		require.Contains(t, r.err, down+": ", args)
		require.Contains(t, r.err, slow.URL+": ", args)
		require.Contains(t, r.err, "no answer within 1s", args)
		require.Contains(t, r.err, "connection refused", args)
		require.NotContains(t, r.err, shop.url, args)
	}
	r := misfit("apply", "-f", file, "-url", urls, "-timeout", "1s")
	require.Equal(t, 3, r.status)
	require.Contains(t, r.err, "nothing was changed anywhere")
	require.Empty(t, shop.inj.Rules())

	done(t, "apply", "-f", file, "-url", shop.url)
	r = misfit("pause", "one", "-url", urls, "-timeout", "1s")
	require.Equal(t, 3, r.status)
	require.Contains(t, r.out, "one: paused")
	require.Contains(t, r.err, slow.URL+": rule one: no answer within 1s; it may have been done all the same")
	require.NotContains(t, r.err, "refused; it may")
}

// A halt is tried again when the way there is not good for a moment.
func TestHaltTriesAgain(t *testing.T) {
	noEnvironment(t)
	tries := 0
	shop := serveBehind(t, "shop", nil, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/halt" {
				switch tries++; tries {
				case 1:
					panic(http.ErrAbortHandler)
				case 2:
					w.WriteHeader(http.StatusBadGateway)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	})
	require.Contains(t, done(t, "halt", "-url", shop.url), "shop at "+shop.url+": halted, 0 rules ended\n")
	require.Equal(t, 3, tries)
	require.True(t, shop.inj.Status().Halted)
}

// What an endpoint says cannot steer a terminal, nor feign lines, nor fill it.
func TestHostileEndpoints(t *testing.T) {
	noEnvironment(t)
	evil := `\u001b[2J\u202e\nshop at http://other: halted\t` + strings.Repeat("x", 3000)
	bodies := map[string]string{
		"/v1/status":   `{"service":"` + evil + `"}`,
		"/v1/points":   `{"points":[{"point":"` + evil + `","rules":["` + evil + `"],"traffic":{"seconds":[{"calls":18446744073709551615,"p99":"` + evil + `"}]}}]}`,
		"/v1/verdicts": `{"on":true,"verdicts":[{"rule":"` + evil + `","point":"` + evil + `","operation":"` + evil + `","fault":{"` + evil + `":1},"endpoint":"` + evil + `","surfaced":18446744073709551615,"late":1,"reason":"` + evil + `","added":"` + evil + `"}]}`,
		"/v1/rules":    `{"rules":[{"rule":{"id":"` + evil + `","shiny":true},"source":"` + evil + `","by":"` + evil + `","points":["` + evil + `"],"skips":{"` + evil + `":1},"left":"` + evil + `"}]}`,
		"/v1/rules/x":  `{"rule":{"id":"` + evil + `","note":3},"source":"` + evil + `","hint":"` + evil + `"}`,
		"/v1/explain":  `{"point":"` + evil + `","operation":"` + evil + `","applies":"` + evil + `","rules":[{"rule":"` + evil + `","detail":"` + evil + `"}]}`,
		"/v1/audit":    `{"entries":[{"actor":"` + evil + `","detail":"` + evil + `","action":"` + evil + `"}]}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, ok := bodies[r.URL.Path]; ok && r.Method == http.MethodGet {
			io.WriteString(w, body)
			return
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, `{"detail":"`+evil+`","errors":[`+strings.Repeat(`{"path":"`+evil+`"},`, 200)+`{}]}`)
	}))
	defer server.Close()
	for _, args := range [][]string{
		{"points"},
		{"verdicts", "-fail-on", "surfaced"},
		{"rules"},
		{"rules", "x"},
		{"explain", "-point", "x"},
		{"audit"},
		{"halt"},
		{"delete", "x"},
		{"points", "-o", "json"},
	} {
		r := misfit(append(args, "-url", server.URL)...)
		text := r.out + r.err
		require.NotEmpty(t, text, args)
		require.NotContains(t, text, "\x1b", args)
		require.NotContains(t, text, "\u202e", args)
		require.NotContains(t, text, "\nshop", args)
		for line := range strings.Lines(text) {
			if !strings.Contains(strings.Join(args, " "), "json") {
				require.Less(t, len(line), 1200, args)
			}
		}
		require.Less(t, strings.Count(text, "\n"), 60, args)
	}
}

// What is no endpoint is said to be none.
func TestNoEndpoint(t *testing.T) {
	noEnvironment(t)
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		status int
		says   string
	}{
		"a page":        {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }, 3, "is there a control endpoint"},
		"not found":     {http.NotFound, 1, "is there a control endpoint"},
		"other JSON":    {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "[1]") }, 3, "not understood"},
		"too much":      {func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 33<<20)) }, 3, "more than 32 MiB"},
		"endless pages": {func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"rules":[],"next":"x"}`) }, 3, "pages of rules"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(tt.answer)
			defer server.Close()
			r := misfit("rules", "-url", server.URL)
			require.Equal(t, tt.status, r.status, r.err)
			require.Contains(t, r.err, tt.says)
		})
	}
}

func customers(ids ...string) scope.Scope { return scope.Customers(ids...) }

func rule(t *testing.T, text string) (r fault.Rule) {
	t.Helper()
	require.NoError(t, r.UnmarshalJSON([]byte(text)))
	return r
}

var testContext = context.Background()
