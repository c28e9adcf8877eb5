package grpcint

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// callOptions are the options of a call that a fault was chosen for. What they
// ask to know of the answer is theirs to get also where the library answers.
type callOptions []grpc.CallOption

// waitsForReady reports whether the call waits for a connection rather than
// fail for want of one. What a service config says of it shows here to nobody.
func (opts callOptions) waitsForReady() bool {
	waits := false
	for _, o := range opts {
		if failFast, ok := o.(grpc.FailFastCallOption); ok {
			waits = !failFast.FailFast // the last one counts
		}
	}
	return waits
}

// withoutOnFinish returns the options without those that are called at the end
// of the call, and what calls those.
func (opts callOptions) withoutOnFinish() (rest []grpc.CallOption, finish func(error)) {
	var callbacks []func(error)
	rest = make([]grpc.CallOption, 0, len(opts)+1) // room for one of our own
	for _, o := range opts {
		if end, ok := o.(grpc.OnFinishCallOption); ok {
			callbacks = append(callbacks, end.OnFinish)
		} else {
			rest = append(rest, o)
		}
	}
	return rest, func(err error) {
		for _, callback := range callbacks {
			callback(err)
		}
	}
}

// setTrailer gives a trailer to a caller who asked for it.
func (opts callOptions) setTrailer(md metadata.MD) {
	for _, o := range opts {
		if asked, ok := o.(grpc.TrailerCallOption); ok {
			*asked.TrailerAddr = md
		}
	}
}

// clearHeader takes back a header that the caller was not to see.
func (opts callOptions) clearHeader() {
	for _, o := range opts {
		if asked, ok := o.(grpc.HeaderCallOption); ok {
			*asked.HeaderAddr = nil
		}
	}
}
