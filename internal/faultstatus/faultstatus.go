// Package faultstatus writes the values of the Fault-Status field, in which the
// library says what it did to a call: structured fields of RFC 9651, lists of
// tokens with parameters.
package faultstatus

import "strings"

const maxStringBytes = 512

// Applied says that a rule applied to the call at a point.
func Applied(rule, point string) string {
	return "applied;rule=" + sfString(rule) + ";point=" + sfString(point)
}

// Ignored says that a rule which the caller sent is not taken, and why.
func Ignored(reason error) string {
	return "ignored;reason=" + sfString(reason.Error())
}

// sfString writes s as a String of RFC 9651, section 4.1.6, which holds only
// printable ASCII: anything else becomes "?", and line breaks "; ".
func sfString(s string) string {
	if len(s) > maxStringBytes {
		s = s[:maxStringBytes]
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString("; ")
		case c < ' ' || c > '~':
			b.WriteByte('?')
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
