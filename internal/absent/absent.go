//go:build !misfit_off

// Package absent says whether the machinery that injects faults is left out of the
// binary, as it is with the build tag misfit_off. Its tests look into binaries to
// see that it is.
package absent

// Machinery is true in a binary that is built with the tag misfit_off. It is a
// constant, and asked for at the doors of the machinery: the compiler leaves out
// what stands behind it, and the linker what is called from nowhere else.
const Machinery = false
