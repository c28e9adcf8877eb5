package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// run runs the command line and returns the exit status.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := &output{w: stdout}
	root := newRoot(&streams{in: stdin, out: out, err: stderr})
	cmd, err := execute(root, args)
	if out.err != nil {
		err = fileErrorf("standard output: %w", out.err)
	}
	if err == nil {
		return statusDone
	}
	status := statusOf(err)
	fmt.Fprintf(stderr, "%s: %s\n", cmd.CommandPath(), indented(escaped(err.Error())))
	if status == statusUsage {
		fmt.Fprintf(stderr, "\"%s -h\" says what is right.\n", cmd.CommandPath())
	}
	return status
}

func execute(root *cobra.Command, args []string) (*cobra.Command, error) {
	flags := flagsOf(root)
	if len(args) > 1 && isCompletion(args[0]) {
		return complete(root, flags, args)
	}
	root.SetArgs(longFlags(args, flags))
	return root.ExecuteC()
}

// Exit statuses. rootLong documents them.
const (
	statusDone  = 0
	statusNo    = 1
	statusUsage = 2
	statusFile  = 3
)

// A statusError ends the command with a status.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// refusalf is the answer no.
func refusalf(format string, args ...any) error {
	return &statusError{statusNo, fmt.Errorf(format, args...)}
}

// usagef is about what the user typed.
func usagef(format string, args ...any) error {
	return &statusError{statusUsage, fmt.Errorf(format, args...)}
}

// fileErrorf is about a file, or another stream of bytes.
func fileErrorf(format string, args ...any) error {
	return &statusError{statusFile, fmt.Errorf(format, args...)}
}

// statusOf takes the errors without a status for wrong usage: they are cobra's.
func statusOf(err error) int {
	if e, ok := errors.AsType[*statusError](err); ok {
		return e.status
	}
	return statusUsage
}

// bare is the text of an error without the packages it is from.
func bare(err error) string {
	text := err.Error()
	for _, prefix := range []string{"token: ", "key set: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// indented sets the further lines of a message off from what is printed next.
func indented(message string) string {
	return strings.ReplaceAll(message, "\n", "\n  ")
}

// output remembers the first error of writing, which few callers look at.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	n, err := o.w.Write(p)
	o.err = err
	return n, err
}
