// Package faultstatus writes and reads the Fault-Status field, in which the
// library says what it did to a call: a structured field of RFC 9651, a list of
// tokens with parameters.
package faultstatus

import (
	"strings"

	"github.com/dunglas/httpsfv"
)

// A Verdict says what became of a rule that a call carried or came under.
type Verdict string

const (
	Applied    Verdict = "applied"     // a rule applied to a call at a point
	Skipped    Verdict = "skipped"     // it would have, had a limit not held it back
	Missed     Verdict = "missed"      // a call was made at a point it is aimed at, and is not one of those it is for
	NotReached Verdict = "not-reached" // no call was made where it is aimed, as far as is known
	Refused    Verdict = "refused"     // what was sent is not taken
	Uncarried  Verdict = "not-carried" // it is taken, but does not go on to the services behind
)

// An Item is one entry of the field. What is empty is left out.
type Item struct {
	Verdict Verdict
	Rule    string // its ID
	Point   string // "http.client:ratings"
	Service string // in which service that was
	Reason  string // for people
}

const (
	maxItems       = 16
	maxStringBytes = 512
	maxFieldBytes  = 16 << 10
)

// OfCall is the field of a call that the library answered itself.
func OfCall(rule, point, service string) string {
	return Format([]Item{{Verdict: Applied, Rule: rule, Point: point, Service: service}})
}

// Format writes the field. Texts are cut at 512 bytes. A String of RFC 9651
// holds only printable ASCII: anything else becomes "?", and line breaks "; ".
func Format(items []Item) string {
	list := make(httpsfv.List, 0, len(items))
	for _, item := range items[:min(len(items), maxItems)] {
		entry := httpsfv.NewItem(httpsfv.Token(item.Verdict))
		for _, parameter := range []struct{ name, text string }{
			{"rule", item.Rule}, {"point", item.Point}, {"service", item.Service}, {"reason", item.Reason},
		} {
			if parameter.text != "" {
				entry.Params.Add(parameter.name, printable(parameter.text))
			}
		}
		list = append(list, entry)
	}
	text, err := httpsfv.Marshal(list)
	if err != nil { // a verdict that is no token
		return ""
	}
	return text
}

// Parse reads the lines of a field that somebody else wrote. What it does not
// know it leaves out; of a field that is malformed or too long it takes nothing.
func Parse(lines []string) []Item {
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	if size == 0 || size > maxFieldBytes {
		return nil
	}
	list, err := httpsfv.UnmarshalList(lines)
	if err != nil {
		return nil
	}
	var items []Item
	for _, member := range list[:min(len(list), maxItems)] {
		entry, ok := member.(httpsfv.Item)
		if !ok {
			continue
		}
		verdict, _ := entry.Value.(httpsfv.Token)
		switch v := Verdict(verdict); v {
		case Applied, Skipped, Missed, NotReached, Refused, Uncarried:
			items = append(items, Item{v, text(entry, "rule"), text(entry, "point"), text(entry, "service"), text(entry, "reason")})
		}
	}
	return items
}

func text(entry httpsfv.Item, parameter string) string {
	value, _ := entry.Params.Get(parameter)
	s, _ := value.(string)
	return s[:min(len(s), maxStringBytes)]
}

func printable(s string) string {
	s = s[:min(len(s), maxStringBytes)]
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\n':
			b.WriteString("; ")
		case c < ' ' || c > '~':
			b.WriteByte('?')
		default:
			b.WriteByte(c)
		}
	}
	text := b.String()
	return text[:min(len(text), maxStringBytes)] // line breaks have made it longer
}
