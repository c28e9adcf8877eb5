package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const explainLong = `Say why a call would be faulted in running services, or is not: for each rule the
first thing that rules it out. No call is made.

  misfit explain -point ratings -customer 42
  misfit explain -point http.client:ratings -operation "GET /ratings/7" -attribute plan=gold`

type explainCommand struct {
	*remote
	point      string
	operation  string
	raw        string
	request    string
	customer   string
	attributes []string
}

func newExplain(s *streams) *cobra.Command {
	c := &explainCommand{remote: &remote{s: s}}
	cmd := &cobra.Command{
		Use:     "explain -point POINT [flags]",
		Short:   "Say why a call would be faulted, or is not",
		GroupID: remoteGroup,
		Long:    explainLong,
		Args:    noArgs(nil),
		RunE:    func(*cobra.Command, []string) error { return c.run() },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&c.point, "point", "", "a call at `POINT`: ratings, or http.client:ratings")
	flags.StringVar(&c.operation, "operation", "", "of the operation `OP`, such as \"GET /ratings/7\"")
	flags.StringVar(&c.raw, "raw", "", "whose path without a route is `PATH`, if it has both")
	flags.StringVar(&c.request, "request", "", "in the request with the ID `ID`")
	flags.StringVar(&c.customer, "customer", "", "of the customer `ID`")
	flags.StringArrayVar(&c.attributes, "attribute", nil, "with the attribute `NAME=VALUE`; repeat it for more")
	group(cmd, "The call", "point", "operation", "raw", "request", "customer", "attribute")
	for _, name := range []string{"point", "operation", "raw", "request", "customer", "attribute"} {
		completeWith(cmd, name)
	}
	c.register(cmd)
	return cmd
}

func (c *explainCommand) run() error {
	if c.point == "" {
		return usagef("which point? Give -point; \"misfit points\" lists them")
	}
	query := make(map[string][]string)
	for name, value := range map[string]string{
		"point": c.point, "operation": c.operation, "raw": c.raw, "id": c.request, "customer": c.customer,
	} {
		if value != "" {
			query[name] = []string{value}
		}
	}
	for _, text := range c.attributes {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return usagef("-attribute %q is not NAME=VALUE; give for instance plan=gold", text)
		}
		if query["attribute."+name] != nil {
			return usagef("-attribute %s is given twice; a request has one value of it", name)
		}
		query["attribute."+name] = []string{value}
	}
	return c.get("v1/explain", query, c.show)
}

type explanation struct {
	Point      string `json:"point"`
	Operation  string `json:"operation"`
	Registered bool   `json:"registered"`
	Disabled   bool   `json:"disabled"`
	Halted     bool   `json:"halted"`
	Blackout   bool   `json:"blackout"`
	Applies    string `json:"applies"`
	Rules      []struct {
		Rule    string `json:"rule"`
		Source  string `json:"source"`
		Applies bool   `json:"applies"`
		Reason  string `json:"reason"`
		Detail  string `json:"detail"`
		PerCall bool   `json:"perCall"`
	} `json:"rules"`
}

func (c *explainCommand) show(p reply) error {
	var e explanation
	if err := understand(p.Answer.(json.RawMessage), &e); err != nil {
		return err
	}
	c.heading(p)
	call := "A call"
	if e.Operation != "" {
		call += " " + cell(e.Operation, maxName)
	}
	call += " at " + cell(e.Point, maxName)
	switch {
	case e.Applies != "":
		fmt.Fprintf(c.s.out, "  %s would be faulted by the rule %s.\n", call, cell(e.Applies, maxName))
	default:
		fmt.Fprintf(c.s.out, "  %s would not be faulted.\n", call)
	}
	for _, because := range []struct {
		so   bool
		text string
	}{
		{e.Disabled, "The service is disabled: it never takes a rule."},
		{e.Halted, `It is halted: no rules are taken until "misfit resume".`},
		{e.Blackout, "It is in a blackout: no rules are taken until that is over."},
		{!e.Disabled && !e.Registered, "It has no such point so far; the answer is that of one made now."},
		{!e.Disabled && !e.Halted && !e.Blackout && len(e.Rules) == 0, "It has no rules."},
	} {
		if because.so {
			fmt.Fprintf(c.s.out, "  %s\n", because.text)
		}
	}
	fmt.Fprintln(c.s.out)
	if len(e.Rules) == 0 {
		return nil
	}
	t := newTable(c.s.out, "RULE", "SOURCE", "APPLIES", "WHY")
	for _, r := range e.Rules {
		applies, why := "no", r.Detail
		if why == "" {
			why = r.Reason
		}
		if r.Applies {
			applies = "yes"
		}
		if r.PerCall {
			why = strings.TrimPrefix(why+"; drawn for each call anew", "; ")
		}
		t.row(cell(r.Rule, maxName), cell(r.Source, maxCell), applies, cell(why, 2*maxCell))
	}
	return t.end()
}
