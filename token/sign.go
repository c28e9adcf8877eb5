package token

import (
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/misfit-go/misfit/fault"
)

// Sign returns the text of a token that says c. It refuses claims that no
// [Verifier] would accept, and what would be larger than [fault.MaxTokenBytes].
// Fractions of seconds are dropped.
func Sign(key Key, c Claims) (string, error) {
	if !key.CanSign() {
		return "", fmt.Errorf("token: cannot sign with key %s: it is not the private half of one", key)
	}
	c.NotBefore, c.Expires = c.NotBefore.Truncate(time.Second), c.Expires.Truncate(time.Second)
	if err := c.Validate(); err != nil {
		return "", err
	}
	payload, err := c.encode()
	if err != nil {
		return "", fmt.Errorf("token: claims: %w", err)
	}
	text, err := sign(key, payload)
	if err != nil {
		return "", fmt.Errorf("token: cannot sign with key %s: %w", key, err)
	}
	if len(text) > fault.MaxTokenBytes {
		return "", fmt.Errorf("token: has %d bytes; at most %d are allowed: say less in it", len(text), fault.MaxTokenBytes)
	}
	return text, nil
}

func sign(key Key, payload []byte) (string, error) {
	header := new(jose.SignerOptions).WithHeader("kid", key.id)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(key.Algorithm()), Key: key.signs()}, header)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

// NewID returns an ID for a token: ten letters and digits drawn at random.
func NewID() string { return strings.ToLower(rand.Text()[:10]) }

// verify returns the payload of a token if key has signed it.
func verify(key Key, text string) ([]byte, error) {
	// Only the key's own algorithm is allowed: a public half is no secret, and
	// must not be taken for that of an HMAC.
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(key.Algorithm())})
	if err != nil {
		return nil, err
	}
	payload, err := signed.Verify(key.verifies())
	if err != nil {
		return nil, errors.New("its signature is not that of the key")
	}
	return payload, nil
}
