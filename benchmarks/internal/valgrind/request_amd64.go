package valgrind

const supported = true

// request makes a request: its number and its arguments. Neither may move
// meanwhile, and neither does: they do not outlive the call.
//
//go:noescape
func request(args *[6]uint64)
