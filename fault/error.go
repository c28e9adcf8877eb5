package fault

import (
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
)

// ErrInjected is what every injected error is: errors.Is(err,
// fault.ErrInjected) tells one from a real failure.
var ErrInjected = errors.New("fault: injected")

// An Error is the mark on an injected error. Find it with errors.As; it says
// which rule failed the call and where, and unwraps to the error that the
// failure would really have had.
type Error struct {
	Rule      string // the rule's ID
	Service   string // that injected it
	Point     string // "http.client:ratings"
	Operation string // "GET /ratings/7"; may be empty
	Err       error  // the simulated cause
}

func (e *Error) Error() string {
	return e.Err.Error() + " (injected by rule " + strconv.Quote(e.Rule) + " at " + e.Point + ")"
}

// Unwrap returns the simulated cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is [ErrInjected].
func (e *Error) Is(target error) bool { return target == ErrInjected }

// Timeout reports what the simulated cause does, so that [net.Error] checks
// see what they would see of it.
func (e *Error) Timeout() bool {
	cause, ok := e.Err.(interface{ Timeout() bool })
	return ok && cause.Timeout()
}

// Temporary reports what the simulated cause does.
func (e *Error) Temporary() bool {
	cause, ok := e.Err.(interface{ Temporary() bool })
	return ok && cause.Temporary()
}

var (
	errPanic       = errors.New("fault: injected panic")
	errUnavailable = errors.New("service unavailable")
	errOverloaded  = errors.New("too many requests")
	errInternal    = errors.New("internal error")
)

// defaultCauses are the errors of custom points, which have no protocol of
// their own to go by.
var defaultCauses = map[Class]error{
	Refused:        os.NewSyscallError("connect", syscall.ECONNREFUSED),
	ConnectTimeout: os.NewSyscallError("connect", syscall.ETIMEDOUT),
	DNS:            &net.DNSError{Err: "no such host", IsNotFound: true},
	DNSTimeout:     &net.DNSError{Err: "i/o timeout", IsTimeout: true, IsTemporary: true},
	Timeout:        os.ErrDeadlineExceeded,
	Reset:          os.NewSyscallError("read", syscall.ECONNRESET),
	Unavailable:    errUnavailable,
	Overloaded:     errOverloaded,
	Internal:       errInternal,
}
