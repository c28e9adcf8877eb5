package faulttest

import (
	"testing"
	"time"
)

// Brute has exploration skip nothing.
func Brute() Option { return option(func(s *settings) { s.brute = true }) }

// Led has exploration look only at combinations that some run leads to, as it does
// where there are very many.
func Led() Option { return option(func(s *settings) { s.enumerated = 0 }) }

// Doubting is the flag -faulttest.noreduce.
func Doubting() Option { return option(func(s *settings) { s.doubt = sample{on: true} }) }

// ReadToken returns what a token prints back, and CheckSaved what is wrong with a file.
func ReadToken(text string) (string, error) { t, err := parseToken(text); return t.String(), err }
func CheckSaved(data []byte) error          { _, err := parseSaved(data); return err }

// Limit is for how long runs are begun where rest is left to the test binary.
func Limit(rest time.Duration, options ...Option) time.Duration {
	s := newSettings(options)
	return s.limit(rest)
}

// Probe calls f with a test that fails nobody else, and returns its log.
func Probe(t *testing.T, f func(t testing.TB)) (log string, failed bool) {
	p := newProbe(t, "probe")
	p.run(func() { f(p) })
	return p.log.String(), p.Failed()
}
