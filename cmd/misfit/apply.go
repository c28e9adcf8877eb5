package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/cmd/misfit/internal/endpoint"
	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/misfit-go/misfit/fault"
	"github.com/spf13/cobra"
)

const applyLong = `Put the rules of a file into running services: new ones are made, those that are
there are edited. Rules that are not in the file stay as they are.

  misfit apply -f rules.yaml -dry-run
  misfit apply -f rules.yaml -url http://shop-1:8080/faults,http://shop-2:8080/faults
  misfit convert virtualservices.yaml | misfit apply -f -

The file is in YAML or JSON, in the form that "misfit lint" checks; in JSON also
one rule, or a list. A ttl begins again whenever a rule is applied.

With -dry-run nothing changes: services say whether they would take each rule, at
which points it would apply, and whom of the recent traffic it would hit. Without
it they are asked that first too, and nothing is changed anywhere unless all of
them would take all of the rules.

Several services cannot be changed as one. If something goes wrong then, it is
said of each rule at each endpoint what became of it. A rule that somebody else
changes at the same moment is left to them.`

type applyCommand struct {
	*remote
	file   string
	dryRun bool
}

func newApply(s *streams) *cobra.Command {
	c := &applyCommand{remote: &remote{s: s}}
	cmd := &cobra.Command{
		Use:     "apply -f FILE|- [flags]",
		Short:   "Put the rules of a file into running services",
		GroupID: remoteGroup,
		Long:    applyLong,
		Args:    noArgs(func(arg string) string { return fmt.Sprintf("give the file as -f %s", arg) }),
		RunE:    func(*cobra.Command, []string) error { return c.run() },
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVarP(&c.file, "file", "f", "", "the rules are in `FILE`; - is standard input")
	cmd.Flags().BoolVar(&c.dryRun, "dry-run", false, "change nothing: say what would come of it")
	c.register(cmd)
	return cmd
}

func (c *applyCommand) run() error {
	rules, err := c.rules()
	if err != nil {
		return err
	}
	clients, err := c.clients()
	if err != nil {
		return err
	}
	replies := c.each(clients, rules, tryRule)
	switch err := failed(replies); {
	case c.dryRun:
		return c.report(replies, c.showDone)
	case err != nil && c.format == "json":
		return errors.Join(err, printJSON(c.s.out, replies))
	case err != nil:
		return &statusError{statusOf(err), fmt.Errorf("nothing was changed anywhere:\n%w", err)}
	}
	return c.report(c.each(clients, rules, putRule), c.showDone)
}

// each does something with all rules at all endpoints.
func (c *applyCommand) each(clients []*endpoint.Client, rules []fault.Rule, do func(ctx context.Context, c *endpoint.Client, r fault.Rule) (string, any, error)) []reply {
	ids := make([]string, len(rules))
	byID := make(map[string]fault.Rule)
	for i, r := range rules {
		ids[i] = r.ID
		byID[r.ID] = r
	}
	return ask(clients, maxAtOnce, func(ctx context.Context, client *endpoint.Client) []reply {
		return eachRule(ids, func(id string) (string, any, error) { return do(ctx, client, byID[id]) })
	})
}

// rules reads the file.
func (c *applyCommand) rules() ([]fault.Rule, error) {
	if c.file == "" {
		return nil, usagef("which rules? Give a file with -f FILE, or - for standard input")
	}
	const most = 16 << 20 // so that Check can say how much is allowed
	data, name, err := readInput(c.s, []string{c.file}, most)
	if err != nil {
		return nil, err
	}
	checked := rulefile.Check(data)
	var wrong []string
	for _, f := range checked.Findings {
		wrong = append(wrong, printable(lintFinding{name, f.Line, f.Column, f.Path, lintError, withClosest(f.Detail)}.String()))
	}
	if checked.Dropped > 0 {
		wrong = append(wrong, fmt.Sprintf("and %d more", checked.Dropped))
	}
	for i, r := range checked.Rules {
		if r.ID == "" {
			wrong = append(wrong, name+": "+strings.TrimPrefix(checked.Paths[i]+".id", ".")+`: is required, to find the rule by, such as "slow-ratings"`)
		}
	}
	switch {
	case wrong != nil:
		return nil, refusalf("nothing was changed:\n%s", strings.Join(wrong, "\n"))
	case len(checked.Rules) == 0:
		return nil, refusalf("%s has no rules, and so there is nothing to apply; \"misfit delete\" ends rules", name)
	}
	return checked.Rules, nil
}

// tryRule asks what would come of a rule.
func tryRule(ctx context.Context, c *endpoint.Client, r fault.Rule) (string, any, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return "", nil, err
	}
	answer, err := c.Do(ctx, endpoint.Request{Method: http.MethodPost, Path: "v1/validate", Body: body})
	if err != nil {
		return "", nil, err
	}
	var said struct {
		Valid       bool     `json:"valid"`
		Points      []string `json:"points"`
		Protected   []string `json:"protected"`
		Unsupported []string `json:"unsupported"`
		Estimate    struct {
			Calls, Hit, Requests, RequestsHit, Customers, CustomersHit uint64
		} `json:"estimate"`
	}
	if err := understand(answer.Body, &said); err != nil {
		return "", nil, err
	}
	if !said.Valid {
		return "", nil, &endpoint.Unreached{Err: errors.New("its answer is not understood: it does not say that the rule is valid"), Answered: true}
	}
	text := "would be taken, armed nowhere yet"
	if len(said.Points) > 0 {
		text = "would be taken, armed at " + fewOf(said.Points)
	}
	if len(said.Protected) > 0 {
		text += "; protected: " + fewOf(said.Protected)
	}
	if len(said.Unsupported) > 0 {
		text += "; not able to do this: " + fewOf(said.Unsupported)
	}
	switch e := said.Estimate; {
	case len(said.Points) == 0:
	case e.Calls == 0:
		text += "; no recent calls to tell whom it would hit: ask again in a few seconds"
	default:
		text += fmt.Sprintf("; of the recent traffic it would hit %d of %s, %d of %s, %d of %s",
			e.Hit, plural(e.Calls, "call"), e.RequestsHit, plural(e.Requests, "request"), e.CustomersHit, plural(e.Customers, "customer"))
	}
	return text, answer.Body, nil
}

