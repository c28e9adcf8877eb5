package fault

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/internal/strictjson"
	"github.com/misfit-go/misfit/scope"
)

// A Rule is where, who, what, how much and until when. It is plain data, the
// same in Go, JSON and YAML, and reads back what it prints.
type Rule struct {
	// ID names the rule: 1 to 64 letters, digits and "._-", the first of them a
	// letter or digit, and not beginning with "request-" or
	// "token-". Putting a rule with
	// the ID of a live one edits that one.
	ID string `json:"id,omitempty"`

	// Note is for people: why, who asked, a link. At most 1,024 bytes.
	Note string `json:"note,omitempty"`

	// Priority orders rules: of those that match a call, the one with the
	// highest priority applies; among equals the lowest ID. -1000 to 1000.
	Priority int `json:"priority,omitempty"`

	Target Target      `json:"target"`
	Scope  scope.Scope `json:"scope,omitzero"`
	Fault  Fault       `json:"fault"`
	Limits Limits      `json:"limits,omitzero"`

	// TTL is how long the rule lives from when it is put. Either TTL or
	// Expires is required; a live rule shows Expires. At most 24 hours
	// unless [Guardrails] say otherwise.
	TTL time.Duration `json:"ttl,omitempty"`

	// Expires is when the rule ends.
	Expires time.Time `json:"expires,omitzero"`

	// Paused has the rule apply to nothing while it is set. It is live all the
	// same: it is shown, expires, and keeps its counters. Calls that it holds go on
	// when it is paused. Not for rules that requests carry.
	Paused bool `json:"paused,omitempty"`
}

// A Target says where a rule applies. In its patterns * stands for any text.
type Target struct {
	// Services are the services the rule is for; empty means any.
	Services []string `json:"services,omitempty"`

	// Points are patterns of injection points. "ratings" is the dependency of
	// that name, over whatever protocol; "http.client:ratings" names the kind
	// too. Points of a server's kind match only patterns with a kind. May be
	// empty beside Except, then meaning every dependency.
	Points []string `json:"points,omitempty"`

	// Operations are patterns of operations, such as "GET /ratings/{id}",
	// where {id} is any one path segment, "/pkg.Service/*" or "COMMIT".
	// Empty means all.
	Operations []string `json:"operations,omitempty"`

	// Except takes calls out again: "everything but the critical ones".
	Except *Except `json:"except,omitempty"`
}

// An Except takes out of a target the calls that match one of its points, if
// any are given, and one of its operations, if any are given.
type Except struct {
	Points     []string `json:"points,omitempty"`
	Operations []string `json:"operations,omitempty"`
}

// Limits bound how much a rule does in one process; 0 means no limit. They
// are exact. A call that a limit keeps out passes untouched and is counted as
// skipped.
type Limits struct {
	Concurrent int `json:"concurrent,omitempty"` // faulted calls at once; a slot is free again when the call returns
	PerSecond  int `json:"perSecond,omitempty"`  // faulted calls within any one second; at most 100,000
	Total      int `json:"total,omitempty"`      // faulted calls in the life of the rule
}

