// Package tools pins the programs this repository is checked with: each one
// is a tool directive in this module's go.mod. They live in a module of their
// own so that no user of the library ever sees them in a module graph.
package tools
