package control

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/inwords"
)

// getOverview shows everything to somebody at a terminal.
func (h *Handler) getOverview(c *call) error {
	var page bytes.Buffer
	status := h.inj.Status()
	fmt.Fprintf(&page, "%s: %s. %s held.\n\n", printable(serviceName(status)), state(status), count(status.Held, "call"))
	for _, f := range status.Failing {
		fmt.Fprintf(&page, "NOT TAKEN from source %s since %s; its earlier rules go on:\n", printable(f.Source), f.Since.UTC().Format(time.RFC3339))
		for line := range strings.Lines(f.Err.Error()) {
			fmt.Fprintf(&page, "  %s\n", printable(strings.TrimSuffix(line, "\n")))
		}
		fmt.Fprintln(&page)
	}
	writeRules(&page, h.inj.Rules())
	writePoints(&page, h.inj.Points())
	writeHelp(&page, baseURL(c.r))
	send(c.w, http.StatusOK, "text/plain; charset=utf-8", page.Bytes())
	return nil
}

func serviceName(status fault.Status) string {
	if status.Service == "" {
		return "(unnamed service)"
	}
	return status.Service
}

func state(status fault.Status) string {
	switch {
	case status.Disabled:
		return "DISABLED, nothing is ever injected"
	case status.Halted:
		return "HALTED, no rules are taken until it is resumed"
	case status.Rules == 0:
		return "running, nothing is injected"
	}
	return "running, " + count(status.Rules, "live rule")
}

func writeRules(page io.Writer, rules []fault.RuleStatus) {
	if len(rules) == 0 {
		return
	}
	fmt.Fprintln(page, "Rules, in the order in which they are asked:")
	fmt.Fprintln(page)
	t := newTable(page, "ID", "SOURCE", "WHO", "WHAT", "WHERE", "HITS", "SKIPS", "HELD", "LEFT")
	for _, r := range rules {
		t.row(r.Rule.ID, source(r), inwords.Scope(r.Rule.Scope), inwords.Fault(r.Rule.Fault), where(r),
			fmt.Sprint(r.Hits), skips(r.Skips), fmt.Sprint(r.Held), timeLeft(r.Left))
	}
	t.end()
}

// source says where a rule comes from, and of a token's who asked for it.
func source(r fault.RuleStatus) string {
	if r.By == "" {
		return r.Source
	}
	return r.Source + " of " + printable(r.By)
}

func writePoints(page io.Writer, points []fault.PointStatus) {
	if len(points) == 0 {
		fmt.Fprint(page, "No injection points yet: they show once the middleware around them is built.\n\n")
		return
	}
	fmt.Fprintln(page, "Injection points, and the rules armed there:")
	fmt.Fprintln(page)
	t := newTable(page, "POINT", "RULES")
	for _, p := range points {
		t.row(p.Kind+":"+p.Name, few(p.Rules, "none"))
	}
	t.end()
}

func writeHelp(page io.Writer, base string) {
	fmt.Fprintf(page, `Read as JSON:

  curl -s %[1]s/v1/status            also /v1/points, /v1/rules, /v1/rules/ID
  curl -s '%[1]s/v1/explain?point=ratings&operation=GET+/ratings/7&customer=42'
                                     why a call would be faulted, or is not

Write, from this machine alone:

  curl -X PUT %[1]s/v1/rules/ID -H 'Content-Type: application/json' -d '{
    "target": {"points": ["ratings"]},
    "scope":  {"percent": 1},
    "fault":  {"delay": {"fixed": "250ms"}},
    "ttl":    "10m"}'
  curl -X DELETE %[1]s/v1/rules/ID
  curl -X POST %[1]s/v1/halt         ends every rule and refuses new ones; /v1/resume takes them again
`, base)
}

// baseURL is where the handler is mounted, as the caller sees it. What could
// mean something to a shell is not repeated.
func baseURL(r *http.Request) string {
	const otherwise = "http://localhost:8080/debug/faults"
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if r.Host == "" || !strings.HasPrefix(path, "/") || strings.ContainsFunc(r.Host+path, isUnsafeInURL) {
		return otherwise
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return scheme + r.Host + strings.TrimRight(path, "/")
}

func isUnsafeInURL(c rune) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return false
	}
	return !strings.ContainsRune("-._/:[]%", c)
}

// A table writes rows in columns.
type table struct {
	page io.Writer
	w    *tabwriter.Writer
}

func newTable(page io.Writer, columns ...string) table {
	t := table{page, tabwriter.NewWriter(page, 0, 0, 2, ' ', 0)}
	t.row(columns...)
	return t
}

func (t table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = printable(cell)
	}
	fmt.Fprintln(t.w, "  "+strings.Join(cells, "\t"))
}

func (t table) end() {
	_ = t.w.Flush() // into memory
	fmt.Fprintln(t.page)
}

// printable replaces what a terminal might obey: names come from URLs and
// rules, and some of those from outside.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

func count[N int | int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
