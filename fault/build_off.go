//go:build misfit_off

package fault

const off = true // see build_on.go

const disabledBy = "built with the tag misfit_off, which leaves out what injects faults"
