package rulefile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/misfit-go/misfit/fault"
)

// Source is where rules from a file come from, as [fault.RuleStatus] shows it.
const Source = "file"

// An Option configures [Watch].
type Option interface{ apply(*Watcher) }

type option func(*Watcher)

func (o option) apply(w *Watcher) { o(w) }

// Interval sets how often the file is looked at. A change is taken once it is
// found the same twice in a row, so after one to two intervals. The default is
// one second; zero or less keeps it.
func Interval(d time.Duration) Option {
	return option(func(w *Watcher) {
		if d > 0 {
			w.interval = d
		}
	})
}

const defaultInterval = time.Second

// A Watcher keeps the rules of an injector as a file says. Make it with
// [Watch]. A nil Watcher watches nothing. Its methods are safe for concurrent
// use.
type Watcher struct {
	path     string
	interval time.Duration
	inj      *fault.Injector
	done     chan struct{}

	// These belong to the goroutine that watches.
	taken   taken    // what is in force
	judged  sighting // what was last taken or refused
	pending sighting // what was seen since, until it is seen again
	restive int      // how many looks in a row found something new

	mu     sync.Mutex
	status Status
}

// A Status is what has come of a file.
type Status struct {
	Path   string
	Rules  int       // rules in the file when it was last taken, those that are over included
	Loaded time.Time // when it was last taken

	// Err is why the file as it is now was refused, while the rules that were
	// taken before go on; nil if they are the file's.
	Err error
	// Failed is when that was.
	Failed time.Time
}

// Watch puts the rules of the file at path and follows its changes until ctx
// ends, which ends the rules too: none stays that the file could no longer
// take back. If the file cannot be taken now, Watch returns the reason and
// changes nothing. An injector that is disabled takes no rules; its file is
// not read.
func Watch(ctx context.Context, inj *fault.Injector, path string, options ...Option) (*Watcher, error) {
	w := &Watcher{
		path:     path,
		interval: defaultInterval,
		inj:      inj,
		done:     make(chan struct{}),
		status:   Status{Path: path},
	}
	for _, o := range options {
		o.apply(w)
	}
	if inj.Disabled() {
		w.status.Err, w.status.Failed = fault.ErrDisabled, time.Now()
		context.AfterFunc(ctx, func() { close(w.done) })
		return w, nil
	}
	w.judged = look(path)
	if err := w.judge(); err != nil {
		return nil, err
	}
	w.pending = w.judged
	go w.follow(ctx)
	return w, nil
}

// Status returns what has come of the file.
func (w *Watcher) Status() Status {
	if w == nil {
		return Status{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

// Done is closed when, after the end of its context, the watch is over and
// its rules have ended. It is nil for a nil Watcher.
func (w *Watcher) Done() <-chan struct{} {
	if w == nil {
		return nil
	}
	return w.done
}

func (w *Watcher) follow(ctx context.Context) {
	defer close(w.done)
	defer w.taken.end(w.inj.Source(Source))
	defer w.inj.Source(Source).Fail(nil)
	ticker := time.NewTicker(w.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.compare(look(w.path))
		}
	}
}

// maxRestive is after how many looks, each of which found the file changed,
// that is reported.
const maxRestive = 10

// compare takes what was just seen if it is new and was the same at the last
// look. A file may be seen half-written, and half of a rule can be a good rule
// with a wider reach; it is also not there for a moment when an editor
// replaces it.
func (w *Watcher) compare(seen sighting) {
	settled := seen.same(w.pending)
	w.pending = seen
	switch {
	case !settled:
		if w.restive++; w.restive == maxRestive {
			w.refuse(fmt.Errorf("rulefile: %s: is different each time it is looked at: nothing is taken until it is twice the same", w.path))
		}
		return
	case seen.same(w.judged) && w.restive < maxRestive:
		w.restive = 0
		return
	}
	w.restive = 0
	w.judged = seen
	if err := w.judge(); err != nil {
		w.refuse(err)
	}
}

// judge takes the file that was seen, or returns why not.
func (w *Watcher) judge() error {
	if err := w.judged.err; err != nil {
		return fmt.Errorf("rulefile: %w", err) // names the path
	}
	doc, err := parse(w.judged.data)
	if err != nil {
		return fmt.Errorf("rulefile: %s: %w", w.path, err)
	}
	ignored, err := w.taken.change(w.inj.Source(Source), doc, time.Now())
	if err != nil {
		return fmt.Errorf("rulefile: %s: %w", w.path, err)
	}
	w.mu.Lock()
	w.status = Status{Path: w.path, Rules: len(doc.rules), Loaded: time.Now()}
	w.mu.Unlock()
	w.inj.Source(Source).Fail(nil)
	if ignored != nil {
		w.inj.Report(fmt.Errorf("rulefile: %s: %w", w.path, ignored))
	}
	return nil
}

func (w *Watcher) refuse(err error) {
	w.mu.Lock()
	w.status.Err, w.status.Failed = err, time.Now()
	w.mu.Unlock()
	w.inj.Source(Source).Fail(err)
}

// A sighting is what a look at a file found.
type sighting struct {
	data []byte
	err  error
}

func (s sighting) same(other sighting) bool {
	if s.err != nil || other.err != nil {
		return s.err != nil && other.err != nil && s.err.Error() == other.err.Error()
	}
	return bytes.Equal(s.data, other.data)
}

// look reads the whole file, each time: times and sizes miss a change that
// keeps both, and tell nothing reliable on some network file systems.
func look(path string) sighting {
	info, err := os.Stat(path)
	if err != nil {
		return sighting{err: err}
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return sighting{err: &os.PathError{Op: "read", Path: path, Err: errors.New("is not a file")}}
	}
	f, err := os.Open(path)
	if err != nil {
		return sighting{err: err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return sighting{err: err}
	}
	return sighting{data: data}
}
