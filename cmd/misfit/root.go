package main

import (
	"strings"

	"github.com/spf13/cobra"
)

const rootLong = `misfit makes the tokens with which a test client asks for a fault in its own
requests. A token is signed, it expires, and the services that a request reaches
obey it for that request alone. Without the key nobody can make one.

Start here:

  misfit keygen -out services.json     # once: a key pair; services.json is for the services
  TOKEN=$(misfit token -dependency ratings -error unavailable -for customer=42 -ttl 10m)
  curl -H "Fault-Token: $TOKEN" https://shop.example/product/7 -i

The answer says in Fault-Status what became of it.

Services that have a control endpoint can also be given rules for the requests of
anyone, a few percent at first:

  export MISFIT_URL=http://localhost:8080/debug/faults
  misfit apply -f rules.yaml -dry-run  # whom would it hit?
  misfit apply -f rules.yaml
  misfit halt                          # ends them all, at once`

const rootEnd = `Exit status:
  0  done
  1  no: the token is refused, the text is not what it is meant to be, or a service
     refuses what it is asked for
  2  wrong usage: there is no such command or flag, or a value makes no sense
  3  a file, or standard input or output, could not be read or written, or a service
     could not be reached or understood

A flag may be written -name or --name, and -name=value or -name value.`

// Groups of commands, in the order of the help.
const (
	tokenGroup = "tokens"
	ruleGroup  = "rules"

	// remoteGroup is of the commands that talk to control endpoints.
	remoteGroup = "running"
)

func newRoot(s *streams) *cobra.Command {
	root := &cobra.Command{
		Use:     "misfit",
		Short:   "Make calls of running Go services fail on purpose, for those it is meant for",
		Long:    rootLong,
		Version: versionText(),
		Args:    noArgs(nil),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return noEmptyFlags(cmd) },
		SilenceErrors:     true, // run prints them
		SilenceUsage:      true,
	}
	root.AddGroup(&cobra.Group{ID: tokenGroup, Title: "Tokens"}, &cobra.Group{ID: ruleGroup, Title: "Files of rules"}, &cobra.Group{ID: remoteGroup, Title: "Running services"})
	root.AddCommand(
		newKeygen(s),
		newToken(s),
		newConvert(s),
		newLint(s),
		newPoints(s),
		newVerdicts(s),
		newRules(s),
		newApply(s),
		newWiden(s),
		newExtend(s),
		newPause(s),
		newUnpause(s),
		newDelete(s),
		newHalt(s),
		newResume(s),
		newEvents(s),
		newExplain(s),
		newAudit(s),
		newCritical(s),
		newCompletion(s),
		newVersion(s),
	)
	root.SetHelpCommand(newHelp())
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { printHelp(cmd, s.out) })
	root.SetFlagErrorFunc(flagError)
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	return root
}

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Say how a command is used",
		Long:  `Say how a command is used: "misfit help token verify" is "misfit token verify -h".`,
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(about, args[len(args)-1])
			}
			return about.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			if about, rest, err := cmd.Root().Find(args); err == nil && len(rest) == 0 {
				for _, sub := range about.Commands() {
					if sub.IsAvailableCommand() {
						names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
					}
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// noArgs refuses arguments that are not flags. hint says what may have been
// meant; it may be nil.
func noArgs(hint func(arg string) string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		if hint != nil {
			if text := hint(args[0]); text != "" {
				return usagef("%s", text)
			}
		}
		if cmd.HasAvailableSubCommands() {
			return unknownCommand(cmd, args[0])
		}
		return usagef("%q is one argument too many: there are none", args[0])
	}
}

func unknownCommand(parent *cobra.Command, name string) error {
	names := commandNames(parent)
	if right := closest(name, names); right != "" {
		return usagef("there is no command %q; did you mean %s?", name, right)
	}
	return usagef("there is no command %q; there are %s", name, strings.Join(names, ", "))
}

func commandNames(parent *cobra.Command) []string {
	var names []string
	for _, sub := range parent.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			names = append(names, sub.Name())
		}
	}
	return names
}
