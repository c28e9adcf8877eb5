package token

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/internal/strictjson"
)

// Claims is what a token says.
type Claims struct {
	// Issuer is who issued the token: 1 to 128 bytes.
	Issuer string

	// Audience is the environment that the token is for, as in [KeySet].
	Audience string

	// Token is the rest. Its times are whole seconds.
	fault.Token
}

// Validate reports everything that is wrong with c, each finding with its path.
func (c Claims) Validate() error {
	var problems problem.List
	if c.Issuer == "" || len(c.Issuer) > maxIssuerBytes {
		problems.Addf("issuer", "has %d bytes; 1 to %d are allowed: say who issues the token", len(c.Issuer), maxIssuerBytes)
	}
	if !environmentPattern.MatchString(c.Audience) {
		problems.Addf("audience", "want %s, got %s", environmentForm, quote(c.Audience))
	}
	for _, text := range []struct{ path, value string }{{"issuer", c.Issuer}, {"subject", c.Subject}} {
		if !utf8.ValidString(text.value) {
			problems.Addf(text.path, "is not UTF-8")
		}
	}
	for i, name := range c.Services {
		if !utf8.ValidString(name) {
			problems.Addf(problem.Index("services", i), "is not UTF-8")
		}
	}
	for _, at := range []struct {
		path  string
		value time.Time
	}{{"notBefore", c.NotBefore}, {"expires", c.Expires}} {
		if s := at.value.Unix(); !at.value.IsZero() && (s < 0 || s > maxDate) {
			problems.Addf(at.path, "is not in the years 1970 to 9999")
		}
	}
	problems.AddAt("", c.Token.Validate())
	if err := problems.Err(); err != nil {
		return fmt.Errorf("token: claims: %w", err)
	}
	return nil
}

// payload is Claims in JSON, by the names of RFC 7519.
type payload struct {
	Issuer    string       `json:"iss"`
	Subject   string       `json:"sub"`
	Audience  audience     `json:"aud"`
	NotBefore *date        `json:"nbf"`
	Expires   *date        `json:"exp"`
	IssuedAt  *date        `json:"iat,omitempty"` // other makers of tokens give it; nothing depends on it
	ID        string       `json:"jti"`
	Rules     []fault.Rule `json:"rules"`
}

// encode writes c, whose times are whole seconds.
func (c Claims) encode() ([]byte, error) {
	p := payload{
		Issuer: c.Issuer, Subject: c.Subject, Audience: audience{c.Audience},
		NotBefore: new(date(c.NotBefore.Unix())), Expires: new(date(c.Expires.Unix())),
		ID: c.ID, Rules: c.Rules,
	}
	if len(c.Services) > 0 {
		p.Audience = nil
		for _, service := range c.Services {
			p.Audience = append(p.Audience, c.Audience+"/"+service)
		}
	}
	var text bytes.Buffer
	to := json.NewEncoder(&text)
	to.SetEscapeHTML(false) // every byte counts
	if err := to.Encode(p); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// parsePayload reads the claims of a token and reports every one that is
// missing, unknown, given twice or malformed. What was read is returned beside
// an error too.
func parsePayload(data []byte) (payload, error) {
	var p payload
	if err := strictjson.Unmarshal(data, &p); err != nil {
		return p, err
	}
	var problems problem.List
	for _, claim := range []struct {
		name  string
		given bool
	}{
		{"iss", p.Issuer != ""},
		{"sub", p.Subject != ""},
		{"aud", len(p.Audience) > 0},
		{"nbf", p.NotBefore != nil},
		{"exp", p.Expires != nil},
		{"jti", p.ID != ""},
		{"rules", p.Rules != nil},
	} {
		if !claim.given {
			problems.Addf(claim.name, "is required")
		}
	}
	for i, entry := range p.Audience {
		environment, service, found := strings.Cut(entry, "/")
		if environment == "" || found && service == "" {
			problems.Addf(problem.Index("aud", i), `want an environment such as "production", or a service in it such as "production/checkout", got %s`, quote(entry))
		}
	}
	return p, problems.Err()
}

// token returns what p says to the services of an environment.
func (p payload) token(services []string) fault.Token {
	return fault.Token{
		ID: p.ID, Subject: p.Subject, Services: services,
		NotBefore: p.NotBefore.time(), Expires: p.Expires.time(), Rules: p.Rules,
	}
}

// audience is the environments that a token is for, and services in them. A
// single one is written as a string.
type audience []string

func (a audience) MarshalJSON() ([]byte, error) {
	if len(a) == 1 {
		return json.Marshal(a[0])
	}
	return json.Marshal([]string(a))
}

func (a *audience) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte(`"`)) {
		*a = make(audience, 1)
		return strictjson.Unmarshal(data, &(*a)[0])
	}
	return strictjson.Unmarshal(data, (*[]string)(a))
}

// in returns the services that a token is for in an environment, none of them
// meaning all, and whether it is for that environment.
func (a audience) in(environment string) (services []string, ok bool) {
	whole := false
	for _, entry := range a {
		env, service, found := strings.Cut(entry, "/")
		switch {
		case env != environment:
			continue
		case !found:
			whole = true
		case !slices.Contains(services, service):
			services = append(services, service)
		}
		ok = true
	}
	if whole {
		return nil, true
	}
	return services, ok
}

// environments lists the environments that a token is for.
func (a audience) environments() []string {
	var names []string
	for _, entry := range a {
		if name, _, _ := strings.Cut(entry, "/"); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// date is a NumericDate of RFC 7519, in whole seconds from 1970 to the end of
// the year 9999.
type date int64

const maxDate = 253402300799

var datePattern = regexp.MustCompile(`^(0|[1-9][0-9]{0,11})$`)

func (d *date) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseInt(string(data), 10, 64)
	if !datePattern.Match(data) || err != nil || n > maxDate {
		return errors.New("want whole seconds since 1970, up to the year 9999")
	}
	*d = date(n)
	return nil
}

func (d *date) time() time.Time {
	if d == nil {
		return time.Time{}
	}
	return time.Unix(int64(*d), 0).UTC()
}
