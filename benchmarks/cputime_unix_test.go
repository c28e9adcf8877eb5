//go:build unix

package benchmarks_test

import (
	"syscall"
	"time"
)

// cpuTime returns how long the process has had a processor, all its threads together.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
