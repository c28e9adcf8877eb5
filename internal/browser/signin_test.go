package browser_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/control"
	"github.com/misfit-go/misfit/fault"
)

const (
	viewerToken   = "vera-token-0123456789012345678"
	operatorToken = "oscar-token-012345678901234567"
	adminToken    = "ada-token-01234567890123456789"
)

func withTokens(t *testing.T) control.Option {
	t.Helper()
	hashed := make(map[string]control.Principal)
	for token, whose := range map[string]control.Principal{
		viewerToken:   {Name: "vera", Role: control.Viewer},
		operatorToken: {Name: "oscar", Role: control.Operator},
		adminToken:    {Name: "ada", Role: control.Admin},
	} {
		hash, err := control.HashToken(token)
		require.NoError(t, err)
		hashed[hash] = whose
	}
	authorizer, err := control.BearerTokens(hashed)
	require.NoError(t, err)
	return control.WithAuthorizer(authorizer)
}

func (tb *tab) signIn(token string) {
	tb.t.Helper()
	tb.write(field("Token"), token)
	tb.click(element(`[data-sheet=signin] [type=submit]`))
}

// TestSignIn is about who may do what: the page asks who somebody is, and says
// what is not theirs to do before it is tried.
func TestSignIn(t *testing.T) {
	s := serve(t, []string{"ratings"}, fault.Guardrails{}, withTokens(t))
	s.flow()
	tb := open(t, s.page, desktop)
	tb.allow(http.StatusUnauthorized, http.StatusForbidden)
	tb.sees("#now-title", "Who are you?")
	tb.sees("[data-sheet=signin]", "Give it the token")

	tb.signIn("nobody-s-token-0123456789012345")
	tb.sees("[data-sheet=signin] .trouble", "the credentials are not accepted")

	tb.signIn(viewerToken)
	tb.sees("#now-title", "Nothing is being broken")
	tb.sees("#you", "vera, viewer")
	tb.sees("#notices", `You can look, but not change anything, and not halt: "vera" has the role viewer; this needs operator.`)
	require.True(t, eval[bool](tb, `document.getElementById('make').disabled`))
	tb.click(element(`#halt`)) // it is tried all the same
	tb.sees("#alerts", "NOT halted: role too low.")
	tb.sees("#alerts", `"vera" has the role viewer`)
	tb.press("Sign out")
	tb.sees("#now-title", "Who are you?")

	tb.signIn(operatorToken)
	tb.sees("#you", "oscar, operator")
	tb.press("Make a rule")
	tb.click(element(`.point-choice input`))
	tb.press("Next")
	tb.click(element(`input[value=fail]`))
	tb.press("Next")
	tb.click(element(`input[value=customers]`))
	tb.write(field("Which"), "c-007")
	tb.press("Next")
	tb.press("Next")
	tb.press("Put it live")
	tb.sees("#now-rules", "by oscar")
	tb.wait(`Number(document.getElementById('events-count').innerText) > 0`) // with the token in a header
	tb.click(element(`#halt`))
	tb.sees("#now-title", "Halted")
	tb.sees("#now-do", "An admin can resume.")
	tb.press("Sign out")

	tb.signIn(adminToken)
	tb.press("Resume …")
	tb.press("Yes, resume")
	tb.sees("#now-title", "Nothing is being broken")

	// The token is nowhere but in this tab's memory.
	for _, address := range tb.asked() {
		require.NotContains(t, address, "token-0")
	}
	require.Equal(t, 0, eval[int](tb, `localStorage.length`))
	require.Empty(t, eval[string](tb, `document.cookie`))
	require.False(t, eval[bool](tb, `document.documentElement.outerHTML.includes('token-0')`))
	require.Equal(t, adminToken, eval[string](tb, `Object.values(sessionStorage).join()`))
}

// TestReadOnly says at once that nothing can be done from here.
func TestReadOnly(t *testing.T) {
	s := serve(t, []string{"ratings"}, fault.Guardrails{}, control.ReadOnly())
	tb := open(t, s.page, phone)
	tb.sees("#notices", "not halt: this endpoint is read-only")
	require.True(t, eval[bool](tb, `document.getElementById('make').disabled`))
}

// TestLostService never calls quiet what is not known.
func TestLostService(t *testing.T) {
	s := serve(t, []string{"ratings"}, fault.Guardrails{})
	tb := open(t, s.page, desktop)
	tb.sees("#now-title", "Nothing is being broken")
	tb.sees("#link", "live")
	tb.allowLost()
	s.server.CloseClientConnections()
	s.server.Listener.Close()
	tb.sees("#link", "reconnecting")
	tb.sees("#now-title", "Not known: the service does not answer")
	tb.click(element(`#halt`))
	tb.sees("#alerts", "NOT halted")
	tb.sees("#alerts", "curl -X POST "+s.page+"v1/halt")
}

// TestMount has the page at other places, and without a slash at the end.
func TestMount(t *testing.T) {
	inj := fault.New("checkout")
	handler := control.New(inj)
	mux := http.NewServeMux()
	mux.Handle("/", handler)
	mux.Handle("/a/b/", http.StripPrefix("/a/b", handler))
	mux.Handle("/bare", http.StripPrefix("/bare", handler))
	mux.Handle("/bare/", http.StripPrefix("/bare", handler))
	s := &service{t: t, inj: inj}
	s.listen(mux)
	for _, path := range []string{"/", "/a/b/", "/bare", "/bare/"} {
		t.Run(strings.ReplaceAll(path, "/", "_"), func(t *testing.T) {
			tb := open(t, s.server.URL+path, desktop)
			tb.sees("#now-title", "Nothing is being broken")
			tb.sees("#service", "checkout")
			require.True(t, strings.HasSuffix(eval[string](tb, `location.pathname`), "/"))
			tb.sees("#link", "live")
		})
	}
}

// TestBlackout and what is disabled: nothing can be broken, and the page says why.
func TestBlackout(t *testing.T) {
	s := serve(t, []string{"ratings"}, fault.Guardrails{Blackouts: []fault.Blackout{until(time.Now().Add(time.Hour))}})
	tb := open(t, s.page, desktop)
	tb.sees("#now-title", "Blackout: nothing may be broken now")
	tb.sees("#now-more", "open hours")
	tb.sees("#guardrails", "open hours (now, until ")
	tb.press("Make a rule")
	tb.sees("[data-sheet=make] .notice", "A blackout is on until")
}

func TestDisabled(t *testing.T) {
	t.Setenv("MISFIT_DISABLED", "1")
	s := serve(t, []string{"ratings"}, fault.Guardrails{})
	tb := open(t, s.page, desktop)
	tb.sees("#now-title", "Nothing can be broken")
	tb.sees("#now-more", "MISFIT_DISABLED")
}

// until is a blackout that is on until then.
type until time.Time

func (u until) Active(now time.Time) (time.Time, bool) { return time.Time(u), now.Before(time.Time(u)) }
func (u until) Next(time.Time) (time.Time, bool)       { return time.Time{}, false }
func (u until) String() string                         { return "open hours" }
