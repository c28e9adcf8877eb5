package faulttest

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// firstLogged returns the first line that says why t failed, or that its log says.
//
// What a test has logged cannot be asked for. It is read here from a field of package
// testing that is not exported, by reflection and so without harm: where that is not
// there any more, or the log is written out as it comes (go test -v), the line is
// one that leads to the log.
func firstLogged(t testing.TB) string {
	const elsewhere = "see its log"
	switch t := t.(type) {
	case interface{ firstLog() string }:
		return t.firstLog()
	case *testing.T:
		output := reflect.ValueOf(t).Elem().FieldByName("output")
		if output.IsValid() && output.Kind() == reflect.Slice && output.Type().Elem().Kind() == reflect.Uint8 {
			if line := significant(string(output.Bytes())); line != "" {
				return line
			}
		}
	}
	return elsewhere
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
