package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/misfit-go/misfit/cmd/misfit/internal/endpoint"
	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/criticality"
	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/scope"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const criticalLong = `Find out which dependencies of a running system a journey cannot do without: a
program that does what a user does, and succeeds (exit status 0) if that works.

  misfit critical -allow login,catalog -journey ./journey.sh
  misfit critical -baseline critical.json -journey ./e2e.test -- -test.run TestBuy

The journey is run first while nothing fails, which shows which dependencies it
reaches; then with all failing but those allowed, then with each failing alone,
and if that does not explain it, with sets of them. Only calls of requests that
carry the run's own signed, short-lived token fail. The journey has to send it,
as it finds it in its environment, with every request:

  MISFIT_FAULT_HEADER    as a line of a header: Fault-Token: eyJ…
  MISFIT_FAULT_TOKEN     the token alone; over gRPC the metadata fault-token
  MISFIT_FAULT_BAGGAGE   as a member of W3C baggage: misfit.token=eyJ…
  MISFIT_FAILING         what fails in this run, for people
  MISFIT_STATUS_FILE     a file for the answers' headers, as below

What was made to fail is looked up at control endpoints, if -url or $MISFIT_URL
names some, and read in the answers' Fault-Status, wherever a line of the journey's
output or of $MISFIT_STATUS_FILE has it, such as after

  curl -fsS -D /dev/stderr -o page.html -H "$MISFIT_FAULT_HEADER" $SHOP/product/7

A run in which nothing is known to have failed proves nothing: "not reached". At
control endpoints each token is taken back as soon as its run is over; elsewhere it
lives for -limit and a minute.

