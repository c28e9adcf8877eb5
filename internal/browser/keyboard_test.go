package browser_test

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/fault"
)

const slowRatings = `{"note":"game day","target":{"points":["http.client:ratings"]},"scope":{"percent":1,"unit":"customer"},"fault":{"delay":{"fixed":"20ms"}},"ttl":"10m"}`

// TestHaltByKeyboard uses no mouse.
func TestHaltByKeyboard(t *testing.T) {
	s := serve(t, []string{"ratings"}, fault.Guardrails{})
	api := operator{t, s.page}
	api.put("slow-ratings", slowRatings)
	tb := open(t, s.page, desktop)
	tb.sees("#now-title", "1 rule is armed")

	// Halt is the first thing that Tab comes to, and is seen to be.
	tb.keys(kb.Tab)
	require.Equal(t, "halt", eval[string](tb, `document.activeElement.id`))
	require.NotEqual(t, "none", eval[string](tb, `getComputedStyle(document.activeElement).outlineStyle`))
	tb.keys(kb.Enter)
	tb.sees("#now-title", "Halted")
	tb.sees("#now-more", "By local")

	// Resuming is asked about once more; Escape or No leave things as they are.
	tb.wait(button("Resume …"))
	tb.tabTo("Resume …")
	tb.keys(kb.Enter)
	tb.wait(`document.activeElement.innerText === 'Yes, resume'`)
	tb.keys(kb.Enter)
	tb.sees("#now-title", "Nothing is being broken")
	require.Equal(t, []entry{{"local", "resume", "", "done"}, {"local", "halt", "", "done"}}, api.record("?limit=2"))
}

// TestHaltFromAnywhere presses the key in the middle of something else, with a
// sheet open over the page and the focus in a field.
func TestHaltFromAnywhere(t *testing.T) {
	s := serve(t, []string{"ratings"}, fault.Guardrails{})
	api := operator{t, s.page}
	tb := open(t, s.page, desktop)
	tb.press("Make a rule")
	tb.click(element(`.point-choice input`))
	tb.press("Next")
	tb.click(element(`input[value=slow]`))
	tb.wait(`document.querySelector('#main').inert`)
	eval[chromedp.Void](tb, field("How long")+`.focus()`)
	tb.keys("h", chromedp.ModifierAlt)
	tb.wait(`document.body.dataset.state === 'halted'`)
	require.Equal(t, "500", eval[string](tb, field("How long")+`.value`), "nothing was typed")

	// What was begun is still there, and says why it cannot be put.
	tb.sees("[data-sheet=make] .notice", "The service is halted")
	api.do(http.MethodPost, "v1/resume", "", http.StatusOK, nil)
	tb.wait(`document.body.dataset.state === 'calm'`)

	// With the mouse, too, Halt is in reach over a sheet, on a phone as well.
	tb.see(phone)
	tb.click(element(`#halt`))
	tb.wait(`document.body.dataset.state === 'halted'`)
	require.Equal(t, []entry{{"local", "halt", "", "done"}, {"local", "resume", "", "done"}, {"local", "halt", "", "done"}}, api.record(""))
}

// TestSheetByKeyboard makes a rule with no mouse.
func TestSheetByKeyboard(t *testing.T) {
	s := serve(t, []string{"ratings"}, fault.Guardrails{})
	s.flow()
	tb := open(t, s.page, desktop)
	tb.wait(button("Make a rule"))
	eval[chromedp.Void](tb, `document.getElementById('make').focus()`)
	tb.keys(kb.Enter)
	tb.wait(`document.activeElement.type === 'checkbox'`)
	tb.keys(" " + kb.Enter) // this point, and on
	tb.wait(`document.activeElement.value === 'slow'`)
	tb.keys(" " + kb.ArrowDown) // not slow: the next one down
	tb.wait(`document.querySelector('input[value=fail]').checked`)
	tb.keys(kb.Enter)
	tb.wait(`document.activeElement.value === 'requests'`)
	tb.keys(" " + kb.ArrowDown)
	tb.wait(field("Which"))
	tb.keys(kb.Tab + "c-001" + kb.Enter)
	tb.wait(`document.activeElement.labels?.[0]?.innerText === 'It lives for'`)
	tb.keys(kb.Enter + kb.Enter) // one too many puts nothing live
	tb.wait(`document.activeElement.className === 'sentence'`)
	tb.wait(button("Put it live"))
	tb.tabTo("Put it live")
	tb.keys(kb.Enter)
	tb.sees("#rules .facts", "fail: connection refused")
	tb.wait(`document.querySelector('[data-sheet]') === null`)
	require.Equal(t, "make", eval[string](tb, `document.activeElement.id`), "the focus is back where it was")

	// Escape closes a sheet in which nothing is lost.
	tb.click(element(`[data-do=extend]`))
	tb.wait(element(`[data-sheet=extend]`))
	tb.keys(kb.Escape)
	tb.wait(`document.querySelector('[data-sheet]') === null`)
	require.Equal(t, "extend", eval[string](tb, `document.activeElement.dataset.do`))
}

// tabTo presses Tab until it comes to what says so.
func (tb *tab) tabTo(says string) {
	tb.t.Helper()
	for range 50 {
		tb.keys(kb.Tab)
		if eval[string](tb, `document.activeElement.innerText`) == says {
			return
		}
	}
	tb.t.Fatalf("Tab does not come to %q", says)
}
