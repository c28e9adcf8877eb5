package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// groupOf is the annotation that says under which heading a flag is listed.
const groupOf = "misfit_group"

// group lists the flags of names, in this order, under a heading.
func group(cmd *cobra.Command, heading string, names ...string) {
	for _, name := range names {
		f := cmd.Flags().Lookup(name)
		f.Annotations = map[string][]string{groupOf: {heading}}
	}
}

// printHelp takes the place of cobra's templates: flags have one dash, as the
// documentation writes them, and are listed under headings in their own order.
func printHelp(cmd *cobra.Command, w io.Writer) {
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	fmt.Fprintf(w, "%s\n", text)

	fmt.Fprintf(w, "\nUsage:\n")
	if cmd.HasParent() {
		fmt.Fprintf(w, "  %s\n", usageLine(cmd))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "  %s COMMAND [flags]\n", cmd.CommandPath())
		printCommands(cmd, w)
	}
	printFlags(cmd, w)
	if cmd.Example != "" {
		fmt.Fprintf(w, "\n%s\n", cmd.Example)
	}
	if !cmd.HasParent() {
		fmt.Fprintf(w, "\n%s\n", rootEnd)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\n\"%s COMMAND -h\" says more about a command.\n", cmd.CommandPath())
	}
}

func usageLine(cmd *cobra.Command) string {
	line := cmd.Parent().CommandPath() + " " + cmd.Use
	visitFlags(cmd, func(*pflag.Flag) {
		if !strings.Contains(line, "[flags]") {
			line += " [flags]"
		}
	})
	return line
}

// visitFlags visits the flags that help lists.
func visitFlags(cmd *cobra.Command, visit func(*pflag.Flag)) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "help" && f.Name != "version" {
			visit(f)
		}
	})
}

func printCommands(cmd *cobra.Command, w io.Writer) {
	heading := "Commands"
	for _, g := range append(cmd.Groups(), &cobra.Group{}) {
		if g.Title != "" {
			heading = g.Title
		} else if len(cmd.Groups()) > 0 {
			heading = "Other"
		}
		fmt.Fprintf(w, "\n%s:\n", heading)
		for _, sub := range cmd.Commands() {
			if sub.GroupID == g.ID && (sub.IsAvailableCommand() || sub.Name() == "help") {
				fmt.Fprintf(w, "  %-10s  %s\n", sub.Name(), sub.Short)
			}
		}
	}
}

func printFlags(cmd *cobra.Command, w io.Writer) {
	var headings []string
	lines := make(map[string][]string)
	visitFlags(cmd, func(f *pflag.Flag) {
		heading := "Flags"
		if set := f.Annotations[groupOf]; set != nil {
			heading = set[0]
		}
		if lines[heading] == nil {
			headings = append(headings, heading)
		}
		lines[heading] = append(lines[heading], flagHelp(f))
	})
	for _, heading := range headings {
		fmt.Fprintf(w, "\n%s:\n%s", heading, strings.Join(lines[heading], ""))
	}
}

// flagHelp gives a flag the width of one column and its text the rest.
func flagHelp(f *pflag.Flag) string {
	const column = 22
	value, usage := pflag.UnquoteUsage(f)
	name := "  -" + f.Name
	if f.Shorthand != "" {
		name = "  -" + f.Shorthand + ", -" + f.Name
	}
	if value != "" && f.NoOptDefVal == "" {
		name += " " + value
	}
	indent := "\n" + strings.Repeat(" ", column)
	gap := indent
	if len(name) <= column-2 {
		gap = strings.Repeat(" ", column-len(name))
	}
	return name + gap + strings.ReplaceAll(usage, "\n", indent) + "\n"
}
