// Package benchmarks measures the library beside what would be used in its
// place, and beside the call alone. It is a module of its own so that their
// dependencies are not the library's.
package benchmarks
