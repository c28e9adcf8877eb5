package main

import (
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/token"
)

// signing returns what makes the tokens of the runs, each with an ID of its own by
// which its faults are known.
func (c *criticalCommand) signing() (func(life time.Duration, rules []fault.Rule) (text, id string, err error), error) {
	path, err := keyPath(c.keyFile)
	if err != nil {
		return nil, err
	}
	signer, err := readSigner(path)
	if err != nil {
		return nil, err
	}
	warnIfReadable(c.s.err, path)
	audience, subject := c.audience, c.subject
	if audience == "" {
		audience = signer.Audience
	}
	if subject == "" {
		subject = whoAmI()
	}
	return func(life time.Duration, rules []fault.Rule) (text, id string, err error) {
		now := time.Now().UTC().Truncate(time.Second) // which is what a token can say
		claims := token.Claims{Issuer: signer.Issuer, Audience: audience, Token: fault.Token{
			ID: token.NewID(), Subject: subject, NotBefore: now, Expires: now.Add(life + time.Second).Truncate(time.Second), Rules: rules,
		}}
		if text, err = token.Sign(signer.Key, claims); err != nil {
			return "", "", usagef("%w", inCriticalFlags(err))
		}
		return text, claims.ID, nil
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
