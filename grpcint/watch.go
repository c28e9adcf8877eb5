package grpcint

import (
	"sync"

	"github.com/misfit-go/misfit/fault"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// watched makes a call that somebody watches, and tells how it ends. One that
// panics has failed.
func watched[T any](d fault.Decision, call func() (T, error)) (T, error) {
	failed := true
	defer func() { d.End(failed) }()
	result, err := call()
	failed = isServersFault(err)
	return result, err
}

// onceEnded returns what tells the end of a stream that somebody watches, the
// first time that it is called.
func onceEnded(d fault.Decision) func(error) {
	var once sync.Once
	return func(err error) { once.Do(func() { d.End(isServersFault(err)) }) }
}

// isServersFault reports whether the error of a call says that the server, or the
// way to it, is at fault.
func isServersFault(err error) bool {
	s, ok := status.FromError(err)
	if !ok { // as grpc converts what a handler returns
		s = status.FromContextError(err)
	}
	switch s.Code() {
	case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
		return true
	}
	return false
}
