package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/misfit-go/misfit/internal/criticality"
)

// A criticalReport is what a journey cannot do without, and what differs from what is
// known: what is printed, whatever the form.
type criticalReport struct {
	Journey      []string             `json:"journey"`
	Allowed      []string             `json:"allowed"`
	Baseline     string               `json:"baseline,omitempty"`
	Dependencies []criticalDependency `json:"dependencies"`
	Rest         criticalRest         `json:"allButAllowed"`
	Together     []criticalSet        `json:"together"`
	Complete     bool                 `json:"complete"` // these sets are all

	NewlyCritical []string   `json:"newlyCritical"`
	NewlyTogether [][]string `json:"newlyCriticalTogether"`
	NoLonger      []string   `json:"noLongerCritical"`
	Apart         [][]string `json:"noLongerCriticalTogether"`
	Missing       []string   `json:"notReached"` // of what may be critical
	Unclear       []string   `json:"unclear"`
	Unexplained   string     `json:"unexplained,omitempty"` // why no set accounts for allButAllowed

	// TokensUntil is when the last token expires that could not be taken back.
	TokensUntil time.Time `json:"tokensUntil,omitzero"`

	Runs int           `json:"runs"`
	Took time.Duration `json:"-"`

	failed string // why nothing was found out
}

type criticalDependency struct {
	Point   string              `json:"point"`
	Verdict criticality.Verdict `json:"verdict"`
	Known   bool                `json:"known"` // it may be critical
	Why     string              `json:"why,omitempty"`
	Seconds float64             `json:"seconds"` // that the journey took when it failed
}

type criticalSet struct {
	Points []string `json:"points"`
	Known  bool     `json:"known"`
}

// criticalRest is the run in which all failed but what may be critical.
type criticalRest struct {
	Passed  bool    `json:"passed"`
	Reached bool    `json:"reached"` // a call was made to fail
	Why     string  `json:"why,omitempty"`
	Seconds float64 `json:"seconds"`
}

func newCriticalReport(c *criticalCommand, t *trial, result *criticality.Result, list *criticality.List) *criticalReport {
	d := criticality.Compare(result, c.allow, list)
	r := &criticalReport{
		Journey:  append([]string{c.path}, c.args...),
		Allowed:  present(t.allowed),
		Baseline: c.baseline,
		Rest: criticalRest{
			Passed: result.Rest.Passed, Reached: result.Rest.Applied, Why: result.Rest.Why, Seconds: result.Rest.Took.Seconds(),
		},
		Dependencies:  []criticalDependency{},
		Together:      []criticalSet{},
		Complete:      result.Complete,
		NewlyCritical: present(d.Critical),
		NewlyTogether: present(d.Together),
		NoLonger:      present(d.Tolerated),
		Apart:         present(d.Apart),
		Missing:       present(d.Missing),
		Unclear:       present(result.With(criticality.Unclear)),
		TokensUntil:   t.until,
		Runs:          t.runs,
	}
	for _, one := range result.Dependencies {
		if one.Verdict == criticality.Unclear {
			one.Why = "failed, and no call is known to have been made to fail: " + one.Why
		}
		r.Dependencies = append(r.Dependencies, criticalDependency{one.Point, one.Verdict, one.Allowed, one.Why, one.Took.Seconds()})
	}
	for _, set := range result.Together {
		isNew := slices.ContainsFunc(d.Together, func(s []string) bool { return slices.Equal(s, set) })
		r.Together = append(r.Together, criticalSet{set, !isNew})
	}
	switch {
	case result.Unexplained && !result.Complete:
		r.Unexplained = fmt.Sprintf("the journey fails when all fails but what may be critical, and no set of dependencies that explains it was found in %s", plural(t.runs, "run"))
	case result.Unexplained, !result.Rest.Passed && !result.Rest.Applied:
		r.Unexplained = "the journey fails when all fails but what may be critical, and not by what is known to be called: is it reliable, and what it calls known?"
	}
	return r
}

// present keeps an empty list from becoming null.
func present[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// verdict is nil, or says why the exit status is not 0.
func (r *criticalReport) verdict(strict, updating bool) error {
	var texts []string
	for _, point := range r.NewlyCritical {
		texts = append(texts, "newly critical: "+point)
	}
	for _, set := range r.NewlyTogether {
		texts = append(texts, "newly critical together: "+strings.Join(set, " + "))
	}
	if strict {
		texts = append(texts, r.stale()...)
	}
	if len(texts) > 0 && !updating {
		return refusalf("%s", strings.Join(texts, "\n"))
	}
	switch {
	case len(r.Unclear) > 0:
		return fileErrorf("the journey failed, and nothing shows that a call was made to fail: %s\n"+
			"Is it reliable? Does it show Fault-Status also when it fails? Or give -url.", strings.Join(r.Unclear, ", "))
	case r.Unexplained != "":
		return fileErrorf("%s", r.Unexplained)
	}
	return nil
}

// stale says what may be critical and is not.
func (r *criticalReport) stale() []string {
	var texts []string
	for _, point := range r.NoLonger {
		texts = append(texts, "no longer critical: "+point)
	}
	for _, set := range r.Apart {
		texts = append(texts, "no longer critical together: "+strings.Join(set, " + "))
	}
	for _, point := range r.Missing {
		texts = append(texts, "may be critical, and is not reached: "+point)
	}
	return texts
}

// orDone is an error that statusOf takes for one of status 0.
func orDone(err error) error {
	if err == nil {
		return &statusError{statusDone, nil}
	}
	return err
}

// print prints it as a table.
func (r *criticalReport) print(w io.Writer) error {
	t := newTable(w, "DEPENDENCY", "VERDICT", "MAY BE", "WHY")
	for _, d := range r.Dependencies {
		t.row(cell(d.Point, 2*maxName), string(d.Verdict), r.mayBe(d), cell(d.Why, 2*maxCell))
	}
	for _, set := range r.Together {
		known := "NEW"
		if set.Known {
			known = "yes"
		}
		t.row(cell(strings.Join(set.Points, " + "), 4*maxName), "critical together", known, "")
	}
	rest := "passed"
	switch {
	case !r.Rest.Reached && r.Rest.Passed:
		rest = string(criticality.NotReached)
	case !r.Rest.Passed:
		rest = "failed"
	}
	t.row("all but what may be critical", rest, "", cell(r.Rest.Why, 2*maxCell))
	if err := t.end(); err != nil {
		return err
	}
	for _, text := range r.stale() {
		fmt.Fprintln(w, printable(text))
	}
	if !r.Complete {
		fmt.Fprintf(w, "There may be more sets: no more than %s were made to find them.\n", plural(maxSetRuns, "run"))
	}
	_, err := fmt.Fprintf(w, "%s in %v\n", plural(r.Runs, "run"), roundish(r.Took))
	return err
}

func (r *criticalReport) mayBe(d criticalDependency) string {
	switch {
	case slices.Contains(r.NewlyCritical, d.Point):
		return "NEW"
	case d.Known:
		return "yes"
	}
	return "no"
}
