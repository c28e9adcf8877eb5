package token

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/misfit-go/misfit/fault"
	"golang.org/x/time/rate"
)

// Leeway is how much earlier than its not-before a token is accepted, since
// clocks differ. There is none after its expiry.
const Leeway = time.Minute

// A Verifier accepts the tokens that one of its keys has signed, for its
// environment. It is a [fault.TokenVerifier]. Make it with [NewVerifier] or
// [WatchFile]; a nil one, and the zero Verifier, accept nothing. Its methods are
// safe for concurrent use.
type Verifier struct {
	options options
	path    string // of the key file, if there is one
	failing bool   // whether that was last refused; belongs to the goroutine that follows it
	force   atomic.Pointer[force]
	limiter *rate.Limiter
	known   memory

	mu           sync.Mutex
	onRevocation []func()
}

var _ fault.TokenVerifier = (*Verifier)(nil)

// force is the keys that are in force. It does not change.
type force struct {
	set     KeySet
	keys    map[string]Key
	revoked map[string]bool
	none    error // why there are no keys
}

// An Option configures a [Verifier].
type Option interface{ apply(*options) }

type options struct {
	perSecond int
	interval  time.Duration
	onError   func(error)
}

type option func(*options)

func (o option) apply(to *options) { o(to) }

const defaultPerSecond = 1000

// MaxVerificationsPerSecond sets how many signatures are checked in any one
// second; half of that may be at once. Tokens beyond are refused without a look
// at their signature, so that a flood of forged ones costs little. A token whose
// signature was found good is remembered and does not count again. The default is
// 1,000; zero or less keeps it.
func MaxVerificationsPerSecond(n int) Option {
	return option(func(o *options) {
		if n > 0 {
			o.perSecond = n
		}
	})
}

// NewVerifier returns a verifier of tokens that are signed by one of keys.
func NewVerifier(keys KeySet, options ...Option) (*Verifier, error) {
	v := newVerifier(options)
	if err := v.Replace(keys); err != nil {
		return nil, err
	}
	return v, nil
}

func newVerifier(from []Option) *Verifier {
	v := &Verifier{options: defaultOptions()}
	for _, o := range from {
		o.apply(&v.options)
	}
	// A bucket that is full gives its burst and then what flows in, which within
	// any second are together n.
	n := v.options.perSecond
	burst := n/2 + n%2
	v.limiter = rate.NewLimiter(rate.Limit(n-burst+1), burst)
	return v
}

// VerifyToken returns what a token says if it is signed by a key in force, for
// this environment, by an issuer that may, current and not revoked. Errors about
// anything up to and including the signature are [fault.ErrNotGenuine], with the
// detail in the text for the service's own log. Those about what the token says
// are not, and say what would be right.
func (v *Verifier) VerifyToken(text string) (t fault.Token, err error) {
	// This runs within requests that anybody may send: a panic in a parser would
	// break one that no token has selected.
	defer func() {
		if r := recover(); r != nil {
			t, err = fault.Token{}, notGenuine(fmt.Errorf("internal error: %v", r))
		}
	}()
	f := v.inForce()
	payload, err := v.verified(f, text)
	if err != nil {
		return fault.Token{}, notGenuine(err)
	}
	t, err = f.accept(payload, time.Now())
	if err != nil {
		return fault.Token{}, fmt.Errorf("token: %w", err)
	}
	return t, nil
}

func notGenuine(err error) error {
	return fmt.Errorf("token: %w: %w", fault.ErrNotGenuine, err)
}

// verified returns the payload of a token that is signed by a key in force.
func (v *Verifier) verified(f *force, text string) ([]byte, error) {
	parts, err := split(text)
	if err != nil {
		return nil, err
	}
	h := parts.header
	if h.Algorithm != algorithmEdDSA && h.Algorithm != algorithmHMAC {
		return nil, fmt.Errorf("it is signed with %s; allowed are EdDSA and HS256", quote(h.Algorithm))
	}
	if f.none != nil {
		return nil, fmt.Errorf("no keys are in force: %w", f.none)
	}
	key, ok := f.keys[h.KeyID]
	if !ok {
		return nil, fmt.Errorf("no key in force is named %s", quote(h.KeyID))
	}
	if h.Algorithm != key.Algorithm() {
		return nil, fmt.Errorf("it is signed with %s; key %q is for %s", h.Algorithm, key.id, key.Algorithm())
	}
	if want := signatureBytes(key); len(parts.signature) != want {
		return nil, fmt.Errorf("its signature has %d bytes; one with %s has %d", len(parts.signature), h.Algorithm, want)
	}
	signature := sumOf(key, text)
	if v.known.has(signature) {
		return parts.payload, nil
	}
	if !v.limiter.Allow() {
		return nil, fmt.Errorf("its signature was not checked, since no more than %d are in a second", v.options.perSecond)
	}
	payload, err := verify(key, text)
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", key.id, err)
	}
	v.known.add(signature)
	return payload, nil
}

