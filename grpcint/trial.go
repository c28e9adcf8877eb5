package grpcint

import (
	"context"

	"github.com/misfit-go/misfit/fault"
)

// tried makes a call that is followed to its end. It has failed if it panicked, if
// its status says that the server is at fault, or, but for a stream, if its context
// has ended: whoever made it did not wait for the answer. How long a stream lasts,
// and when it is called off, is up to the caller.
func tried[T any](ctx context.Context, trial *fault.Trial, method string, stream bool, call func() (T, error)) (T, error) {
	o := fault.Outcome{Endpoint: fault.Operation{Name: method}, Failed: true, Lasting: stream}
	defer func() { trial.End(o) }() // o as it is then
	result, err := call()
	o.Failed = isServersFault(err) || !stream && ctx.Err() != nil
	return result, err
}
