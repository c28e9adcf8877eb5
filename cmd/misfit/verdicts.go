package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/misfit-go/misfit/cmd/misfit/internal/endpoint"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/inwords"
	"github.com/spf13/cobra"
)

const verdictsLong = `Show what became of the requests in which faults happened, in running services
that follow them (fault.WithVerdicts): does the service survive its dependencies?

  misfit verdicts
  misfit verdicts -rule slow-ratings -fail-on surfaced
  misfit verdicts -rule slow-ratings -reset
  misfit verdicts -o json | jq '.[].answer.verdicts[] | select(.surfaced > 0)'

MASKED requests went well, DEGRADED ones took longer than others to the same
endpoint or were said by their handler to lack something, and in SURFACED ones the
user saw an error. ADDED is what the fault adds to the median latency of the
endpoint. A line is one fault at one endpoint of the service; what there is to say
besides stands beneath. Counts of a rule go on while it is live, and for an hour.

With -fail-on the exit status is 1 if there is such a verdict, or none at all: a
fault that nothing has met says nothing. It is 1 as well where a service had no room
left for some of them, which may be those.

With -reset they are forgotten, so that counts start anew: those of a rule, or all,
and then also what requests without a fault took. It needs the role operator.`

type verdictsCommand struct {
	*remote
	rule   string
	failOn []string
	reset  bool
}

// verdictKinds are the values of -fail-on, the worst last.
var verdictKinds = []string{"degraded", "surfaced"}

func newVerdicts(s *streams) *cobra.Command {
	c := &verdictsCommand{remote: &remote{s: s}}
	cmd := &cobra.Command{
		Use:     "verdicts",
		Short:   "Show what became of the requests in which faults happened",
		GroupID: remoteGroup,
		Long:    verdictsLong,
		Args:    noArgs(nil),
		RunE:    func(*cobra.Command, []string) error { return c.run() },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&c.rule, "rule", "", "only of the rule `ID`")
	flags.StringSliceVar(&c.failOn, "fail-on", nil, "exit with 1 if a verdict is `VERDICT`, surfaced or degraded;\nrepeat it or use commas for both")
	flags.BoolVar(&c.reset, "reset", false, "forget them, so that counts start anew")
	group(cmd, "Verdicts", "rule", "fail-on", "reset")
	completeWith(cmd, "rule")
	completeWith(cmd, "fail-on", verdictKinds...)
	c.register(cmd)
	return cmd
}

func (c *verdictsCommand) run() error {
	for _, verdict := range c.failOn {
		if !slices.Contains(verdictKinds, verdict) {
			return usagef("-fail-on %q: give %s", verdict, strings.Join(verdictKinds, " or "))
		}
	}
	query := make(map[string][]string)
	if c.rule != "" {
		query["rule"] = []string{c.rule}
	}
	if c.reset {
		if len(c.failOn) > 0 {
			return usagef("give one of -reset and -fail-on: there is nothing to judge once it is forgotten")
		}
		return c.forget(query)
	}
	replies, err := c.answers("v1/verdicts", query)
	if err != nil {
		return err
	}
	if err := c.report(replies, c.show); err != nil {
		return err
	}
	return c.judge(replies)
}

// forget has counts start anew.
func (c *verdictsCommand) forget(query map[string][]string) error {
	clients, err := c.clients()
	if err != nil {
		return err
	}
	replies := ask(clients, maxAtOnce, func(ctx context.Context, client *endpoint.Client) []reply {
		answer, err := client.Do(ctx, endpoint.Request{Method: http.MethodDelete, Path: "v1/verdicts", Query: query})
		if err != nil {
			return []reply{reply{}.fail(unsure(err))}
		}
		var said struct {
			Forgotten int `json:"forgotten"`
		}
		if err := understand(answer.Body, &said); err != nil {
			return []reply{reply{}.fail(err)}
		}
		return []reply{{Done: "forgot " + plural(said.Forgotten, "row") + " of verdicts", Answer: answer.Body}}
	})
	return c.report(replies, c.showDone)
}

type verdictsAnswer struct {
	On          bool          `json:"on"`
	MinBaseline int           `json:"minBaseline"`
	Verdicts    []verdictView `json:"verdicts"`
	Uncounted   uint64        `json:"uncounted"`
}

// A verdictView is a row of verdicts as endpoints show it.
type verdictView struct {
	Rule       string          `json:"rule"`
	Point      string          `json:"point"`
	Operation  string          `json:"operation"`
	Fault      json.RawMessage `json:"fault"`
	Endpoint   string          `json:"endpoint"`
	Masked     uint64          `json:"masked"`
	Degraded   uint64          `json:"degraded"`
	Surfaced   uint64          `json:"surfaced"`
	Unmeasured uint64          `json:"unmeasured"`
	Late       uint64          `json:"late"`
	Unfollowed uint64          `json:"unfollowed"`
	Reason     string          `json:"reason"`
	P99        string          `json:"p99"`
	Added      string          `json:"added"`
}