The exit status is 0 if nothing is critical but what is allowed or in the
baseline, 1 if something is, and 2 or 3 if that could not be found out.`

// criticalCommand finds out what is critical.
type criticalCommand struct {
	*remote
	flags *pflag.FlagSet

	path  string
	args  []string
	limit time.Duration

	allow    []string
	points   []string
	baseline string
	update   bool
	strict   bool

	failure   string
	delay     string
	blackHole bool
	who       []string

	keyFile  string
	audience string
	subject  string

	asJSON   bool
	junit    string
	reported bool // there
}

func newCritical(s *streams) *cobra.Command {
	c := &criticalCommand{remote: &remote{s: s}}
	cmd := &cobra.Command{
		Use:     "critical -journey PROGRAM [flags] [-- ARG...]",
		Short:   "Find out which dependencies a journey cannot do without",
		GroupID: remoteGroup,
		Long:    criticalLong,
		Args:    cobra.ArbitraryArgs, // of the journey
		RunE: func(cmd *cobra.Command, args []string) error {
			if n := cmd.ArgsLenAtDash(); len(args) > 0 && n != 0 {
				return usagef("%q is one argument too many: those of the journey come after --", args[0])
			}
			c.args = args
			return c.run(cmd.Context())
		},
	}
	c.registerFlags(cmd)
	return cmd
}

func (c *criticalCommand) registerFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	c.flags = flags
	flags.StringVar(&c.path, "journey", "", "the journey is `PROGRAM`, and what follows -- its\narguments")
	flags.DurationVar(&c.limit, "limit", time.Minute, "how long it may take: `TIME` is 30s, 1m (default), up to\n50m; then it is killed, and has failed")
	group(cmd, "The journey", "journey", "limit")

	flags.StringSliceVar(&c.allow, "allow", nil,
		"the dependency `NAME` may be critical; KIND:NAME names\n"+
			"the kind of point too; * stands for any text; repeat\n"+
			"it or use commas for more")
	flags.StringSliceVar(&c.points, "points", nil, "there is also the dependency `NAME`: it is said if it\nis not reached; those that are reached are found")
	flags.StringVar(&c.baseline, "baseline", "", "what `FILE` lists may be critical; it is checked in")
	flags.BoolVar(&c.update, "update", false, "write the -baseline")
	flags.BoolVar(&c.strict, "strict", false, "say no, too, if something may be critical and is not,\nor is not reached")
	group(cmd, "What may be critical", "allow", "points", "baseline", "update", "strict")

	flags.StringVar(&c.failure, "error", "unavailable", "calls fail with `ERROR`, as in \"misfit token\"; the\ndefault is unavailable")
	flags.StringVar(&c.delay, "delay", "", "they wait `TIME` first, or, without -error, only that:\n2s, or 1s..3s for any time between")
	flags.BoolVar(&c.blackHole, "black-hole", false, "they have no answer in place of an error")
	flags.StringArrayVar(&c.who, "for", nil, "only for `WHO`, as in \"misfit token\": where services\nwant tokens to name someone, such as customer=42")
	group(cmd, "How it fails", "error", "delay", "black-hole", "for")

	flags.StringVar(&c.keyFile, "key", "", "sign with the private key in `FILE`; the default is the\none that \"misfit keygen\" made")
	flags.StringVar(&c.audience, "audience", "", "the environment `ENV` of the services, if not the\nkey's own")
	flags.StringVar(&c.subject, "subject", "", "who asks for it, for the services' records; `WHO` is\nyour user and host name by default")
	group(cmd, "The tokens", "key", "audience", "subject")

	c.register(cmd)
	flags.Lookup("url").Usage = "look up what failed at the control endpoint at `URL`;\nrepeat it or use commas for more; the default is\n$MISFIT_URL, or none"
	flags.BoolVar(&c.asJSON, "json", false, "print JSON: the same as -output json")
	flags.StringVar(&c.junit, "junit", "", "write a report for CI to `FILE`, in JUnit's XML")
	group(cmd, "Output", "output", "json", "junit")

	must(cmd.RegisterFlagCompletionFunc("error", completeFailures))
	completeWith(cmd, "for", "customer=", "request=", "attribute:")
	for _, name := range []string{"limit", "allow", "points", "delay", "audience", "subject"} {
		completeWith(cmd, name)
	}
}

func (c *criticalCommand) run(ctx context.Context) error {
	if c.asJSON {
		c.format = "json"
	}
	if err := c.check(); err != nil {
		return err
	}
	failing, who, err := c.how()
	if err != nil {
		return err
	}
	if err := c.places(); err != nil {
		return err
	}
	err = c.examine(ctx, failing, who)
	if err != nil && c.junit != "" && !c.reported {
		err = errors.Join(err, c.writeJUnit(c.withoutResult(err.Error())))
	}
	return err
}

// examine finds out what is critical, and reports it.
func (c *criticalCommand) examine(ctx context.Context, failing fault.Fault, who scope.Scope) error {
	list, err := c.list()
	if err != nil {
		return err
	}
	sign, err := c.signing()
	if err != nil {
		return err
	}
	j, err := newJourney(c.path, c.args, c.limit)
	if err != nil {
		return err
	}
	var clients []*endpoint.Client
	if len(c.urls) > 0 || os.Getenv("MISFIT_URL") != "" {
		if clients, err = c.clients(); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it in any case

	t := &trial{
		out: c.s.err, journey: j, clients: clients, sign: sign, fault: failing, who: who,
		allowed: c.allow, named: c.points,
	}
	if list != nil {
		t.allowed = append(t.allowed[:len(t.allowed):len(t.allowed)], list.Critical...)
	}
	began := time.Now()
	result, err := t.examine(ctx)
	t.sayLeftovers(c.s.err, len(clients) > 0)
	if err != nil {
		return err
	}
	report := newCriticalReport(c, t, result, list)
	report.Took = time.Since(began)
	return c.finish(report, result, list)
}

// check says what is wrong with the flags.
func (c *criticalCommand) check() error {
	if err := checkOutput(c.format); err != nil {
		return err
	}
	var problems problem.List
	if c.path == "" {
		problems.Addf("", "which journey? Give the program that goes through it with -journey")
	}
	const longest = 50 * time.Minute // services refuse tokens of more than an hour
	if c.limit < time.Second || c.limit > longest {
		problems.Addf("-limit", "%s is not from 1s to 50m", inShort(c.limit))
	}
	for _, list := range []struct {
		flag     string
		patterns []string
	}{{"-allow", c.allow}, {"-points", c.points}} {
		for _, pattern := range list.patterns {
			problems.AddAt(list.flag, criticality.CheckPattern(pattern))
		}
	}
	if c.update && c.baseline == "" {
		problems.Addf("-update", "writes the file of -baseline: give that")
	}
	if err := problems.Err(); err != nil {
		return usagef("%w", err)
	}
	return nil
}

// how returns the fault that the flags say, and for whom it is.
func (c *criticalCommand) how() (f fault.Fault, who scope.Scope, err error) {
	var problems problem.List
	set := c.flags.Changed("error")
	switch {
	case c.blackHole && set:
		problems.Addf("", "a call can end in only one way: give one of -error and -black-hole")
	case c.blackHole:
		f.BlackHole = true
	case set || c.delay == "":
		failure, err := parseFailure(c.failure)
		problems.AddAt("-error", err)
		f.Error = &failure
	}
	if c.delay != "" {
		delay, err := parseDelay(c.delay)
		problems.AddAt("-delay", err)
		f.Delay = &delay
	}
	for _, text := range c.who {
		problems.AddAt("-for", parseWho(text, &who))
	}
	if who.Percent != nil {
		problems.Addf("-for", "a percentage has some requests spared, and then nothing is told: name who, such as customer=42")
	}
	if problems.Err() == nil {
		problems.AddAt("", f.Validate())
	}
	if err := problems.Err(); err != nil {
		return f, who, usagef("%w", err)
	}
	return f, who, nil
}

// list reads the baseline. It is nil if there is none.
func (c *criticalCommand) list() (*criticality.List, error) {
	if c.baseline == "" {
		return nil, nil
	}
	data, err := readFile(c.baseline)
	switch {
	case errors.Is(err, os.ErrNotExist) && c.update:
		return nil, nil
	case errors.Is(err, os.ErrNotExist):
		return nil, fileErrorf("-baseline: there is no file %s yet; -update writes it", c.baseline)
	case err != nil:
		return nil, fileErrorf("-baseline: %w", err)
	}
	list, err := criticality.ParseList(data)
	if err != nil && !c.update {
		return nil, fileErrorf("-baseline: %s is none; -update writes it anew\n%w", c.baseline, err)
	}
	return list, nil
}

// places says before all else if what is to be written cannot be, and leaves no report
// of an earlier run that could be taken for one of this.
func (c *criticalCommand) places() error {
	if c.update {
		path := c.baseline
		if target, err := filepath.EvalSymlinks(path); err == nil {
			path = target
		}
		file, err := os.CreateTemp(filepath.Dir(path), ".misfit-*") // as it is done in the end
		if err != nil {
			return fileErrorf("-baseline: %w", err)
		}
		file.Close()
		os.Remove(file.Name())
	}
	if c.junit == "" {
		return nil
	}
	if info, err := os.Stat(c.junit); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil // a pipe, where it would be read
	}
	return c.writeJUnit(c.withoutResult("the run did not come to its end"))
}

// withoutResult is the report of a run by which nothing was found out.
func (c *criticalCommand) withoutResult(why string) *criticalReport {
	return &criticalReport{Journey: append([]string{c.path}, c.args...), failed: why}
}

func (c *criticalCommand) writeJUnit(r *criticalReport) error {
	data, err := r.junit(c.strict)
	if err == nil {
		err = os.WriteFile(c.junit, data, 0o644)
	}
	if err != nil {
		return fileErrorf("-junit: %w", err)
	}
	return nil
}

// finish prints the report, writes the files, and returns the verdict.
func (c *criticalCommand) finish(report *criticalReport, result *criticality.Result, list *criticality.List) error {
	verdict := report.verdict(c.strict, c.update)
	if c.format == "json" {
		if err := printJSON(c.s.out, report); err != nil {
			return err
		}
	} else if err := report.print(c.s.out); err != nil {
		return err
	}
	if c.junit != "" {
		if err := c.writeJUnit(report); err != nil {
			return err
		}
		c.reported = true
	}
	if c.update && statusOf(orDone(verdict)) != statusFile {
		old := criticality.NewList(strings.Join(append([]string{c.path}, c.args...), " "), result, list)
		if err := writeOver(c.baseline, old.Encode()); err != nil {
			return fileErrorf("-baseline: %w", err)
		}
		fmt.Fprintf(c.s.err, "misfit critical: wrote %s\n", printable(c.baseline))
	}
	return verdict
}

// writeOver writes a file that may be there already.
func writeOver(path string, data []byte) error {
	err := createFile(path, data, 0o644)
	if errors.Is(err, os.ErrExist) {
		err = replaceFile(path, data, 0o644)
	}
	return err
}
