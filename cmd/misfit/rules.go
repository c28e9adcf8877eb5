package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/misfit-go/misfit/cmd/misfit/internal/endpoint"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/inwords"
	"github.com/spf13/cobra"
)

const rulesLong = `Show the rules that are live in running services, in the order in which they are
asked, or everything about one.

  misfit rules
  misfit rules slow-ratings
  misfit rules -o json | jq '.[].answer.rules[].rule.id'

SOURCE says where a rule comes from: api is this command or the page, a file has
its own, and a token has beside it who asked for it. HITS are calls that it was
applied to, SKIPS those that it would have been but for a limit or another
reason, HELD those that wait in it now, and LEFT is how long it lives.`

func newRules(s *streams) *cobra.Command {
	r := &remote{s: s}
	cmd := &cobra.Command{
		Use:     "rules [flags] [ID]",
		Short:   "Show live rules, and what they have done",
		GroupID: remoteGroup,
		Long:    rulesLong,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("there are %d arguments; give the ID of one rule, or none for all", len(args))
			}
			return checkIDs(args)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return r.get(endpoint.RulePath(args[0]), nil, r.showRule)
			}
			return r.rules()
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	r.register(cmd)
	return cmd
}

// checkIDs refuses what would be another path at the endpoint.
func checkIDs(ids []string) error {
	for _, id := range ids {
		if id == "" || id == "." || id == ".." || len(id) > 256 || strings.ContainsAny(id, "/\\") {
			return usagef("%q is not the ID of a rule; \"misfit rules\" lists them", id)
		}
	}
	return nil
}

// rulesAnswer is one page, or all of them.
type rulesAnswer struct {
	Halted bool              `json:"halted"`
	Rules  []json.RawMessage `json:"rules"`
	Next   string            `json:"next,omitempty"`
}

// ruleView is a rule as endpoints show it.
type ruleView struct {
	Rule        json.RawMessage   `json:"rule"`
	Source      string            `json:"source"`
	By          string            `json:"by"`
	Points      []string          `json:"points"`
	Protected   []string          `json:"protected"`
	Unsupported []string          `json:"unsupported"`
	Hits        uint64            `json:"hits"`
	Skips       map[string]uint64 `json:"skips"`
	Held        int64             `json:"held"`
	Left        string            `json:"left"`
	Hint        string            `json:"hint"`
	Revision    uint64            `json:"revision"`
	Created     time.Time         `json:"created"`
	Updated     time.Time         `json:"updated"`
}

// read returns the rule, or only its ID if a newer service knows more of rules
// than this command.
func (v ruleView) read() (rule fault.Rule, whole bool) {
	if err := rule.UnmarshalJSON(v.Rule); err == nil {
		return rule, true
	}
	var some struct {
		ID     string `json:"id"`
		Paused bool   `json:"paused"`
	}
	_ = json.Unmarshal(v.Rule, &some) // "" says so
	return fault.Rule{ID: some.ID, Paused: some.Paused}, false
}

func (r *remote) rules() error {
	clients, err := r.clients()
	if err != nil {
		return err
	}
	replies := ask(clients, maxAtOnce, func(ctx context.Context, c *endpoint.Client) []reply {
		all, err := allRules(ctx, c)
		if err != nil {
			return []reply{reply{}.fail(err)}
		}
		return []reply{{Answer: all}}
	})
	return r.report(replies, r.showRules)
}

// allRules reads all pages. A page begins anew if the rule before it is gone, and
// then has rules that were seen already.
func allRules(ctx context.Context, c *endpoint.Client) (*rulesAnswer, error) {
	const maxPages = 1000
	all := &rulesAnswer{Rules: []json.RawMessage{}}
	seen := make(map[string]bool)
	after := ""
	for range maxPages {
		query := map[string][]string{"limit": {"100"}}
		if after != "" {
			query["after"] = []string{after}
		}
		answer, err := c.Do(ctx, endpoint.Request{Method: http.MethodGet, Path: "v1/rules", Query: query})
		if err != nil {
			return nil, err
		}
		var page rulesAnswer
		if err := understand(answer.Body, &page); err != nil {
			return nil, err
		}
		all.Halted = page.Halted
		for _, text := range page.Rules {
			var v ruleView
			if err := understand(text, &v); err != nil {
				return nil, err
			}
			if rule, _ := v.read(); !seen[rule.ID] {
				seen[rule.ID] = true
				all.Rules = append(all.Rules, text)
			}
		}
		if after = page.Next; after == "" {
			return all, nil
		}
	}
	return nil, &endpoint.Unreached{Err: fmt.Errorf("it has more than %d pages of rules", maxPages), Answered: true}
}

func (r *remote) showRules(p reply) error {
	answer := p.Answer.(*rulesAnswer)
	r.heading(p)
	if answer.Halted {
		fmt.Fprintf(r.s.out, "  HALTED: no rules are taken until \"misfit resume\".\n\n")
	}
	if len(answer.Rules) == 0 {
		fmt.Fprintf(r.s.out, "  No rules.\n\n")
		return nil
	}
	t := newTable(r.s.out, "ID", "SOURCE/BY", "WHO", "WHAT", "WHERE", "HITS", "SKIPS", "HELD", "LEFT", "PAUSED")
	for _, text := range answer.Rules {
		var v ruleView
		if err := understand(text, &v); err != nil {
			return err
		}
		rule, whole := v.read()
		who, what := "?", "?"
		if whole {
			who, what = inwords.Scope(rule.Scope), inwords.Fault(rule.Fault)
		}
		paused := ""
		if rule.Paused {
			paused = "paused"
		}
		t.row(cell(rule.ID, maxName), cell(v.source(), maxCell), cell(who, maxCell), cell(what, maxCell), cell(v.where(), maxCell),
			fmt.Sprint(v.Hits), cell(counted(v.Skips), maxCell), fmt.Sprint(v.Held), cell(v.Left, maxCell), paused)
	}
	return t.end()
}

func (v ruleView) source() string {
	if v.By == "" {
		return v.Source
	}
	return v.Source + " of " + v.By
}

func (v ruleView) where() string {
	if len(v.Points) == 0 {
		return "nowhere"
	}
	return fewOf(v.Points)
}

// showRule tells everything of one rule.
func (r *remote) showRule(p reply) error {
	var v ruleView
	if err := understand(p.Answer.(json.RawMessage), &v); err != nil {
		return err
	}
	r.heading(p)
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(r.s.out, "  %-13s%s\n", name, cell(text, maxText))
		}
	}
	rule, whole := v.read()
	line("rule", rule.ID)
	if whole {
		line("", inwords.Rule(rule))
	}
	if rule.Paused {
		line("paused", "it applies to nothing until \"misfit unpause\"")
	}
	line("note", rule.Note)
	line("source", v.source())
	if v.Revision > 0 {
		line("revision", strconv.FormatUint(v.Revision, 10))
		line("made", stamp(v.Created))
		line("changed", stamp(v.Updated))
	}
	line("left", v.Left)
	line("armed at", fewOf(v.Points))
	line("protected", fewOf(v.Protected))
	line("unsupported", fewOf(v.Unsupported))
	line("hint", v.Hint)
	line("hits", fmt.Sprint(v.Hits))
	line("skips", counted(v.Skips))
	line("held", fmt.Sprint(v.Held))
	line("in JSON", string(v.Rule))
	fmt.Fprintln(r.s.out)
	return nil
}

func stamp(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02 15:04:05 MST")
}
