package control

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/misfit-go/misfit/internal/problem"
)

const (
	hashPrefix = "sha256:"

	// 128 bits in base64 are 22 characters. What is longer than the longest is
	// of another kind, such as a JWT.
	minTokenBytes = 22
	maxTokenBytes = 1024
)

// bearerTokens is the authorizer of [BearerTokens].
type bearerTokens struct{ known []hashedToken }

type hashedToken struct {
	sum   [sha256.Size]byte
	whose Principal
}

// BearerTokens knows those who send one of these tokens, as RFC 6750 has it in
// the header: "Authorization: Bearer TOKEN". The keys are what [HashToken] makes
// of the tokens, "sha256:" and 64 hexadecimal digits, so that a configuration
// that leaks lets nobody in. That holds for random tokens of at least 128 bits,
// such as "openssl rand -hex 32" prints; a hash this fast protects no password.
// Somebody may have several tokens, for instance while one takes over from
// another.
//
// Tokens that are not among these are left to the authorizers that come after.
// So is every other scheme: Basic is not looked at.
func BearerTokens(hashed map[string]Principal) (Authorizer, error) {
	var problems problem.List
	if len(hashed) == 0 {
		problems.Addf("", "there are no tokens, so that nobody could come in")
	}
	b := new(bearerTokens)
	seen := make(map[[sha256.Size]byte]string)
	for _, key := range sortedByName(hashed) {
		whose := hashed[key]
		// The key is not quoted: it may be a token that somebody forgot to hash.
		path := fmt.Sprintf("tokens of %q", whose.Name)
		sum, err := parseHash(key)
		switch other, twice := seen[sum]; {
		case err != nil:
			problems.Addf(path, "%v", err)
		case twice:
			problems.Addf(path, "one is also that of %q", other)
		default:
			seen[sum] = whose.Name
		}
		problems.AddAt(path, whose.Validate())
		b.known = append(b.known, hashedToken{sum, whose})
	}
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("control: BearerTokens: %w", err)
	}
	return b, nil
}

func parseHash(text string) (sum [sha256.Size]byte, err error) {
	digits, ok := strings.CutPrefix(text, hashPrefix)
	if n, err := hex.Decode(sum[:], []byte(digits)[:min(len(digits), hex.EncodedLen(len(sum)))]); !ok || err != nil || n != len(sum) || len(digits) != hex.EncodedLen(n) {
		return sum, errors.New(`a key is not "sha256:" and 64 hexadecimal digits, which HashToken makes of a token`)
	}
	if sum == sha256.Sum256(nil) {
		return sum, errors.New("a key is the hash of nothing: the token was empty when it was hashed")
	}
	return sum, nil
}

// HashToken returns what [BearerTokens] goes by in place of the token. A token
// is 22 to 1,024 letters, digits and any of "-._~+/", with "=" at the end, as in
// RFC 6750.
func HashToken(token string) (string, error) {
	if !isToken(token) {
		return "", fmt.Errorf(`control: this is no token: it is %d bytes long, and takes %d to %d of A-Z a-z 0-9 - . _ ~ + /, and = at the end`, len(token), minTokenBytes, maxTokenBytes)
	}
	return hashPrefix + fmt.Sprintf("%x", sha256.Sum256([]byte(token))), nil
}

func isToken(s string) bool {
	if len(s) < minTokenBytes || len(s) > maxTokenBytes {
		return false
	}
	return !strings.ContainsFunc(strings.TrimRight(s, "="), func(c rune) bool {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
			return false
		}
		return !strings.ContainsRune("-._~+/", c)
	})
}

// Authorize implements [Authorizer]. It takes the same time for every token that
// is not known.
func (b *bearerTokens) Authorize(r *http.Request) (Principal, bool, error) {
	token, _ := bearerToken(r.Header)
	if !isToken(token) {
		return Principal{}, false, nil
	}
	sum, found := sha256.Sum256([]byte(token)), -1
	for i := range b.known {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], b.known[i].sum[:]), i, found)
	}
	if found < 0 {
		return Principal{}, false, nil
	}
	return b.known[found].whose, true, nil
}

// bearerToken returns what a request has for a bearer token, and whether there is
// one. There is none in two headers of which each could be meant.
func bearerToken(header http.Header) (token string, given bool) {
	values := header.Values("Authorization")
	for _, value := range values {
		scheme, rest, _ := strings.Cut(value, " ")
		if strings.EqualFold(scheme, "Bearer") {
			token, given = strings.TrimLeft(rest, " "), true
		}
	}
	if len(values) > 1 {
		token = ""
	}
	return token, given
}
