// Package gofailed has a call with a failpoint of go.etcd.io/gofail before it.
package gofailed

import "errors"

// Call makes the call, unless the failpoint "call" returns a text: it then fails
// with that. (An if, since what a return leaves unreachable is not vetted.)
func Call(do func() error) error {
	// gofail: var call string
	// if call != "" {
	// 	return errors.New(call)
	// }
	return do()
}

var _ = errors.New // of the failpoint
