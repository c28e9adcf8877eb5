// Package httptoken checks RFC 9110 tokens, the names of HTTP headers and of
// baggage members.
package httptoken

import "strings"

// Valid reports whether s is a token: one or more letters, digits and
// !#$%&'*+-.^_`|~.
func Valid(s string) bool {
	for i := range len(s) {
		c := s[i]
		alphanumeric := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !alphanumeric && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
