package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/misfit-go/misfit/cmd/misfit/internal/convert"
	"github.com/misfit-go/misfit/control/rulefile"
	"github.com/spf13/cobra"
)

const convertLong = `Make a file of rules out of the fault injection of another tool.

  kubectl get virtualservice -A -o yaml | misfit convert > rules.yaml
  misfit convert -from gremlin -exception unavailable experiments.json > rules.yaml
  misfit lint rules.yaml

Two are read: the faults of Istio's VirtualServices (YAML or JSON, also among
other manifests) and experiments of Gremlin's Failure Flags (JSON). Which of them
it is shows in the text; -from says it where it does not.

A rule selects the same calls, with the same probability, and does the same to
them. What no rule can say is left out and told on standard error with its place:
no rule is ever made wider than what it comes from. Notes tell what a rule takes
for granted, most of all names: a host or a flag becomes the dependency of that
name, and a header or label an attribute, which your services have to set.

From Istio: a fault is at the caller, at http.client or grpc.client. Routes are
taken in order, which excepted operations and priorities say. Where a delay and
an abort are drawn independently of each other there are three rules, for both
and for each alone, with percentages that come to the same. A percentage that is
not given means none, as in Istio.

From Gremlin: a flag is a point, its labels method and path are the operation.
An exception becomes an error class where its name is known, or else the error
that the service has registered by its message; -exception gives another.

Neither tool has an end for each fault, and every rule has: -ttl.`

type convertCommand struct {
	s *streams

	from      string
	ttl       time.Duration
	points    []string
	customer  string
	grpc      bool
	exception string
	strict    bool
}

func newConvert(s *streams) *cobra.Command {
	c := &convertCommand{s: s}
	cmd := &cobra.Command{
		Use:     "convert [flags] [FILE|-]",
		Short:   "Make rules of the faults of Istio or Gremlin",
		GroupID: ruleGroup,
		Long:    convertLong,
		Args:    oneFile,
		RunE:    func(_ *cobra.Command, args []string) error { return c.run(args) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&c.from, "from", "", "what the file is for: `TOOL` is istio or gremlin; the\ndefault is to see by its text")
	flags.DurationVar(&c.ttl, "ttl", 10*time.Minute, "how long each rule lives from when a service first sees\nit: `TIME` is 90s, 10m (default), 1h; services refuse\nmore than 24h unless set to allow it")
	flags.StringArrayVar(&c.points, "point", nil, "`FROM=POINT` says that the host or flag FROM is the\ndependency POINT, or KIND:NAME; repeat it for more")
	flags.StringVar(&c.customer, "customer", "end-user", "the header or label `NAME` says who the customer is; the\ndefault is end-user")
	flags.BoolVar(&c.grpc, "grpc", false, "Istio: the hosts are called over gRPC, and an HTTP\nstatus becomes the code that stands for it")
	flags.StringVar(&c.exception, "exception", "", "Gremlin: an exception becomes `ERROR`: a class such as\nunavailable, or http=503, grpc=UNAVAILABLE, name=NAME")
	flags.BoolVar(&c.strict, "strict", false, "print nothing and exit with 1 if anything is left out")

	var formats []string
	for _, f := range convert.Formats() {
		formats = append(formats, string(f))
	}
	completeWith(cmd, "from", formats...)
	must(cmd.RegisterFlagCompletionFunc("exception", completeFailures))
	for _, name := range []string{"ttl", "point", "customer"} {
		completeWith(cmd, name)
	}
	return cmd
}

func oneFile(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef("there are %d arguments; give one file", len(args))
	}
	return nil
}

