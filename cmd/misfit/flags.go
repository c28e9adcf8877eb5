package main

import (
	"errors"
	"iter"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// knownFlags are the flags of all commands. Those of one name are alike in
// whether they take a value, as a test holds.
type knownFlags struct {
	long  map[string]bool // by name: whether it takes a value
	short map[string]bool
}

func flagsOf(root *cobra.Command) knownFlags {
	known := knownFlags{long: map[string]bool{"help": false, "version": false}, short: map[string]bool{"h": false}}
	for cmd := range commands(root) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			takesValue := f.NoOptDefVal == ""
			known.long[f.Name] = takesValue
			if f.Shorthand != "" {
				known.short[f.Shorthand] = takesValue
			}
		})
	}
	return known
}

// commands yields cmd and all commands below it.
func commands(cmd *cobra.Command) iter.Seq[*cobra.Command] {
	return func(yield func(*cobra.Command) bool) {
		todo := []*cobra.Command{cmd}
		for len(todo) > 0 {
			next := todo[0]
			todo = append(todo[1:], next.Commands()...)
			if !yield(next) {
				return
			}
		}
	}
}

// longFlags writes -name as --name where there is a flag of that name, since to
// pflag one dash begins a row of one-letter flags. What is the value of a flag,
// and what follows "--", stays as it is.
func longFlags(args []string, known knownFlags) []string {
	rewritten := append([]string{}, args...) // never nil, in whose place cobra takes those of the process
	for i := 0; i < len(rewritten); i++ {
		arg := rewritten[i]
		if arg == "--" {
			break
		}
		bare, ok := strings.CutPrefix(arg, "-")
		if !ok || bare == "" {
			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimPrefix(bare, "-"), "=")
		takesValue, isLong := known.long[name]
		switch {
		case isLong && !strings.HasPrefix(bare, "-"):
			rewritten[i] = "-" + arg
		case !isLong && !strings.HasPrefix(bare, "-"):
			takesValue = known.short[name] // a single letter with nothing after it
		}
		if takesValue && !hasValue {
			i++
		}
	}
	return rewritten
}

// flagError says what is wrong with a flag, and what would be right, in the way
// the help writes flags.
func flagError(cmd *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := e.GetSpecifiedName()
		if letters := e.GetSpecifiedShortnames(); letters != "" {
			name = letters
		}
		if close := closestFlag(cmd, name); close != "" {
			return usagef("there is no flag -%s; did you mean -%s?", name, close)
		}
		return usagef("there is no flag -%s", name)
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		value, _ := pflag.UnquoteUsage(e.GetFlag())
		return usagef("-%s needs a value: -%[1]s %s", e.GetFlag().Name, value)
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		right := e.Unwrap().Error()
		switch e.GetFlag().Value.Type() {
		case "duration":
			right = "use a number with a unit, such as 90s, 10m or 1h30m"
		case "int":
			right = "use a whole number"
		case "bool":
			right = "use true or false"
		}
		return usagef("-%s %q: %s", e.GetFlag().Name, e.GetValue(), right)
	}
	return usagef("%w", err)
}

// noEmptyFlags refuses what comes of -service "$SERVICE" where no SERVICE is set:
// a token for all of them.
func noEmptyFlags(cmd *cobra.Command) error {
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if value := f.Value.String(); value == "" || value == "[]" {
			err = errors.Join(err, usagef("-%s is empty: give a value, or leave it out", f.Name))
		}
	})
	return err
}

// closestFlag is the flag whose name is at most two edits away, or begins so.
func closestFlag(cmd *cobra.Command, name string) string {
	closest, best := "", 3
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		n := distance(name, f.Name)
		if len(name) > 1 && strings.HasPrefix(f.Name, name) {
			n = 0
		}
		if n < best && n < len(f.Name)/2+1 {
			closest, best = f.Name, n
		}
	})
	return closest
}

// distance is how many letters to insert, delete or replace to get from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
