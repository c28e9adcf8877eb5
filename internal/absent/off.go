//go:build misfit_off

package absent

const Machinery = true // see absent.go
