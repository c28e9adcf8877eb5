package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/inwords"
	"github.com/misfit-go/misfit/scope"
	"github.com/misfit-go/misfit/token"
)

// A description is a token in JSON.
type description struct {
	Verified  bool         `json:"verified"`
	Reason    string       `json:"reason,omitempty"` // why it is not verified
	Algorithm string       `json:"algorithm,omitempty"`
	Key       string       `json:"key,omitempty"`
	Issuer    string       `json:"issuer,omitempty"`
	Audience  string       `json:"audience,omitempty"`
	ID        string       `json:"id,omitempty"`
	Subject   string       `json:"subject,omitempty"`
	Services  []string     `json:"services,omitempty"`
	NotBefore time.Time    `json:"notBefore,omitzero"`
	Expires   time.Time    `json:"expires,omitzero"`
	Rules     []fault.Rule `json:"rules,omitempty"`
	Bytes     int          `json:"bytes"`
}

func describe(text string, h token.Header, c token.Claims) description {
	return description{
		Algorithm: h.Algorithm,
		Key:       h.KeyID,
		Issuer:    c.Issuer,
		Audience:  c.Audience,
		ID:        c.ID,
		Subject:   c.Subject,
		Services:  c.Services,
		NotBefore: c.NotBefore,
		Expires:   c.Expires,
		Rules:     c.Rules,
		Bytes:     len(text),
	}
}

func printJSON(w io.Writer, v any) error {
	data, err := encode(v)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, escaped(string(data)))
	return err
}

// maxBaggageBytes is what W3C baggage has for all members together.
const maxBaggageBytes = 8192

// printToken says in words what a token says, as of now.
func printToken(w io.Writer, text string, h token.Header, c token.Claims, now time.Time) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-10s%s\n", name, fmt.Sprintf(format, args...))
	}
	services := "all services"
	if len(c.Services) > 0 {
		services = "only " + strings.Join(c.Services, ", ")
	}
	line("token", "%s", printable(c.ID))
	line("asked by", "%s", printable(c.Subject))
	line("for", "environment %s, %s", printable(c.Audience), printable(services))
	line("signed", "by %s with key %s (%s)", printable(c.Issuer), printable(h.KeyID), printable(h.Algorithm))
	printLife(line, c.NotBefore, c.Expires, now)
	line("size", "%d bytes; %d of %d in baggage", len(text), len(scope.TokenMember+"=")+len(text), maxBaggageBytes)
	for i, r := range c.Rules {
		name := "rule"
		if len(c.Rules) > 1 {
			name = fmt.Sprintf("rule %d", i+1)
		}
		line(name, "%s", printable(inwords.Rule(r)))
		line("", "%s", printable(r.String()))
	}
}

// printable writes what could steer a terminal, or feign a line of ours, as
// JSON would: a token may be from anyone.
func printable(s string) string {
	return strings.ReplaceAll(escaped(s), "\n", `\n`)
}

// escaped is printable for text of several lines.
func escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch high, low := utf16.EncodeRune(r); {
		case strconv.IsPrint(r) || r == '\n':
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// printLife says how long a token is good yet, and only if that is not so, that
// it is not good already.
func printLife(line func(name, format string, args ...any), from, until, now time.Time) {
	const layout = "2006-01-02 15:04:05 MST"
	if wait := from.Sub(now).Round(time.Second); wait > 0 {
		line("begins", "in %s, at %s", inShort(wait), from.UTC().Format(layout))
	}
	if left := until.Sub(now).Round(time.Second); left > 0 {
		line("expires", "in %s, at %s", inShort(left), until.UTC().Format(layout))
	} else {
		line("expired", "%s ago, at %s", inShort(-left), until.UTC().Format(layout))
	}
}

// inShort leaves the zeros out of 1h0m0s.
func inShort(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
