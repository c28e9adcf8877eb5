package main

import (
	"strings"

	"github.com/misfit-go/misfit/token"
	"github.com/spf13/cobra"
)

// tokenArg is how the commands that read a token are called.
const tokenArg = " [TOKEN|-]"

// readToken returns the token in args, or the one on standard input.
func readToken(s *streams, args []string) (string, error) {
	source := "-"
	if len(args) > 0 {
		source = args[0]
	}
	if source != "-" {
		return checkInput(source, "the argument")
	}
	if len(args) == 0 && isTerminal(s.in) {
		return "", usagef("which token? Give it as argument, or - to read it from standard input")
	}
	data, err := readAll(s.in)
	if err != nil {
		return "", fileErrorf("standard input: %w", err)
	}
	return checkInput(string(data), "standard input")
}

func checkInput(text, where string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", usagef("%s is empty: give a token", where)
	}
	return text, nil
}

func oneToken(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usagef("there are %d arguments; give one token", len(args))
	}
	return nil
}

// inspect reads a text without verifying it.
func inspect(text string) (token.Header, token.Claims, error) {
	h, claims, err := token.Inspect(text)
	if err != nil {
		return h, claims, refusalf("not a token: %s", bare(err))
	}
	return h, claims, nil
}

// outputFormats are the values of -o.
var outputFormats = []string{"text", "json"}

func registerOutput(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVarP(format, "output", "o", "text", "`FORMAT` is text (default) or json")
	completeWith(cmd, "output", outputFormats...)
}

func checkOutput(format string) error {
	if format != "text" && format != "json" {
		return usagef("-output %q: use text or json", format)
	}
	return nil
}
