package rulefile

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/misfit-go/misfit/fault"
	"github.com/misfit-go/misfit/internal/filewatch"
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

// A Watcher keeps the rules of an injector as a file says. Make it with
// [Watch]. A nil Watcher watches nothing. Its methods are safe for concurrent
// use.
type Watcher struct {
	path     string
	interval time.Duration
	inj      *fault.Injector
	done     chan struct{}

	taken taken // what is in force; belongs to the goroutine that watches

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
		interval: filewatch.DefaultInterval,
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
	file, err := filewatch.Open(path, maxBytes, w.take)
	if err != nil {
		return nil, fmt.Errorf("rulefile: %w", err)
	}
	go w.follow(ctx, file)
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

func (w *Watcher) follow(ctx context.Context, file *filewatch.File) {
	defer close(w.done)
	defer w.taken.end(w.inj.Source(Source))
	defer w.inj.Source(Source).Fail(nil)
	file.Follow(ctx, w.interval, w.refuse)
}

// take puts the rules of a file, or returns why not.
func (w *Watcher) take(data []byte) error {
	doc, err := parse(data)
	if err != nil {
		return err
	}
	ignored, err := w.taken.change(w.inj.Source(Source), doc, time.Now())
	if err != nil {
		return err
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
	err = fmt.Errorf("rulefile: %w", err)
	w.mu.Lock()
	w.status.Err, w.status.Failed = err, time.Now()
	w.mu.Unlock()
	w.inj.Source(Source).Fail(err)
}
