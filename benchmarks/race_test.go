//go:build race

package benchmarks_test

const underRace = true
