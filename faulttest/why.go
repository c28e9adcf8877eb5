package faulttest

import (
	"reflect"
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

// significant returns what tells most in a log: the error that testify reports, with
// what follows it, or else the first line, without the place in the code.
func significant(log string) string {
	lines := strings.Split(log, "\n")
	for i, line := range lines {
		text, found := strings.CutPrefix(strings.TrimSpace(line), "Error:")
		if !found {
			continue
		}
		parts := []string{strings.TrimSpace(text)}
		for _, next := range lines[i+1:] {
			next = strings.TrimSpace(next)
			if next == "" || strings.HasPrefix(next, "Test:") || strings.HasPrefix(next, "Messages:") || strings.HasPrefix(next, "Diff:") {
				break
			}
			parts = append(parts, next)
		}
		return short(strings.Join(parts, " "))
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

func short(line string) string {
	const longest = 160
	runes := []rune(strings.Join(strings.Fields(line), " "))
	if len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return string(runes)
}
