package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/misfit-go/misfit/cmd/misfit/internal/endpoint"
	"github.com/spf13/cobra"
)

const eventsLong = `Show what happens in running services as it happens, one event a line, until
Ctrl-C.

  misfit events
  misfit events -kind hit -kind skip
  misfit events -o json | jq -c 'select(.event.rule == "slow-ratings")'

The kinds are

  hit           a rule applies to a call
  skip          a rule would have applied, but for a limit or another reason
  release       a call that waited goes on
  verdict       a request has ended in which a rule applied to calls
  taken         a token was taken that is new to the process
  problem       something was ignored to keep a request going
  blackout      a time without rules begins or ends
  audit         somebody did something, or was refused: of these alone also rule,
                halt, resume and refused; missed and anew come with all of them
  dropped       events that came faster than they could be shown
  missed        entries of the record that were forgotten before they were shown
  anew          the service has begun a new record, which is shown from its front

If a connection breaks off it is made again, and nothing of the record (audit) is
missed, or you are told how much; other events of that time are. With -o json each
line is one object with url, service, kind, and the event as the service says it.`

// eventKinds are the values of -kind.
var eventKinds = []string{"hit", "skip", "release", "verdict", "taken", "problem", "blackout", "audit", "rule", "halt", "resume", "refused", "dropped", "missed", "anew"}

// recordKinds are those of them that are of the record.
var recordKinds = []string{"audit", "rule", "halt", "resume", "refused"}

type eventsCommand struct {
	*remote
	kinds []string

	mu sync.Mutex // of the output
}

func newEvents(s *streams) *cobra.Command {
	c := &eventsCommand{remote: &remote{s: s}}
	cmd := &cobra.Command{
		Use:     "events",
		Short:   "Show what happens, as it happens",
		GroupID: remoteGroup,
		Long:    eventsLong,
		Args:    noArgs(nil),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringSliceVar(&c.kinds, "kind", nil, "only events of `KIND`; repeat it or use commas for more")
	completeWith(cmd, "kind", eventKinds...)
	c.register(cmd)
	return cmd
}

func (c *eventsCommand) run(ctx context.Context) error {
	for _, kind := range c.kinds {
		if slices.Contains(eventKinds, kind) {
			continue
		}
		if right := closest(kind, eventKinds); right != "" {
			return usagef("-kind %q: did you mean %s?", kind, right)
		}
		return usagef("-kind %q: there are %s", kind, strings.Join(eventKinds, ", "))
	}
	clients, err := c.clients()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it in any case

	names, err := c.begin(ctx, clients)
	if err != nil || ctx.Err() != nil {
		return err
	}
	return c.follow(ctx, clients, names)
}

// begin asks for the names of all services. It is an error if no endpoint answers;
// of some that do not it is told.
func (c *eventsCommand) begin(ctx context.Context, clients []*endpoint.Client) ([]string, error) {
	names := make([]string, len(clients))
	replies := make([]reply, len(clients))
	endpoint.Each(clients, maxAtOnce, func(i int, client *endpoint.Client) {
		name, err := client.Service(ctx)
		names[i], replies[i] = name, reply{URL: client.URL}
		if err != nil {
			replies[i] = replies[i].fail(err)
		}
	})
	if ctx.Err() != nil {
		return nil, nil
	}
	for _, p := range replies {
		if p.err == nil {
			err := failed(replies)
			if err != nil {
				c.say("%v", err)
			}
			return names, nil
		}
	}
	return nil, failed(replies)
}

// follow returns when ctx ends, the output fails, or nobody is left to follow.
func (c *eventsCommand) follow(ctx context.Context, clients []*endpoint.Client, names []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	replies := make([]reply, len(clients))
	var following sync.WaitGroup
	for i, client := range clients {
		replies[i] = reply{URL: client.URL, Service: names[i]}
		following.Go(func() {
			emit := func(e endpoint.Event) error { return c.show(client.URL, &names[i], e) }
			err := client.Follow(ctx, emit, func(err error, again time.Duration) {
				c.say("%s: %s; trying again in %v", replies[i].from(), foreign(err.Error()), again.Round(100*time.Millisecond))
			}, func() {
				if names[i] == "" { // it was not there at first
					names[i], _ = client.Service(ctx)
				}
			})
			switch _, no := errors.AsType[*endpoint.Refused](err); {
			case no:
				replies[i] = replies[i].fail(err)
				c.say("%v", failed(replies[i:i+1]))
			case err != nil: // of the output
				cancel()
			}
		})
	}
	following.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return failed(replies)
}

// say says something on standard error.
func (c *eventsCommand) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.s.err, "misfit events: %s\n", indented(escaped(fmt.Sprintf(format, args...))))
}

