package browser_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	edgeAddress    = regexp.MustCompile(`http://127\.0\.0\.1:\d+/products/7\b`)
	controlAddress = regexp.MustCompile(`(http://127\.0\.0\.1:\d+/debug/faults/)v1/points`)
)

// A shop is the storefront, running.
type shop struct {
	edge    string // a page that users open
	control string // the endpoint of the product service
}

// openShop builds and starts the storefront.
func openShop(t *testing.T) shop {
	browser(t) // or there is nothing to do
	program, err := built()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), program, "-serve", "-port", "0")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	found := make(chan shop, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		var s shop
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if s.edge == "" {
				s.edge = edgeAddress.FindString(lines.Text())
			}
			if m := controlAddress.FindStringSubmatch(lines.Text()); m != nil && s.control == "" {
				s.control = m[1]
				found <- s
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Cancel()
		<-read
		_ = cmd.Wait()
	})
	select {
	case s := <-found:
		return s
	case <-read:
		t.Fatal("the storefront ended")
	case <-time.After(patience):
		t.Fatal("the storefront says nothing of where it is")
	}
	return shop{}
}

// visit has customers c-000 to c-059 open pages of the shop until the test ends.
func (s shop) visit(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	client := &http.Client{Timeout: 30 * time.Second}
	for lane := range 6 {
		go keepOn(ctx, 150*time.Millisecond, func(i int) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.edge, nil)
			if err != nil {
				return
			}
			req.Header.Set("X-Customer", customer((6*i+lane)%60))
			if resp, err := client.Do(req); err == nil {
				_ = resp.Body.Close()
			}
		})
	}
}

// TestStory is what an operator does with the page, on the running storefront.
func TestStory(t *testing.T) {
	s := openShop(t)
	s.visit(t)
	api := operator{t, s.control}
	tb := open(t, s.control, desktop)

	// Nothing is broken, and there is traffic to see.
	tb.sees("#now-title", "Nothing is being broken")
	tb.sees("#service", "product")
	tb.wait(`parseFloat(document.querySelector('[data-point="http.client:ratings"] .figures b').innerText) > 0`)
	tb.wait(`document.querySelector('[data-point="http.client:ratings"] .spark-calls').getAttribute('d') !== ''`)

	// A rule is made: where, what, who, how long; whom it would hit is shown before.
	tb.click(element(`[data-point="http.client:ratings"] .point-do button`))
	tb.click(element(`input[value=slow]`))
	tb.write(field("How long"), "150")
	tb.press("Next")
	tb.click(element(`input[value=customers]`))
	tb.write(field("Which"), "c-042, c-007")
	tb.sees(".estimate-line", "Would hit")
	tb.wait(`/Would hit [1-9]\d* of the latest/.test(document.querySelector('.estimate-line').innerText)`)
	tb.press("Next")
	tb.write(field("Note"), "game day")
	require.Equal(t, "slow-ratings", eval[string](tb, field("Name")+`.value`))
	tb.press("Next")
	tb.sees(".sentence", "For 10 min, calls at http.client:ratings wait 150 ms, for customers “c-042”, “c-007”; without a limit.")
	tb.press("Put it live")

	// Its hits arrive, with nobody reloading the page.
	tb.sees("#now-title", "1 rule is breaking calls")
	tb.sees("#now-rules", "by local")
	const hits = `Number(document.querySelector('[data-rule=slow-ratings] .number-hits b').innerText)`
	tb.wait(hits + ` > 0`)
	first := eval[int](tb, hits)
	tb.wait(fmt.Sprintf(`%s > %d`, hits, first))
	tb.wait(`Number(document.getElementById('events-count').innerText) > 0`)
	tb.wait(`document.querySelector('[data-point="http.client:ratings"] .figure-faulted b').innerText !== '0'`)
	require.GreaterOrEqual(t, api.rule("slow-ratings").Hits, first)
	tb.wait(`/^[0-9]+:[0-9]{2}$/.test(document.querySelector('[data-rule=slow-ratings] .clock').innerText)`)

	// An event is a question that answers itself.
	tb.click(element(`a[data-view=events]`))
	tb.click(`document.querySelector('.event.kind-hit button')`)
	tb.sees(".verdict", "Yes. The rule slow-ratings applies to this call.")
	tb.click(element(`a[data-view=live]`))

	// It is widened, by steps.
	tb.click(element(`[data-rule=slow-ratings] [data-do=widen]`))
	tb.sees(".rung.off", "one step at a time")
	tb.press("Widen to 1 % of customers")
	tb.sees("[data-rule=slow-ratings] .facts", "1 % of customers")
	tb.press("Widen to 5 % …")
	tb.press("Widen to 5 % of customers")
	tb.sees("[data-rule=slow-ratings] .facts", "5 % of customers")
	widened := api.rule("slow-ratings").Rule
	require.Equal(t, 5.0, *widened.Scope.Percent)
	require.EqualValues(t, "customer", widened.Scope.Unit)
	require.Equal(t, "game day", widened.Note)

	// One click ends it all.
	tb.click(element(`#halt`))
	tb.sees("#now-title", "Halted: nothing is being broken")
	tb.sees("#said", "Halted. 1 rule ended")
	var status struct {
		Halted bool
		Rules  int
	}
	api.do(http.MethodGet, "v1/status", "", http.StatusOK, &status)
	require.True(t, status.Halted)
	require.Zero(t, status.Rules)

	// All of it is on record.
	tb.click(element(`a[data-view=audit]`))
	tb.wait(`document.querySelectorAll('.audit-entry').length >= 4`)
	shown := eval[[]string](tb, `[...document.querySelectorAll('.audit-entry .audit-words > p:first-child')].slice(0, 4).map((p) => p.innerText.replace(/\s+/g, ' ').trim())`)
	require.Equal(t, []string{
		"local halted everything done",
		"local changed the scope of slow-ratings done",
		"local changed the scope of slow-ratings done",
		"local made slow-ratings done",
	}, shown)
	tb.sees(".audit-entry", "scope.percent: 1 → 5")
	tb.write(field("Rule"), "slow-ratings")
	tb.wait(`document.querySelectorAll('.audit-entry').length === 3`)
	tb.choose(field("Action"), "rule.put")
	tb.wait(`document.querySelectorAll('.audit-entry').length === 1`)
	require.Equal(t, []entry{
		{"local", "halt", "", "done"},
		{"local", "rule.widen", "slow-ratings", "done"},
		{"local", "rule.widen", "slow-ratings", "done"},
		{"local", "rule.put", "slow-ratings", "done"},
	}, api.record("?limit=4"))
}