// ParseRule reads a rule from JSON and validates it. The error names every
// wrong field by path.
func ParseRule(data []byte) (Rule, error) {
	var r Rule
	if err := r.UnmarshalJSON(data); err != nil {
		return Rule{}, fmt.Errorf("fault: rule: %w", err)
	}
	if err := r.Validate(); err != nil {
		return Rule{}, err
	}
	return r, nil
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

const (
	maxPriority  = 1000
	maxNoteBytes = 1024
	maxPatterns  = 1000
	maxPerSecond = 100_000
)

// Validate reports everything that is wrong with r in itself, each finding
// with its path. What depends on the injector (guardrails, named errors, the
// points there are) is checked when the rule is put.
func (r Rule) Validate() error {
	if err := r.problems(true); err != nil {
		return fmt.Errorf("fault: rule %s: %w", quote(r.ID), err)
	}
	return nil
}

func (r Rule) problems(needsScope bool) error {
	var problems problem.List
	switch reserved := strings.HasPrefix(r.ID, requestIDPrefix) || strings.HasPrefix(r.ID, tokenIDPrefix); {
	case !idPattern.MatchString(r.ID):
		problems.Addf("id", "%s is not 1 to 64 letters, digits and ._- beginning with a letter or digit", quote(r.ID))
	case reserved && needsScope:
		problems.Addf("id", "%s: names beginning with %q and %q are those of rules that requests carry", quote(r.ID), requestIDPrefix, tokenIDPrefix)
	}
	if len(r.Note) > maxNoteBytes {
		problems.Addf("note", "has %d bytes; at most %d are allowed", len(r.Note), maxNoteBytes)
	}
	if r.Priority < -maxPriority || r.Priority > maxPriority {
		problems.Addf("priority", "%d is outside %d to %d", r.Priority, -maxPriority, maxPriority)
	}
	problems.AddAt("target", r.Target.Validate())
	who := r.Scope
	if !needsScope && !who.Selects() && who.Unit == "" && who.Salt == "" {
		who.Percent = new(100.0)
	}
	problems.AddAt("scope", who.Validate())
	problems.AddAt("fault", r.Fault.Validate())
	problems.AddAt("limits", r.Limits.Validate())
	switch {
	case r.TTL < 0:
		problems.Addf("ttl", "%v is negative", r.TTL)
	case r.TTL > 0 && !r.Expires.IsZero():
		problems.Addf("ttl", "give either ttl or expires, not both")
	case needsScope && r.TTL == 0 && r.Expires.IsZero():
		problems.Addf("ttl", `is required: every rule expires; give for instance "10m", or the time in expires`)
	}
	if r.Paused && !needsScope {
		problems.Addf("paused", "is not for a rule that requests carry, which nobody could unpause; leave it out")
	}
	return problems.Err()
}

// Validate reports everything that is wrong with t, each finding with its path.
func (t Target) Validate() error {
	var problems problem.List
	if len(t.Points) == 0 && t.Except == nil {
		problems.Addf("points", `is required: name dependencies such as "ratings", or "*" for all`)
	}
	for i, name := range t.Services {
		if name == "" {
			problems.Addf(problem.Index("services", i), "is empty")
		}
	}
	for _, list := range []struct {
		path    string
		entries int
	}{{"services", len(t.Services)}, {"points", len(t.Points)}, {"operations", len(t.Operations)}} {
		if list.entries > maxPatterns {
			problems.Addf(list.path, "has %d entries; at most %d are allowed", list.entries, maxPatterns)
		}
	}
	validatePoints(&problems, "points", t.Points)
	validateOperations(&problems, "operations", t.Operations)
	if t.Except != nil {
		if len(t.Except.Points) == 0 && len(t.Except.Operations) == 0 {
			problems.Addf("except", "is empty: name points or operations, or leave it out")
		}
		validatePoints(&problems, "except.points", t.Except.Points)
		validateOperations(&problems, "except.operations", t.Except.Operations)
	}
	return problems.Err()
}

// Validate reports everything that is wrong with l, each finding with its path.
func (l Limits) Validate() error {
	var problems problem.List
	if l.Concurrent < 0 {
		problems.Addf("concurrent", "%d is negative", l.Concurrent)
	}
	if l.PerSecond < 0 || l.PerSecond > maxPerSecond {
		problems.Addf("perSecond", "%d is outside 0 to %d", l.PerSecond, maxPerSecond)
	}
	if l.Total < 0 {
		problems.Addf("total", "%d is negative", l.Total)
	}
	return problems.Err()
}

// MarshalJSON writes TTL as a text such as "10m0s".
func (r Rule) MarshalJSON() ([]byte, error) {
	type plain Rule
	return json.Marshal(struct {
		plain
		TTL string `json:"ttl,omitempty"`
	}{plain(r), text(r.TTL)})
}

// UnmarshalJSON reads r and reports every field that is unknown or of the
// wrong type. It does not validate: that is [Rule.Validate].
func (r *Rule) UnmarshalJSON(data []byte) error {
	type plain Rule
	var p plain
	if err := strictjson.Unmarshal(data, &p); err != nil {
		return err
	}
	*r = Rule(p)
	return nil
}

// String returns r as JSON, which [ParseRule] reads back.
func (r Rule) String() string {
	data, err := json.Marshal(r)
	if err != nil { // NaN or an infinity, which Validate refuses
		return "invalid rule: " + err.Error()
	}
	return string(data)
}

func quote(s string) string {
	const longest = 64
	if len(s) > longest {
		return fmt.Sprintf("%q…", s[:longest])
	}
	return fmt.Sprintf("%q", s)
}

func list[T ~string](names []T) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = string(name)
	}
	return strings.Join(texts, ", ")
}
