package main

import (
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

// sign makes a token that lives from from until until.
func (t tester) sign(id string, from, until time.Time, r fault.Rule) (string, error) {
	return token.Sign(t.key, token.Claims{
		Issuer:   "storefront",
		Audience: environment,
		Token:    fault.Token{ID: id, Subject: "tester@storefront.example", NotBefore: from, Expires: until, Rules: []fault.Rule{r}},
	})
}
