package faulttest

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// firstLogged returns the first line that says why t failed, or that its log says.
// What was logged at places where a test that passed has logged, too, is passed over.
//
// What a test has logged cannot be asked for. It is read here from a field of package
// testing that is not exported, by reflection and so without harm: where that is not
// there any more, or the log is written out as it comes (go test -v), the line is
// one that leads to the log.
func firstLogged(t testing.TB, harmless map[string]bool) string {
	const elsewhere = "see its log"
	switch t := t.(type) {
	case interface{ firstLog() string }:
		return t.firstLog()
	case *testing.T:
		log := logOf(t)
		for _, text := range []string{without(log, harmless), log} {
			if line := significant(text); line != "" {
				return line
			}
		}
	}
	return elsewhere
}

// logOf returns what t has logged, if it can be had.
func logOf(t *testing.T) string {
	output := reflect.ValueOf(t).Elem().FieldByName("output")
	if !output.IsValid() || output.Kind() != reflect.Slice || output.Type().Elem().Kind() != reflect.Uint8 {
		return ""
	}
	return string(output.Bytes())
}

// placesIn returns the places in the code, "page_test.go:42", that a log names.
func placesIn(log string) map[string]bool {
	places := make(map[string]bool)
	for line := range strings.Lines(log) {
		if place := placeIn(line); place != "" {
			places[place] = true
		}
	}
	return places
}

// placeIn returns the place that a line of a log begins with, or "".
func placeIn(line string) string {
	place, _, found := strings.Cut(strings.TrimSpace(line), ": ")
	if !found || !strings.Contains(place, ".go:") || strings.ContainsAny(place, " \t") {
		return ""
	}
	return place
}

// without returns a log without what was logged at places, further lines included.
func without(log string, places map[string]bool) string {
	var b strings.Builder
	left := false
	for line := range strings.Lines(log) {
		if place := placeIn(line); place != "" {
			left = places[place]
		}
		if !left {
			b.WriteString(line)
		}
	}
	return b.String()
}

// significant returns what tells most in a log: the message and the error that
// testify reports, or else the first line, without the place in the code.
func significant(log string) string {
	lines := strings.Split(log, "\n")
	if text := section(lines, "Error:"); text != "" {
		if message := section(lines, "Messages:"); message != "" {
			text = message + ": " + text
		}
		return short(text)
	}
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if place, text, found := strings.Cut(line, ": "); found && strings.Contains(place, ".go:") {
			line = text
		}
		return short(line)
	}
	return ""
}

// sections are the headings of a failure that testify reports.
var sections = []string{"Error Trace:", "Error:", "Test:", "Messages:", "Diff:"}

// section returns what the first failure in a log has under a heading, in one line.
func section(lines []string, heading string) string {
	var parts []string
	for _, line := range lines {
		line = strings.TrimSpace(line)
		if slices.ContainsFunc(sections, func(s string) bool { return strings.HasPrefix(line, s) }) {
			if len(parts) > 0 {
				break
			}
			if text, found := strings.CutPrefix(line, heading); found {
				parts = append(parts, strings.TrimSpace(text))
			}
			continue
		}
		if len(parts) > 0 {
			if line == "" {
				break
			}
			parts = append(parts, line)
		}
	}
	return strings.TrimSpace(strings.Join(parts, " "))
}

func short(line string) string {
	const longest = 160
	runes := []rune(strings.Join(strings.Fields(line), " "))
	if len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return string(runes)
}
