package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/strictjson"
	"github.com/misfit-go/misfit/token"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const tokenLong = `Make a signed token with which a request asks for a fault.

  TOKEN=$(misfit token -dependency ratings -error unavailable -for customer=42 -ttl 10m)
  curl -H "Fault-Token: $TOKEN" https://shop.example/product/7 -i

The token alone is printed, so that a variable can hold it; what it says is
shown beside it when standard error is a terminal. It needs the private half of
a key pair ("misfit keygen"). The services that know the public half take it
from the header, pass it on through the whole call tree, and obey it where its
rule says so, for the requests that carry it and no others.

A rule says where, what and for whom:

  -dependency ratings -error unavailable     calls to ratings answer "unavailable"
  -dependency ratings -delay 2s              they take two seconds more
  -dependency orders-db -lost-reply          they are carried out, and seem to fail
  -dependency "*" -except payments -error timeout -attempts 1
                                             all but payments: the first call fails
  -dependency payments -black-hole -for customer=42 -limit concurrent=1

Where the flags are too short for it, give the rule itself with -rule: a file, or
the JSON, in the form that rules have everywhere. A token has one to 16 of them.

Anyone who gets hold of a token can read and use it until it expires: make it
short, and say with -for who it is for. Services may allow less than a token
asks for; they refuse such a token, and say so in Fault-Status.`

type tokenCommand struct {
	s     *streams
	flags *pflag.FlagSet

	rule  ruleFlags
	rules []string

	ttl      time.Duration
	services []string
	audience string
	subject  string
	id       string
	keyFile  string
	verbose  bool
}

func newToken(s *streams) *cobra.Command {
	c := &tokenCommand{s: s}
	cmd := &cobra.Command{
		Use:     "token",
		Short:   "Make a signed token, look into one, or verify one",
		GroupID: tokenGroup,
		Long:    tokenLong,
		Args:    noArgs(meantInspect),
		RunE:    func(*cobra.Command, []string) error { return c.run() },
	}
	c.register(cmd)
	cmd.AddCommand(newInspect(s), newVerify(s))
	return cmd
}

func (c *tokenCommand) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	c.flags = flags
	c.rule.register(cmd)
	flags.StringArrayVar(&c.rules, "rule", nil,
		"in place of all the above: a rule, or a list of rules,\n"+
			"in JSON; `RULE` is the text, a file, or - for standard\n"+
			"input; repeat it for more")
	group(cmd, "The rule itself", "rule")

	flags.DurationVar(&c.ttl, "ttl", 10*time.Minute, "how long it is good: `TIME` is 90s, 10m (default), 1h;\nservices refuse more than 1h unless set to allow it")
	flags.StringSliceVar(&c.services, "service", nil,
		"only service `NAME` obeys it, the others pass it on;\n"+
			"repeat it or use commas for more; the default is all")
	flags.StringVar(&c.audience, "audience", "", "the environment `ENV` it is for, if not the key's own")
	flags.StringVar(&c.subject, "subject", "", "who asks for it, for the services' records; `WHO` is\nyour user and host name by default")
	flags.StringVar(&c.id, "id", "", "its `ID`, by which it can be revoked; random by default")
	flags.StringVar(&c.keyFile, "key", "", "sign with the private key in `FILE`; the default is the\none that \"misfit keygen\" made")
	flags.BoolVarP(&c.verbose, "verbose", "v", false, "say on standard error what the token says; the default\nis to do so on a terminal only")
	group(cmd, "The token", "ttl", "service", "audience", "subject", "id", "key", "verbose")

	for _, name := range []string{"ttl", "service", "audience", "subject", "id"} {
		completeWith(cmd, name)
	}
}

// usualLongest is the longest life of a token in [fault.TokenGuardrails] that
// say nothing else.
const usualLongest = time.Hour

func meantInspect(arg string) string {
	switch {
	case strings.Count(arg, ".") == 2 && len(arg) > 40:
		return `is that a token? "misfit token inspect" and "misfit token verify" read one`
	case arg == "make" || arg == "new" || arg == "create":
		return `"misfit token" with flags makes a token`
	}
	return ""
}