// putRule makes a rule, or edits the one that is there, as it was when it was
// looked at.
func putRule(ctx context.Context, c *endpoint.Client, r fault.Rule) (string, any, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return "", nil, err
	}
	header := http.Header{"If-None-Match": {"*"}}
	said := "made"
	before, tag, err := readRule(ctx, c, r.ID)
	refused, no := errors.AsType[*endpoint.Refused](err)
	switch {
	case no && refused.Status == http.StatusNotFound && refused.Problem != nil:
	case err != nil:
		return "", nil, err
	default:
		header = ifMatch(tag) // a rule of another source has none, and is refused
		said = "edited: " + differences(before.Rule, body)
	}
	answer, err := c.Do(ctx, endpoint.Request{Method: http.MethodPut, Path: endpoint.RulePath(r.ID), Header: header, Body: body})
	if err != nil {
		return "", nil, unsure(edited(err))
	}
	var after ruleView
	if err := understand(answer.Body, &after); err != nil {
		return "", nil, err
	}
	if after.Hint != "" {
		said += "; " + after.Hint
	}
	return said, answer.Body, nil
}

// edited says what a failed precondition means here.
func edited(err error) error {
	if refused, ok := errors.AsType[*endpoint.Refused](err); ok && refused.Status == http.StatusPreconditionFailed {
		return fmt.Errorf("somebody else has changed it at this moment, and so it was left alone; look at it with \"misfit rules ID\" and try again: %w", err)
	}
	return err
}

// differences names the fields in which two rules differ, its time aside, which
// begins anew.
func differences(before, after []byte) string {
	var old, now map[string]any
	if json.Unmarshal(before, &old) != nil || json.Unmarshal(after, &now) != nil {
		return "a new time"
	}
	var names []string
	for name := range maps.Keys(merged(old, now)) {
		if name == "ttl" || name == "expires" {
			continue
		}
		if !bytes.Equal(compact(old[name]), compact(now[name])) {
			names = append(names, name)
		}
	}
	if names == nil {
		return "only its time, which begins anew"
	}
	slices.Sort(names)
	return "another " + strings.Join(names, ", ")
}

func merged(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// compact is JSON with its fields in order.
func compact(v any) []byte {
	text, err := json.Marshal(v)
	must(err) // it was JSON
	return text
}
