package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"

	"github.com/misfit-go/misfit/cmd/misfit/internal/endpoint"
	"github.com/misfit-go/misfit/internal/inwords"
	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/scope"
	"github.com/spf13/cobra"
)

const widenLong = `Have rules of running services select more, or less, of the traffic. All else
about them stays.

  misfit widen slow-ratings -to percent=5%
  misfit widen slow-ratings -to percent=1% -unit customer
  misfit widen slow-ratings -to customer=42 -to customer=43

What -to says takes the place of the rule's customers, requests and percentage.
Its attributes stay unless -to names them, and so does what the percentage counts
unless -unit says otherwise: those who were selected before then still are.

Less is always taken. More is taken by one step at a time, from those that are named
to 1 %, 5 %, 25 %, 50 % and 100 %; services say which is next.`

type widenCommand struct {
	*remote
	to   []string
	unit string
}

func newWiden(s *streams) *cobra.Command {
	c := &widenCommand{remote: &remote{s: s}}
	cmd := changeCommand("widen", "Have rules select more, or less, of the traffic", widenLong, c.run)
	cmd.Flags().SortFlags = false
	cmd.Flags().StringArrayVar(&c.to, "to", nil,
		"only `WHO`: percent=5%, customer=42, request=ID, or an\n"+
			"attribute such as plan=gold; repeat it for more")
	cmd.Flags().StringVar(&c.unit, "unit", "",
		"what the percentage counts: `UNIT` is request,\ncustomer, call or attribute:NAME; the default is what\nit counts already")
	completeWith(cmd, "to", "customer=", "request=", "percent=", "attribute:")
	completeWith(cmd, "unit", "request", "customer", "call", "attribute:")
	c.register(cmd)
	return cmd
}

func (c *widenCommand) run(ids []string) error {
	to, err := c.scope()
	if err != nil {
		return err
	}
	return c.change(ids, func(ctx context.Context, client *endpoint.Client, id string) (string, json.RawMessage, error) {
		return widen(ctx, client, id, to)
	})
}

func (c *widenCommand) scope() (scope.Scope, error) {
	to := scope.Scope{Unit: scope.Unit(c.unit)}
	if len(c.to) == 0 {
		return to, usagef("to whom? Give for instance -to percent=5%% or -to customer=42")
	}
	var problems problem.List
	for _, text := range c.to {
		problems.AddAt("-to", parseWho(text, &to))
	}
	if problems.Err() == nil {
		for _, p := range problem.All(to.Validate()) {
			name := "-to"
			if p.Path == "unit" {
				name = "-unit"
			}
			problems.Addf(name, "%s", p.Detail)
		}
	}
	if err := problems.Err(); err != nil {
		return to, usagef("%w", err)
	}
	return to, nil
}

// widen changes the scope of the rule as it is: if somebody edits it meanwhile,
// nothing is done.
func widen(ctx context.Context, c *endpoint.Client, id string, to scope.Scope) (string, json.RawMessage, error) {
	now, tag, err := readRule(ctx, c, id)
	if err != nil {
		return "", nil, err
	}
	rule, whole := now.read()
	if !whole {
		return "", nil, &endpoint.Unreached{Err: fmt.Errorf("the rule has something that this command does not know; use a newer one"), Answered: true}
	}
	body, err := json.Marshal(map[string]scope.Scope{"scope": scopeFrom(rule.Scope, to)})
	if err != nil {
		return "", nil, err
	}
	answer, err := c.Do(ctx, endpoint.Request{Method: http.MethodPost, Path: endpoint.RulePath(id) + "/widen", Header: ifMatch(tag), Body: body})
	if err != nil {
		return "", nil, unsure(edited(err))
	}
	var then ruleView
	if err := understand(answer.Body, &then); err != nil {
		return "", nil, err
	}
	widened, _ := then.read()
	return "was for " + inwords.Scope(rule.Scope) + ", is for " + inwords.Scope(widened.Scope), answer.Body, nil
}

// scopeFrom is what a scope becomes when it is widened: nothing about it changes
// that was not asked for.
func scopeFrom(from, to scope.Scope) scope.Scope {
	to.Attempts = from.Attempts
	if from.Attributes != nil {
		attributes := maps.Clone(from.Attributes)
		maps.Copy(attributes, to.Attributes)
		to.Attributes = attributes
	}
	if to.Percent != nil {
		to.Salt = from.Salt
		if to.Unit == "" {
			to.Unit = from.Unit
		}
	}
	return to
}

// readRule returns a rule, and its tag if it was made at the endpoint.
func readRule(ctx context.Context, c *endpoint.Client, id string) (v ruleView, tag string, err error) {
	answer, err := c.Do(ctx, endpoint.Request{Method: http.MethodGet, Path: endpoint.RulePath(id)})
	if err != nil {
		return v, "", err
	}
	return v, answer.Header.Get("ETag"), understand(answer.Body, &v)
}

func ifMatch(tag string) http.Header {
	if tag == "" {
		return nil
	}
	return http.Header{"If-Match": {tag}}
}
