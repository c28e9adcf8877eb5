package main

import (
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/misfit-go/misfit/control/audit"
	"github.com/spf13/cobra"
)

const auditVerifyLong = `Tell whether a file of the record is whole: whether lines were altered, removed,
inserted or moved. No service is asked. The exit status is 0 if nothing is wrong.

  misfit audit verify /var/log/shop/audit.jsonl
  misfit audit verify -expect-hash "$HASH" audit.jsonl

The last hash stands for everything up to it. Note it elsewhere from time to time:
with -expect-hash it shows later that nothing was cut off at the end, and that
the file was not written anew from there on. Of a file that is the next after
another, -follows checks that it is.`

type auditVerifyCommand struct {
	s       *streams
	expect  string
	follows string
	format  string
}

func newAuditVerify(s *streams) *cobra.Command {
	c := &auditVerifyCommand{s: s}
	cmd := &cobra.Command{
		Use:   "verify [flags] FILE|-",
		Short: "Tell whether a file of the record is whole",
		Long:  auditVerifyLong,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("which file? Give one, or - for standard input")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return c.run(args[0]) },
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&c.expect, "expect-hash", "", "it has to have an entry with the `HASH`, which was noted\nearlier")
	cmd.Flags().StringVar(&c.follows, "follows", "", "it has to follow the file whose last hash is `HASH`")
	completeWith(cmd, "expect-hash")
	completeWith(cmd, "follows")
	registerOutput(cmd, &c.format)
	return cmd
}

var hashPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (c *auditVerifyCommand) run(path string) error {
	if err := checkOutput(c.format); err != nil {
		return err
	}
	for name, hash := range map[string]string{"expect-hash": c.expect, "follows": c.follows} {
		if hash != "" && !hashPattern.MatchString(hash) {
			return usagef("-%s %q is no hash: one has 64 of the characters 0-9 and a-f", name, hash)
		}
	}
	in, name := c.s.in, "standard input"
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return fileErrorf("%w", err)
		}
		defer file.Close()
		in, name = file, path
	}
	report, err := audit.Verify(in, audit.ExpectHash(c.expect), audit.ExpectFollows(c.follows))
	if err != nil {
		return fileErrorf("%s: %w", name, err)
	}
	if c.format == "json" {
		if err := printJSON(c.s.out, report); err != nil {
			return err
		}
	} else {
		printReport(c.s.out, name, report, c.expect != "")
	}
	if !report.OK() {
		return refusalf("%s: %s", name, plural(uint64(len(report.Problems))+report.More, "problem"))
	}
	return nil
}

func printReport(w io.Writer, name string, r audit.Report, expected bool) {
	line := func(label, format string, args ...any) {
		fmt.Fprintf(w, "%-12s%s\n", label, printable(fmt.Sprintf(format, args...)))
	}
	line("file", "%s", name)
	line("entries", "%d", r.Entries)
	if r.Entries > 0 {
		line("first", "%s", stamp(r.First))
		line("last", "%s, number %d", stamp(r.Last), r.Seq)
		line("last hash", "%s", r.LastHash)
	}
	if r.Follows != "" {
		line("follows", "the file with the last hash %s", r.Follows)
	}
	if r.Torn > 0 {
		line("torn", "the last %d bytes are an entry that was not written to its end; that is no tampering", r.Torn)
	}
	if r.Backwards > 0 {
		line("clock", "set back %s; the order is that of the numbers", plural(r.Backwards, "time"))
	}
	for _, p := range r.Problems {
		line("WRONG", "%s", p)
	}
	if r.More > 0 {
		line("", "and %d more", r.More)
	}
	switch {
	case !r.OK():
	case expected:
		line("whole", "nothing was altered, removed or added, and the expected hash is there")
	default:
		line("whole", "nothing was altered, removed or added before the last hash; only a hash that was noted elsewhere shows that nothing was cut off after it (-expect-hash)")
	}
}
