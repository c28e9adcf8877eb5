package faulttest

import (
	"testing"

	"github.com/misfit-go/misfit/fault"
)

// ProbeCritical is [Critical] of a test that fails nobody else: its log is returned.
func ProbeCritical(t *testing.T, f func(testing.TB, *fault.Injector), options ...Option) (report *Criticality, log string, failed bool) {
	var p *probe
	ok := probing(t, "critical", func(to *probe) {
		p = to
		report = critical(t, to, f, options)
	})
	return report, p.log.String(), !ok
}

// Updating is the flag -faulttest.update while f runs.
func Updating(f func()) {
	*updateFlag = true
	defer func() { *updateFlag = false }()
	f()
}
