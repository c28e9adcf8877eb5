package rulefile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/misfit-go/misfit/internal/problem"
)

// maxFindings is how many problems of one file are told. A file that is wrong
// throughout would otherwise fill the log it is reported to.
const maxFindings = 100

// findings are the problems of a file. Of those that several steps find at one
// path the first counts: the others often only follow from it.
type findings struct {
	list    []finding
	dropped int             // beyond maxFindings
	step    int             // numbers the calls of add
	seen    map[string]int  // paths, with the step that found them
	rules   map[string]bool // paths of the rules that have one
}

type finding struct {
	*problem.Problem
	line int // 0: to be looked up
}

func (f *findings) addf(path string, line int, format string, args ...any) {
	f.add("", line, &problem.Problem{Path: path, Detail: fmt.Sprintf(format, args...)})
}

// add records every problem in err, with path put before each one's own.
func (f *findings) add(path string, line int, err error) {
	if f.seen == nil {
		f.seen, f.rules = make(map[string]int), make(map[string]bool)
	}
	f.step++
	for _, p := range problem.All(err) {
		at := problem.Join(path, p.Path)
		if step, found := f.seen[at]; found && step != f.step {
			continue
		}
		f.rules[at[:strings.IndexByte(at, ']')+1]] = true
		if len(f.list) == maxFindings {
			f.dropped++
			continue
		}
		f.seen[at] = f.step
		f.list = append(f.list, finding{&problem.Problem{Path: at, Detail: p.Detail}, line})
	}
}

func (f *findings) none() bool { return len(f.list) == 0 }

// inRule reports whether there is a problem in the rule at path.
func (f *findings) inRule(path string) bool { return f.rules[path] }

// err returns the problems, each with what t tells about its place and, where
// that is known, in the order of the file.
func (f *findings) err(t tree) error {
	for i, p := range f.list {
		if p.line == 0 {
			f.list[i].line, p.Detail = t.explain(p.Path, p.Detail)
		}
	}
	slices.SortStableFunc(f.list, func(a, b finding) int { return a.line - b.line })
	var list problem.List
	for _, p := range f.list {
		if p.line > 0 {
			p.Detail += fmt.Sprintf(" (line %d)", p.line)
		}
		list.Addf(p.Path, "%s", p.Detail)
	}
	if f.dropped > 0 {
		list.Addf("", "and %d more", f.dropped)
	}
	return list.Err()
}
