// Command report runs the benchmarks of this module and reports on them.
//
//	report bench [-bench regexp] [-passes n] [-benchtime d] [-dir dir]
//	report write [-dir dir]
//	report compare -base ref [-bench regexp] [-passes n] [-benchtime d]
//
// bench runs all benchmarks several times over, and writes what they measured to
// results.txt, RESULTS.md and plots; with -bench it prints a report on those that
// match, and writes nothing. write writes the report again from results.txt.
// compare has benchstat compare the working tree with another revision.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // it is an error like others, after which is cleaned up
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(os.Stderr, "report: interrupted")
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

const usage = "report bench | write | compare -base ref (each with -h for its flags)"

func command(ctx context.Context, args []string, out, progress io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("no command given: %s", usage)
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(progress)
	o := options{progress: progress, stat: []string{"go", "tool", "benchstat"}}
	flags.StringVar(&o.dir, "dir", "benchmarks", "the `directory` of the benchmarks")
	var base string
	var do func() error
	switch args[0] {
	case "bench":
		do = func() error { return o.benchAndWrite(ctx, out) }
	case "write":
		do = func() error { return o.write() }
	case "compare":
		flags.StringVar(&base, "base", "", "the `revision` to compare with")
		do = func() error { return o.compare(ctx, base, out) }
	default:
		return fmt.Errorf("no command %q: %s", args[0], usage)
	}
	if args[0] != "write" {
		flags.StringVar(&o.bench, "bench", everything, "a `regexp` of the benchmarks to run")
		flags.IntVar(&o.passes, "passes", fewestPasses, "how many `times` all are run")
		flags.StringVar(&o.benchtime, "benchtime", "20ms", "how `long` each runs in a pass, as go test takes it")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%s takes no argument %q", args[0], flags.Arg(0))
	}
	if args[0] != "write" && o.passes < 1 {
		return fmt.Errorf("-passes %d: at least one pass is needed", o.passes)
	}
	return do()
}
