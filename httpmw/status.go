package httpmw

import (
	"strings"

	"github.com/misfit-go/misfit/fault"
)

// StatusHeader is the response header in which the library says what it did:
// "applied" on every response that it made itself, with the rule and the
// point, and "ignored" with the reason where a client sent a [RuleHeader] that
// was refused. Its value is a structured field, RFC 9651: a list of tokens
// with parameters.
const StatusHeader = "Fault-Status"

const maxReasonBytes = 512

func appliedStatus(d fault.Decision) string {
	mark := d.Mark(nil)
	return "applied;rule=" + sfString(mark.Rule) + ";point=" + sfString(mark.Point)
}

func ignoredStatus(err error) string {
	return "ignored;reason=" + sfString(err.Error())
}

// sfString writes s as a String of RFC 9651, section 4.1.6, which holds only
// printable ASCII: anything else becomes "?", and line breaks a space.
func sfString(s string) string {
	if len(s) > maxReasonBytes {
		s = s[:maxReasonBytes]
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