// An eventLine is an event in JSON.
type eventLine struct {
	URL     string          `json:"url"`
	Service string          `json:"service"`
	Kind    string          `json:"kind"`
	Event   json.RawMessage `json:"event"`
}

func (c *eventsCommand) show(url string, service *string, e endpoint.Event) error {
	var v eventView
	_ = json.Unmarshal(e.Data, &v) // what is not understood is not shown
	if !c.wants(e.Name, v) {
		return nil
	}
	text := ""
	if c.format == "json" {
		line, err := json.Marshal(eventLine{url, *service, e.Name, e.Data})
		if err != nil {
			return err
		}
		text = printable(string(line))
	} else {
		text = v.line(*service, e.Name)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := io.WriteString(c.s.out, text+"\n")
	return err
}

// wants reports whether an event is of the kinds that are asked for.
func (c *eventsCommand) wants(name string, v eventView) bool {
	if len(c.kinds) == 0 {
		return true
	}
	for _, kind := range c.kinds {
		switch {
		case name == kind, strings.HasPrefix(name, kind+"."):
			return true
		case (name == "missed" || name == "anew") && slices.Contains(recordKinds, kind):
			return true
		case name == "audit" && (v.Action == kind || strings.HasPrefix(v.Action, kind+".") || v.Result == kind):
			return true
		}
	}
	return false
}

// An eventView is an event of either kind: of the injector or of the record.
type eventView struct {
	Time      time.Time `json:"time"`
	Point     string    `json:"point"`
	Operation string    `json:"operation"`
	Rule      string    `json:"rule"`
	By        string    `json:"by"`
	Request   string    `json:"request"`
	Customer  string    `json:"customer"`
	Effects   []string  `json:"effects"`
	Delay     string    `json:"delay"`
	Reason    string    `json:"reason"`
	Waited    string    `json:"waited"`
	Released  string    `json:"released"`
	Verdict   string    `json:"verdict"`
	Endpoint  string    `json:"endpoint"`
	Latency   string    `json:"latency"`
	Baseline  string    `json:"baseline"`
	Because   string    `json:"because"`
	Error     string    `json:"error"`

	Actor  string `json:"actor"`
	Action string `json:"action"`
	Result string `json:"result"`
	Detail string `json:"detail"`

	Events  uint64 `json:"events"`  // that were dropped
	Entries uint64 `json:"entries"` // that were missed, or that the new record has
}

// line says it for people.
func (v eventView) line(service, name string) string {
	at := v.Time
	if at.IsZero() {
		at = time.Now()
	}
	words := []string{at.UTC().Format("15:04:05.000Z"), cell(service, maxName), fmt.Sprintf("%-7s", cell(name, maxName))}
	add := func(label, text string) {
		if text == "" {
			return
		}
		if label != "" {
			text = label + "=" + text
		}
		words = append(words, cell(text, maxCell+maxName))
	}
	switch name {
	case "missed":
		it := "they"
		if v.Entries == 1 {
			it = "it"
		}
		add("", fmt.Sprintf("%s of the record, forgotten before %s could be shown", entries(v.Entries), it))
		return strings.Join(words, "  ")
	case "anew":
		add("", fmt.Sprintf("the service has begun a new record, of %s so far; here it is from its front", entries(v.Entries)))
		return strings.Join(words, "  ")
	case "audit":
		add("", v.Action)
		add("", v.Result)
		add("by", v.Actor)
		add("rule", v.Rule)
		add("", v.Detail)
		return strings.Join(words, "  ")
	}
	add("", v.Point)
	add("", v.Operation)
	add("rule", v.Rule)
	add("customer", v.Customer)
	add("request", v.Request)
	add("by", v.By)
	add("", strings.Join(v.Effects, "+"))
	add("delay", v.Delay)
	add("reason", v.Reason)
	add("waited", v.Waited)
	add("released", v.Released)
	add("", v.Verdict)
	add("endpoint", v.Endpoint)
	add("latency", v.Latency)
	add("baseline", v.Baseline)
	add("because", v.Because)
	add("error", v.Error)
	if v.Events > 0 {
		add("", plural(v.Events, "event"))
	}
	return strings.Join(words, "  ")
}

func entries(n uint64) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}
