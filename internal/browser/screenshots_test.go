package browser_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// largest is the size of a screenshot that the repository can bear, in bytes.
const largest = 150_000

// TestScreenshots takes the pictures of the storefront that are in the docs, if it
// is asked to.
func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("-screenshots says where to put them")
	}
	s := openShop(t)
	s.visit(t)
	api := operator{t, s.control}
	tb := openFor(t, s.control, desktop, 5*time.Minute)
	tb.allow(http.StatusPreconditionFailed, http.StatusUnprocessableEntity)
	take := func(name string, as look) {
		t.Helper()
		tb.see(as)
		eval[chromedp.Void](tb, `document.activeElement.blur()`)
		tb.wait(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
		data, err := chromedp.Run(tb.ctx, chromedp.CaptureScreenshot())
		require.NoError(t, err)
		data, err = shrink(data)
		require.NoError(t, err)
		require.Less(t, len(data), largest, name)
		require.NoError(t, os.WriteFile(filepath.Join(*screenshots, name+".png"), data, 0o644))
		tb.see(desktop)
	}
	takeAll := func(name string, height int64) {
		t.Helper()
		for _, theme := range []string{"light", "dark"} {
			take(name+"-desktop-"+theme, look{width: 1280, height: height, dark: theme == "dark"})
			take(name+"-phone-"+theme, look{width: 375, height: 760, scale: 1.5, dark: theme == "dark"})
		}
	}

	tb.sees("#now-title", "Nothing is being broken")
	tb.sees("#link", "live")
	tb.wait(`Date.now() - performance.timeOrigin > 15_000`)
	takeAll("empty", 860)

	// A minute of traffic fills the sparklines, a part of it without faults.
	api.put("slow-ratings", `{"note":"Game day, OPS-77","target":{"points":["http.client:ratings"]},"scope":{"percent":25,"unit":"customer"},"fault":{"delay":{"fixed":"400ms"}},"limits":{"concurrent":2},"ttl":"15m"}`)
	api.put("no-stock", `{"target":{"points":["grpc.client:inventory"]},"scope":{"customers":["c-042","c-007","c-013","c-021"]},"fault":{"error":{"class":"unavailable"}},"ttl":"10m"}`)
	tb.sees("#now-title", "2 rules are breaking calls")
	tb.wait(`Date.now() - performance.timeOrigin > 45_000`)
	takeAll("busy", 1290)

	// Making another, which a guardrail refuses at first.
	tb.press("Make a rule")
	tb.click(`[...document.querySelectorAll('.point-choice input')].find((i) => i.value === 'http.client:ratings')`)
	tb.press("Next")
	tb.click(element(`input[value=fail]`))
	tb.press("Next")
	tb.click(element(`input[value=percent]`))
	tb.press("Next")
	tb.write(field("It lives for"), "3000")
	tb.sees(".step .trouble", "MaxTTL")
	takeAll("refused", 860)
	tb.write(field("It lives for"), "10")
	tb.press("Next")
	tb.sees(".estimate-line", "Would hit")
	take("make-desktop-light", look{width: 1280, height: 860})
	tb.press("Close")
	tb.press("Close")

	tb.click(element(`[data-rule=slow-ratings] [data-do=widen]`))
	tb.sees(".estimate-line", "Would hit")
	take("widen-phone-light", look{width: 375, height: 760, scale: 1.5})
	tb.wait(button("Widen to 50 % of customers"))
	api.do(http.MethodPost, "v1/rules/slow-ratings/extend", `{"ttl":"20m"}`, http.StatusOK, nil)
	tb.press("Widen to 50 % of customers")
	tb.sees("[data-sheet=conflict]", "They changed")
	take("conflict-phone-dark", look{width: 375, height: 760, scale: 1.5, dark: true})
	tb.press("Keep theirs")
	tb.press("Cancel")

	tb.click(element(`#halt`))
	tb.sees("#now-more", "By local")
	takeAll("halted", 860)
	tb.click(element(`a[data-view=audit]`))
	tb.sees(".audit-entry", "halted everything")
	take("audit-desktop-dark", look{width: 1280, height: 860, dark: true})
}