func signatureBytes(key Key) int {
	if key.secret != nil {
		return sha256.Size
	}
	return ed25519.SignatureSize
}

// accept returns what the verified payload of a token says here and now, or why
// it is not accepted.
func (f *force) accept(data []byte, now time.Time) (fault.Token, error) {
	p, err := parsePayload(data)
	if err != nil {
		return fault.Token{}, err
	}
	services, here := p.Audience.in(f.set.Audience)
	t := p.token(services)
	if err := t.Validate(); err != nil {
		return fault.Token{}, err
	}
	switch {
	case f.revoked[t.ID]:
		err = fmt.Errorf("%q has been revoked: make another one", t.ID)
	case !here:
		err = fmt.Errorf("is for the environment %s; this is %q", list(p.Audience.environments()), f.set.Audience)
	case len(f.set.Issuers) > 0 && !slices.Contains(f.set.Issuers, p.Issuer):
		err = fmt.Errorf("is issued by %s; accepted are %s", quote(p.Issuer), list(f.set.Issuers))
	case !now.Before(t.Expires):
		err = fmt.Errorf("expired %v ago, at %s: make another one", now.Sub(t.Expires).Round(time.Second), t.Expires.Format(time.RFC3339))
	case now.Before(t.NotBefore.Add(-Leeway)):
		err = fmt.Errorf("is not valid before %s, which is in %v", t.NotBefore.Format(time.RFC3339), t.NotBefore.Sub(now).Round(time.Second))
	}
	if err != nil {
		return fault.Token{}, err
	}
	return t, nil
}

// list names the first few of names.
func list(names []string) string {
	const most = 5
	var texts []string
	for _, name := range names[:min(len(names), most)] {
		texts = append(texts, quote(name))
	}
	if len(names) > most {
		texts = append(texts, "…")
	}
	return strings.Join(texts, ", ")
}

// OnRevocation has f called after every change of the keys, in the goroutine
// that makes it.
func (v *Verifier) OnRevocation(f func()) {
	if v == nil || f == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.onRevocation = append(v.onRevocation, f)
}

// Replace puts other keys in force, at once and all together: it is how keys
// are changed and revoked, and tokens by their ID. If keys are not valid nothing
// changes. The keys of a Verifier that follows a file are changed there; here
// Replace returns an error.
func (v *Verifier) Replace(keys KeySet) error {
	switch {
	case v == nil || v.limiter == nil:
		return errors.New("token: make the Verifier with NewVerifier")
	case v.path != "":
		return fmt.Errorf("token: the keys are those of %s: change that file", v.path)
	}
	if err := keys.Validate(); err != nil {
		return err
	}
	v.put(newForce(keys))
	return nil
}

func newForce(set KeySet) *force {
	f := &force{set: set.clone(), keys: make(map[string]Key), revoked: make(map[string]bool)}
	for _, k := range set.Keys {
		f.keys[k.id] = k
	}
	for _, id := range set.Revoked {
		f.revoked[id] = true
	}
	return f
}

// put puts keys in force and tells those who want to know. They are called
// without the lock, for what they do may need it.
func (v *Verifier) put(f *force) {
	v.force.Store(f)
	v.mu.Lock()
	told := slices.Clone(v.onRevocation)
	v.mu.Unlock()
	for _, f := range told {
		f()
	}
}

// Keys returns what is in force.
func (v *Verifier) Keys() KeySet { return v.inForce().set.clone() }

func (v *Verifier) inForce() *force {
	if v != nil {
		if f := v.force.Load(); f != nil {
			return f
		}
	}
	return &force{none: errors.New("none were given")}
}
