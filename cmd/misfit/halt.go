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

const haltLong = `End every rule of running services at once, whoever made it, and have them take
no more until "misfit resume". Nothing is asked first.

  misfit halt
  misfit halt -url http://shop-1:8080/debug/faults,http://shop-2:8080/debug/faults

All endpoints are asked at the same time. What goes wrong on the way there is
tried again for a moment, as long as -timeout allows. The exit status is 0 only
if all of them are halted: else those that are not are named.`

func newHalt(s *streams) *cobra.Command {
	r := &remote{s: s}
	cmd := &cobra.Command{
		Use:     "halt",
		Short:   "End every rule at once, and take no more",
		GroupID: remoteGroup,
		Long:    haltLong,
		Args:    noArgs(func(string) string { return "halt is for everything; \"misfit delete ID\" ends one rule" }),
		RunE:    func(*cobra.Command, []string) error { return r.halt() },
	}
	r.register(cmd)
	return cmd
}

func newResume(s *streams) *cobra.Command {
	r := &remote{s: s}
	cmd := &cobra.Command{
		Use:     "resume",
		Short:   "Have services take rules again after a halt",
		GroupID: remoteGroup,
		Long: `Have services take rules again after a halt. Those that the halt has ended do not
come back. It needs the role admin.

  misfit resume`,
		Args: noArgs(nil),
		RunE: func(*cobra.Command, []string) error { return r.resume() },
	}
	r.register(cmd)
	return cmd
}

func (r *remote) halt() error {
	clients, err := r.clients()
	if err != nil {
		return err
	}
	replies := ask(clients, len(clients), func(ctx context.Context, c *endpoint.Client) []reply {
		answer, err := again(ctx, r.timeout, func(ctx context.Context) (*endpoint.Answer, error) {
			return c.Do(ctx, endpoint.Request{Method: http.MethodPost, Path: "v1/halt"})
		})
		if err != nil {
			return []reply{reply{}.fail(fmt.Errorf("NOT HALTED: %w", err))}
		}
		var said struct {
			Halted bool              `json:"halted"`
			Ended  []json.RawMessage `json:"ended"`
		}
		if err := understand(answer.Body, &said); err != nil {
			return []reply{reply{}.fail(fmt.Errorf("NOT HALTED, as far as can be told: %w", err))}
		}
		if !said.Halted {
			return []reply{reply{}.fail(errors.New("NOT HALTED: it does not say that it is"))}
		}
		return []reply{{Done: "halted, " + plural(len(said.Ended), "rule") + " ended", Answer: answer.Body}}
	})
	return r.report(replies, r.showDone)
}

// showDone is for what is told in a line.
func (r *remote) showDone(p reply) error {
	about := ""
	if p.Rule != "" {
		about = p.Rule + ": "
	}
	fmt.Fprintf(r.s.out, "%s: %s%s\n", p.from(), cell(about, maxText), foreign(p.Done))
	return nil
}

// again tries what is idempotent until the endpoint has answered, for a moment.
func again(ctx context.Context, most time.Duration, do func(ctx context.Context) (*endpoint.Answer, error)) (*endpoint.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for _, wait := range []time.Duration{100 * time.Millisecond, 300 * time.Millisecond, 900 * time.Millisecond} {
		answer, err := do(ctx)
		unreached, down := errors.AsType[*endpoint.Unreached](err)
		refused, no := errors.AsType[*endpoint.Refused](err)
		if err == nil || down && unreached.Answered || no && !refused.Later() {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
	return do(ctx)
}

func (r *remote) resume() error {
	clients, err := r.clients()
	if err != nil {
		return err
	}
	replies := ask(clients, maxAtOnce, func(ctx context.Context, c *endpoint.Client) []reply {
		answer, err := c.Do(ctx, endpoint.Request{Method: http.MethodPost, Path: "v1/resume"})
		if err != nil {
			return []reply{reply{}.fail(err)}
		}
		return []reply{{Done: "takes rules again", Answer: answer.Body}}
	})
	return r.report(replies, r.showDone)
}
