package browser_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/fault"
)

// contrasts lists texts that stand out too little from what is behind them: WCAG
// 2.2, 1.4.3 wants 4.5, or 3 if they are large. What cannot be used is exempt.
const contrasts = `(() => {
	const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
	const rgba = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
	const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
	const ground = (e) => { const layers = []; for (let at = e; at; at = at.parentElement) { const c = rgba(getComputedStyle(at).backgroundColor); layers.push(c); if (c[3] === 1) break; } return layers.reverse().reduce((below, c) => over(c, below), [255, 255, 255]); };
	const light = (c) => { const [r, g, b] = c.slice(0, 3).map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const found = [];
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n = walker.nextNode(); n; n = walker.nextNode()) {
		const e = n.parentElement;
		if (!n.data.trim() || !e.checkVisibility() || e.closest('[inert], [disabled], .off, noscript, option')) continue;
		const style = getComputedStyle(e);
		const [a, b] = [light(over(rgba(style.color), ground(e))), light(ground(e))];
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		const size = parseFloat(style.fontSize);
		const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
		if (ratio < (large ? 3 : 4.5)) found.push(ratio.toFixed(2) + ' ' + e.className + ': ' + n.data.trim().slice(0, 40));
	}
	return found;
})()`

// nameless lists what can be used and has no name to be read out.
const nameless = `[...document.querySelectorAll('button, a, input, select, textarea, [role=img], [role=dialog]')]
	.filter((e) => e.checkVisibility() && !e.closest('[inert]'))
	.filter((e) => !(e.innerText?.trim() || e.getAttribute('aria-label') || e.labels?.length || document.getElementById(e.getAttribute('aria-labelledby'))?.innerText))
	.map((e) => e.outerHTML.slice(0, 100))`

// tiny lists what can be pressed and is hard to hit: WCAG 2.2, 2.5.8 wants 24 pixels.
const tiny = `[...document.querySelectorAll('button, a, select, input:not([type=radio], [type=checkbox])')]
	.filter((e) => e.checkVisibility() && (e.getBoundingClientRect().height < 24 || e.getBoundingClientRect().width < 24))
	.map((e) => e.outerHTML.slice(0, 100))`

// TestReadable looks at every view in both themes, on a desk and on a phone.
func TestReadable(t *testing.T) {
	s := serve(t, []string{"ratings", "payments", "a-dependency-whose-name-goes-on-and-on-and-on.example.internal"}, fault.Guardrails{Protected: []string{"payments"}, MaxPercent: 50})
	s.flow()
	api := operator{t, s.page}
	api.put("slow-ratings", `{"note":"game day","target":{"points":["ratings"]},"scope":{"percent":50},"fault":{"delay":{"fixed":"20ms"}},"limits":{"perSecond":3},"ttl":"10m"}`)
	api.put("paused", `{"target":{"points":["nowhere"]},"scope":{"customers":["c-001"]},"fault":{"blackHole":true},"paused":true,"ttl":"10m"}`)
	api.do(http.MethodPut, "v1/rules/wrong", `{}`, http.StatusUnprocessableEntity, nil)
	tb := open(t, s.page, desktop)
	tb.allow(http.StatusPreconditionFailed, http.StatusUnprocessableEntity)
	tb.sees("#now-title", "breaking calls")
	tb.sees("#rules", "too many a second")
	check := func(what string) {
		t.Helper()
		for _, as := range []look{desktop, {width: desktop.width, height: desktop.height, dark: true}, phone, {width: phone.width, height: phone.height, dark: true}} {
			tb.see(as)
			require.Empty(t, eval[[]string](tb, contrasts), "%s: contrasts, seen as %+v", what, as)
			require.LessOrEqual(t, eval[int](tb, `document.documentElement.scrollWidth`), int(as.width), "%s: it can be scrolled sideways, seen as %+v", what, as)
			require.Empty(t, eval[[]string](tb, tiny), "%s: hard to hit, seen as %+v", what, as)
		}
		require.Empty(t, eval[[]string](tb, nameless), "%s: has no name", what)
		tb.see(desktop)
	}
	check("live")
	tb.click(element(`a[data-view=events]`))
	tb.sees(".event", "hit")
	check("events")
	tb.click(`document.querySelector('.event.kind-hit button')`)
	tb.sees(".because", "slow-ratings")
	check("why")
	tb.click(element(`a[data-view=audit]`))
	tb.sees(".audit-entry", "refused")
	tb.click(element(`.audit-entry summary`))
	check("audit")
	tb.click(element(`a[data-view=live]`))

	tb.press("Make a rule")
	check("the guide, where")
	tb.click(`[...document.querySelectorAll('.point-choice input')].find((i) => i.value === 'http.client:ratings')`)
	tb.press("Next")
	tb.click(element(`input[value=stream]`))
	check("the guide, what")
	tb.press("Next")
	tb.click(element(`input[value=percent]`))
	tb.write(field("Percent"), "60")
	tb.sees(".trouble", "MaxPercent")
	check("the guide, who")
	tb.write(field("Percent"), "5")
	tb.press("Next")
	check("the guide, how long")
	tb.press("Next")
	tb.sees(".estimate-line", "Would hit")
	check("the guide, check")
	tb.keys("\x1b")
	tb.sees("#said", "not put live")
	check("what is said")
	tb.keys("\x1b")

	tb.click(element(`[data-rule=slow-ratings] [data-do=narrow]`))
	tb.wait(button("Narrow to 25 % of requests"))
	api.do(http.MethodPost, "v1/rules/slow-ratings/extend", `{"ttl":"20m"}`, http.StatusOK, nil)
	tb.press("Narrow to 25 % of requests")
	tb.sees("[data-sheet=conflict]", "They changed")
	check("a conflict")
	tb.press("Keep theirs")
	tb.press("Cancel")
	tb.click(element(`[data-rule=slow-ratings] [data-do=edit]`))
	tb.sees("[data-sheet=edit] .estimate", "Would hit")
	check("editing")
	tb.press("Cancel")
	tb.click(element(`#halt`))
	tb.sees("#now-title", "Halted")
	check("halted")
}