func (c *tokenCommand) run() error {
	asked, err := c.asked()
	if err != nil {
		return err
	}
	path, err := keyPath(c.keyFile)
	if err != nil {
		return err
	}
	signer, err := readSigner(path)
	if err != nil {
		return err
	}
	warnIfReadable(c.s.err, path)
	if c.audience == "" {
		c.audience = signer.Audience
	}
	claims := token.Claims{Issuer: signer.Issuer, Audience: c.audience, Token: asked}
	text, err := token.Sign(signer.Key, claims)
	if err != nil {
		return usagef("%w", c.inFlags(err))
	}
	if c.ttl > usualLongest {
		fmt.Fprintf(c.s.err, "misfit: warning: services refuse a token of more than %s unless they are set to allow it\n", inShort(usualLongest))
	}
	fmt.Fprintln(c.s.out, text)

	if verbose := c.flags.Lookup("verbose"); c.verbose || !verbose.Changed && isTerminal(c.s.err) {
		printToken(c.s.err, text, header(signer.Key), claims, claims.NotBefore)
		if isTerminal(c.s.out) {
			fmt.Fprintf(c.s.err, "\nSend it as \"Fault-Token: …\"; TOKEN=$(misfit token …) keeps it in a variable.\n")
		}
	}
	return nil
}

func header(key token.Key) token.Header {
	return token.Header{Algorithm: key.Algorithm(), KeyID: key.ID()}
}

// asked returns what the flags ask for.
func (c *tokenCommand) asked() (fault.Token, error) {
	if c.ttl < time.Second { // the least that a token can say
		return fault.Token{}, usagef("-ttl %v: give how long the token is good, for instance 10m", c.ttl)
	}
	if c.id == "" {
		c.id = token.NewID()
	}
	if c.subject == "" {
		c.subject = whoAmI()
	}
	now := time.Now().UTC().Truncate(time.Second) // which is what a token can say
	asked := fault.Token{
		ID:        c.id,
		Subject:   c.subject,
		Services:  c.services,
		NotBefore: now,
		Expires:   now.Add(c.ttl),
	}
	var err error
	if asked.Rules, err = c.askedRules(); err != nil {
		return fault.Token{}, err
	}
	if err := asked.Validate(); err != nil {
		return fault.Token{}, usagef("%w", c.inFlags(err))
	}
	return asked, nil
}

func (c *tokenCommand) askedRules() ([]fault.Rule, error) {
	var shorthand []string
	for _, names := range [][]string{whereFlags, whatFlags, whoFlags} {
		for _, name := range names {
			if c.flags.Changed(name) {
				shorthand = append(shorthand, "-"+name)
			}
		}
	}
	if len(c.rules) == 0 {
		r, err := c.rule.rule()
		if err != nil {
			return nil, usagef("%w", err)
		}
		return []fault.Rule{r}, nil
	}
	if len(shorthand) > 0 {
		return nil, usagef("-rule is a whole rule, and so %s cannot be given beside it; write that into the rule", strings.Join(shorthand, ", "))
	}
	var rules []fault.Rule
	for _, source := range c.rules {
		more, err := c.readRules(source)
		if err != nil {
			return nil, err
		}
		rules = append(rules, more...)
	}
	return rules, nil
}

// maxInputBytes bounds what is read from files and standard input.
const maxInputBytes = 1 << 20

// readRules reads a value of -rule.
func (c *tokenCommand) readRules(source string) ([]fault.Rule, error) {
	data, name := []byte(source), "-rule"
	if text := strings.TrimSpace(source); !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") {
		name = source
		in := c.s.in
		if source == "-" {
			name = "standard input"
		} else {
			file, err := os.Open(source)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil, fileErrorf("-rule: there is no file %s, and a rule in JSON begins with {", source)
			case err != nil:
				return nil, fileErrorf("-rule: %w", err)
			}
			defer file.Close()
			in = file
		}
		var err error
		if data, err = readAll(in); err != nil {
			return nil, fileErrorf("-rule: %s: %w", name, err)
		}
	}
	var rules []fault.Rule
	var to any = &rules
	if !strings.HasPrefix(strings.TrimSpace(string(data)), "[") {
		rules = make([]fault.Rule, 1)
		to = &rules[0]
	}
	if err := strictjson.Unmarshal(data, to); err != nil {
		return nil, usagef("%s cannot be read as a rule in JSON, such as\n"+
			`{"target": {"points": ["ratings"]}, "fault": {"error": {"class": "unavailable"}}}`+"\n%w", name, err)
	}
	return rules, nil
}

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxInputBytes+1))
	if err == nil && len(data) > maxInputBytes {
		err = errors.New("has more than 1 MiB")
	}
	return data, err
}

// whoAmI is the user and the host, as far as the system says.
func whoAmI() string {
	const longest = 64
	name, host := "somebody", "somewhere"
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil && h != "" {
		host, _, _ = strings.Cut(h, ".")
	}
	who := name + "@" + host
	return who[:min(len(who), longest)]
}
