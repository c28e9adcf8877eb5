package token

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/internal/strictjson"
)

// A KeySet is what a service needs to know to verify tokens, the content of a
// key file. In JSON it is a JWK Set with further members:
//
//	{
//		"audience": "production",
//		"issuers":  ["ci", "oncall"],
//		"keys":     [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "2026-01", "x": "…"}],
//		"revoked":  ["k3v9q2m7"]
//	}
//
// Its text, whether by package fmt or log/slog, shows no secret; its JSON has
// those of HMAC keys.
type KeySet struct {
	// Audience is the environment that tokens must be for, such as "production":
	// 1 to 64 letters, digits and "._-", the first of them a letter or digit.
	Audience string

	// Issuers are those who may issue tokens; empty means everyone who has a key.
	Issuers []string

	// Keys are those that may sign, each with its own ID. A key that is taken out
	// revokes every token it has signed. Of Ed25519 keys only the public half is
	// allowed. Without a key no token is accepted.
	Keys []Key

	// Revoked are the IDs of single tokens that are accepted no more. One can be
	// forgotten when its token has expired.
	Revoked []string
}

// keyFile is a KeySet in JSON.
type keyFile struct {
	Audience string   `json:"audience"`
	Issuers  []string `json:"issuers,omitempty"`
	Keys     []Key    `json:"keys"`
	Revoked  []string `json:"revoked,omitempty"`
}

// How large a key set may be.
const (
	maxKeySetBytes = 1 << 20
	maxKeys        = 100
	maxIssuers     = 1000
	maxIssuerBytes = 128
	maxRevoked     = 20_000
)

// ParseKeySet reads a key set from JSON and validates it. The error names
// everything that is wrong by path: unknown, missing and duplicate members, keys
// that are weak, private or have the same ID.
func ParseKeySet(data []byte) (KeySet, error) {
	s, err := parseKeySet(data)
	if err != nil {
		return KeySet{}, fmt.Errorf("token: key set: %w", err)
	}
	return s, nil
}

func parseKeySet(data []byte) (KeySet, error) {
	if len(data) > maxKeySetBytes {
		return KeySet{}, fmt.Errorf("has more than %d bytes", maxKeySetBytes)
	}
	var file keyFile
	if err := strictjson.Unmarshal(data, &file); err != nil {
		return KeySet{}, err
	}
	s := KeySet(file)
	var problems problem.List
	if s.Keys == nil {
		problems.Addf("keys", `is required; a set without keys says so with "keys": []`)
	}
	problems.AddAt("", s.problems())
	return s, problems.Err()
}

var (
	environmentPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	tokenIDPattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`) // as in fault.Token
)

const environmentForm = `an environment such as "production": 1 to 64 letters, digits and ._- beginning with a letter or digit`

// Validate reports everything that is wrong with s, each finding with its path.
func (s KeySet) Validate() error {
	if err := s.problems(); err != nil {
		return fmt.Errorf("token: key set: %w", err)
	}
	return nil
}

func (s KeySet) problems() error {
	var problems problem.List
	if !environmentPattern.MatchString(s.Audience) {
		problems.Addf("audience", "want %s, got %s", environmentForm, quote(s.Audience))
	}
	for _, list := range []struct {
		path          string
		entries, most int
	}{{"issuers", len(s.Issuers), maxIssuers}, {"keys", len(s.Keys), maxKeys}, {"revoked", len(s.Revoked), maxRevoked}} {
		if list.entries > list.most {
			problems.Addf(list.path, "has %d entries; at most %d are allowed", list.entries, list.most)
		}
	}
	if err := problems.Err(); err != nil && len(s.Keys) > maxKeys {
		return err
	}
	for i, issuer := range s.Issuers {
		if issuer == "" || len(issuer) > maxIssuerBytes {
			problems.Addf(problem.Index("issuers", i), "has %d bytes; 1 to %d are allowed", len(issuer), maxIssuerBytes)
		}
	}
	for i, k := range s.Keys {
		path := problem.Index("keys", i)
		switch {
		case k.named == nil:
			problems.Addf(path, "is empty")
		case k.private != nil:
			problems.Addf(path+".d", "is the private half of key %q, with which tokens are signed; services have only the public half: leave d out", k.id)
		}
		if j := slices.IndexFunc(s.Keys[:i], func(other Key) bool { return other.ID() == k.ID() }); j >= 0 && k.named != nil {
			problems.Addf(path+".kid", "%q is that of keys[%d] too", k.id, j)
		}
	}
	for i, id := range s.Revoked {
		if !tokenIDPattern.MatchString(id) {
			problems.Addf(problem.Index("revoked", i), "%s is not the ID of a token", quote(id))
		}
	}
	return problems.Err()
}

// MarshalJSON returns s as [ParseKeySet] reads it, without the private halves
// of keys.
func (s KeySet) MarshalJSON() ([]byte, error) {
	file := keyFile(s)
	file.Keys = make([]Key, len(s.Keys))
	for i, k := range s.Keys {
		file.Keys[i] = k.Public()
	}
	return json.Marshal(file)
}

// String describes s without secrets.
func (s KeySet) String() string {
	issuers := "anyone who has a key"
	if len(s.Issuers) > 0 {
		issuers = strings.Join(s.Issuers, ", ")
	}
	keys := "none"
	if len(s.Keys) > 0 {
		var names []string
		for _, k := range s.Keys {
			names = append(names, k.String())
		}
		keys = strings.Join(names, ", ")
	}
	return fmt.Sprintf("audience %s; issuers: %s; keys: %s; %d revoked", s.Audience, issuers, keys, len(s.Revoked))
}

// GoString is String.
func (s KeySet) GoString() string { return s.String() }

// LogValue is String.
func (s KeySet) LogValue() slog.Value { return slog.StringValue(s.String()) }

// clone returns a copy that shares nothing with s which could change.
func (s KeySet) clone() KeySet {
	s.Issuers, s.Keys, s.Revoked = slices.Clone(s.Issuers), slices.Clone(s.Keys), slices.Clone(s.Revoked)
	return s
}
