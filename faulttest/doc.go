// Package faulttest answers, in go test, whether a service survives the failure of
// what it depends on.
package faulttest