func (c *verdictsCommand) show(p reply) error {
	var answer verdictsAnswer
	if err := understand(p.Answer.(json.RawMessage), &answer); err != nil {
		return err
	}
	c.heading(p)
	switch {
	case !answer.On:
		fmt.Fprintf(c.s.out, "  Requests are not followed here: the service has to ask for it, with fault.WithVerdicts.\n\n")
		return nil
	case len(answer.Verdicts) == 0:
		fmt.Fprintf(c.s.out, "  No verdicts: no fault has happened yet.\n\n")
		return nil
	}
	t := newTable(c.s.out, "RULE", "POINT", "OPERATION", "FAULT", "ENDPOINT", "MASKED", "DEGRADED", "SURFACED", "ADDED")
	var notes []string
	for _, v := range answer.Verdicts {
		t.row(cell(v.Rule, maxName), cell(v.Point, maxName), cell(v.Operation, maxCell), cell(v.what(), maxCell), cell(v.Endpoint, maxCell),
			fmt.Sprint(v.Masked), fmt.Sprint(v.Degraded), fmt.Sprint(v.Surfaced), cell(v.added(), maxName))
		for _, note := range v.notes(answer.MinBaseline) {
			notes = append(notes, fmt.Sprintf("%s at %s: %s", cell(v.Rule, maxName), cell(endpointName(v.Endpoint), maxCell), note))
		}
	}
	if answer.Uncounted > 0 {
		notes = append(notes, plural(answer.Uncounted, "verdict")+" more than there is room for")
	}
	if err := t.end(); err != nil {
		return err
	}
	for _, note := range notes {
		fmt.Fprintf(c.s.out, "  %s\n", printable(note))
	}
	if len(notes) > 0 {
		fmt.Fprintln(c.s.out)
	}
	return nil
}

func endpointName(name string) string {
	if name == "" {
		return "no endpoint"
	}
	return name
}

// what says what the fault is, or "?" if a newer service knows more of faults than
// this command.
func (v verdictView) what() string {
	var f fault.Fault
	if err := json.Unmarshal(v.Fault, &f); err != nil {
		return "?"
	}
	return inwords.Fault(f)
}

func (v verdictView) added() string {
	d, err := time.ParseDuration(v.Added)
	switch {
	case v.Added == "" || err != nil:
		return ""
	case d < 0:
		return "-" + roundish(-d).String()
	}
	return "+" + roundish(d).String()
}

// notes are what the numbers alone do not say.
func (v verdictView) notes(minBaseline int) []string {
	var notes []string
	add := func(n uint64, thing, text string) {
		if n > 0 {
			notes = append(notes, plural(n, thing)+" "+text)
		}
	}
	add(v.Unmeasured, "masked request", fmt.Sprintf("whose latency decided nothing: a stream, or fewer than %d requests without a fault to compare with", minBaseline))
	add(v.Late, "hit", "after the request was over")
	add(v.Unfollowed, "hit", "outside of any request that is followed")
	if v.Reason != "" {
		notes = append(notes, "degraded: "+cell(v.Reason, maxCell))
	}
	return notes
}

// judge is the exit status that is asked for.
func (c *verdictsCommand) judge(replies []reply) error {
	if len(c.failOn) == 0 {
		return nil
	}
	var found, unknown []string
	seen := uint64(0)
	for _, p := range replies {
		var answer verdictsAnswer
		if err := understand(p.Answer.(json.RawMessage), &answer); err != nil {
			return err
		}
		if answer.Uncounted > 0 {
			unknown = append(unknown, fmt.Sprintf("%s: of %s nothing is known, for want of room: -reset makes some", p.from(), plural(answer.Uncounted, "verdict")))
		}
		for _, v := range answer.Verdicts {
			seen += v.Masked + v.Degraded + v.Surfaced
			for verdict, n := range map[string]uint64{"degraded": v.Degraded, "surfaced": v.Surfaced} {
				if n > 0 && slices.Contains(c.failOn, verdict) {
					found = append(found, fmt.Sprintf("%s: %s at %s %s in %s at %s", p.from(), cell(v.what(), maxCell), cell(v.Point, maxName), verdict, plural(n, "request"), cell(v.Endpoint, maxCell)))
				}
			}
		}
	}
	slices.Sort(found)
	switch {
	case len(found) > 0:
		return refusalf("%s", strings.Join(found, "\n"))
	case seen == 0:
		return refusalf("there are no verdicts: no request that is followed has met a fault")
	case len(unknown) > 0:
		return refusalf("%s", strings.Join(unknown, "\n"))
	}
	return nil
}
