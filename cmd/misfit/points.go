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

const pointsLong = `Show the injection points of running services: where rules can make calls fail,
which rules are armed there, and how many calls there are of late.

  misfit points
  misfit points -url http://shop-1:8080/debug/faults,http://shop-2:8080/debug/faults

Calls are counted only while somebody looks, since services that nobody watches
shall pay nothing: the first time there are none, and from then on those of up
to a minute. ERR/s are calls that failed, injected failures included. P99 is that
of the slowest second.`

func newPoints(s *streams) *cobra.Command {
	r := &remote{s: s}
	cmd := &cobra.Command{
		Use:     "points",
		Short:   "Show injection points, rules armed there, and traffic",
		GroupID: remoteGroup,
		Long:    pointsLong,
		Args:    noArgs(nil),
		RunE: func(*cobra.Command, []string) error {
			return r.get("v1/points", nil, r.showPoints)
		},
	}
	r.register(cmd)
	return cmd
}

// get asks all endpoints for the same, and prints the replies.
func (r *remote) get(path string, query map[string][]string, show func(p reply) error) error {
	replies, err := r.answers(path, query)
	if err != nil {
		return err
	}
	return r.report(replies, show)
}

// answers asks all endpoints for the same.
func (r *remote) answers(path string, query map[string][]string) ([]reply, error) {
	clients, err := r.clients()
	if err != nil {
		return nil, err
	}
	return ask(clients, maxAtOnce, func(ctx context.Context, c *endpoint.Client) []reply {
		answer, err := c.Do(ctx, endpoint.Request{Method: http.MethodGet, Path: path, Query: query})
		if err != nil {
			return []reply{reply{}.fail(err)}
		}
		return []reply{{Answer: answer.Body}}
	}), nil
}

type pointsAnswer struct {
	Points []struct {
		Point   string   `json:"point"`
		Rules   []string `json:"rules"`
		Traffic struct {
			Watching bool         `json:"watching"`
			Seconds  []secondView `json:"seconds"`
		} `json:"traffic"`
	} `json:"points"`
}

// A secondView is what there was at a point in a second.
type secondView struct {
	Calls   uint64 `json:"calls"`
	Errors  uint64 `json:"errors"`
	Faulted uint64 `json:"faulted"`
	P99     string `json:"p99"`
}

func (r *remote) showPoints(p reply) error {
	var answer pointsAnswer
	if err := understand(p.Answer.(json.RawMessage), &answer); err != nil {
		return err
	}
	r.heading(p)
	if len(answer.Points) == 0 {
		fmt.Fprintf(r.s.out, "  No points yet: they show once the middleware around them is built.\n\n")
		return nil
	}
	t := newTable(r.s.out, "POINT", "RULES", "CALLS/s", "ERR/s", "P99")
	for _, point := range answer.Points {
		calls, errs, p99 := rates(point.Traffic.Seconds)
		t.row(cell(point.Point, maxName), cell(fewOf(point.Rules), maxCell), calls, errs, p99)
	}
	return t.end()
}

// rates are the mean of the seconds, and their worst latency.
func rates(seconds []secondView) (calls, errors, p99 string) {
	if len(seconds) == 0 {
		return "", "", ""
	}
	var callCount, errorCount uint64
	var worst time.Duration
	for _, s := range seconds {
		callCount += s.Calls
		errorCount += s.Errors
		if d, err := time.ParseDuration(s.P99); err == nil {
			worst = max(worst, d)
		}
	}
	mean := func(n uint64) string { return strconv.FormatFloat(float64(n)/float64(len(seconds)), 'f', 1, 64) }
	if worst > 0 {
		p99 = roundish(worst).String()
	}
	return mean(callCount), mean(errorCount), p99
}

// roundish drops digits that nobody reads.
func roundish(d time.Duration) time.Duration {
	for unit := time.Microsecond; unit < time.Second; unit *= 10 {
		if d < 100*unit {
			return d.Round(unit / 10)
		}
	}
	return d.Round(10 * time.Millisecond)
}
