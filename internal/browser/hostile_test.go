package browser_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/misfit-go/misfit/fault"
)

// hostile is what a stranger may send as a name.
const hostile = `<img src=x onerror="window.owned=1">`

// TestHostileTexts has strangers' texts in every place that they can come to, and
// looks at all of them.
func TestHostileTexts(t *testing.T) {
	s := serve(t, []string{hostile, "ratings"}, fault.Guardrails{Protected: []string{"</script><script>window.owned=1</script>"}})
	api := operator{t, s.page}
	rule, err := json.Marshal(map[string]any{
		"note":   hostile,
		"target": map[string]any{"points": []string{"*"}, "operations": []string{"*" + hostile + "*", "*"}},
		"scope":  map[string]any{"customers": []string{hostile}},
		"fault":  map[string]any{"error": map[string]any{"http": map[string]any{"status": 503, "body": hostile}}},
		"ttl":    "10m",
	})
	require.NoError(t, err)
	api.put("hostile", string(rule))
	tb := open(t, s.page, desktop)
	tb.sees("#rules .note-of-rule", hostile)
	tb.sees("#rules .facts", hostile)
	tb.sees("#now-rules", hostile)
	tb.sees("#points h3", hostile)
	tb.sees("#guardrails", "</script>")

	tb.wait(`document.getElementById('link').innerText === 'live'`)
	require.NoError(t, s.call(hostile, hostile, "/%3Cimg%20src=x%20onerror=%22window.owned=1%22%3E"))
	s.inj.Report(errorText(hostile))
	tb.click(element(`a[data-view=events]`))
	tb.sees(".event.kind-hit", hostile)
	tb.sees(".event.kind-problem", hostile)
	tb.click(`document.querySelector('.event.kind-hit button')`)
	tb.sees(".answer", hostile)
	tb.write(field("Point"), hostile)
	tb.press("Ask")
	tb.sees(".answer", "Yes.")

	tb.click(element(`a[data-view=audit]`))
	tb.click(element(`.audit-entry summary`))
	tb.sees(".audit-entry pre", `<img src=x onerror=\"window.owned=1\">`)
	tb.click(element(`a[data-view=live]`))

	// Sheets: the guide, widening, editing, and a conflict.
	tb.press("Make a rule")
	tb.sees(".point-choice", hostile)
	tb.keys("\x1b")
	tb.click(element(`[data-rule=hostile] [data-do=narrow]`))
	tb.sees("[data-sheet=widen]", hostile)
	tb.press("Cancel")
	tb.click(element(`[data-rule=hostile] [data-do=extend]`))
	api.do(http.MethodPut, "v1/rules/hostile", string(rule), http.StatusOK, nil)
	tb.allow(http.StatusPreconditionFailed)
	tb.press("Let it live 10 min")
	tb.sees("[data-sheet=conflict]", "Somebody else changed this rule")
	tb.press("Keep theirs")
	tb.press("Cancel")
	tb.click(element(`[data-rule=hostile] [data-do=edit]`))
	tb.wait(`document.querySelector('textarea').value.includes('onerror')`)
	tb.press("Cancel")

	require.Zero(t, eval[int](tb, `document.querySelectorAll('img, iframe, object, script:not([src="assets/page.js"])').length`))
	require.True(t, eval[bool](tb, `window.owned === undefined`))
}

type errorText string

func (e errorText) Error() string { return string(e) }

// TestMarkupIsRefused makes sure that the browser itself would not take markup from
// a script, should one try.
func TestMarkupIsRefused(t *testing.T) {
	s := serve(t, nil, fault.Guardrails{})
	tb := open(t, s.page, desktop)
	tb.sees("#now-title", "Nothing is being broken")
	tried := eval[string](tb, `(() => { try { document.createElement('div').innerHTML = '<b>'; return 'taken'; } catch (e) { return e.name; } })()`)
	require.Equal(t, "TypeError", tried)
	require.NotEmpty(t, eval[[]string](tb, `(() => { const all = violations; violations = []; return all; })()`))
	tb.mu.Lock()
	tb.allowed = append(tb.allowed, "TrustedHTML")
	tb.mu.Unlock()
}
