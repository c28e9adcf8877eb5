//go:build !amd64

package valgrind

const supported = false

func request(*[6]uint64) {}
