// Package valgrind asks Valgrind's tool Callgrind, if the process runs under it, for
// what it has counted. Outside of it the requests are instructions without effect.
package valgrind

import "unsafe"

// The requests, as callgrind.h numbers them: they belong to the tool "CT".
const (
	tool        = 'C'<<24 | 'T'<<16
	zeroStats   = tool + 1
	dumpStatsAt = tool + 3
)

// Supported says whether there are requests on this processor.
const Supported = supported

// Zero has Callgrind count from nothing again.
func Zero() { request(&[6]uint64{zeroStats}) }

// Dump has Callgrind write what it has counted to a file of its own, with a name.
func Dump(name string) {
	text := append([]byte(name), 0)
	request(&[6]uint64{dumpStatsAt, uint64(uintptr(unsafe.Pointer(&text[0])))})
}
