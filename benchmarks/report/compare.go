package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A side is one of two revisions that are compared.
type side struct {
	name string
	binary
	names   []string
	printed bytes.Buffer
}

// compare runs the benchmarks of the working tree and of another revision by turns,
// and prints what benchstat makes of them.
func (o *options) compare(ctx context.Context, base string, out io.Writer) (err error) {
	if base == "" {
		return errors.New("no revision to compare with is given: BASE=ref, or -base ref")
	}
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	root, err := output(ctx, dir, nil, "git", "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	root = strings.TrimSpace(root)
	commit, err := output(ctx, dir, nil, "git", "rev-parse", "--verify", "--quiet", "--end-of-options", base+"^{commit}")
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("%q is no revision of this repository: a branch, a tag or a commit is", base)
	}
	commit = strings.TrimSpace(commit)
	tmp, err := os.MkdirTemp("", "misfit-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	tree := filepath.Join(tmp, "base")
	defer func() {
		// What is cleaned up is not cut short by what ends ctx. Forced twice, it removes
		// one that is not complete, too.
		_, failed := output(context.WithoutCancel(ctx), root, nil, "git", "worktree", "remove", "-f", "-f", tree)
		if err == nil {
			err = failed
		}
	}()
	if _, err := output(ctx, root, nil, "git", "worktree", "add", "--detach", tree, commit); err != nil {
		return err
	}
	sides, err := o.sides(ctx, root, dir, tree, tmp, base)
	if err != nil {
		return err
	}
	if err := o.takeTurns(ctx, sides); err != nil {
		return err
	}
	return o.benchstat(ctx, root, tmp, sides, out)
}

// sides compiles the benchmarks for both revisions: the present ones, unless the
// other revision's library lacks what they use; then its own.
func (o *options) sides(ctx context.Context, root, dir, tree, tmp, base string) ([]*side, error) {
	fmt.Fprintln(o.progress, "compiling the benchmarks")
	now := &side{name: "now"}
	var err error
	if now.binary, err = compile(ctx, dir, filepath.Join(tmp, "now.test"), nil); err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return nil, err
	}
	its := filepath.Join(tree, rel)
	present := filepath.Join(tree, "present-"+filepath.Base(rel)) // as deep as the others: they say "../"
	if err := os.CopyFS(present, os.DirFS(dir)); err != nil {
		return nil, err
	}
	then := &side{name: strings.NewReplacer("/", "-", "=", "-").Replace(base)}
	file := filepath.Join(tmp, "then.test")
	alone := []string{"GOWORK=off"} // the copy is in no workspace
	if then.binary, err = compile(ctx, present, file, alone, "-mod=mod"); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		fmt.Fprintf(o.progress, "the library of %s is measured by its own benchmarks, as the present ones do not compile with it:\n%v\n", base, err)
		if _, err := os.Stat(its); err != nil {
			return nil, fmt.Errorf("%s has no benchmarks of its own", base)
		}
		if then.binary, err = compile(ctx, its, file, alone, "-mod=mod"); err != nil {
			return nil, fmt.Errorf("the benchmarks of %s do not compile, either: %w", base, err)
		}
	}
	for _, s := range []*side{then, now} {
		if s.names, err = o.list(ctx, s.binary); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return []*side{then, now}, nil
}

// takeTurns runs the sides, another one first in each pass.
func (o *options) takeTurns(ctx context.Context, sides []*side) error {
	for pass := 1; pass <= o.passes; pass++ {
		for i := range sides {
			s := sides[(i+pass)%len(sides)]
			printed, err := o.pass(ctx, s.binary, s.names, fmt.Sprintf("pass %d of %d: %s", pass, o.passes, s.name))
			if err != nil {
				return err
			}
			s.printed.WriteString(printed)
		}
	}
	return nil
}

func (o *options) benchstat(ctx context.Context, root, tmp string, sides []*side, out io.Writer) error {
	args := slices.Clone(o.stat[1:])
	for _, s := range sides {
		file := filepath.Join(tmp, s.name+".txt")
		if err := os.WriteFile(file, s.printed.Bytes(), 0o666); err != nil {
			return err
		}
		args = append(args, s.name+"="+file)
	}
	printed, err := output(ctx, root, nil, o.stat[0], args...)
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, printed)
	return err
}
