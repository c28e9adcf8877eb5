package main

import (
	"fmt"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/token"
)

// A runToken is the token of one run, with an ID of its own by which its faults are
// known.
type runToken struct {
	text    string
	id      string
	expires time.Time
}

// ruleNames are the IDs of its rules, as services have them.
func (t runToken) ruleNames(rules int) []string {
	if rules == 1 {
		return []string{"token-" + t.id}
	}
	names := make([]string, rules)
	for i := range names {
		names[i] = fmt.Sprintf("token-%s-%d", t.id, i+1)
	}
	return names
}

// A tokenSigner makes the tokens of the runs.
type tokenSigner func(life time.Duration, rules []fault.Rule) (runToken, error)

func (c *criticalCommand) signing() (tokenSigner, error) {
	path, err := keyPath(c.keyFile)
	if err != nil {
		return nil, err
	}
	key, err := readSigner(path)
	if err != nil {
		return nil, err
	}
	warnIfReadable(c.s.err, path)
	audience, subject := c.audience, c.subject
	if audience == "" {
		audience = key.Audience
	}
	if subject == "" {
		subject = whoAmI()
	}
	return func(life time.Duration, rules []fault.Rule) (runToken, error) {
		now := time.Now().UTC().Truncate(time.Second) // which is what a token can say
		claims := token.Claims{Issuer: key.Issuer, Audience: audience, Token: fault.Token{
			ID: token.NewID(), Subject: subject, NotBefore: now, Expires: now.Add(life + time.Second).Truncate(time.Second), Rules: rules,
		}}
		text, err := token.Sign(key.Key, claims)
		if err != nil {
			return runToken{}, usagef("%w", inCriticalFlags(err))
		}
		return runToken{text, claims.ID, claims.Expires}, nil
	}, nil
}

// inCriticalFlags names the flags, where an error about a token names fields.
func inCriticalFlags(err error) error {
	var problems problem.List
	for _, p := range problem.All(err) {
		switch p.Path {
		case "audience":
			p.Path = "-audience"
		case "subject":
			p.Path = "-subject"
		}
		problems.Addf(p.Path, "%s", p.Detail)
	}
	return problems.Err()
}
