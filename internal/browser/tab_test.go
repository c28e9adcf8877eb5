package browser_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// A tab is a page in the browser, and the person before it.
type tab struct {
	t     *testing.T
	ctx   context.Context // with a time limit
	whole context.Context // without

	mu        sync.Mutex
	within    string   // the address that all it asks for begins with
	strayed   []string // addresses that do not
	trouble   []string // that the browser tells of
	allowed   []string // parts of what it may tell of
	addresses []string // all that were asked for
}

// A look is how a person sees a page.
type look struct {
	width, height int64
	dark          bool
	scale         float64
}

var desktop, phone = look{width: 1280, height: 900}, look{width: 360, height: 740}

// open opens a page. When the test ends, it must have asked for nothing beyond its
// address, broken none of its content security policy, and raised no error.
func open(t *testing.T, address string, as look) *tab {
	return openFor(t, address, as, patience)
}

func openFor(t *testing.T, address string, as look, limit time.Duration) *tab {
	whole, cancel := chromedp.NewContext(browser(t), chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(whole)) // the tab is to outlive the time limit, to be judged
	ctx, stop := context.WithTimeout(whole, limit)
	t.Cleanup(stop)
	tb := &tab{t: t, ctx: ctx, whole: whole, within: address}
	require.NoError(t, chromedp.Listen(ctx, tb.listen))
	_, err := chromedp.Call(ctx, cdplog.Enable, cdp.Empty{})
	require.NoError(t, err)
	_, err = chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `window.violations = []; document.addEventListener('securitypolicyviolation', (e) => violations.push(e.violatedDirective + ' ' + e.blockedURI));`,
	})
	require.NoError(t, err)
	tb.see(as)
	t.Cleanup(tb.judge)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(address)))
	return tb
}

// see changes how the page is seen.
func (tb *tab) see(as look) {
	tb.t.Helper()
	scheme := "light"
	if as.dark {
		scheme = "dark"
	}
	_, err := chromedp.Call(tb.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	require.NoError(tb.t, err)
	options := []chromedp.EmulateViewportOption{chromedp.EmulateScale(max(1, as.scale))}
	if as.width < 600 {
		options = append(options, chromedp.EmulateMobile)
	}
	require.NoError(tb.t, chromedp.Do(tb.ctx, chromedp.EmulateViewport(as.width, as.height, options...)))
}

// listen must not wait for anything.
func (tb *tab) listen(ev any) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	switch e := ev.(type) {
	case *network.EventRequestWillBeSent:
		tb.addresses = append(tb.addresses, e.Request.URL)
		if !strings.HasPrefix(e.Request.URL, tb.within) {
			tb.strayed = append(tb.strayed, e.Request.URL)
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		tb.trouble = append(tb.trouble, text)
	case *runtime.EventConsoleAPICalled:
		for _, arg := range e.Args {
			tb.trouble = append(tb.trouble, fmt.Sprintf("console.%s: %s %s", e.Type, arg.Value, arg.Description))
		}
	case *cdplog.EventEntryAdded:
		tb.trouble = append(tb.trouble, fmt.Sprintf("%s, %s: %s %s", e.Entry.Level, e.Entry.Source, e.Entry.Text, e.Entry.URL))
	case *page.EventJavascriptDialogOpening:
		tb.trouble = append(tb.trouble, "a dialog: "+e.Message)
	}
}

// allow says that the browser may tell of an answer with this status.
func (tb *tab) allow(statuses ...int) {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for _, status := range statuses {
		tb.allowed = append(tb.allowed, fmt.Sprintf("the server responded with a status of %d ", status))
	}
}

// allowLost says that the service may be gone.
func (tb *tab) allowLost() {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.allowed = append(tb.allowed, "net::ERR_")
}

func (tb *tab) judge() {
	if tb.t.Failed() {
		tb.picture(filepath.Join(tb.t.ArtifactDir(), "failed.png"))
	} else {
		require.Empty(tb.t, eval[[]string](tb, `violations`), "of the content security policy")
	}
	tb.mu.Lock()
	defer tb.mu.Unlock()
	require.Empty(tb.t, tb.strayed, "addresses outside the page's")
	var trouble []string
	for _, text := range tb.trouble {
		expected := false
		for _, part := range tb.allowed {
			expected = expected || strings.Contains(text, part)
		}
		if !expected {
			trouble = append(trouble, text)
		}
	}
	require.Empty(tb.t, trouble, "what the browser tells of")
}

// asked returns all addresses that were asked for.
func (tb *tab) asked() []string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	return append([]string(nil), tb.addresses...)
}

