package faulttest

import (
	"flag"
	"fmt"
	"strconv"
	"time"
)

// The flags of a test binary that imports this package. They are registered when the
// package is loaded, and thus package variables, because go test parses the command
// line before any test could; nothing else changes them.
var (
	replayFlag   = flag.String("faulttest.replay", "", "run one case again: the `token` that a failure printed")
	seedFlag     = flag.Uint64("faulttest.seed", 1, "which of what was skipped -faulttest.noreduce=N takes")
	timeoutFlag  = flag.Duration("faulttest.timeout", 0, "for how long each exploration begins new runs")
	updateFlag   = flag.Bool("faulttest.update", false, "explore, and write the files of faulttest.Saved and faulttest.Listed")
	noreduceFlag = registerNoReduce()
)

func registerNoReduce() *sample {
	s := new(sample)
	flag.Var(s, "faulttest.noreduce", "run what exploration skipped, too, and fail where that was wrong; with =`N` a sample of that size")
	return s
}

// A sample is how much of what was skipped is run: a flag that is all without a value.
type sample struct {
	on   bool
	most int // 0: all
}

// IsBoolFlag has the flag stand without a value.
func (s *sample) IsBoolFlag() bool { return true }

// String implements [flag.Value].
func (s *sample) String() string {
	switch {
	case s == nil || !s.on:
		return "false"
	case s.most == 0:
		return "true"
	}
	return strconv.Itoa(s.most)
}

// Set implements [flag.Value].
func (s *sample) Set(text string) error {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		*s = sample{on: true, most: n}
		return nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return fmt.Errorf("%q is no number of cases: give one above 0, or nothing for all", text)
	}
	*s = sample{on: on}
	return nil
}

// limit returns for how long an exploration begins new runs, which rest is left for.
func (s *settings) limit(rest time.Duration) time.Duration {
	switch {
	case *timeoutFlag > 0:
		return *timeoutFlag
	case s.timeout > 0:
		return s.timeout
	}
	begin := rest / 10 * 9
	if !s.bubble { // the last run may hang, too
		begin = max(begin-s.caseLimit, rest/2)
	}
	return begin
}
