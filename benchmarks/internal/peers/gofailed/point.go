// Package gofailed has a call with a failpoint of go.etcd.io/gofail before it.
package gofailed

import "errors"

// Call makes the call, unless the failpoint "call" returns a text: it then fails
// with that. (An if, since what a return leaves unreachable is not vetted.)
func Call(do func() error) error {
	if vcall, __fpErr := __fp_call.Acquire(); __fpErr == nil {
		call, __fpTypeOK := vcall.(string)
		if !__fpTypeOK {
			goto __badTypecall
		}
		if call != "" {
			return errors.New(call)
		}
		goto __nomockcall
	__badTypecall:
		__fp_call.BadType(vcall, "string")
	__nomockcall:
	}
	return do()
}

var _ = errors.New // of the failpoint
