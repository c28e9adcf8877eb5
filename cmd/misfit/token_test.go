package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/inwords"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

// makeToken makes a token and returns what a verifier of the key file says about it.
func makeToken(t testing.TB, private, public string, flags ...string) (string, fault.Token) {
	t.Helper()
	out := done(t, append([]string{"token", "-key", private}, flags...)...)
	text := strings.TrimSuffix(out, "\n")
	require.NotContains(t, text, "\n", "the token alone")
	verifier, err := token.NewVerifier(readKeys(t, public))
	require.NoError(t, err)
	verified, err := verifier.VerifyToken(text)
	require.NoError(t, err)
	return text, verified
}

// What the issue that asked for the command does.
func TestKeygenTokenVerify(t *testing.T) {
	private, public := keys(t)
	before := time.Now().Truncate(time.Second)
	text, verified := makeToken(t, private, public,
		"-dependency", "ratings", "-error", "unavailable", "-for", "customer=42", "-ttl", "10m")
	require.Regexp(t, "^[a-z0-9]{8,11}$", verified.ID)
	require.Equal(t, whoAmI(), verified.Subject)
	require.Contains(t, verified.Subject, "@")
	require.Empty(t, verified.Services)
	require.Equal(t, 10*time.Minute, verified.Expires.Sub(verified.NotBefore))
	require.False(t, verified.NotBefore.Before(before))
	require.Len(t, verified.Rules, 1)
	require.JSONEq(t, `{"target":{"points":["ratings"]},"scope":{"customers":["42"]},"fault":{"error":{"class":"unavailable"}}}`,
		verified.Rules[0].String())
	require.Less(t, len(text), 512, "small enough for baggage")
	t.Logf("%d bytes, of which %d for the subject", len(text), len(verified.Subject))

	again, _ := makeToken(t, private, public, "-dependency", "ratings", "-error", "unavailable")
	require.NotEqual(t, text, again)
}

func TestRuleFlags(t *testing.T) {
	private, public := keys(t)
	for _, tt := range []struct{ flags, want string }{
		{"-dependency a -panic", `{"target":{"points":["a"]},"fault":{"panic":true}}`},
		{"--dependency=a --panic", `{"target":{"points":["a"]},"fault":{"panic":true}}`},
		{"-dependency a,http.client:b -dependency c -panic", `{"target":{"points":["a","http.client:b","c"]},"fault":{"panic":true}}`},
		{"-except a,b -except c -panic", `{"target":{"except":{"points":["a","b","c"]}},"fault":{"panic":true}}`},
		{"-dependency * -except pay -black-hole", `{"target":{"points":["*"],"except":{"points":["pay"]}},"fault":{"blackHole":true}}`},
		{"-dependency a -operation 'GET /a,b' -operation COMMIT -panic", `{"target":{"points":["a"],"operations":["GET /a,b","COMMIT"]},"fault":{"panic":true}}`},

		{"-dependency a -error reset", `{"target":{"points":["a"]},"fault":{"error":{"class":"reset"}}}`},
		{"-dependency a -error http=503", `{"target":{"points":["a"]},"fault":{"error":{"http":{"status":503}}}}`},
		{"-dependency a -error grpc=unavailable", `{"target":{"points":["a"]},"fault":{"error":{"grpc":{"code":"UNAVAILABLE"}}}}`},
		{"-dependency a -error grpc=14", `{"target":{"points":["a"]},"fault":{"error":{"grpc":{"code":"UNAVAILABLE"}}}}`},
		{"-dependency a -error name=out_of_stock", `{"target":{"points":["a"]},"fault":{"error":{"name":"out_of_stock"}}}`},
		{"-dependency a -error pg.serialization_failure", `{"target":{"points":["a"]},"fault":{"error":{"name":"pg.serialization_failure"}}}`},
		{"-dependency a -delay 2s", `{"target":{"points":["a"]},"fault":{"delay":{"fixed":"2s"}}}`},
		{"-dependency a -delay 1s..3s -error dns", `{"target":{"points":["a"]},"fault":{"delay":{"min":"1s","max":"3s"},"error":{"class":"dns"}}}`},
		{"-dependency a -delay 0s..3s", `{"target":{"points":["a"]},"fault":{"delay":{"max":"3s"}}}`},
		{"-dependency a -lost-reply", `{"target":{"points":["a"]},"fault":{"lostReply":true}}`},
		{"-dependency a -lost-reply -error timeout", `{"target":{"points":["a"]},"fault":{"error":{"class":"timeout"},"lostReply":true}}`},
		{"-dependency a -black-hole -lost-reply", `{"target":{"points":["a"]},"fault":{"blackHole":true,"lostReply":true}}`},
		{"-dependency a -panic -black-hole=false", `{"target":{"points":["a"]},"fault":{"panic":true}}`},

		{"-dependency a -panic -for customer=1 -for customer=b=c,d", `{"target":{"points":["a"]},"scope":{"customers":["1","b=c,d"]},"fault":{"panic":true}}`},
		{"-dependency a -panic -for request=7f", `{"target":{"points":["a"]},"scope":{"requests":["7f"]},"fault":{"panic":true}}`},
		{"-dependency a -panic -for plan=gold -for plan=free -for region=eu", `{"target":{"points":["a"]},"scope":{"attributes":{"plan":["gold","free"],"region":["eu"]}},"fault":{"panic":true}}`},
		{"-dependency a -panic -for attribute:customer=42", `{"target":{"points":["a"]},"scope":{"attributes":{"customer":["42"]}},"fault":{"panic":true}}`},
		{"-dependency a -panic -for percent=0.5%", `{"target":{"points":["a"]},"scope":{"percent":0.5},"fault":{"panic":true}}`},
		{"-dependency a -panic -for percent=5 -unit call", `{"target":{"points":["a"]},"scope":{"percent":5,"unit":"call"},"fault":{"panic":true}}`},
		{"-dependency a -panic -attempts 2", `{"target":{"points":["a"]},"scope":{"attempts":2},"fault":{"panic":true}}`},
		{"-dependency a -panic -limit concurrent=1 -limit perSecond=2 -limit total=3", `{"target":{"points":["a"]},"fault":{"panic":true},"limits":{"concurrent":1,"perSecond":2,"total":3}}`},
	} {
		_, verified := makeToken(t, private, public, split(t, tt.flags)...)
		require.Len(t, verified.Rules, 1)
		require.JSONEq(t, tt.want, verified.Rules[0].String(), tt.flags)
	}
	for _, class := range fault.Classes() {
		_, verified := makeToken(t, private, public, "-dependency", "a", "-error", string(class))
		require.Equal(t, class, verified.Rules[0].Fault.Error.Class)
	}
	for _, code := range fault.GRPCCodes() {
		_, verified := makeToken(t, private, public, "-dependency", "a", "-error", "grpc="+string(code))
		require.Equal(t, code, verified.Rules[0].Fault.Error.GRPC.Code)
	}
}

