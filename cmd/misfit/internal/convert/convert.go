// Package convert reads the fault injection that was written for other tools
// and makes rules of it that mean the same.
//
// The two functions to know are [Istio] and [Gremlin]; both return a [Result]:
//
//	result, err := convert.Istio(manifests, convert.Options{TTL: 10 * time.Minute})
//	text, err := result.YAML()
//
// # What comes out
//
// Each rule is valid, selects the same calls as what it was made from, with the
// same probability, and does the same to them. What cannot be said as such a
// rule is left out and told in a [Finding]: nothing is ever made wider than it
// was. What a rule takes for granted, such as that a dependency has the name of
// a host, is a finding too, of the lesser kind that is called a note.
//
// # Not promised
//
// Timeouts and retries of a proxy are no faults and are not looked at. Percentages
// finer than what the other tool can tell apart are taken at their word. Of
// documents that refer to one another only those given are known.
package convert

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// Options say what the text to convert leaves open.
type Options struct {
	// TTL is how long each rule lives; neither tool has such an end. Required.
	TTL time.Duration

	// Points give the pattern of points for a host (Istio) or a flag (Gremlin)
	// whose dependency has another name here.
	Points map[string]string

	// Customer is the header (Istio) or label (Gremlin) whose value is the
	// customer. All others become attributes. Default "end-user".
	Customer string

	// GRPC says that the hosts (Istio) are called over gRPC: HTTP statuses become
	// the codes that stand for them.
	GRPC bool

	// Exception is what every exception (Gremlin) becomes. By default it is a class
	// where the exception's name is known, else the error that the service has
	// registered under the exception's message.
	Exception *fault.ErrorFault
}

// A Result is what was made of a text.
type Result struct {
	Rules    []fault.Rule // valid, with IDs of their own
	Findings []Finding    // at most 1,000
	Dropped  int          // findings beyond those
}

// A Finding says what could not be carried over, or, if it is a Note, what the
// rules take for granted.
type Finding struct {
	Document     int    // counted from 1
	Path         string // such as "spec.http[0].fault.abort"
	Line, Column int    // from 1
	Note         bool
	Detail       string
}

// Lossy reports whether something could not be carried over.
func (r Result) Lossy() bool {
	for _, f := range r.Findings {
		if !f.Note {
			return true
		}
	}
	return r.Dropped > 0
}

// Bounds on what is read and written.
const (
	MaxBytes    = 8 << 20 // of text to convert
	maxRules    = 10_000  // as many as a file may have
	maxFindings = 1000
	maxSteps    = 20_000_000 // comparisons of conditions with one another
)

var (
	errManyRules = fmt.Errorf("comes to more than %d rules, which is all that one file may have: convert it in parts", maxRules)
	errManySteps = errors.New("has too many routes or conditions to compare them all: convert it in parts")
)

// A converter gathers a result. An error ends the conversion.
type converter struct {
	Options
	Result
	ids   map[string]int // how often each was asked for
	noted map[string]bool
	steps int
	err   error
}

func newConverter(o Options) *converter {
	if o.Customer == "" {
		o.Customer = "end-user"
	}
	return &converter{Options: o, ids: make(map[string]int), noted: make(map[string]bool)}
}

func (c *converter) done() (Result, error) {
	if c.err != nil {
		return Result{}, c.err
	}
	slices.SortStableFunc(c.Findings, func(a, b Finding) int {
		return cmp.Or(a.Document-b.Document, a.Line-b.Line, a.Column-b.Column)
	})
	return c.Result, nil
}

// fail ends the conversion.
func (c *converter) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// lose records what could not be carried over.
func (c *converter) lose(at cursor, format string, args ...any) {
	c.find(at, false, format, args...)
}

// note records what is taken for granted.
func (c *converter) note(at cursor, format string, args ...any) {
	c.find(at, true, format, args...)
}

// noteOnce is note for what is the same wherever it comes up.
func (c *converter) noteOnce(at cursor, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !c.noted[text] {
		c.noted[text] = true
		c.note(at, "%s", text)
	}
}

func (c *converter) find(at cursor, note bool, format string, args ...any) {
	if len(c.Findings) == maxFindings {
		c.Dropped++
		return
	}
	f := Finding{Document: at.document, Path: at.path, Note: note, Detail: fmt.Sprintf(format, args...)}
	f.Line, f.Column = at.line, at.column
	c.Findings = append(c.Findings, f)
}

// step counts n steps of work, and reports whether there is room for them.
func (c *converter) step(n int) bool {
	if c.steps += n; c.steps > maxSteps {
		c.fail(errManySteps)
	}
	return c.err == nil
}

// add takes a rule in. A rule that is not valid is reported instead.
func (c *converter) add(at cursor, r fault.Rule) bool {
	if len(c.Rules) == maxRules {
		c.fail(errManyRules)
	}
	if c.err != nil {
		return false
	}
	r.TTL = c.TTL
	r.ID = c.newID(r.ID)
	if err := r.Validate(); err != nil {
		c.lose(at, "cannot be said as a rule: %v", short(err))
		return false
	}
	c.Rules = append(c.Rules, r)
	return true
}
