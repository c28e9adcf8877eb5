// Package interop tests the library beside the ones it has to get along with.
// It is a module of its own so that their dependencies are not the library's.
package interop