func TestTokenFlags(t *testing.T) {
	private, public := keys(t)
	_, verified := makeToken(t, private, public, "-dependency", "a", "-panic",
		"-ttl", "90s", "-subject", "kim, on call", "-id", "game-day", "-service", "shop,checkout", "-service", "stock")
	require.Equal(t, 90*time.Second, verified.Expires.Sub(verified.NotBefore))
	require.Equal(t, "kim, on call", verified.Subject)
	require.Equal(t, "game-day", verified.ID)
	require.Equal(t, []string{"shop", "checkout", "stock"}, verified.Services)

	text := done(t, "token", "-key", private, "-dependency", "a", "-panic", "-audience", "production")
	_, claims, err := token.Inspect(strings.TrimSpace(text))
	require.NoError(t, err)
	require.Equal(t, "production", claims.Audience)
	require.Equal(t, "misfit", claims.Issuer)
}

func TestRulesInFull(t *testing.T) {
	private, public := keys(t)
	const (
		one = `{"target": {"points": ["ratings"]}, "fault": {"stream": {"after": 10, "cut": true}}}`
		two = `{"target": {"points": ["orders-db"]}, "fault": {"delay": {"median": "10ms", "p99": "1s"}}, "priority": 3}`
	)
	file := filepath.Join(t.TempDir(), "rules.json")
	require.NoError(t, os.WriteFile(file, []byte("\n[\n"+one+",\n"+two+"]\n"), 0o600))

	_, verified := makeToken(t, private, public, "-rule", one, "-rule", " "+two, "-service", "shop")
	require.Len(t, verified.Rules, 2)
	require.JSONEq(t, `{"target":{"points":["ratings"]},"fault":{"stream":{"after":10,"cut":true}}}`, verified.Rules[0].String())
	require.Equal(t, 3, verified.Rules[1].Priority)

	_, fromFile := makeToken(t, private, public, "-rule", file)
	require.Equal(t, verified.Rules, fromFile.Rules)
	_, fromBoth := makeToken(t, private, public, "-rule", file, "-rule", one)
	require.Len(t, fromBoth.Rules, 3)

	r := misfitWith(one+"\n", "token", "-key", private, "-rule", "-")
	require.Zero(t, r.status, r.err)
	done(t, "token", "verify", "-keys", public, r.out)

	// Errors of rules in full are about their fields.
	r = misfit("token", "-key", private, "-rule", `{"target": {"points": ["a"]}, "fault": {"delay": {"fixed": "25h"}}}`, "-rule", one)
	require.Equal(t, statusUsage, r.status)
	require.Contains(t, r.err, "rules[0].fault.delay.fixed")

	many := strings.Repeat(","+one, 17)[1:]
	r = misfit("token", "-key", private, "-rule", "["+many+"]")
	require.Equal(t, statusUsage, r.status)
	require.Contains(t, r.err, "17 entries; 1 to 16")

	require.NoError(t, os.WriteFile(file, make([]byte, maxInputBytes+1), 0o600))
	r = misfit("token", "-key", private, "-rule", file)
	require.Equal(t, statusFile, r.status)
	require.Contains(t, r.err, "1 MiB")
}