func (c *convertCommand) run(args []string) error {
	options, err := c.options()
	if err != nil {
		return err
	}
	data, name, err := readInput(c.s, args, convert.MaxBytes)
	if err != nil {
		return err
	}
	from := convert.Format(c.from)
	if from == "" {
		if from, err = convert.Detect(data); err != nil {
			return refusalf("%s %w", name, err)
		}
	}
	read := map[convert.Format]func([]byte, convert.Options) (convert.Result, error){
		convert.IstioFormat: convert.Istio, convert.GremlinFormat: convert.Gremlin,
	}[from]
	if read == nil {
		return usagef("%s shows nothing of Istio or Gremlin; say with -from what it is for", name)
	}
	result, err := read(data, options)
	if err != nil {
		return refusalf("%s %w", name, err)
	}
	c.tell(name, result)
	text, err := result.YAML()
	if err != nil {
		return refusalf("%s %w", name, err)
	}
	if _, err := rulefile.Parse(text); err != nil {
		return refusalf("%s: what came of it is no file of rules: %w", name, err)
	}
	if c.strict && result.Lossy() {
		return refusalf("something of %s is left out, and so nothing is printed (-strict)", name)
	}
	fmt.Fprintf(c.s.out, "# Made by \"misfit convert -from %s\"; a ttl begins when a service first sees the rule.\n%s", from, text)
	return nil
}

// usualLongestRule is the longest life of a rule in [fault.Guardrails] that say
// nothing else.
const usualLongestRule = 24 * time.Hour

func (c *convertCommand) options() (convert.Options, error) {
	o := convert.Options{TTL: c.ttl, Points: make(map[string]string), Customer: c.customer, GRPC: c.grpc}
	if c.from != "" && !slices.Contains(convert.Formats(), convert.Format(c.from)) {
		return o, usagef("-from %q: use istio or gremlin", c.from)
	}
	if c.ttl < time.Second {
		return o, usagef("-ttl %v: give how long a rule lives, for instance 10m", c.ttl)
	}
	if c.ttl > usualLongestRule {
		fmt.Fprintf(c.s.err, "misfit: warning: services refuse a rule of more than %s unless they are set to allow it\n", inShort(usualLongestRule))
	}
	for _, text := range c.points {
		from, point, ok := strings.Cut(text, "=")
		if !ok || from == "" || point == "" || strings.HasPrefix(point, ":") || strings.HasSuffix(point, ":") {
			return o, usagef("-point %q is not FROM=POINT; give for instance ratings.prod.svc.cluster.local=ratings", text)
		}
		o.Points[from] = point
	}
	if c.exception != "" {
		failure, err := parseFailure(c.exception)
		if err != nil {
			return o, usagef("-exception: %w", err)
		}
		o.Exception = &failure
	}
	return o, nil
}

// tell says what is left out, and what is taken for granted.
func (c *convertCommand) tell(name string, r convert.Result) {
	var text strings.Builder
	left := r.Dropped
	for _, f := range r.Findings {
		text.WriteString(name)
		if f.Line > 0 {
			fmt.Fprintf(&text, ":%d:%d", f.Line, f.Column)
		}
		what := "left out"
		if f.Note {
			what = "note"
		} else {
			left++
		}
		fmt.Fprintf(&text, ": %s: ", what)
		if f.Document > 0 {
			fmt.Fprintf(&text, "document %d, ", f.Document)
		}
		if f.Path != "" {
			fmt.Fprintf(&text, "%s: ", f.Path)
		}
		fmt.Fprintln(&text, f.Detail)
	}
	if r.Dropped > 0 {
		fmt.Fprintf(&text, "%s: and %d more\n", name, r.Dropped)
	}
	if left > 0 {
		fmt.Fprintf(&text, "misfit: rules: %d; left out: %d\n", len(r.Rules), left)
	}
	io.WriteString(c.s.err, escaped(text.String()))
}

// readInput reads the file in args, or standard input, and returns how to call
// it.
func readInput(s *streams, args []string, most int64) (data []byte, name string, err error) {
	in, name := s.in, "standard input"
	switch {
	case len(args) > 0 && args[0] != "-":
		name = args[0]
		file, err := os.Open(name)
		if err != nil {
			return nil, name, fileErrorf("%w", err)
		}
		defer file.Close()
		in = file
	case len(args) == 0 && isTerminal(s.in):
		return nil, name, usagef("which file? Give it as argument, or - to read standard input")
	}
	data, err = io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(data)) > most {
		err = errors.New("has more than " + fmt.Sprint(most>>20) + " MiB")
	}
	if err != nil {
		return nil, name, fileErrorf("%s: %w", name, err)
	}
	return data, name, nil
}
