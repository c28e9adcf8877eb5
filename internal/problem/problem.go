// Package problem collects what is wrong with a piece of input, each finding
// with the path of the field it is about.
package problem

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Problem is one finding. Path is empty when it is about the whole input.
type Problem struct {
	Path   string // for instance "fault.delay.fixed" or "scope.customers[3]"
	Detail string // what is wrong and what would be right
}

func (p *Problem) Error() string {
	if p.Path == "" {
		return p.Detail
	}
	return p.Path + ": " + p.Detail
}

// A List gathers problems below one path. Its zero value is ready to use.
type List struct {
	errs []error
}

// Addf records a problem at path.
func (l *List) Addf(path, format string, args ...any) {
	l.errs = append(l.errs, &Problem{Path: path, Detail: fmt.Sprintf(format, args...)})
}

// AddAt records every problem in err, with path put before each one's own.
func (l *List) AddAt(path string, err error) {
	for _, p := range All(err) {
		l.errs = append(l.errs, &Problem{Path: Join(path, p.Path), Detail: p.Detail})
	}
}

// Err returns the problems joined, or nil when there are none.
func (l *List) Err() error {
	return errors.Join(l.errs...)
}

// All lists the problems err is made of. An error of another type counts as
// one problem without a path.
func All(err error) []*Problem {
	switch e := err.(type) { // joined errors are walked by hand: errors.As finds only the first
	case nil:
		return nil
	case *Problem:
		return []*Problem{e}
	case interface{ Unwrap() []error }:
		var all []*Problem
		for _, part := range e.Unwrap() {
			all = append(all, All(part)...)
		}
		return all
	case interface{ Unwrap() error }:
		if Found(err) {
			return All(e.Unwrap())
		}
	}
	return []*Problem{{Detail: err.Error()}}
}

// Found reports whether err is made of problems.
func Found(err error) bool {
	var p *Problem
	return errors.As(err, &p)
}

// Join puts two paths together; an index such as "[3]" follows without a dot.
func Join(parent, child string) string {
	if parent == "" || child == "" || strings.HasPrefix(child, "[") {
		return parent + child
	}
	return parent + "." + child
}

// Index is the path of entry i of the list at path.
func Index(path string, i int) string {
	return path + "[" + strconv.Itoa(i) + "]"
}
