package faulttest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// An Entry is one fault of those that exploration injects.
type Entry struct {
	Name  string // short, for people and for the names of subtests: "503", "black hole"
	Fault fault.Fault

	// Operations are what the fault is for, by the names that calls have here, such
	// as "COMMIT"; a * at the end stands for any text. Empty means all.
	Operations []string

	asked bool // for by the test, and not by default
}

// Delay is a call that goes on after d.
func Delay(d time.Duration) Entry {
	return Entry{Name: "delay " + readable(d), Fault: fault.Fault{Delay: &fault.Delay{Fixed: d}}}
}

// Fail is a call that fails as class says.
func Fail(class fault.Class) Entry {
	return Entry{Name: string(class), Fault: fault.Fault{Error: &fault.ErrorFault{Class: class}}}
}

// Status is an HTTP response with a status.
func Status(status int) Entry {
	return Entry{Name: strconv.Itoa(status), Fault: fault.Fault{Error: &fault.ErrorFault{HTTP: &fault.HTTPStatus{Status: status}}}}
}

// Code is a gRPC status with a code, such as "UNAVAILABLE".
func Code(code string) Entry {
	return Entry{Name: code, Fault: fault.Fault{Error: &fault.ErrorFault{GRPC: &fault.GRPCStatus{Code: fault.GRPCCode(code), Message: "injected"}}}}
}

// Named is a call that fails with an error that is registered under name: see
// [fault.WithNamedError].
func Named(name string) Entry {
	return Entry{Name: name, Fault: fault.Fault{Error: &fault.ErrorFault{Name: name}}}
}

// BlackHole is a call that is never answered.
func BlackHole() Entry {
	return Entry{Name: "black hole", Fault: fault.Fault{BlackHole: true}}
}

// CutBody is a call whose answer is cut off, by a connection that breaks, after so
// many bytes, messages or rows.
func CutBody(after int64) Entry {
	return Entry{Name: "reset in body", Fault: fault.Fault{Stream: &fault.StreamFault{After: after, Cut: true}}}
}

// LostReply is a call that is carried out and whose answer is lost.
func LostReply() Entry {
	return Entry{Name: "lost reply", Fault: fault.Fault{LostReply: true}}
}

// Panic is a call that panics.
func Panic() Entry {
	return Entry{Name: "panic", Fault: fault.Fault{Panic: true}}
}

// As returns e under another name.
func (e Entry) As(name string) Entry {
	e.Name = name
	return e
}

// At returns e for these operations only.
func (e Entry) At(operations ...string) Entry {
	e.Operations = operations
	return e
}

const anyKind = "*"

// defaultCatalogue is what is injected by default, by kind. A service's own entry is
// not faulted: its caller is the test.
func defaultCatalogue() map[string][]Entry {
	delay := Delay(2 * time.Second)
	return map[string][]Entry{
		"http.client":  {delay, Status(503), Fail(fault.Refused), CutBody(1), BlackHole(), LostReply().At("POST*", "PUT*", "PATCH*", "DELETE*")},
		"grpc.client":  {delay, Code("UNAVAILABLE"), Code("DEADLINE_EXCEEDED"), Code("INTERNAL"), BlackHole(), LostReply()},
		"grpc.attempt": {Code("UNAVAILABLE"), BlackHole()},
		"sql": {
			delay,
			Fail(fault.Reset).As("bad conn"),
			Fail(fault.Timeout).As("timeout"),
			Named("pg.serialization_failure").As("serialization failure").At("COMMIT", "UPDATE*", "INSERT*", "DELETE*"),
			LostReply().At("COMMIT"),
			CutBody(1).As("reset in rows").At("SELECT*"),
			// Not at RESET and ROLLBACK, whose time no caller can bound.
			BlackHole().At("CONNECT", "PING", "BEGIN", "COMMIT", "PREPARE*", "SELECT*", "QUERY*", "EXEC*", "INSERT*", "UPDATE*", "DELETE*", "MERGE*", "REPLACE*", "CALL*"),
		},
		anyKind: {delay, Fail(fault.Unavailable).As("error"), BlackHole()},
	}
}

func isServer(kind string) bool { return strings.HasSuffix(kind, ".server") }

// asked returns entries as what the test itself has asked for.
func asked(entries []Entry) []Entry {
	own := slices.Clone(entries)
	for i := range own {
		own[i].asked = true
	}
	return own
}

// isFor reports whether e is for an operation.
func (e *Entry) isFor(operation string) bool {
	return len(e.Operations) == 0 || slices.ContainsFunc(e.Operations, func(pattern string) bool {
		if prefix, open := strings.CutSuffix(pattern, "*"); open {
			return strings.HasPrefix(operation, prefix)
		}
		return operation == pattern
	})
}

// waits reports whether a call may be held by e for a time that a test would notice.
func (e *Entry) waits() bool {
	f := e.Fault
	return f.Delay != nil || f.BlackHole || f.Stream != nil && (f.Stream.Stall || f.Stream.Delay != nil || f.Stream.PerSecond > 0)
}

// carriesOut reports whether the dependency sees the call in spite of e.
func (e *Entry) carriesOut() bool {
	f := e.Fault
	return f.LostReply || f.Stream != nil || f.Duplicate || f.Delay != nil && f.Error == nil && !f.BlackHole && !f.Panic
}

// goesOn reports whether a call succeeds in spite of e, if its caller is patient.
func (e *Entry) goesOn() bool {
	f := e.Fault
	return f.Error == nil && !f.BlackHole && !f.Panic && !f.LostReply && (f.Stream == nil || !f.Stream.Cut && !f.Stream.Stall && f.Stream.Error == nil)
}

// hash stands for e in tokens.
func (e *Entry) hash() string { return digest(e.Name)[:2*faultBytes] }

// faultBytes is how much of a hash tells the entries of one point apart.
const faultBytes = 3
