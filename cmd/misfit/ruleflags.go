package main

import (
	"strings"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/problem"
	"github.com/misfit-go/misfit/scope"
	"github.com/spf13/cobra"
)

// ruleFlags say one rule in the shortest way.
type ruleFlags struct {
	dependencies []string
	operations   []string
	except       []string

	failure   string
	delay     string
	blackHole bool
	panics    bool
	lostReply bool

	who      []string
	unit     string
	attempts int
	limits   []string
}

// ruleFlagNames are the flags that say a rule, by what they say.
var (
	whereFlags = []string{"dependency", "operation", "except"}
	whatFlags  = []string{"error", "delay", "black-hole", "panic", "lost-reply"}
	whoFlags   = []string{"for", "unit", "attempts", "limit"}
)

func (f *ruleFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.dependencies, "dependency", nil,
		"calls to the dependency `NAME`; KIND:NAME, such as\n"+
			"http.server:shop, names a kind of point too; * stands\n"+
			"for any text; repeat it or use commas for more")
	flags.StringArrayVar(&f.operations, "operation", nil,
		"of these calls only `OP`: \"GET /ratings/{id}\",\n"+
			"\"/pkg.Service/*\", COMMIT; repeat it for more")
	flags.StringSliceVar(&f.except, "except", nil,
		"but not to `NAME`; without -dependency, to all others")

	flags.StringVar(&f.failure, "error", "",
		"fail with `ERROR`, which is a class:\n"+
			wrapped(fault.Classes(), 56)+
			"\nor http=503, grpc=UNAVAILABLE, or name=NAME for an\n"+
			"error that the service has registered")
	flags.StringVar(&f.delay, "delay", "",
		"wait `TIME` first: 2s, or 1s..3s for any time between")
	flags.BoolVar(&f.blackHole, "black-hole", false,
		"no answer until the caller gives up or the token ends")
	flags.BoolVar(&f.panics, "panic", false, "panic; services refuse it unless set to allow it")
	flags.BoolVar(&f.lostReply, "lost-reply", false,
		"carry the call out and lose the reply; -error or\n-black-hole says what the caller sees instead")

	flags.StringArrayVar(&f.who, "for", nil,
		"only for `WHO`: customer=42, request=ID, percent=5%, or\n"+
			"an attribute such as plan=gold; of one name any may\n"+
			"match, of several names all must; the default is\n"+
			"every request with the token")
	flags.StringVar(&f.unit, "unit", "",
		"what a percentage counts: `UNIT` is request (default),\n"+
			"customer, call or attribute:NAME")
	flags.IntVar(&f.attempts, "attempts", 0,
		"only the first `N` calls of each request, so that a\nretry after them succeeds")
	flags.StringArrayVar(&f.limits, "limit", nil,
		"at most, in one process: `LIMIT` is concurrent=N,\n"+
			"perSecond=N or total=N; repeat it for more")

	group(cmd, "Where", whereFlags...)
	group(cmd, "What", whatFlags...)
	group(cmd, "Who, and how much", whoFlags...)

	must(cmd.RegisterFlagCompletionFunc("error", completeFailures))
	completeWith(cmd, "for", "customer=", "request=", "percent=", "attribute:")
	completeWith(cmd, "unit", "request", "customer", "call", "attribute:")
	completeWith(cmd, "limit", "concurrent=", "perSecond=", "total=")
	for _, name := range []string{"dependency", "operation", "except", "delay", "attempts"} {
		completeWith(cmd, name)
	}
}

// rule returns the rule that the flags say. The error names flags.
func (f *ruleFlags) rule() (fault.Rule, error) {
	var problems problem.List
	if len(f.dependencies) == 0 && len(f.except) == 0 {
		problems.Addf("", `where? give -dependency NAME, or -dependency "*" for all`)
	}
	if f.failure == "" && f.delay == "" && !f.blackHole && !f.panics && !f.lostReply {
		problems.Addf("", "what? give -error, -delay, -black-hole, -panic or -lost-reply")
	}
	ends := 0
	for _, end := range []bool{f.failure != "", f.blackHole, f.panics} {
		if end {
			ends++
		}
	}
	if ends > 1 {
		problems.Addf("", "a call can end in only one way: give one of -error, -black-hole and -panic")
	}
	r := fault.Rule{
		Target: fault.Target{Points: f.dependencies, Operations: f.operations},
		Fault:  fault.Fault{BlackHole: f.blackHole, Panic: f.panics, LostReply: f.lostReply},
		Scope:  scope.Scope{Unit: scope.Unit(f.unit), Attempts: f.attempts},
	}
	if len(f.except) > 0 {
		r.Target.Except = &fault.Except{Points: f.except}
	}
	if f.failure != "" {
		failure, err := parseFailure(f.failure)
		problems.AddAt("-error", err)
		r.Fault.Error = &failure
	}
	if f.delay != "" {
		delay, err := parseDelay(f.delay)
		problems.AddAt("-delay", err)
		r.Fault.Delay = &delay
	}
	for _, text := range f.who {
		problems.AddAt("-for", parseWho(text, &r.Scope))
	}
	if f.unit != "" && r.Scope.Percent == nil {
		problems.Addf("-unit", "has no meaning without a percentage; give for instance -for percent=5%%")
	}
	for _, text := range f.limits {
		problems.AddAt("-limit", parseLimit(text, &r.Limits))
	}
	return r, problems.Err()
}

// flagOfField is the flag that gives a field of a token, longest path first.
var flagOfField = []struct{ field, flag string }{
	{"rules[0].target.points", "-dependency"},
	{"rules[0].target.operations", "-operation"},
	{"rules[0].target.except", "-except"},
	{"rules[0].fault.error", "-error"},
	{"rules[0].fault.delay", "-delay"},
	{"rules[0].fault.lostReply", "-lost-reply"},
	{"rules[0].fault", ""},
	{"rules[0].scope.unit", "-unit"},
	{"rules[0].scope.attempts", "-attempts"},
	{"rules[0].scope", "-for"},
	{"rules[0].limits", "-limit"},
	{"id", "-id"},
	{"subject", "-subject"},
	{"services", "-service"},
	{"audience", "-audience"},
	{"notBefore", "-ttl"},
	{"expires", "-ttl"},
}

// inFlags names the flags, where an error about a token names fields.
func (c *tokenCommand) inFlags(err error) error {
	var problems problem.List
	for _, p := range problem.All(err) {
		problems.Addf(c.flagOf(p.Path), "%s", p.Detail)
	}
	return problems.Err()
}

func (c *tokenCommand) flagOf(path string) string {
	if len(c.rules) > 0 && strings.HasPrefix(path, "rules[") {
		return path
	}
	for _, f := range flagOfField {
		if path == f.field || strings.HasPrefix(path, f.field+".") || strings.HasPrefix(path, f.field+"[") {
			return f.flag
		}
	}
	return path
}

// wrapped lists values in lines of at most width bytes.
func wrapped[T ~string](values []T, width int) string {
	var lines []string
	line := ""
	for i, value := range values {
		word := string(value)
		if i < len(values)-1 {
			word += ","
		}
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return strings.Join(append(lines, line), "\n")
}
