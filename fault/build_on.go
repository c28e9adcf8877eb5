//go:build !misfit_off

package fault

// off says that the library is built with the tag misfit_off: that nothing is ever
// injected, and that the machinery for it is not in the binary. It is a constant,
// so that what stands behind it is left out by the compiler, and by the linker
// what is called from nowhere else.
const off = false

const disabledBy = "disabled by the " + disabledVariable + " environment variable"
