package browser_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/fault"
)

// TestTwoOperators has a second operator change a rule behind the page's back. One
// of the two is told, and nothing is lost.
func TestTwoOperators(t *testing.T) {
	s := serve(t, []string{"ratings"}, fault.Guardrails{})
	api := operator{t, s.page}
	api.put("slow-ratings", slowRatings)
	tb := open(t, s.page, desktop)
	tb.allow(http.StatusPreconditionFailed, http.StatusNotFound)

	// Each changed something else: both changes stay.
	tb.press("Widen to 5 % …")
	tb.wait(button("Widen to 5 % of customers"))
	api.do(http.MethodPost, "v1/rules/slow-ratings/extend", `{"ttl":"3h"}`, http.StatusOK, nil)
	tb.press("Widen to 5 % of customers")
	tb.sees("[data-sheet=conflict]", "Somebody else changed this rule")
	tb.sees("[data-sheet=conflict]", "local extended slow-ratings")
	tb.sees("[data-sheet=conflict] .changes", "expires")
	tb.sees("[data-sheet=conflict] .changes", "scope.percent\n1 → 5")
	require.Equal(t, 1.0, *api.rule("slow-ratings").Rule.Scope.Percent, "nothing is done unasked")
	tb.press("Mine on top of theirs")
	tb.sees("[data-rule=slow-ratings] .facts", "5 % of customers")
	now := api.rule("slow-ratings").Rule
	require.Equal(t, 5.0, *now.Scope.Percent)
	require.Greater(t, time.Until(now.Expires), 2*time.Hour, "theirs is not lost")

	// An edit as JSON: theirs can be kept, and what was written is still there.
	tb.click(element(`[data-rule=slow-ratings] [data-do=edit]`))
	tb.write(element("textarea"), `{"id":"slow-ratings","note":"mine","target":{"points":["ratings"]},"scope":{"percent":1},"fault":{"delay":{"fixed":"30ms"}},"ttl":"5m"}`)
	api.do(http.MethodPut, "v1/rules/slow-ratings", `{"note":"theirs","target":{"points":["http.client:ratings"]},"scope":{"percent":5,"unit":"customer"},"fault":{"delay":{"fixed":"20ms"}},"limits":{"total":9},"ttl":"1h"}`, http.StatusOK, nil)
	tb.press("Save")
	tb.sees("[data-sheet=conflict] .changes.both", "note")
	tb.sees("[data-sheet=conflict] .changes.both", `"game day" → "theirs" by them, "mine" by you`)
	tb.press("Keep theirs")
	require.Equal(t, "theirs", api.rule("slow-ratings").Rule.Note)
	tb.wait(`document.querySelector('[data-sheet=edit] textarea').value.includes('"mine"')`)
	tb.press("Save")
	tb.press("Mine on top of theirs")
	tb.sees("[data-rule=slow-ratings] .note-of-rule", "mine")
	now = api.rule("slow-ratings").Rule
	require.Equal(t, 30*time.Millisecond, now.Fault.Delay.Fixed, "mine")
	require.Equal(t, 9, now.Limits.Total, "theirs")

	// Deleting what somebody has changed is asked about, and what is gone is said.
	tb.wait(`document.querySelector('[data-rule=slow-ratings] [data-do=delete]')`)
	api.do(http.MethodPost, "v1/rules/slow-ratings/pause", "", http.StatusOK, nil)
	eval[bool](tb, `document.querySelector('[data-rule=slow-ratings] [data-do=delete]').click() || true`) // before the page has looked again
	tb.wait(element(`[data-sheet=conflict]`) + ` || !` + element(`[data-rule=slow-ratings]`))
	if eval[bool](tb, `document.querySelector('[data-sheet=conflict]') !== null`) {
		api.do(http.MethodDelete, "v1/rules/slow-ratings", "", http.StatusNoContent, nil)
		tb.press("Delete it all the same")
		tb.sees("#alerts", "slow-ratings is gone")
	}
	tb.sees("#now-title", "Nothing is being broken")
}

