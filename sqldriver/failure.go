package sqldriver

import (
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"net"
	"os"
	"slices"
	"syscall"

	"github.com/misfit-go/misfit/fault"
)

// A failure is what a call comes to when a class of failure happens.
type failure struct {
	cause error

	// lost says that the connection broke and the call never reached the
	// database: database/sql may make it again on another connection, which
	// [driver.ErrBadConn] says.
	lost bool

	// unknown says that the connection broke and nobody knows what became of the
	// call.
	unknown bool
}

// failures maps every class that a database has.
var failures = map[fault.Class]failure{
	fault.Refused:        {cause: dialError(os.NewSyscallError("connect", syscall.ECONNREFUSED))},
	fault.ConnectTimeout: {cause: dialError(os.NewSyscallError("connect", syscall.ETIMEDOUT))},
	fault.DNS:            {cause: dialError(&net.DNSError{Err: "no such host", IsNotFound: true})},
	fault.DNSTimeout:     {cause: dialError(&net.DNSError{Err: "i/o timeout", IsTimeout: true, IsTemporary: true})},
	fault.TLS:            {cause: x509.UnknownAuthorityError{}},
	fault.Reset:          {cause: driver.ErrBadConn, lost: true},
	fault.Timeout:        {cause: readError(os.ErrDeadlineExceeded), unknown: true},
	fault.Unavailable:    {cause: errors.New("database unavailable")},
	fault.Overloaded:     {cause: errors.New("too many connections")},
	fault.Internal:       {cause: errors.New("internal error")},
}

var errReset = readError(os.NewSyscallError("read", syscall.ECONNRESET))

func dialError(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
func readError(err error) error { return &net.OpError{Op: "read", Net: "tcp", Err: err} }

// fail is the error of a call that is not made.
func fail(d fault.Decision, s *session, e *fault.ErrorFault) error {
	if e.Name != "" {
		return d.Named()
	}
	f := failures[e.Class]
	if f.lost || f.unknown {
		s.lose()
	}
	return d.Mark(f.cause)
}

// failUnknown is the error of a call that was made and whose answer is lost,
// with the connection. It never says that the call may be made again.
func failUnknown(d fault.Decision, e *fault.ErrorFault) error {
	switch {
	case e == nil:
		return d.Mark(errReset)
	case e.Name != "":
		return d.Named()
	}
	return d.Mark(unknownCause(e.Class))
}

// unknownCause is the cause of a class where the call has been made.
func unknownCause(class fault.Class) error {
	if f := failures[class]; !f.lost {
		return f.cause
	}
	return errReset
}

// kind lists what a database can produce.
var kind = fault.Kind{
	Name: "sql",
	Effects: append(slices.Concat(
		[]fault.Effect{fault.EffectDelay, fault.EffectPadTo, fault.EffectErrorName, fault.EffectBlackHole, fault.EffectLostReply},
		fault.StreamEffects(fault.Response, fault.EffectCut, fault.EffectStreamError, fault.EffectStall, fault.EffectThrottle, fault.EffectStreamDelay),
	), classEffects()...),
}

func classEffects() []fault.Effect {
	var effects []fault.Effect
	for class := range failures {
		effects = append(effects, fault.EffectOf(class))
	}
	return effects
}