// eval runs JavaScript in the page.
func eval[T any](tb *tab, js string) T {
	tb.t.Helper()
	v, err := chromedp.Run(tb.ctx, chromedp.Evaluate[T](js))
	require.NoError(tb.t, err, "%s", js)
	return v
}

// wait waits until an expression is true, or promises that.
func (tb *tab) wait(js string) {
	tb.t.Helper()
	var err error
	for ; tb.ctx.Err() == nil; pause(tb.ctx) {
		var ok bool
		ok, err = chromedp.Run(tb.ctx, chromedp.Evaluate[bool](`(async () => Boolean(await `+js+`))()`, chromedp.EvalAwaitPromise))
		if ok {
			return
		}
	}
	tb.t.Fatalf("never: %s\nlast: %v", js, err)
}

// pause is between two looks at something.
func pause(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(30 * time.Millisecond):
	}
}

// sees waits until the page, or the part of it that a selector gives, says
// something.
func (tb *tab) sees(selector, text string) {
	tb.t.Helper()
	tb.wait(fmt.Sprintf(`[...document.querySelectorAll(%q)].some((n) => n.checkVisibility() && n.innerText.replaceAll('\u00a0', ' ').includes(%q))`, selector, text))
}

// button is the expression for a button by what it says, that can be pressed.
func button(says string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('button')].filter((b) => b.checkVisibility() && !b.closest('[inert]') && !b.disabled && b.innerText.replaceAll('\u00a0', ' ').trim() === %q)[0]`, says)
}

// element is the expression for the first element that a selector gives.
func element(selector string) string { return fmt.Sprintf(`document.querySelector(%q)`, selector) }

// click clicks with the mouse, where an element stays for two looks and nothing
// lies over it. If it moves away all the same and the click misses, it is tried
// again.
func (tb *tab) click(target string) {
	tb.t.Helper()
	var before []float64
	for ; tb.ctx.Err() == nil; pause(tb.ctx) {
		at, _ := chromedp.Run(tb.ctx, chromedp.Evaluate[[]float64](`(() => {
			const e = `+target+`;
			if (!e || e.disabled || e.closest('[inert]')) return [];
			e.scrollIntoView({ block: 'center', behavior: 'instant' });
			const r = e.getBoundingClientRect();
			const [x, y] = [r.left + r.width / 2, r.top + r.height / 2];
			const hit = document.elementFromPoint(x, y);
			if (!hit || !e.contains(hit) && !hit.contains(e)) return [];
			window.clicked = false;
			e.addEventListener('click', () => { window.clicked = true; }, { once: true, capture: true });
			return [x, y];
		})()`))
		steady := len(at) == 2 && slices.Equal(at, before)
		before = at
		if !steady {
			continue
		}
		require.NoError(tb.t, chromedp.Do(tb.ctx, chromedp.MouseClickXY(at[0], at[1])))
		if eval[bool](tb, `window.clicked`) {
			return
		}
	}
	tb.t.Fatalf("cannot be clicked: %s", target)
}

// press clicks a button by what it says.
func (tb *tab) press(says string) {
	tb.t.Helper()
	tb.click(button(says))
}

// keys types, with modifiers held.
func (tb *tab) keys(keys string, held ...chromedp.Modifier) {
	tb.t.Helper()
	require.NoError(tb.t, chromedp.Do(tb.ctx, chromedp.KeyEvent(keys, chromedp.KeyModifiers(held...))))
}

// write replaces what is in a field.
func (tb *tab) write(target, text string) {
	tb.t.Helper()
	tb.wait(target)
	eval[chromedp.Void](tb, `(() => { const e = `+target+`; e.focus(); e.select(); })()`)
	tb.keys(text)
}

// field is the expression for a visible field by its label.
func field(label string) string {
	return fmt.Sprintf(`[...document.querySelectorAll('label')].filter((l) => l.checkVisibility() && l.innerText.trim() === %q).map((l) => l.control)[0]`, label)
}

// choose picks an option of a field.
func (tb *tab) choose(target, value string) {
	tb.t.Helper()
	tb.wait(target)
	eval[chromedp.Void](tb, fmt.Sprintf(`(() => { const e = %s; e.value = %q; e.dispatchEvent(new Event('change')); })()`, target, value))
}

func (tb *tab) picture(name string) {
	data, err := chromedp.Run(tb.whole, chromedp.CaptureScreenshot())
	if err != nil {
		tb.t.Logf("no picture: %v", err)
		return
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		tb.t.Logf("no picture: %v", err)
	}
}
