package fault

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/misfit-go/misfit/internal/problem"
)

// SourceToken is the source of rules that signed tokens carry.
const SourceToken = "token"

// MaxTokenBytes is the size of a token beyond which it is not looked at.
const MaxTokenBytes = 4096

// A Token is what a test client may ask for in its own requests, signed by
// somebody who may ask. Package token makes and verifies its text.
type Token struct {
	// ID names the token, so that it can be revoked: 1 to 32 letters, digits and
	// "._-", the first of them a letter or digit.
	ID string

	// Subject is who asked for it. It is shown with every rule of the token. 1 to
	// 128 bytes.
	Subject string

	// Services are the services that the token is for; empty means all.
	Services []string

	// NotBefore and Expires are the token's life. At most 24 hours unless
	// [TokenGuardrails] say otherwise.
	NotBefore time.Time
	Expires   time.Time

	// Rules are 1 to 16 rules in the ordinary form. In them ID, TTL and Expires
	// are left out, since the token has its own; a scope may be left out too: the
	// rule is then for the whole request that carries the token.
	Rules []Rule
}

// A TokenVerifier checks the text of tokens; that of package token is one. It is
// called by many goroutines at once, and once for each text that is new to the
// process.
type TokenVerifier interface {
	// VerifyToken returns what the token says if it is genuine, current and for
	// here. The error is [ErrNotGenuine] if nothing vouches for the token.
	VerifyToken(text string) (Token, error)

	// OnRevocation has f called after every change that may make VerifyToken
	// refuse a text that it has accepted.
	OnRevocation(f func())
}

// ErrNotGenuine is the error of a [TokenVerifier] about a text that nobody who
// may has signed. Whoever sent it is told no more than that.
var ErrNotGenuine = errors.New("the token is not accepted")

var tokenIDPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)

const (
	maxTokenRules   = 16
	maxSubjectBytes = 128
)

// Validate reports everything that is wrong with t in itself, each finding with
// its path.
func (t Token) Validate() error {
	var problems problem.List
	if !tokenIDPattern.MatchString(t.ID) {
		problems.Addf("id", "%s is not 1 to 32 letters, digits and ._- beginning with a letter or digit", quote(t.ID))
	}
	if t.Subject == "" || len(t.Subject) > maxSubjectBytes {
		problems.Addf("subject", "has %d bytes; 1 to %d are allowed: say who asks", len(t.Subject), maxSubjectBytes)
	}
	for i, name := range t.Services {
		if name == "" {
			problems.Addf(problem.Index("services", i), "is empty")
		}
	}
	switch {
	case t.NotBefore.IsZero():
		problems.Addf("notBefore", "is required")
	case t.Expires.IsZero():
		problems.Addf("expires", "is required: every token expires")
	case !t.NotBefore.Before(t.Expires):
		problems.Addf("expires", "%s is not after %s", t.Expires.Format(time.RFC3339), t.NotBefore.Format(time.RFC3339))
	}
	if n := len(t.Rules); n == 0 || n > maxTokenRules {
		problems.Addf("rules", "has %d entries; 1 to %d are allowed", n, maxTokenRules)
	}
	for i, r := range t.Rules {
		problems.AddAt(problem.Index("rules", i), r.tokenProblems())
	}
	if err := problems.Err(); err != nil {
		return fmt.Errorf("fault: token: %w", err)
	}
	return nil
}

// tokenProblems reports what is wrong with a rule of a token.
func (r Rule) tokenProblems() error {
	var problems problem.List
	if r.ID != "" {
		problems.Addf("id", "is given by the token; leave it out")
	}
	if r.TTL != 0 {
		problems.Addf("ttl", "is that of the token; leave it out")
	}
	if !r.Expires.IsZero() {
		problems.Addf("expires", "is that of the token; leave it out")
	}
	r.ID, r.TTL, r.Expires = "token", 0, time.Time{}
	problems.AddAt("", r.problems(false))
	return problems.Err()
}
