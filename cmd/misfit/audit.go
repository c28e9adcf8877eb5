package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/misfit-go/misfit/cmd/misfit/internal/endpoint"
	"github.com/spf13/cobra"
)

const auditLong = `Show the record of running services: who did what, when, and what came of it,
newest first.

  misfit audit
  misfit audit -actor kim -action rule.put -limit 20
  misfit audit -result refused -all -o json

Actions are rule.put, rule.widen, rule.extend, rule.pause, rule.unpause,
rule.delete, halt, resume, token.taken and others; results are done, refused and
failed. What is told is what the service says of itself; "misfit audit verify"
tells whether a file of the record was tampered with.`

type auditCommand struct {
	*remote
	actor, action, rule, result string
	limit                       int
	all                         bool
}

func newAudit(s *streams) *cobra.Command {
	c := &auditCommand{remote: &remote{s: s}}
	cmd := &cobra.Command{
		Use:     "audit",
		Short:   "Show who did what, or verify a file of that",
		GroupID: remoteGroup,
		Long:    auditLong,
		Args:    noArgs(nil),
		RunE:    func(*cobra.Command, []string) error { return c.run() },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&c.actor, "actor", "", "only what `WHO` did")
	flags.StringVar(&c.action, "action", "", "only this `ACTION`, such as rule.put or halt")
	flags.StringVar(&c.rule, "rule", "", "only what was done to the rule `ID`")
	flags.StringVar(&c.result, "result", "", "only what had this `RESULT`: done, refused or failed")
	flags.IntVar(&c.limit, "limit", 100, "the newest `N` of them; the default is 100")
	flags.BoolVar(&c.all, "all", false, "all of them")
	group(cmd, "Which entries", "actor", "action", "rule", "result", "limit", "all")
	completeWith(cmd, "result", "done", "refused", "failed")
	completeWith(cmd, "action", "rule.put", "rule.widen", "rule.extend", "rule.pause", "rule.unpause", "rule.delete",
		"halt", "resume", "refused", "verdicts.reset", "token.taken", "blackout.begin", "blackout.end", "start")
	for _, name := range []string{"actor", "rule", "limit"} {
		completeWith(cmd, name)
	}
	c.register(cmd)
	cmd.AddCommand(newAuditVerify(s))
	return cmd
}

// maxEntries bounds what is kept of one endpoint.
const maxEntries = 100_000

func (c *auditCommand) run() error {
	switch {
	case c.limit < 1 || c.limit > maxEntries:
		return usagef("-limit %d: use a number from 1 to %d", c.limit, maxEntries)
	case c.all:
		c.limit = maxEntries
	}
	clients, err := c.clients()
	if err != nil {
		return err
	}
	replies := ask(clients, maxAtOnce, func(ctx context.Context, client *endpoint.Client) []reply {
		entries, err := c.entries(ctx, client)
		if err != nil {
			return []reply{reply{}.fail(err)}
		}
		return []reply{{Answer: entries}}
	})
	return c.report(replies, c.show)
}

type auditAnswer struct {
	Entries []json.RawMessage `json:"entries"`
	Next    uint64            `json:"next,omitempty"` // before which there is more
}

// entries reads pages until there are enough.
func (c *auditCommand) entries(ctx context.Context, client *endpoint.Client) (*auditAnswer, error) {
	all := &auditAnswer{Entries: []json.RawMessage{}}
	query := make(map[string][]string)
	for name, value := range map[string]string{"actor": c.actor, "action": c.action, "rule": c.rule, "result": c.result} {
		if value != "" {
			query[name] = []string{value}
		}
	}
	for len(all.Entries) < c.limit {
		query["limit"] = []string{strconv.Itoa(min(c.limit-len(all.Entries), 500))}
		answer, err := client.Do(ctx, endpoint.Request{Method: http.MethodGet, Path: "v1/audit", Query: query})
		if err != nil {
			return nil, err
		}
		var page auditAnswer
		if err := understand(answer.Body, &page); err != nil {
			return nil, err
		}
		if page.Next > 0 && all.Next > 0 && page.Next >= all.Next {
			return nil, &endpoint.Unreached{Err: fmt.Errorf("its pages of the record do not go on: after %d comes %d", all.Next, page.Next), Answered: true}
		}
		all.Entries, all.Next = append(all.Entries, page.Entries...), page.Next
		if page.Next == 0 {
			return all, nil
		}
		query["before"] = []string{strconv.FormatUint(page.Next, 10)}
	}
	return all, nil
}

func (c *auditCommand) show(p reply) error {
	answer := p.Answer.(*auditAnswer)
	c.heading(p)
	if len(answer.Entries) == 0 {
		fmt.Fprintf(c.s.out, "  No such entries.\n\n")
		return nil
	}
	t := newTable(c.s.out, "SEQ", "TIME", "WHO", "ROLE", "ACTION", "RULE", "RESULT", "DETAIL")
	for _, text := range answer.Entries {
		var e struct {
			Seq    uint64    `json:"seq"`
			Time   time.Time `json:"time"`
			Actor  string    `json:"actor"`
			Role   string    `json:"role"`
			Action string    `json:"action"`
			Rule   string    `json:"rule"`
			Result string    `json:"result"`
			Detail string    `json:"detail"`
		}
		if err := understand(text, &e); err != nil {
			return err
		}
		t.row(fmt.Sprint(e.Seq), stamp(e.Time), cell(e.Actor, maxCell), cell(e.Role, maxCell), cell(e.Action, maxCell),
			cell(e.Rule, maxName), cell(e.Result, maxCell), cell(e.Detail, 2*maxCell))
	}
	if err := t.end(); err != nil {
		return err
	}
	if answer.Next > 0 {
		fmt.Fprintf(c.s.out, "  There are older ones: -limit N shows more of them, -all up to %d.\n\n", maxEntries)
	}
	return nil
}
