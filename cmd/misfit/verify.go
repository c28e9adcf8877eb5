package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/token"
	"github.com/spf13/cobra"
)

const verifyLong = `Tell whether services with a key file would believe a token: whether one of its
keys signed it, it is current, for their environment, and not revoked. The exit
status is 0 if so, else 1, with the reason.

  misfit token verify -keys services.json "$TOKEN"

What a service's own ceilings allow, and whether the rule has anything to hit
there, only the service can say: in Fault-Status.`

type verifyCommand struct {
	s       *streams
	keys    string
	service string
	format  string
}

func newVerify(s *streams) *cobra.Command {
	c := &verifyCommand{s: s}
	cmd := &cobra.Command{
		Use:               "verify -keys FILE [flags]" + tokenArg,
		Short:             "Tell whether services would believe a token",
		Long:              verifyLong,
		Args:              oneToken,
		RunE:              func(_ *cobra.Command, args []string) error { return c.run(args) },
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&c.keys, "keys", "", "the services' key file is `FILE`, as \"misfit keygen\"\nwrites it")
	cmd.Flags().StringVar(&c.service, "service", "", "ask it of the service `NAME`; the default is any")
	completeWith(cmd, "service")
	registerOutput(cmd, &c.format)
	return cmd
}

func (c *verifyCommand) run(args []string) error {
	if err := checkOutput(c.format); err != nil {
		return err
	}
	if c.keys == "" {
		return usagef("which keys? Give the services' key file with -keys FILE")
	}
	set, err := readKeySet(c.keys)
	if err != nil {
		return err
	}
	text, err := readToken(c.s, args)
	if err != nil {
		return err
	}
	h, claims, err := inspect(text)
	if err == nil {
		err = c.verify(set, text, h)
	}
	if c.format == "json" {
		answer := describe(text, h, claims)
		answer.Verified = err == nil
		if err != nil {
			answer.Reason = err.Error()
		}
		return errors.Join(err, printJSON(c.s.out, answer))
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.s.out, "Genuine, current and not revoked, by the keys in %s.\n\n", c.keys)
	printToken(c.s.out, text, h, claims, time.Now())
	return nil
}

func readKeySet(path string) (token.KeySet, error) {
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return token.KeySet{}, fileErrorf("-keys: there is no file %s", path)
	}
	if err != nil {
		return token.KeySet{}, fileErrorf("-keys: %w", err)
	}
	set, err := token.ParseKeySet(data)
	if err != nil {
		if _, err := readSigner(path); err == nil {
			return token.KeySet{}, fileErrorf("%s has the private half of a key; give the services' key file", path)
		}
		return token.KeySet{}, fileErrorf("%s is not a services' key file\n%s", path, bare(err))
	}
	return set, nil
}

// verify returns nil or says why services refuse the token: with all that is
// known here, since the user has the keys.
func (c *verifyCommand) verify(set token.KeySet, text string, h token.Header) error {
	verifier, err := token.NewVerifier(set)
	if err != nil {
		return fileErrorf("%s: %w", c.keys, err)
	}
	accepted, err := verifier.VerifyToken(text)
	if err != nil {
		return refusalf("refused: %s", c.reason(set, h, err))
	}
	if c.service != "" && len(accepted.Services) > 0 && !slices.Contains(accepted.Services, c.service) {
		return refusalf("refused: the token is for %s, not for %s", strings.Join(accepted.Services, ", "), c.service)
	}
	return nil
}

// reason is what a service writes to its own log, and tells nobody.
func (c *verifyCommand) reason(set token.KeySet, h token.Header, err error) string {
	text := bare(err)
	if !errors.Is(err, fault.ErrNotGenuine) {
		return text
	}
	text = strings.TrimPrefix(text, fault.ErrNotGenuine.Error()+": ")
	var known []string
	for _, key := range set.Keys {
		if key.ID() == h.KeyID {
			return text
		}
		known = append(known, key.String())
	}
	return fmt.Sprintf("%s; %s has %s", text, c.keys, strings.Join(known, ", "))
}
