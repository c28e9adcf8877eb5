package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

const inspectLong = `Show what a token says. Nothing is verified: anyone can write a text that says
anything. "misfit token verify" tells whether services would believe it.

  misfit token inspect "$TOKEN"
  pbpaste | misfit token inspect -o json`

func newInspect(s *streams) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "inspect [flags]" + tokenArg,
		Short: "Show what a token says, without verifying it",
		Long:  inspectLong,
		Args:  oneToken,
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkOutput(format); err != nil {
				return err
			}
			text, err := readToken(s, args)
			if err != nil {
				return err
			}
			h, claims, err := inspect(text)
			if err != nil {
				return err
			}
			if format == "json" {
				return printJSON(s.out, describe(text, h, claims))
			}
			fmt.Fprintf(s.out, "Not verified: this is what the text says of itself.\n\n")
			printToken(s.out, text, h, claims, time.Now())
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	registerOutput(cmd, &format)
	return cmd
}
