package main

import (
	"fmt"
	"os"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/token"
)

// environment is what the shop's tokens are for. In production there is one name,
// and one key, for each.
const environment = "storefront"

// ceilings are what the shop's own code lets tokens ask for: nobody but customers
// who are named, and short delays.
var ceilings = fault.TokenGuardrails{
	MaxDelay:     2 * time.Second,
	RequireScope: []string{"customers"},
}

// A tester is who may ask for faults, having the private half of a key. Outside
// of a demonstration that is "misfit token", and the services have no more than a
// file with the public half.
type tester struct{ key token.Key }

func newTester() (tester, error) {
	key, err := token.GenerateKey("storefront")
	return tester{key}, err
}

// keys is what the services know of the tester, and which tokens are no good any
// more.
func (t tester) keys(revoked ...string) token.KeySet {
	return token.KeySet{Audience: environment, Keys: []token.Key{t.key.Public()}, Revoked: revoked}
}

// readKeys returns the keys of a file, if there is one.
func readKeys(path string) ([]token.Key, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	set, err := token.ParseKeySet(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if set.Audience != environment {
		return nil, fmt.Errorf("%s: the keys are for %q, and the shop is %q: misfit keygen -audience %[3]s", path, set.Audience, environment)
	}
	return set.Keys, nil
}

// sign makes a token that lives from from until until.
func (t tester) sign(id string, from, until time.Time, r fault.Rule) (string, error) {
	return token.Sign(t.key, token.Claims{
		Issuer:   "storefront",
		Audience: environment,
		Token:    fault.Token{ID: id, Subject: "tester@storefront.example", NotBefore: from, Expires: until, Rules: []fault.Rule{r}},
	})
}
