package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/misfit-go/misfit/fault"
	"github.com/spf13/cobra"
)

const completionLong = `Print a script that completes commands, flags and their values in your shell.

Try it in this shell only:

  source <(misfit completion bash)
  source <(misfit completion zsh)
  misfit completion fish | source
  misfit completion powershell | Out-String | Invoke-Expression

Keep it:

  misfit completion bash > ~/.local/share/bash-completion/completions/misfit
  misfit completion zsh > "${fpath[1]}/_misfit"
  misfit completion fish > ~/.config/fish/completions/misfit.fish
  misfit completion powershell >> $PROFILE

Bash needs the package bash-completion; zsh needs "autoload -U compinit; compinit".`

func newCompletion(s *streams) *cobra.Command {
	shells := map[string]func(root *cobra.Command) error{
		"bash":       func(root *cobra.Command) error { return root.GenBashCompletionV2(s.out, true) },
		"zsh":        func(root *cobra.Command) error { return root.GenZshCompletion(s.out) },
		"fish":       func(root *cobra.Command) error { return root.GenFishCompletion(s.out, true) },
		"powershell": func(root *cobra.Command) error { return root.GenPowerShellCompletionWithDesc(s.out) },
	}
	names := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:       "completion " + strings.Join(names, "|"),
		Short:     "Print a script that completes in your shell",
		Long:      completionLong,
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || shells[args[0]] == nil {
				return usagef("for which shell? Give one of %s", strings.Join(names, ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return shells[args[0]](cmd.Root())
		},
	}
}

// isCompletion reports whether a shell asks, through one of the scripts.
func isCompletion(command string) bool {
	return command == cobra.ShellCompRequestCmd || command == cobra.ShellCompNoDescRequestCmd
}

// complete answers a shell that completes the last of args. Cobra knows flags
// with two dashes only, so a flag that was begun with one is asked for with two
// and answered with one.
func complete(root *cobra.Command, flags knownFlags, args []string) (*cobra.Command, error) {
	last := len(args) - 1
	args = append(longFlags(args[:last], flags), args[last])
	word := args[last]
	oneDash := strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "--")
	if oneDash && len(word) > 1 {
		args[last] = "-" + word
	}
	answer := &bytes.Buffer{}
	out := root.OutOrStdout()
	root.SetOut(answer)
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	for line := range strings.Lines(answer.String()) {
		if oneDash && strings.HasPrefix(line, "--") {
			line = line[1:]
		}
		fmt.Fprint(out, strings.ReplaceAll(line, "`", "")) // which mark values in descriptions
	}
	return cmd, err
}

// completeWith completes the values of a flag, or what it may begin with.
func completeWith(cmd *cobra.Command, flag string, values ...string) {
	directive := cobra.ShellCompDirectiveNoFileComp
	for _, value := range values {
		if strings.HasSuffix(value, "=") {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
	}
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, directive)))
}

// completeFailures completes the classes of errors, and gRPC's codes after
// "grpc=".
func completeFailures(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	var values []string
	if strings.HasPrefix(begun, "grpc=") {
		for _, code := range fault.GRPCCodes() {
			values = append(values, "grpc="+string(code))
		}
		return values, cobra.ShellCompDirectiveNoFileComp
	}
	for _, class := range fault.Classes() {
		values = append(values, string(class))
	}
	directive := cobra.ShellCompDirectiveNoFileComp
	if begun != "" && !matchesAny(begun, values) {
		directive |= cobra.ShellCompDirectiveNoSpace
	}
	return append(values, "http=", "grpc=", "name="), directive
}

func matchesAny(begun string, values []string) bool {
	for _, value := range values {
		if strings.HasPrefix(value, begun) {
			return true
		}
	}
	return false
}

// must is about mistakes in this program.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
