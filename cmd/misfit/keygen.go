package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/token"
	"github.com/spf13/cobra"
)

const keygenLong = `Make a key pair: the private half signs tokens, the public half goes to the
services, which verify tokens with it.

  misfit keygen -out services.json

The private half is written to a file that only you can read, and is never
printed. Who has it can make tokens. The public half is printed, or written with
-out, as the services' key file. A service takes it from the file and follows its
changes, with no restart:

  verifier, err := token.WatchFile(ctx, "/etc/misfit/services.json")

An audience is an environment, such as test or production. A token is for one,
and the services of all others refuse it. Give each its own key, so that one who
may break the tests cannot break production:

  misfit keygen -audience test -out test.json
  misfit keygen -audience production -out production.json -key production-key.json

Rotation, from one key to the next:

  misfit keygen -force -out services.json    # the new key is added beside the old one
  # bring services.json to the services; the tokens of both keys are good
  # later take the old key out of "keys" in services.json, and bring it again

Revocation: take a key out of "keys" in the services' key file, and every token
that it signed is refused. For a single token add its ID, which "misfit token
inspect" shows, to "revoked": ["k3v9q2m7x1"]; it can go when the token has
expired.

HS256 is for set-ups so small that all services may make tokens themselves: it
has one secret for both sides, and so the services' file is a secret too.`

const (
	algorithmEdDSA = "EdDSA"
	algorithmHS256 = "HS256"
)

type keygenCommand struct {
	s         *streams
	keyFile   string
	out       string
	id        string
	issuer    string
	audience  string
	algorithm string
	force     bool
	public    bool

	replaced string // the ID of the key that -force replaced
}

func newKeygen(s *streams) *cobra.Command {
	c := &keygenCommand{s: s}
	cmd := &cobra.Command{
		Use:     "keygen",
		Short:   "Make a key pair: one half signs tokens, services verify them with the other",
		GroupID: tokenGroup,
		Long:    keygenLong,
		Args:    noArgs(nil),
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&c.keyFile, "key", "", "write the private half to `FILE`; the default is\nmisfit/key.json where your system keeps settings,\nwhich is ~/.config on Linux")
	flags.StringVar(&c.out, "out", "", "write the public half to `FILE`, or add it to the keys\nthat are in it; the default is to print it")
	flags.StringVar(&c.audience, "audience", "", "the environment `ENV` that the tokens are for; the\ndefault is that of the -out file, or else test")
	flags.StringVar(&c.issuer, "issuer", "", "who issues the tokens: `NAME` is a team or system, and\nnew key files then allow no others; the default is\nmisfit, and to allow all")
	flags.StringVar(&c.id, "id", "", "name the key `KID`; each token holds it, so keep it\nshort; the default is made from the key")
	flags.StringVar(&c.algorithm, "algorithm", algorithmEdDSA, "`ALG` is EdDSA (default), or HS256: one secret for both")
	flags.BoolVar(&c.force, "force", false, "replace the private half that is there")
	flags.BoolVar(&c.public, "public", false, "make nothing: print the public half of the key that is\nthere, or add it to -out")
	completeWith(cmd, "algorithm", algorithmEdDSA, algorithmHS256)
	for _, name := range []string{"audience", "issuer", "id"} {
		completeWith(cmd, name)
	}
	return cmd
}

func (c *keygenCommand) run(cmd *cobra.Command) error {
	path, err := keyPath(c.keyFile)
	if err != nil {
		return err
	}
	if err := c.check(cmd, path); err != nil {
		return err
	}
	set, err := c.keySet()
	if err != nil {
		return err
	}
	made, err := c.signer(path, set)
	if err != nil {
		return err
	}
	set, added, err := c.add(set, made)
	if err != nil {
		return err
	}
	if !c.public {
		if err := c.writePrivate(path, made); err != nil {
			return err
		}
	}
	if added {
		if err := c.writePublic(path, set); err != nil {
			return err
		}
	}
	c.report(path, made, added)
	return nil
}

