package sqldriver

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNameBytes is where a name is cut.
const maxNameBytes = 128

// name returns the name that begins with the token, without quotes and with its
// qualifiers: public.orders. It is empty where there is none.
func (r *reader) name() string {
	name, text := "", r.rest
	for text != "" && len(name) <= maxNameBytes {
		var part string
		if end := quoteAfter(text[0]); end != 0 && (name == "" || name[len(name)-1] == '.') {
			part, text = unquote(text, end)
		} else if name == "" && text[0] == '.' || name != "" && text[0] != '.' {
			break
		} else {
			part, text = bare(text)
		}
		if part == "" {
			break
		}
		name += part
	}
	return cleaned(strings.TrimRight(name, "."))
}

func quoteAfter(c byte) byte {
	switch c {
	case '"', '`':
		return c
	case '[':
		return ']'
	}
	return 0
}

// unquote returns what stands in the quotes that text begins with, and what
// follows them.
func unquote(text string, quote byte) (part, rest string) {
	doubled := false
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] != quote:
		case i+1 < len(text) && text[i+1] == quote:
			doubled = true
			i++
		default:
			if part = text[1:i]; doubled {
				part = strings.ReplaceAll(part, string([]byte{quote, quote}), string(quote))
			}
			return part, text[i+1:]
		}
	}
	return "", "" // cut
}

// bare returns the name without quotes that text begins with, and what follows.
func bare(text string) (part, rest string) {
	if c := text[0]; c == '$' || '0' <= c && c <= '9' {
		return "", text
	}
	end := strings.IndexFunc(text, func(c rune) bool {
		if c < utf8.RuneSelf {
			return !isLetter(byte(c)) && !strings.ContainsRune("0123456789_.$#@", c)
		}
		return unicode.IsSpace(c)
	})
	if end < 0 {
		end = len(text)
	}
	return text[:end], text[end:]
}

// cleaned is a name that a rule can be written for and a log can hold.
func cleaned(name string) string {
	name = strings.Map(func(c rune) rune {
		if c == ' ' || c == '*' || c == utf8.RuneError || !unicode.IsPrint(c) {
			return '_'
		}
		return c
	}, name)
	end := min(len(name), maxNameBytes)
	for end < len(name) && !utf8.RuneStart(name[end]) {
		end--
	}
	return name[:end]
}
