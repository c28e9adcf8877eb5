package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/misfit-go/misfit/cmd/misfit/internal/endpoint"
	"github.com/spf13/cobra"
)

const extendLong = `Give rules of running services a new time to live, from now on: longer or shorter.

  misfit extend slow-ratings -ttl 10m`

const pauseLong = `Have rules apply to nothing for a while. They stay, with their counters, and their
time goes on; "misfit unpause" has them apply again.

  misfit pause slow-ratings`

const unpauseLong = `Have paused rules apply again.

  misfit unpause slow-ratings`

const deleteLong = `End rules of running services. Calls that wait in them are let go of.

  misfit delete slow-ratings no-orders

The exit status is 0 if every rule has ended wherever it was, even if it was not at
all endpoints, and 1 if one was nowhere. "misfit halt" ends them all.`

func newExtend(s *streams) *cobra.Command {
	r := &remote{s: s}
	var ttl time.Duration
	cmd := changeCommand("extend", "Give rules a new time to live", extendLong, func(ids []string) error {
		if ttl <= 0 {
			return usagef("for how long? Give the time to live from now on, for instance -ttl 10m")
		}
		body, err := json.Marshal(map[string]string{"ttl": ttl.String()})
		if err != nil {
			return err
		}
		return r.change(ids, r.post("extend", body, func(v ruleView) string { return "lives for " + v.Left }))
	})
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "how long it lives from now on: `TIME` is 90s, 10m, 1h")
	completeWith(cmd, "ttl")
	r.register(cmd)
	return cmd
}

func newPause(s *streams) *cobra.Command {
	r := &remote{s: s}
	cmd := changeCommand("pause", "Have rules apply to nothing for a while", pauseLong, func(ids []string) error {
		return r.change(ids, r.post("pause", nil, func(v ruleView) string { return "paused, " + v.Left + " left" }))
	})
	r.register(cmd)
	return cmd
}

func newUnpause(s *streams) *cobra.Command {
	r := &remote{s: s}
	cmd := changeCommand("unpause", "Have paused rules apply again", unpauseLong, func(ids []string) error {
		return r.change(ids, r.post("unpause", nil, func(v ruleView) string { return "applies again, " + v.Left + " left" }))
	})
	r.register(cmd)
	return cmd
}

func newDelete(s *streams) *cobra.Command {
	r := &remote{s: s}
	cmd := changeCommand("delete", "End rules", deleteLong, r.delete)
	r.register(cmd)
	return cmd
}

func changeCommand(name, short, long string, run func(ids []string) error) *cobra.Command {
	return &cobra.Command{
		Use:     name + " [flags] ID…",
		Short:   short,
		GroupID: remoteGroup,
		Long:    long,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("which rules? Give their IDs; \"misfit rules\" lists them")
			}
			return checkIDs(args)
		},
		RunE:              func(_ *cobra.Command, args []string) error { return run(args) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
}

// A changer does one thing to the rule with an ID at an endpoint.
type changer func(ctx context.Context, c *endpoint.Client, id string) (done string, answer json.RawMessage, err error)

// change does it for all rules at all endpoints.
func (r *remote) change(ids []string, do changer) error {
	replies, err := r.changed(ids, do)
	if err != nil {
		return err
	}
	return r.report(replies, r.showDone)
}

func (r *remote) changed(ids []string, do changer) ([]reply, error) {
	clients, err := r.clients()
	if err != nil {
		return nil, err
	}
	return ask(clients, maxAtOnce, func(ctx context.Context, c *endpoint.Client) []reply {
		return eachRule(ids, func(id string) (string, any, error) {
			done, answer, err := do(ctx, c, id)
			if len(answer) == 0 {
				return done, nil, err
			}
			return done, answer, err
		})
	}), nil
}

var errNotTried = errors.New("not tried, because of what went wrong before")

// eachRule does something with one rule after the other, until it is clear that
// the others would fare no better.
func eachRule(ids []string, do func(id string) (done string, answer any, err error)) []reply {
	replies := make([]reply, len(ids))
	barred := false
	for i, id := range ids {
		replies[i].Rule = id
		if barred {
			replies[i] = replies[i].fail(errNotTried)
			continue
		}
		done, answer, err := do(id)
		if err != nil {
			replies[i] = replies[i].fail(err)
			_, unreached := errors.AsType[*endpoint.Unreached](err)
			refused, no := errors.AsType[*endpoint.Refused](err)
			barred = unreached || no && refused.Barred()
			continue
		}
		replies[i].Done, replies[i].Answer = done, answer
	}
	return replies
}

// post is the changer that has an operation done by the endpoint. say tells what
// came of it.
func (r *remote) post(operation string, body []byte, say func(v ruleView) string) changer {
	return func(ctx context.Context, c *endpoint.Client, id string) (string, json.RawMessage, error) {
		answer, err := c.Do(ctx, endpoint.Request{Method: http.MethodPost, Path: endpoint.RulePath(id) + "/" + operation, Body: body})
		if err != nil {
			return "", nil, unsure(err)
		}
		var v ruleView
		if err := understand(answer.Body, &v); err != nil {
			return "", nil, err
		}
		return say(v), answer.Body, nil
	}
}

// unsure says of a change that it may have been made nevertheless.
func unsure(err error) error {
	if unreached, ok := errors.AsType[*endpoint.Unreached](err); ok && unreached.MayBeDone() {
		return fmt.Errorf("%w; it may have been done all the same", err)
	}
	return err
}

func (r *remote) delete(ids []string) error {
	replies, err := r.changed(ids, func(ctx context.Context, c *endpoint.Client, id string) (string, json.RawMessage, error) {
		_, err := c.Do(ctx, endpoint.Request{Method: http.MethodDelete, Path: endpoint.RulePath(id)})
		if err != nil {
			return "", nil, unsure(err)
		}
		return "ended", nil, nil
	})
	if err != nil {
		return err
	}
	ended := make(map[string]bool)
	for _, p := range replies {
		ended[p.Rule] = ended[p.Rule] || p.err == nil
	}
	for i, p := range replies {
		if absent(p) && ended[p.Rule] {
			replies[i] = reply{URL: p.URL, Service: p.Service, Rule: p.Rule, Done: "was not there"}
		}
	}
	return r.report(replies, r.showDone)
}

// absent reports whether an endpoint, which is one, has no such rule.
func absent(p reply) bool {
	refused, ok := errors.AsType[*endpoint.Refused](p.err)
	return ok && p.Service != "" && refused.Status == http.StatusNotFound && refused.Problem != nil
}
