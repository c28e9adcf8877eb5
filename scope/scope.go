package scope

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/internal/strictjson"
)

// A Scope selects the requests a rule applies to. It is plain data; every
// condition that is set must hold. A scope without any condition selects
// nobody and is refused by [Scope.Validate]: everyone is said as 100 %.
type Scope struct {
	// Requests are request identities ([Request.ID]); any one matches.
	Requests []string `json:"requests,omitempty"`

	// Customers are customers ([Request.Customer]); any one matches.
	Customers []string `json:"customers,omitempty"`

	// Attributes lists, by name, the values a request's attribute may have.
	// Every name must match with one of its values.
	Attributes map[string][]string `json:"attributes,omitempty"`

	// Percent is the share of units, from 0 to 100. Nil means no such
	// condition. See the package documentation for how a unit is drawn.
	Percent *float64 `json:"percent,omitempty"`

	// Unit is what Percent counts; empty means [PerRequest].
	Unit Unit `json:"unit,omitempty"`

	// Salt decides which units a percentage picks: scopes with equal salts
	// pick the same ones. Empty means the rule's ID.
	Salt string `json:"salt,omitempty"`

	// Attempts, when positive, selects only the first so many calls of each
	// request that meet the other conditions, so that a retry after them
	// succeeds. They are counted in each process on its own. 0 means all.
	Attempts int `json:"attempts,omitempty"`
}

// A Unit is what a percentage is a percentage of.
type Unit string

const (
	// PerRequest draws once for each request identity, so that the whole call
	// tree agrees. A call outside any request counts as a request of its own.
	PerRequest Unit = "request"

	// PerCustomer draws once for each customer, who then stays in or out.
	// Requests without a customer are out at any percentage.
	PerCustomer Unit = "customer"

	// PerCall draws again for each call, so that a retry may succeed.
	PerCall Unit = "call"
)

const attributeUnit = "attribute:"

// PerAttribute draws once for each value of the named attribute. Requests
// without that attribute are out at any percentage.
func PerAttribute(name string) Unit { return Unit(attributeUnit + name) }

// Everyone selects every call.
func Everyone() Scope { return Percent(100, PerRequest) }

// Requests selects the requests with these identities.
func Requests(ids ...string) Scope { return Scope{Requests: ids} }

// Customers selects the requests made on behalf of these customers.
func Customers(names ...string) Scope { return Scope{Customers: names} }

// Percent selects a share of the units, from 0 to 100.
func Percent(percent float64, unit Unit) Scope { return Scope{Percent: &percent, Unit: unit} }

// Limits on the size of a scope's lists.
const (
	MaxListed      = 100_000 // requests, customers or one attribute's values
	maxSaltBytes   = 128
	maxAttempts    = 1_000_000
	maxValuesBytes = 256
)

// Selects reports whether s has a condition that selects requests.
func (s Scope) Selects() bool {
	return len(s.Requests) > 0 || len(s.Customers) > 0 || len(s.Attributes) > 0 || s.Percent != nil
}

// IsZero reports whether nothing is set.
func (s Scope) IsZero() bool {
	return !s.Selects() && s.Unit == "" && s.Salt == "" && s.Attempts == 0
}

// Validate reports everything that is wrong with s, each finding with its path.
func (s Scope) Validate() error {
	var problems problem.List
	if !s.Selects() {
		problems.Addf("", "selects nobody: name requests, customers or attributes, or give a percent (100 is everyone)")
	}
	checkList(&problems, "requests", s.Requests)
	checkList(&problems, "customers", s.Customers)
	if len(s.Attributes) > 0 {
		checkAttributes(&problems, s.Attributes)
	}
	if p := s.Percent; p != nil && !(*p >= 0 && *p <= 100) { // written so that NaN fails
		problems.Addf("percent", "%v is outside 0 to 100", *p)
	}
	switch name, isAttribute := strings.CutPrefix(string(s.Unit), attributeUnit); {
	case isAttribute:
		if err := checkAttributeName(name); err != "" {
			problems.Addf("unit", "%s", err)
		}
	case s.Unit == "", s.Unit == PerRequest, s.Unit == PerCustomer, s.Unit == PerCall:
	default:
		problems.Addf("unit", "%s is unknown; use request, customer, call or attribute:<name>", quote(string(s.Unit)))
	}
	if s.Percent == nil && s.Unit != "" {
		problems.Addf("unit", "has no meaning without a percent")
	}
	if s.Percent == nil && s.Salt != "" {
		problems.Addf("salt", "has no meaning without a percent")
	}
	if len(s.Salt) > maxSaltBytes {
		problems.Addf("salt", "has %d bytes; at most %d are allowed", len(s.Salt), maxSaltBytes)
	}
	if s.Attempts < 0 || s.Attempts > maxAttempts {
		problems.Addf("attempts", "%d is outside 0 to %d", s.Attempts, maxAttempts)
	}
	return problems.Err()
}

// Share returns the largest percentage of all traffic that s can select, as
// far as its text tells: 0 for a list of requests or customers, which bound
// the reach by themselves, else its percent, else 100.
func (s Scope) Share() float64 {
	switch {
	case len(s.Requests) > 0 || len(s.Customers) > 0:
		return 0
	case s.Percent != nil:
		return math.Max(0, math.Min(100, *s.Percent))
	}
	return 100
}

// String returns s as JSON, which [Scope.UnmarshalJSON] reads back to an
// equal scope.
func (s Scope) String() string {
	text, err := json.Marshal(s)
	if err != nil { // NaN or an infinity, which Validate refuses
		return "invalid scope: " + err.Error()
	}
	return string(text)
}

// UnmarshalJSON reads s and reports every field that is unknown or of the
// wrong type. It does not validate: that is [Scope.Validate].
func (s *Scope) UnmarshalJSON(text []byte) error {
	type plain Scope
	var p plain
	if err := strictjson.Unmarshal(text, &p); err != nil {
		return err
	}
	*s = Scope(p)
	return nil
}

func checkAttributes(problems *problem.List, selected map[string][]string) {
	for _, name := range slices.Sorted(maps.Keys(selected)) {
		if err := checkAttributeName(name); err != "" {
			problems.Addf("attributes", "%s", err)
			continue
		}
		path := "attributes." + name
		if len(selected[name]) == 0 {
			problems.Addf(path, "has no values; list those to select")
		}
		checkList(problems, path, selected[name])
	}
}

func checkList(problems *problem.List, path string, list []string) {
	if len(list) > MaxListed {
		problems.Addf(path, "has %d entries; at most %d are allowed", len(list), MaxListed)
		return
	}
	seen := make(map[string]bool, len(list))
	for i, entry := range list {
		switch {
		case entry == "":
			problems.Addf(problem.Index(path, i), "is empty")
		case len(entry) > maxValuesBytes:
			problems.Addf(problem.Index(path, i), "has %d bytes; at most %d are allowed", len(entry), maxValuesBytes)
		case seen[entry]:
			problems.Addf(problem.Index(path, i), "%s is listed twice", quote(entry))
		}
		seen[entry] = true
	}
}