func TestTokenTooLarge(t *testing.T) {
	private, _ := keys(t)
	r := misfit("token", "-key", private, "-dependency", strings.Repeat("a", 500)+","+strings.Repeat("b", 500), "-panic",
		"-operation", strings.Repeat("c", 500), "-operation", strings.Repeat("d", 500), "-operation", strings.Repeat("e", 500),
		"-operation", strings.Repeat("f", 500), "-operation", strings.Repeat("g", 500))
	require.Equal(t, statusUsage, r.status)
	require.Contains(t, r.err, "at most 4096")
	require.Empty(t, r.out)
}

func TestTokenSummary(t *testing.T) {
	private, _ := keys(t)
	flags := []string{"token", "-key", private, "-dependency", "ratings", "-delay", "1s..3s", "-for", "customer=42", "-ttl", "1h", "-id", "game-day", "-subject", "kim"}
	require.Empty(t, misfit(flags...).err, "no terminal, no summary")
	require.Empty(t, misfit(append(flags, "-v=false")...).err)
	for _, flag := range []string{"-v", "-verbose", "--verbose"} {
		r := misfit(append(flags, flag)...)
		require.Regexp(t, `^\S+\n$`, r.out, "the token alone")
		for _, want := range []string{
			"token     game-day\n", "asked by  kim\n", "environment test, all services\n", "(EdDSA)\n",
			"expires   in 1h, at ", "size      ", " of 8192 in baggage\n",
			"rule      delay 1s to 3s at ratings, for customer \"42\"\n",
			`{"target":{"points":["ratings"]},"scope":{"customers":["42"]},"fault":{"delay":{"min":"1s","max":"3s"}}}`,
		} {
			require.Contains(t, r.err, want)
		}
		require.NotContains(t, r.err, strings.TrimSpace(r.out))
		require.NotContains(t, r.err, secret(t, private))
	}
}

func TestTokenWarns(t *testing.T) {
	private, _ := keys(t)
	r := misfit("token", "-key", private, "-dependency", "a", "-panic", "-ttl", "61m")
	require.Zero(t, r.status)
	require.Contains(t, r.err, "warning: services refuse a token of more than 1h unless")
	if runtime.GOOS == "windows" {
		return
	}
	for _, open := range []os.FileMode{0o640, 0o604, 0o644} {
		require.NoError(t, os.Chmod(private, open))
		r = misfit("token", "-key", private, "-dependency", "a", "-panic")
		require.Zero(t, r.status, "it goes on")
		require.NotEmpty(t, r.out)
		require.Contains(t, r.err, "chmod 600 "+private)
	}
}

func TestWhoAmI(t *testing.T) {
	who := whoAmI()
	require.LessOrEqual(t, len(who), 64)
	_, host, found := strings.Cut(who, "@")
	require.True(t, found)
	require.NotContains(t, host, ".", "the host without its domain")
}

// Whatever is typed, the flags make a valid rule or a message.
func FuzzRuleFlags(f *testing.F) {
	f.Add("ratings", "http=503", "1s..3s", "customer=42", "concurrent=1", "call")
	f.Add("", "grpc=99", "..", "percent=NaN", "=", "")
	f.Add("*", "a.b", "-1s", "attribute:=x", "total=-1", "attribute:")
	f.Fuzz(func(t *testing.T, point, failure, delay, who, limit, unit string) {
		flags := ruleFlags{dependencies: []string{point}, failure: failure, delay: delay, who: []string{who}, limits: []string{limit}, unit: unit}
		r, err := flags.rule()
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		command := &tokenCommand{}
		asked := fault.Token{ID: "a", Subject: "b", NotBefore: time.Unix(0, 0), Expires: time.Unix(1, 0), Rules: []fault.Rule{r}}
		if err := asked.Validate(); err != nil {
			for line := range strings.Lines(command.inFlags(err).Error()) {
				require.False(t, strings.HasPrefix(line, "rules["), "%s names no flag", line)
			}
			return
		}
		require.NotEmpty(t, inwords.Rule(r))
	})
}