// check looks for what can be wrong before there is a key.
func (c *keygenCommand) check(cmd *cobra.Command, path string) error {
	if c.public {
		for _, name := range []string{"force", "id", "issuer", "audience", "algorithm"} {
			if cmd.Flags().Changed(name) {
				return usagef("-public is about the key that is there, and -%s about one to be made; give one of them", name)
			}
		}
		return nil
	}
	switch _, err := os.Lstat(path); {
	case c.algorithm != algorithmEdDSA && c.algorithm != algorithmHS256:
		return usagef("-algorithm %q: use %s or %s", c.algorithm, algorithmEdDSA, algorithmHS256)
	case c.out != "" && samePath(c.out, path):
		return usagef("-out and -key are the same file; the services must not get the private half")
	case err == nil && !c.force:
		return fileErrorf("there is a key in %s, and it is not replaced\n"+
			"\"misfit keygen -public\" prints its public half again;\n"+
			"-key FILE puts a key for another environment elsewhere;\n"+
			"-force replaces it", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fileErrorf("the private key: %w", err)
	}
	return nil
}

func samePath(a, b string) bool {
	x, errX := filepath.Abs(a)
	y, errY := filepath.Abs(b)
	return errX == nil && errY == nil && x == y
}

// keySet is the services' key file as it is, without keys if there is none.
func (c *keygenCommand) keySet() (token.KeySet, error) {
	if c.out == "" {
		return token.KeySet{}, nil
	}
	data, err := readFile(c.out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return token.KeySet{}, nil
	case err != nil:
		return token.KeySet{}, fileErrorf("-out: %w", err)
	}
	set, err := token.ParseKeySet(data)
	if err != nil {
		return token.KeySet{}, fileErrorf("%s is there, but is no services' key file to add a key to, and stays as it is\n%s", c.out, bare(err))
	}
	return set, nil
}

// signer is the key that is there, for -public, or else a new one.
func (c *keygenCommand) signer(path string, set token.KeySet) (signer, error) {
	if c.public {
		return readSigner(path)
	}
	made := signer{Issuer: c.issuer, Audience: c.audience}
	if made.Issuer == "" {
		made.Issuer = "misfit"
	}
	if made.Audience == "" {
		made.Audience = set.Audience
	}
	if made.Audience == "" {
		made.Audience = "test"
	}
	var err error
	if c.algorithm == algorithmEdDSA {
		made.Key, err = token.GenerateKey(c.id)
	} else {
		made.Key, err = newSecret(c.id)
	}
	if err != nil {
		return signer{}, usagef("-id: %s", bare(err))
	}
	return made, nil
}

func newSecret(id string) (token.Key, error) {
	if id == "" {
		id = strings.ToLower(rand.Text()[:8])
	}
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	return token.HMACKey(id, secret)
}

// add returns set with the verifying half of s, and whether that is new to it.
func (c *keygenCommand) add(set token.KeySet, s signer) (token.KeySet, bool, error) {
	shared := s.Key.Algorithm() == algorithmHS256
	if shared && c.out == "" {
		return set, false, usagef("the services' key file of %s is a secret, and is not printed: write it with -out FILE", algorithmHS256)
	}
	if mode, open := openToOthers(c.out); shared && c.out != "" && open {
		return set, false, usagef("others can read %s (mode %#o), and an %s key in it is a secret: chmod 600 %[1]s first", c.out, mode, algorithmHS256)
	}
	if set.Audience != "" && set.Audience != s.Audience {
		return set, false, usagef("%s is for the environment %q, and the key for %q: give each environment its own key and file", c.out, set.Audience, s.Audience)
	}
	verifies := s.Key.Public()
	if i := slices.IndexFunc(set.Keys, func(k token.Key) bool { return k.ID() == verifies.ID() }); i >= 0 {
		if c.public && sameKey(set.Keys[i], verifies) {
			return set, false, nil
		}
		return set, false, usagef("%s has another key %q; name this one otherwise with -id", c.out, verifies.ID())
	}
	switch {
	case len(set.Keys) == 0 && c.issuer != "":
		set.Issuers = append(set.Issuers, s.Issuer)
	case len(set.Issuers) > 0 && !slices.Contains(set.Issuers, s.Issuer): // where all are allowed, all stay allowed
		set.Issuers = append(set.Issuers, s.Issuer)
	}
	set.Audience = s.Audience
	set.Keys = append(set.Keys, verifies)
	if err := set.Validate(); err != nil {
		return set, false, usagef("-%s", bare(err)) // of an audience or issuer
	}
	return set, true, nil
}

func sameKey(a, b token.Key) bool {
	x, errX := encode(a)
	y, errY := encode(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

func (c *keygenCommand) writePrivate(path string, s signer) error {
	data, err := encode(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fileErrorf("the private key: %w", err)
	}
	write := createFile
	if c.force {
		write = replaceFile
		if old, err := readSigner(path); err == nil {
			c.replaced = old.Key.ID()
		}
	}
	if err := write(path, data, 0o600); err != nil {
		return fileErrorf("the private key: %w", err)
	}
	return nil
}

func (c *keygenCommand) writePublic(path string, set token.KeySet) error {
	data, err := encode(set)
	if err != nil {
		return err
	}
	if c.out == "" {
		_, err = c.s.out.Write(data)
	} else {
		mode := fs.FileMode(0o644)
		if info, err := os.Stat(c.out); err == nil {
			mode = info.Mode().Perm()
		} else if slices.ContainsFunc(set.Keys, token.Key.CanSign) {
			mode = 0o600
		}
		err = replaceFile(c.out, data, mode)
	}
	if err != nil {
		return fileErrorf("the key is in %s, but its public half could not be written: %w\n"+
			"\"misfit keygen -public\" with the same -key and -out does that alone", path, err)
	}
	return nil
}

// report says on standard error what was done, and what to do next.
func (c *keygenCommand) report(path string, s signer, added bool) {
	say := func(format string, args ...any) { fmt.Fprintf(c.s.err, format+"\n", args...) }
	verifying := "public half"
	if s.Key.Algorithm() == algorithmHS256 {
		verifying = "same secret"
	}
	if !c.public {
		say("Made key %q (%s) for the environment %q.", s.Key.ID(), s.Key.Algorithm(), s.Audience)
		say("  private half  %s: keep it, it makes tokens", path)
	}
	switch {
	case !added:
		say("Key %q is in %s already.", s.Key.ID(), c.out)
	case c.out == "":
		say("  %s   printed: save it as the services' key file", verifying)
	default:
		say("  %s   %s: bring it to the services", verifying, c.out)
	}
	if c.public {
		return
	}
	if c.replaced != "" {
		say("Key %q was replaced. Its tokens are good until you take it out of the services' key file.", c.replaced)
	}
	say("Next: have the services read it, with token.WatchFile, and make a token:")
	option := ""
	if c.keyFile != "" {
		option = " -key " + c.keyFile
	}
	say("  misfit token%s -dependency NAME -error unavailable -ttl 10m", option)
}
