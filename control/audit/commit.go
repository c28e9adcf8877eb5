package audit

import (
	"fmt"
	"os"
	"slices"
	"time"
)

const (
	// Of what must be kept until it is written, and of all other entries, so many
	// can be on their way, and so many bytes.
	maxWaiting = 10_000
	maxBytes   = 8 << 20

	// maxBatch is about how many bytes are written at once. A crash tears no more
	// than that.
	maxBatch = 1 << 20

	// retryEvery is how often entries in memory are tried again.
	retryEvery = time.Second
)

// A queue is what is on its way into the file. One goroutine takes everything
// that waits, writes it with one write and one sync, and then tells everybody;
// what comes meanwhile waits for the next round. All of it is guarded by the
// log's mutex, except for the channels.
type queue struct {
	waiting []*request // in the order of the file
	flight  []*request // being written
	kept    load       // entries that must not be lost
	others  load
	size    int64  // of the file, as far as it is written
	lost    uint64 // how many there was no room for, of those that must not be
	failed  error  // why the last write did

	batch  int // how many entries are written at once at most; 0: as many as there are
	wake   chan struct{}
	ended  chan struct{}
	endErr error // set before ended is closed
}

// A request is one entry on its way into the file.
type request struct {
	entry   Entry // without its place in the chain
	written Entry // with it
	content []byte
	keep    bool // whatever happens
	told    bool // the caller knows what has come of it
	late    bool // the caller knew before it was written
	done    chan error
}

// size is about that of the line.
func (r *request) size() int { return len(r.content) + 300 }

// A load is how much of one kind is waiting or in flight.
type load struct{ entries, bytes int }

func (q *queue) loadOf(r *request) *load {
	if r.keep {
		return &q.kept
	}
	return &q.others
}

// take makes room for the request, if there is any.
func (q *queue) take(r *request) bool {
	l := q.loadOf(r)
	if l.entries >= maxWaiting || l.bytes+r.size() > maxBytes {
		return false
	}
	l.entries++
	l.bytes += r.size()
	return true
}

func (q *queue) drop(r *request) {
	l := q.loadOf(r)
	l.entries--
	l.bytes -= r.size()
}

func (l *Log) wakeWriter() {
	select {
	case l.wake <- struct{}{}:
	default: // it has not yet come to the last one
	}
}

// enqueue has the request be written next.
func (l *Log) enqueue(r *request) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.entry.Time = time.Now().UTC() // here, so that it is in the order of the file
	if l.closed {
		return ErrClosed
	}
	if !l.take(r) {
		if r.keep {
			l.lost++
		}
		if l.failed != nil {
			return fmt.Errorf("%w: %w", ErrBusy, l.failed)
		}
		return ErrBusy
	}
	l.waiting = append(l.waiting, r)
	l.wakeWriter()
	return nil
}

// await returns what comes of the request within this time. One that need not be
// kept is withdrawn then, unless it is being written.
func (l *Log) await(r *request, patience time.Duration) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-r.done:
		return err
	case <-timer.C:
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	if r.told {
		return <-r.done
	}
	r.told = true
	err := fmt.Errorf("the disk has not answered within %v: %w", patience, os.ErrDeadlineExceeded)
	if r.keep {
		return err
	}
	i := slices.Index(l.waiting, r)
	if i < 0 {
		return fmt.Errorf("it is not known whether the entry will be written: %w", err)
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	l.drop(r)
	return err
}

// run writes until the log is closed.
func (l *Log) run() {
	defer close(l.ended)
	for closed := false; !closed; {
		closed = l.sleep()
		for l.round() {
		}
	}
	l.endErr = l.finish()
}

// sleep returns when there is something to do, and reports whether that is the
// last, because nothing can be appended any more.
func (l *Log) sleep() (closed bool) {
	l.mu.RLock()
	kept := l.kept.entries
	l.mu.RUnlock()
	var again <-chan time.Time
	if kept > 0 {
		again = time.After(retryEvery)
	}
	select {
	case <-l.wake:
	case <-again:
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.closed
}

// round writes some of what waits, and reports whether there is a reason to go
// on at once.
func (l *Log) round() bool {
	l.mu.Lock()
	n, size := 0, 0
	for n < len(l.waiting) && size < maxBatch && (l.batch == 0 || n < l.batch) {
		r := l.waiting[n]
		r.late = r.told
		size += r.size()
		n++
	}
	l.flight = slices.Clone(l.waiting[:n])
	l.waiting = slices.Delete(l.waiting, 0, n)
	seq, hash := l.seq, l.hash
	l.mu.Unlock()
	if n == 0 {
		return false
	}

	var text []byte
	var sizes []int
	now := time.Now().UTC()
	for _, r := range l.flight {
		seq++
		e := r.entry
		e.Seq, e.Prev = seq, hash
		if r.late {
			e.Written = now
		}
		before := len(text)
		text, hash = appendLine(text, e, r.content)
		sizes = append(sizes, len(text)-before)
		e.Hash = hash
		r.written = e
	}
	err := l.file.append(text)
	return l.settle(sizes, err)
}

// settle tells everybody what has come of the entries in flight, and reports
// whether there is more to write. If they failed, so has everything that waits
// behind them.
func (l *Log) settle(sizes []int, err error) bool {
	l.mu.Lock()
	flight := l.flight
	l.flight, l.failed = nil, err
	var late []Entry
	if err == nil {
		l.size = l.file.size
		for i, r := range flight {
			l.newest(r.written)
			l.recent.add(r.written, sizes[i])
			if r.keep && r.told {
				late = append(late, r.written)
			}
			l.drop(r)
			r.tell(nil)
		}
	} else {
		all := append(flight, l.waiting...)
		l.waiting = nil
		for _, r := range all {
			if r.tell(err); r.keep {
				l.waiting = append(l.waiting, r)
			} else {
				l.drop(r)
			}
		}
	}
	more := err == nil && len(l.waiting) > 0
	l.mu.Unlock()
	if l.late != nil {
		for _, e := range late {
			l.late(e)
		}
	}
	return more
}

// tell tells the caller, once, what has come of the request.
func (r *request) tell(err error) {
	if !r.told {
		r.told = true
		r.done <- err
	}
}

// finish closes the file. Nothing can be appended any more.
func (l *Log) finish() error {
	l.mu.Lock()
	left, why := len(l.waiting), l.failed
	l.mu.Unlock()
	if err := l.file.close(); err != nil {
		return l.errorf("%w", err)
	}
	if left > 0 {
		return l.errorf("closed with %d entries in memory that could not be written: %w", left, why)
	}
	return nil
}

// pending returns the entries that are kept until they can be written, oldest
// first. The log is locked.
func (l *Log) pending() []Entry {
	var kept []Entry
	for _, list := range [][]*request{l.flight, l.waiting} {
		for _, r := range list {
			if r.keep && r.told {
				e := r.entry
				e.Pending = true
				kept = append(kept, e)
			}
		}
	}
	return kept
}
