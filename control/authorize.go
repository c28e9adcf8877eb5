package control

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/misfit-go/misfit/internal/problem"
)

// A Role is what somebody may do here. Each may do what those before it may, and
// the zero Role nothing.
type Role int

const (
	Viewer   Role = iota + 1 // sees everything
	Operator                 // also makes, changes and ends rules, and halts
	Admin                    // also resumes
)

var roleNames = [...]string{"none", "viewer", "operator", "admin"}

// String returns the name of the role in lower case, or "none".
func (r Role) String() string {
	if r < 0 || int(r) >= len(roleNames) {
		return "Role(" + strconv.Itoa(int(r)) + ")"
	}
	return roleNames[r]
}

// ParseRole returns the role with this name, as String gives it.
func ParseRole(name string) (Role, error) {
	for r := Viewer; r <= Admin; r++ {
		if name == roleNames[r] {
			return r, nil
		}
	}
	return 0, fmt.Errorf("control: there is no role %q: it is viewer, operator or admin", name)
}

// MarshalText implements [encoding.TextMarshaler].
func (r Role) MarshalText() ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	return []byte(r.String()), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (r *Role) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRole(string(text))
	return err
}

func (r Role) validate() error {
	if r < Viewer || r > Admin {
		return fmt.Errorf("%v is not viewer, operator or admin", r)
	}
	return nil
}

// A Principal is who makes a request. The name goes on record with what is done.
type Principal struct {
	Name string `json:"name"` // 1 to 128 bytes that can be printed
	Role Role   `json:"role"`
}

const maxNameBytes = 128

// Whom requests are put down to that need no credentials.
var (
	anyone = Principal{Name: "anyone", Role: Viewer}
	local  = Principal{Name: "local", Role: Admin}
)

// Validate reports everything that is wrong with the principal.
func (p Principal) Validate() error {
	var problems problem.List
	switch {
	case p.Name == "" || len(p.Name) > maxNameBytes:
		problems.Addf("name", "is %d bytes long; it takes 1 to %d, to put on record", len(p.Name), maxNameBytes)
	case !utf8.ValidString(p.Name) || strings.ContainsFunc(p.Name, func(c rune) bool { return !strconv.IsPrint(c) }):
		problems.Addf("name", "%q cannot be printed as it is", p.Name)
	case p.Name == anyone.Name || p.Name == local.Name:
		problems.Addf("name", "%q stands for requests without credentials: take another", p.Name)
	}
	if err := p.Role.validate(); err != nil {
		problems.Addf("role", "%v", err)
	}
	return problems.Err()
}

// may returns why the principal may not do what needs this role, or nil.
func (p Principal) may(need Role) error {
	if p.Role >= need {
		return nil
	}
	return refusal{
		status: http.StatusForbidden, kind: "role-too-low", title: "Role too low",
		detail: fmt.Sprintf("%q has the role %v; this needs %v", p.Name, p.Role, need),
	}
}

// An Authorizer finds out who makes a request, from its headers, its TLS
// connection or whatever else it goes by; not from the body, which is for the
// endpoint.
//
// If it knows the credentials that the request has, it returns whose they are,
// and true. If it knows of none, it returns false, and the next one is asked. If
// there are some that are wrong it returns an error, and nobody else is asked:
// the request is refused with 401, which counts against the peer's address. The
// text of the error goes nowhere, and neither does a panic get anybody in.
//
// It must be safe for concurrent use. A request that waits for it waits for as
// long as it takes, a halt too.
type Authorizer interface {
	Authorize(r *http.Request) (p Principal, ok bool, err error)
}

// An AuthorizerFunc is a function that is an [Authorizer].
type AuthorizerFunc func(r *http.Request) (p Principal, ok bool, err error)

// Authorize calls f.
func (f AuthorizerFunc) Authorize(r *http.Request) (p Principal, ok bool, err error) { return f(r) }

// WithAuthorizer lets in only those whom one of the authorizers knows, asked in
// the order given: viewers to read, operators and admins to write. By default
// there are none: then everyone may read, and whoever is on the same machine may
// write. None at all or a nil one is a mistake that would open the endpoint, and
// panics.
func WithAuthorizer(authorizers ...Authorizer) Option {
	if len(authorizers) == 0 {
		panic("control: WithAuthorizer needs an Authorizer: without one the endpoint would be open")
	}
	for i, a := range authorizers {
		if f, ok := a.(AuthorizerFunc); a == nil || ok && f == nil {
			panic(fmt.Sprintf("control: WithAuthorizer: Authorizer %d is nil", i))
		}
	}
	return option(func(h *Handler) { h.guard.authorizers = append(h.guard.authorizers, authorizers...) })
}

// AllowLoopback lets callers on the same machine do everything, without
// credentials, although there are authorizers. By default they need credentials
// like all others.
func AllowLoopback() Option {
	return option(func(h *Handler) { h.guard.loopback = true })
}

// AllowedHosts are further names that the endpoint is called by, without ports,
// in the Host of requests. By default these are localhost and, with authorizers,
// every IP address: with any other name a web page may be behind a request, that
// had its own name lead here (DNS rebinding). No name is asked for where no web
// page can be: with a token that [BearerTokens] knows, and over TLS without a
// proxy in between.
func AllowedHosts(names ...string) Option {
	return option(func(h *Handler) {
		for _, name := range names {
			if name = hostName(name); name != "" {
				h.guard.hosts[name] = true
			}
		}
	})
}
