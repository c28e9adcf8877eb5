package interop_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/httpmw"
	"github.com/misfit-go/misfit/token"
	"github.com/stretchr/testify/require"
)

// keys make tokens, and verify them.
type keys struct {
	key      token.Key
	verifier *token.Verifier
}

func newKeys(t *testing.T) keys {
	key, err := token.GenerateKey("")
	require.NoError(t, err)
	k := keys{key: key}
	k.verifier, err = token.NewVerifier(k.set())
	require.NoError(t, err)
	return k
}

// set is a key set in which tokens are revoked.
func (k keys) set(revoked ...string) token.KeySet {
	return token.KeySet{Audience: "test", Keys: []token.Key{k.key.Public()}, Revoked: revoked}
}

// sign returns the text of a token that fails calls with "unavailable" where the
// rule is not edited.
func (k keys) sign(t *testing.T, id string, edits ...edit) string {
	r := fault.Rule{Fault: unavailable}
	for _, edit := range edits {
		edit(&r)
	}
	text, err := token.Sign(k.key, token.Claims{Issuer: "ci", Audience: "test", Token: fault.Token{
		ID: id, Subject: "kim", NotBefore: time.Now(), Expires: time.Now().Add(10 * time.Minute), Rules: []fault.Rule{r},
	}})
	require.NoError(t, err)
	return text
}

// A carriedToken is the one that every request of a scenario carries.
type carriedToken struct {
	keys
	t        *testing.T
	services []string // who answers
	text     string
	heard    atomic.Int64 // answers that said something of it
	partly   atomic.Bool  // not everything that answers is inside the middleware
}

const carriedID = "carried"

func newCarriedToken(t *testing.T, e edit, services ...string) *carriedToken {
	c := &carriedToken{keys: newKeys(t), t: t, services: services}
	c.text = c.sign(t, carriedID, e)
	return c
}

// unused takes the token's rule, which has not done anything, out of those that
// are live in a service. One that has said anything of it has it.
func (c *carriedToken) unused(t *testing.T, service string, live []fault.RuleStatus) []fault.RuleStatus {
	t.Helper()
	if c == nil {
		return live
	}
	found := 0
	others := []fault.RuleStatus{}
	for _, r := range live {
		if r.Source != fault.SourceToken {
			others = append(others, r)
			continue
		}
		require.Equal(t, "token-"+carriedID, r.Rule.ID)
		require.Zero(t, r.Hits)
		found++
	}
	if c.heard.Load() > 0 && slices.Contains(c.services, service) {
		require.Equal(t, 1, found)
	}
	return others
}

// statusField is what describeHeader or describeMetadata says of an answer.
const statusField = `fault-status:(\[("(\\.|[^"\\])*" ?)*\]|"(\\.|[^"\\])*"|[0-9]+ bytes [0-9a-f]+)`

var (
	inList = regexp.MustCompile(`(?i) ` + statusField + `|` + statusField + ` ?`)
	onWire = regexp.MustCompile(`(?m)^Fault-Status: (.*)\r\n`)
)

// without takes the answer to the token out of what somebody has noted. It does
// not belong into informational responses.
func (c *carriedToken) without(who, what string) string {
	if c == nil || who == "informed" {
		return what
	}
	return onWire.ReplaceAllString(inList.ReplaceAllString(what, ""), "")
}

// hear checks what an answer says of the token. Nothing is all right where the
// connection was taken over.
func (c *carriedToken) hear(answer []string, hijacked bool) {
	if c == nil || len(answer) == 0 && (hijacked || c.partly.Load()) {
		return
	}
	c.heard.Add(1)
	for _, service := range c.services {
		said := strings.Join(answer, "\n")
		if strings.HasPrefix(said, `not-reached;rule="token-carried";service="`+service+`";`) ||
			strings.HasPrefix(said, `missed;rule="token-carried";point="`) && strings.Count(said, `;service="`+service+`"`) == strings.Count(said, "missed;") {
			return
		}
	}
	c.t.Errorf("an answer to a request with a token has the status %q", answer)
}

// hearWire is hear for what stands on the wire.
func (c *carriedToken) hearWire(request, answer string) {
	if c == nil || strings.HasPrefix(request, "OPTIONS *") || !strings.Contains(answer[:len("HTTP/1.1 200")], "200") {
		return // the server's own answer
	}
	var values []string
	for _, found := range onWire.FindAllStringSubmatch(answer, -1) {
		values = append(values, found[1])
	}
	c.hear(values, false)
}

// answeredByOthers says that not everything that answers is inside the middleware.
func (c *carriedToken) answeredByOthers() {
	if c != nil {
		c.partly.Store(true)
	}
}

// A tokenCaller makes each call with the token.
type tokenCaller struct {
	next http.RoundTripper
	wired
}

func (c tokenCaller) RoundTrip(req *http.Request) (*http.Response, error) {
	if !c.identified {
		carrying := req.WithContext(req.Context())
		carrying.Header = c.stamp(req.Header.Clone())
		req = carrying
	}
	resp, err := c.next.RoundTrip(req)
	if err == nil {
		c.carried.hear(resp.Header[httpmw.StatusHeader], resp.StatusCode == http.StatusSwitchingProtocols)
	}
	return resp, err
}

func (c tokenCaller) CloseIdleConnections() {
	(&http.Client{Transport: c.next}).CloseIdleConnections()
}

// describeWriter is describeWriter of the server's own ResponseWriter, around
// which is one for the answer to the token. That has to do all that the other one
// can.
func (x *exchange) describeWriter(w http.ResponseWriter) string {
	description := describeWriter(w)
	if x.carried == nil || !strings.HasPrefix(description, "*httpsnoop.") {
		return description
	}
	inner := w.(interface{ Unwrap() http.ResponseWriter }).Unwrap()
	_, can, _ := strings.Cut(description, " ")
	if !is[interface{ Unwrap() http.ResponseWriter }](inner) {
		can = strings.Replace(can, " Unwrap]", "]", 1)
	}
	kind, _, _ := strings.Cut(describeWriter(inner), " ")
	return kind + " " + can
}
