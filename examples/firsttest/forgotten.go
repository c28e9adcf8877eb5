//go:build forgotten

package firsttest

const ratingsTimeout = 0 // none
