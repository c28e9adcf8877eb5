package token

import (
	"errors"
	"fmt"
	"strings"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/strictjson"
)

// A Header says how a token is signed.
type Header struct {
	Algorithm string
	KeyID     string
}

// jws is the text of a token taken apart, of which nothing is verified.
type jws struct {
	header    Header
	payload   []byte
	signature []byte
}

// split takes a token apart. Of the ways to write the same bytes in base64url it
// accepts one.
func split(text string) (jws, error) {
	if len(text) > fault.MaxTokenBytes {
		return jws{}, fmt.Errorf("has %d bytes; at most %d are looked at", len(text), fault.MaxTokenBytes)
	}
	if n := strings.Count(text, ".") + 1; n != 3 {
		return jws{}, fmt.Errorf("is not a compact JWS: has %d parts between dots; want 3", n)
	}
	var parts [3][]byte
	texts := strings.Split(text, ".")
	for i, name := range []string{"header", "payload", "signature"} {
		if name == "signature" && texts[i] == "" {
			break // without one the header says why, and that it is alg "none"
		}
		var err error
		if parts[i], err = decode(texts[i]); err != nil {
			return jws{}, fmt.Errorf("is not a compact JWS: the %s %w", name, err)
		}
	}
	header, err := parseHeader(parts[0])
	if err != nil {
		return jws{}, err
	}
	return jws{header, parts[1], parts[2]}, nil
}

// parseHeader accepts no member that could change how the rest is understood.
func parseHeader(data []byte) (Header, error) {
	var h struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
		Type      string `json:"typ"`
	}
	if err := strictjson.Unmarshal(data, &h); err != nil {
		return Header{}, fmt.Errorf("its header: %w", err)
	}
	switch {
	case h.Algorithm == "":
		return Header{}, errors.New("its header: alg: is required")
	case h.KeyID == "":
		return Header{}, errors.New("its header: kid: is required")
	case h.Type != "" && h.Type != "JWT":
		return Header{}, fmt.Errorf(`its header: typ: want "JWT" or none, got %s`, quote(h.Type))
	}
	return Header{h.Algorithm, h.KeyID}, nil
}

// Inspect reads a token without verifying it: everything that it returns may be
// a lie. It is for people who want to see what a token says; a service asks a
// [Verifier]. It checks neither the signature nor anything that depends on it,
// such as times and audience, nor whether the rules are valid.
//
// Beside an error is what could be read. A token for several environments,
// which [Sign] does not make, has them in Audience with commas between them, and
// its services with their environment before them.
func Inspect(text string) (Header, Claims, error) {
	parts, err := split(text)
	if err != nil {
		return parts.header, Claims{}, fmt.Errorf("token: %w", err)
	}
	p, err := parsePayload(parts.payload)
	if err != nil {
		err = fmt.Errorf("token: %w", err)
	}
	environments := p.Audience.environments()
	services, _ := p.Audience.in(strings.Join(environments, ","))
	if len(environments) > 1 {
		services = p.Audience
	}
	return parts.header, Claims{p.Issuer, strings.Join(environments, ","), p.token(services)}, err
}
