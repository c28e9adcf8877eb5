package token

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// A Key signs tokens or, being the public half of one that does, verifies them.
// It is an Ed25519 key, of algorithm EdDSA, or the secret of an HMAC, of
// algorithm HS256, which is both in one. Its text, whether by package fmt or
// log/slog, shows no secret; its JSON does. The zero Key is good for nothing.
type Key struct{ *named }

// named has the material of a key behind a second pointer: package fmt prints
// the unexported fields of other types without asking their methods, and for
// verbs such as %s what one pointer leads to.
type named struct {
	id string
	*material
}

type material struct {
	public      ed25519.PublicKey  // for EdDSA
	private     ed25519.PrivateKey // for EdDSA, to sign
	secret      []byte             // for HS256
	fingerprint [sha256.Size]byte  // of what verifies, for comparison
}

// The algorithms that there are.
const (
	algorithmEdDSA = string(jose.EdDSA)
	algorithmHMAC  = string(jose.HS256)
)

var keyIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

const keyIDForm = "1 to 64 letters, digits and ._-"

// GenerateKey makes an Ed25519 key. Each token names its key by its ID, 1 to 64
// letters, digits and "._-", so a short one keeps tokens small. Without one it
// is made from the key: eight characters of its RFC 7638 thumbprint.
func GenerateKey(id string) (Key, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("token: %w", err)
	}
	if id == "" {
		if id, err = shortThumbprint(public); err != nil {
			return Key{}, fmt.Errorf("token: %w", err)
		}
	}
	if !keyIDPattern.MatchString(id) {
		return Key{}, fmt.Errorf("token: key ID %s is not %s", quote(id), keyIDForm)
	}
	return newEd25519(id, public, private), nil
}

// shortThumbprint begins at a letter or digit, so that no command line takes it
// for a flag.
func shortThumbprint(public ed25519.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", err
	}
	return strings.TrimLeft(base64.RawURLEncoding.EncodeToString(sum)+"0000", "-_")[:8], nil
}

// HMACKey makes a key for HS256 from at least 32 bytes that were drawn at
// random, not chosen by people. Every service that verifies with it can sign.
func HMACKey(id string, secret []byte) (Key, error) {
	if !keyIDPattern.MatchString(id) {
		return Key{}, fmt.Errorf("token: key ID %s is not %s", quote(id), keyIDForm)
	}
	if err := checkSecret(secret); err != nil {
		return Key{}, fmt.Errorf("token: the secret of key %q %w", id, err)
	}
	return newHMAC(id, secret), nil
}

const (
	minSecretBytes = 32
	maxSecretBytes = 1024
	minSecretKinds = 10 // of 32 random bytes, 30 are different
)

// checkSecret refuses what is short and what is evidently a placeholder.
func checkSecret(secret []byte) error {
	if n := len(secret); n < minSecretBytes || n > maxSecretBytes {
		return fmt.Errorf("has %d bytes; %d to %d are allowed", n, minSecretBytes, maxSecretBytes)
	}
	kinds := make(map[byte]bool)
	for _, b := range secret {
		kinds[b] = true
	}
	if len(kinds) < minSecretKinds {
		return errors.New("is not random: it repeats itself")
	}
	return nil
}

func newEd25519(id string, public ed25519.PublicKey, private ed25519.PrivateKey) Key {
	sum := sha256.Sum256([]byte(algorithmEdDSA + string(public)))
	return Key{&named{id, &material{public: public, private: private, fingerprint: sum}}}
}

func newHMAC(id string, secret []byte) Key {
	sum := sha256.Sum256([]byte(algorithmHMAC + string(secret)))
	return Key{&named{id, &material{secret: bytes.Clone(secret), fingerprint: sum}}}
}

// ID returns the name of the key, the kid of its tokens.
func (k Key) ID() string {
	if k.named == nil {
		return ""
	}
	return k.id
}

// Algorithm returns "EdDSA" or "HS256".
func (k Key) Algorithm() string {
	switch {
	case k.named == nil:
		return ""
	case k.secret != nil:
		return algorithmHMAC
	}
	return algorithmEdDSA
}

// Public returns the half of an Ed25519 key that verifies only. An HMAC key has
// no such half: it is the key itself.
func (k Key) Public() Key {
	if k.named == nil || k.private == nil {
		return k
	}
	return newEd25519(k.id, k.public, nil)
}

// CanSign reports whether tokens can be signed with the key.
func (k Key) CanSign() bool {
	return k.named != nil && (k.private != nil || k.secret != nil)
}

// verifies returns the key as package jose wants it.
func (k Key) verifies() any {
	if k.secret != nil {
		return k.secret
	}
	return k.public
}

// signs is the same for a key that can sign.
func (k Key) signs() any {
	if k.secret != nil {
		return k.secret
	}
	return k.private
}

// String describes the key without its secret.
func (k Key) String() string {
	switch {
	case k.named == nil:
		return "no key"
	case k.private != nil:
		return k.id + " (EdDSA, private)"
	}
	return k.id + " (" + k.Algorithm() + ")"
}

// GoString is String.
func (k Key) GoString() string { return k.String() }

// Format writes String, whatever the verb.
func (k Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue is String.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }
