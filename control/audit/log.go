package audit

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// What [errors.Is] finds in the errors of this package. What kept an entry from
// being written, such as syscall.ENOSPC, is found beside it.
var (
	// ErrClosed means that the log was closed before.
	ErrClosed = errors.New("the log is closed")
	// ErrLocked means that another process, or this one, has the file open.
	ErrLocked = errors.New("the file is open as a log already, and a log has one writer")
	// ErrDamaged means that a file is not, or no longer, what a log has written.
	ErrDamaged = errors.New("the file is not as a log has written it")
	// ErrChanged means that somebody removed, replaced or changed the file while
	// the log had it open. Nothing is written to it until it is as it was.
	ErrChanged = errors.New("the file was changed by somebody else")
	// ErrBusy means that too many entries are waiting to be written.
	ErrBusy = errors.New("too many entries are waiting to be written")
	// ErrPending means that the entry is in memory, and will be written as soon
	// as that is possible.
	ErrPending = errors.New("not written yet; it is kept in memory until then")
)

// An Option configures [New] and [Open].
type Option interface{ apply(*Log) }

type option func(*Log)

func (o option) apply(l *Log) { o(l) }

// KeepInMemory sets how many of the newest entries are at hand without reading
// the file; they are together at most 32 MiB. A log without a file has no
// others. The default is 10,000; zero or less keeps it.
func KeepInMemory(n int) Option {
	return option(func(l *Log) {
		if n > 0 {
			l.recent.most = n
		}
	})
}

// Follows begins a new file where another ended, whose last entry has this
// hash, as [Report.LastHash] and [Status.Hash] tell it: that takes the place of
// the hash before in the first entry. By default, and with an empty hash, a
// file follows none.
func Follows(hash string) Option {
	return option(func(l *Log) { l.follows = hash })
}

// BestEffortWithin sets how long [Log.AppendBestEffort] waits for the disk. The
// default is 100ms; zero or less keeps it.
func BestEffortWithin(d time.Duration) Option {
	return option(func(l *Log) {
		if d > 0 {
			l.patience.bestEffort = d
		}
	})
}

// Late has f called with each entry that was kept in memory and is now written,
// in the order of the file. Nothing is written while it runs, and it must not
// close the log. By default nobody is told.
func Late(f func(Entry)) Option {
	return option(func(l *Log) { l.late = f })
}

const (
	defaultKeep       = 10_000
	defaultBestEffort = 100 * time.Millisecond

	// appendWithin is how long Append waits for a disk that does not answer.
	// Disks under load take seconds at times.
	appendWithin = 10 * time.Second
	// closeWithin is the same for Close: the service has to come to its end.
	closeWithin = 5 * time.Second
)

// A Log is a record of what was done, in memory or in a file. Make it with [New]
// or [Open]. Its methods are safe for concurrent use.
type Log struct {
	follows  string
	late     func(Entry)
	patience struct{ append, bestEffort, close time.Duration }

	mu     sync.RWMutex
	first  string // the hash of the first entry; empty if there is none
	seq    uint64 // of the newest entry
	hash   string // of that
	recent window
	closed bool

	file *file // nil without one
	queue
}

// A Status says how far a log has come.
type Status struct {
	Path    string // of the file; empty without one
	First   string // the hash of the first entry, which tells this record from every other; empty if there is none
	Entries uint64 // how many there are, and the Seq of the newest
	Hash    string // of the newest; kept elsewhere it shows later that nothing was cut off
	Pending int    // how many are in memory only
	Lost    uint64 // how many could not even be kept there
	Err     error  // why writing last failed; nil if it did not
}

func newLog(options []Option) *Log {
	l := &Log{recent: window{most: defaultKeep}}
	l.patience.append, l.patience.bestEffort, l.patience.close = appendWithin, defaultBestEffort, closeWithin
	for _, o := range options {
		o.apply(l)
	}
	l.hash = cmp.Or(l.follows, genesis)
	return l
}

// New returns a log in memory, which has the newest entries and ends with the
// process.
func New(options ...Option) *Log { return newLog(options) }

// Append puts an entry on record and returns it as it is there. With a file it
// returns once the entry is on the disk, and cannot be lost any more. If it
// returns an error, the entry is not on record; only if the process or the
// machine stops just then, or the disk answers later than ten seconds, it may be
// all the same.
func (l *Log) Append(e Entry) (Entry, error) {
	e, text, err := encode(e)
	if err != nil {
		return Entry{}, err
	}
	if l.file == nil {
		return l.remember(e, text)
	}
	r := &request{entry: e, content: text, done: make(chan error, 1)}
	if err := l.enqueue(r); err != nil {
		return r.entry, l.errorf("%w", err)
	}
	if err := l.await(r, l.patience.append); err != nil {
		return r.entry, l.errorf("%w", err)
	}
	return r.written, nil
}

// AppendBestEffort is Append for what must not wait, or fail, for want of a
// disk. If the entry is not written within a short time, it stays in memory
// until it is, ahead of all later ones, and the error is [ErrPending] and says
// why. Up to 10,000 are kept, and 8 MiB; beyond that the error is [ErrBusy].
func (l *Log) AppendBestEffort(e Entry) (Entry, error) {
	e, text, err := encode(e)
	if err != nil {
		return Entry{}, err
	}
	if l.file == nil {
		return l.remember(e, text)
	}
	r := &request{entry: e, content: text, keep: true, done: make(chan error, 1)}
	if err := l.enqueue(r); err != nil {
		return r.entry, l.errorf("%w", err)
	}
	if err := l.await(r, l.patience.bestEffort); err != nil {
		e := r.entry
		e.Pending = true
		return e, l.errorf("%w: %w", ErrPending, err)
	}
	return r.written, nil
}

// remember is all of appending where there is no file.
func (l *Log) remember(e Entry, text []byte) (Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Time = time.Now().UTC()
	if l.closed {
		return e, l.errorf("%w", ErrClosed)
	}
	e.Seq, e.Prev = l.seq+1, l.hash
	line, hash := appendLine(nil, e, text)
	e.Hash = hash
	l.newest(e)
	l.recent.add(e, len(line))
	return e, nil
}

// newest notes that e has come to be on record.
func (l *Log) newest(e Entry) {
	l.first = cmp.Or(l.first, e.Hash)
	l.seq, l.hash = e.Seq, e.Hash
}

// Status returns how far the log has come.
func (l *Log) Status() Status {
	l.mu.RLock()
	defer l.mu.RUnlock()
	s := Status{First: l.first, Entries: l.seq, Hash: l.hash, Pending: len(l.pending()), Lost: l.lost, Err: l.failed}
	if l.file != nil {
		s.Path = l.file.path
	}
	return s
}

// Close ends the log. What is still to be written is tried once more; the error
// says how much was not. What is in memory can still be read.
func (l *Log) Close() error {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	if first {
		l.wakeWriter()
	}
	timer := time.NewTimer(l.patience.close)
	defer timer.Stop()
	select {
	case <-l.ended:
		return l.endErr
	case <-timer.C:
		return l.errorf("not closed within %v, because the disk does not answer: %w", l.patience.close, os.ErrDeadlineExceeded)
	}
}

func (l *Log) errorf(format string, args ...any) error {
	if l.file == nil {
		return fmt.Errorf("audit: "+format, args...)
	}
	return fmt.Errorf("audit: %s: "+format, append([]any{l.file.path}, args...)...)
}