// TestPutBack takes a deleted rule back, since a click may be a slip.
func TestPutBack(t *testing.T) {
	s := serve(t, []string{"ratings"}, fault.Guardrails{})
	api := operator{t, s.page}
	api.put("slow-ratings", slowRatings)
	tb := open(t, s.page, phone)
	tb.press("Pause")
	tb.sees("#now-more", "1 rule is paused")
	require.True(t, api.rule("slow-ratings").Rule.Paused)
	tb.press("Unpause")
	tb.sees("#now-title", "1 rule is armed")
	tb.press("Delete")
	tb.sees("#now-title", "Nothing is being broken")
	tb.press("Put it back")
	tb.sees("#now-title", "1 rule is armed")
	require.Equal(t, "game day", api.rule("slow-ratings").Rule.Note)
}

// TestLimitsOfWhatCanBePut shows guardrails before they are tried, and what is
// wrong at the field that it is about.
func TestLimitsOfWhatCanBePut(t *testing.T) {
	s := serve(t, []string{"ratings", "payments-eu"}, fault.Guardrails{
		MaxDelay: 3 * time.Second, MaxPercent: 25, MaxTotalPercent: 10, MaxTTL: 30 * time.Minute, Protected: []string{"payments*"},
	})
	api := operator{t, s.page}
	tb := open(t, s.page, phone)
	tb.allow(http.StatusUnprocessableEntity)
	tb.sees("#guardrails", "25 %")
	tb.sees(`[data-point="http.client:payments-eu"]`, "protected: payments*")
	tb.press("Make a rule")
	require.True(t, eval[bool](tb, `[...document.querySelectorAll('.point-choice input')].find((i) => i.value === 'http.client:payments-eu').disabled`))
	tb.click(`[...document.querySelectorAll('.point-choice input')].find((i) => i.value === 'http.client:ratings')`)
	tb.press("Next")

	// Only what an HTTP client can have happen to it is offered.
	tb.wait(`document.querySelector('input[value=slow]')`)
	require.True(t, eval[bool](tb, `document.querySelector('input[value=slow]').disabled === false && document.querySelector('input[value=fail]').disabled === false`))
	tb.click(element(`input[value=slow]`))
	require.True(t, eval[bool](tb, `[...document.querySelectorAll('.preset')].find((b) => b.innerText === '10 s').disabled`))
	tb.press("Next")
	tb.click(element(`input[value=percent]`))
	require.Equal(t, []string{"1 %", "5 %"}, eval[[]string](tb, `[...document.querySelectorAll('.step:not([hidden]) .preset:not([disabled])')].map((b) => b.innerText.replaceAll('\u00a0', ' '))`))
	tb.write(field("Percent"), "50")
	tb.sees(".step .trouble", "the guardrail MaxPercent allows 25 %")
	tb.write(field("Percent"), "5")
	tb.sees(".estimate-line", "No calls have been seen there yet")
	tb.click(`[...document.querySelectorAll('.step-tab')][1]`)
	tb.write(field("How long"), "4000")
	tb.sees(".step .trouble", "the guardrail MaxDelay allows 3s")
	tb.write(field("How long"), "400")
	tb.click(`[...document.querySelectorAll('.step-tab')][3]`)
	tb.write(field("It lives for"), "45")
	tb.sees(".step .trouble", "the guardrail MaxTTL allows 30m0s")
	tb.write(field("It lives for"), "5")
	tb.write(field("Name"), "no good!")
	tb.sees(".step .trouble", "letters, digits")

	// The name of another rule is not taken over.
	api.put("slow-ratings", slowRatings)
	tb.write(field("Name"), "slow-ratings")
	tb.press("Next")
	tb.allow(http.StatusPreconditionFailed)
	tb.press("Put it live")
	tb.sees(".step .trouble", "there is a rule of that name already")
	tb.write(field("Name"), "slow-ratings-2")
	tb.press("Next")
	tb.press("Put it live")
	tb.sees("#rules", "slow-ratings-2")
	require.Equal(t, 400*time.Millisecond, api.rule("slow-ratings-2").Rule.Fault.Delay.Fixed)
	tb.sees("#guardrails", "10 %, of which 4 % are left")
}
