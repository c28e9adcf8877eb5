package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/spf13/cobra"
)

const lintLong = `Check files of rules, without any service: what a service would refuse, each with
file, line and column, and what it would take although it looks like a mistake.

  misfit lint rules.yaml
  misfit lint -errors deploy/*.yaml
  misfit convert virtualservices.yaml | misfit lint -o json

A file is in YAML or JSON, in the form that services read (package rulefile); in
JSON also a single rule or a list of them, as for -rule of "misfit token".

Wrong is what no service would take: unknown fields, values out of range, rules
without an end. Suspicious, and told as a warning, is a rule

  for everyone and without limits
  for nobody: 0 %, or over already
  that lives, or delays a call, longer than services allow unless set to
  that names a service's entry without its kind, or a kind that is not known
  that is never reached, since an earlier one takes all its calls
  with the ID of a rule in another file

Guardrails, and the errors and points that a service has, are its own: the dry
run of its control endpoint knows them.`

type lintCommand struct {
	s      *streams
	format string
	errors bool
	now    time.Time
	ids    map[string]string // where a rule of that ID is
}

func newLint(s *streams) *cobra.Command {
	c := &lintCommand{s: s}
	cmd := &cobra.Command{
		Use:     "lint [flags] [FILE…|-]",
		Short:   "Check files of rules, without any service",
		GroupID: ruleGroup,
		Long:    lintLong,
		Args:    cobra.ArbitraryArgs,
		RunE:    func(_ *cobra.Command, args []string) error { return c.run(args) },
	}
	cmd.Flags().BoolVar(&c.errors, "errors", false, "only what is wrong: no warnings")
	registerOutput(cmd, &c.format)
	return cmd
}

// A lintReport is what there is to say, in JSON.
type lintReport struct {
	Files    []lintFile    `json:"files"`
	Findings []lintFinding `json:"findings"`
	Errors   int           `json:"errors"`
	Warnings int           `json:"warnings"`
}

type lintFile struct {
	File  string `json:"file"`
	Rules int    `json:"rules"` // that are good
}

type lintFinding struct {
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Path     string `json:"path,omitempty"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
}

// Severities of findings.
const (
	lintError   = "error"
	lintWarning = "warning"
)

func (f lintFinding) String() string {
	text := f.File
	if f.Line > 0 {
		text += fmt.Sprintf(":%d:%d", f.Line, f.Column)
	}
	text += ": "
	if f.Severity == lintWarning {
		text += "warning: "
	}
	if f.Path != "" {
		text += f.Path + ": "
	}
	return text + f.Message
}

func (c *lintCommand) run(args []string) error {
	if err := checkOutput(c.format); err != nil {
		return err
	}
	c.now, c.ids = time.Now(), make(map[string]string)
	report := lintReport{Files: []lintFile{}, Findings: []lintFinding{}}
	files := args
	if len(files) == 0 {
		files = []string{""}
	}
	var unread []string
	for _, file := range files {
		var one []string // as readInput takes it
		if file != "" {
			one = []string{file}
		}
		const most = 16 << 20 // so that Check can say how much is allowed
		data, name, err := readInput(c.s, one, most)
		if status := statusOf(err); err != nil && status == statusFile {
			unread = append(unread, err.Error())
			continue
		}
		if err != nil {
			return err
		}
		c.check(&report, name, data)
	}
	if err := c.print(report); err != nil {
		return err
	}
	switch {
	case len(unread) > 0:
		return fileErrorf("%s", strings.Join(unread, "\n"))
	case len(report.Findings) > 0:
		return refusalf("%d wrong, %d suspicious", report.Errors, report.Warnings)
	}
	return nil
}

// check adds what there is to say of a file.
func (c *lintCommand) check(report *lintReport, name string, data []byte) {
	checked := rulefile.Check(data)
	report.Files = append(report.Files, lintFile{name, len(checked.Rules)})
	begin := len(report.Findings)
	defer func() {
		slices.SortStableFunc(report.Findings[begin:], func(a, b lintFinding) int { return cmp.Or(a.Line-b.Line, a.Column-b.Column) })
	}()
	for _, f := range checked.Findings {
		report.Findings = append(report.Findings, lintFinding{name, f.Line, f.Column, f.Path, lintError, withClosest(f.Detail)})
		report.Errors++
	}
	if checked.Dropped > 0 {
		last := checked.Findings[len(checked.Findings)-1]
		report.Findings = append(report.Findings, lintFinding{name, last.Line, last.Column, "", lintError, fmt.Sprintf("and %d more", checked.Dropped)})
		report.Errors += checked.Dropped
	}
	if c.errors {
		return
	}
	for _, s := range suspicions(checked.Rules, checked.Paths, c.now) {
		c.warn(report, name, &checked, s)
	}
	for i, r := range checked.Rules {
		if r.ID == "" {
			continue
		}
		if other, twice := c.ids[r.ID]; twice && other != name {
			c.warn(report, name, &checked, suspicion{checked.Paths[i], "id", fmt.Sprintf("%q is also a rule in %s", r.ID, other)})
		}
		c.ids[r.ID] = name
	}
}

var unknownValue = regexp.MustCompile(`^"([^"]*)" is unknown; use (?:one of )?(.*)$`)

// withClosest adds to what is said of an unknown value which of those there are
// may have been meant.
func withClosest(detail string) string {
	parts := unknownValue.FindStringSubmatch(detail)
	if parts == nil {
		return detail
	}
	values := strings.Split(strings.ReplaceAll(parts[2], " or ", ", "), ", ")
	if right := closest(parts[1], values); right != "" {
		return fmt.Sprintf("%q is unknown; did you mean %q? There are %s", parts[1], right, parts[2])
	}
	return detail
}

func (c *lintCommand) warn(report *lintReport, name string, checked *rulefile.Checked, s suspicion) {
	path := strings.TrimPrefix(s.rule+"."+s.field, ".")
	path = strings.TrimSuffix(path, ".")
	line, column := checked.Place(path)
	report.Findings = append(report.Findings, lintFinding{name, line, column, path, lintWarning, s.text})
	report.Warnings++
}

func (c *lintCommand) print(report lintReport) error {
	if c.format == "json" {
		return printJSON(c.s.out, report)
	}
	for _, f := range report.Findings {
		fmt.Fprintln(c.s.out, printable(f.String()))
	}
	return nil
}
