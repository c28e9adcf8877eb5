package token

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/internal/strictjson"
)

// jwk is a JSON Web Key (RFC 7517) of the types that there are here: octet key
// pairs (RFC 8037) and octets.
type jwk struct {
	Type       string   `json:"kty"`
	Curve      string   `json:"crv,omitempty"`
	Algorithm  string   `json:"alg,omitempty"`
	ID         string   `json:"kid"`
	Use        string   `json:"use,omitempty"`
	Operations []string `json:"key_ops,omitempty"`
	X          string   `json:"x,omitempty"` // the public half
	D          string   `json:"d,omitempty"` // the private half
	Secret     string   `json:"k,omitempty"`
}

// MarshalJSON returns k as a JSON Web Key, with what is secret in it.
func (k Key) MarshalJSON() ([]byte, error) {
	if k.named == nil {
		return nil, errors.New("token: the key is empty")
	}
	j := jwk{ID: k.id, Algorithm: k.Algorithm(), Use: "sig"}
	if k.secret != nil {
		j.Type, j.Secret = "oct", encode(k.secret)
		return json.Marshal(j)
	}
	j.Type, j.Curve, j.X = "OKP", "Ed25519", encode(k.public)
	if k.private != nil {
		j.D = encode(k.private.Seed())
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads a JSON Web Key: with kty "OKP" and crv "Ed25519", or with
// kty "oct". It must have a kid; alg, use and key_ops may be left out. The error
// names every wrong member by path, and no secret.
func (k *Key) UnmarshalJSON(data []byte) error {
	var j jwk
	if err := strictjson.Unmarshal(data, &j); err != nil {
		return err
	}
	key, err := j.key()
	if err != nil {
		return err
	}
	*k = key
	return nil
}

func (j jwk) key() (Key, error) {
	var problems problem.List
	if !keyIDPattern.MatchString(j.ID) {
		problems.Addf("kid", "%s is not %s", quote(j.ID), keyIDForm)
	}
	if j.Use != "" && j.Use != "sig" {
		problems.Addf("use", `want "sig", got %s`, quote(j.Use))
	}
	for i, op := range j.Operations {
		if op != "sign" && op != "verify" {
			problems.Addf(problem.Index("key_ops", i), `want "sign" or "verify", got %s`, quote(op))
		}
	}
	if len(j.Operations) > 0 && !slices.Contains(j.Operations, "verify") && (j.Type == "oct" || j.D == "") {
		problems.Addf("key_ops", `lacks "verify"`)
	}
	var key Key
	switch j.Type {
	case "OKP":
		key = j.ed25519(&problems)
	case "oct":
		key = j.hmac(&problems)
	default:
		problems.Addf("kty", `want "OKP", for Ed25519, or "oct", for HMAC, got %s`, quote(j.Type))
	}
	return key, problems.Err()
}

func (j jwk) ed25519(problems *problem.List) Key {
	if j.Curve != "Ed25519" {
		problems.Addf("crv", `want "Ed25519", got %s`, quote(j.Curve))
		return Key{}
	}
	j.wantAlgorithm(problems, algorithmEdDSA)
	if j.Secret != "" {
		problems.Addf("k", "is of keys for HMAC only")
	}
	public, err := decode(j.X)
	if err == nil && len(public) != ed25519.PublicKeySize {
		err = fmt.Errorf("has %d bytes; want %d", len(public), ed25519.PublicKeySize)
	}
	if err == nil && isWeak(public) {
		err = errors.New("is a key that anybody can sign for: generate one")
	}
	if err != nil {
		problems.Addf("x", "%v", err)
		return Key{}
	}
	if j.D == "" {
		return newEd25519(j.ID, public, nil)
	}
	seed, err := decode(j.D)
	if err == nil && len(seed) != ed25519.SeedSize {
		err = fmt.Errorf("has %d bytes; want %d", len(seed), ed25519.SeedSize)
	}
	if err != nil {
		problems.Addf("d", "%v", err)
		return Key{}
	}
	private := ed25519.NewKeyFromSeed(seed)
	if !private.Public().(ed25519.PublicKey).Equal(ed25519.PublicKey(public)) {
		problems.Addf("x", "is not the public half of d")
	}
	return newEd25519(j.ID, public, private)
}

// isWeak reports whether the point is one of the few of low order, such as that
// of 32 zeros, for which signatures can be made without a private half.
func isWeak(public ed25519.PublicKey) bool {
	_, err := jose.JSONWebKey{Key: public}.MarshalJSON()
	return err != nil
}

func (j jwk) hmac(problems *problem.List) Key {
	j.wantAlgorithm(problems, algorithmHMAC)
	for _, member := range []struct{ name, value string }{{"crv", j.Curve}, {"x", j.X}, {"d", j.D}} {
		if member.value != "" {
			problems.Addf(member.name, "is of keys for EdDSA only")
		}
	}
	secret, err := decode(j.Secret)
	if err == nil {
		err = checkSecret(secret)
	}
	if err != nil {
		problems.Addf("k", "%v", err)
	}
	return newHMAC(j.ID, secret)
}

func (j jwk) wantAlgorithm(problems *problem.List, want string) {
	if j.Algorithm != "" && j.Algorithm != want {
		problems.Addf("alg", "want %q, got %s", want, quote(j.Algorithm))
	}
}

// base64url accepts one text only for the same bytes.
var base64url = base64.RawURLEncoding.Strict()

func encode(data []byte) string { return base64url.EncodeToString(data) }

// decode says nothing about the text in its errors, which may be secret.
func decode(text string) ([]byte, error) {
	if text == "" {
		return nil, errors.New("is required")
	}
	data, err := base64url.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") { // which package base64 skips
		return nil, errors.New("is not base64url without padding")
	}
	return data, nil
}

func quote(s string) string {
	const longest = 64
	if len(s) > longest {
		return fmt.Sprintf("%q…", s[:longest])
	}
	return fmt.Sprintf("%q", s)
}
