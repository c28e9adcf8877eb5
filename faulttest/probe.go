package faulttest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
)

// A probe is a test that fails nobody but itself.
type probe struct {
	testing.TB // for what has no part in that, such as TempDir
	name       string
	ctx        context.Context // as in [testing.T.Context], which has it in a field too
	cancel     context.CancelFunc

	mu       sync.Mutex
	log      strings.Builder
	errors   strings.Builder // of log: what failed it
	failed   bool
	skipped  bool
	cleanups []func()
}

// probing calls f with a probe, as a test is called, and reports whether it passed.
func probing(t *testing.T, name string, f func(p *probe)) (ok bool) {
	p := newProbe(t, name)
	p.run(func() { f(p) })
	return !p.Failed()
}

func newProbe(t *testing.T, name string) *probe {
	return &probe{TB: t, name: t.Name() + "/" + subtestName(name)}
}

// run calls f as a test is called.
func (p *probe) run(f func()) {
	p.ctx, p.cancel = context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // FailNow ends the goroutine
		defer close(done)
		defer p.cleanUp()
		f()
	}()
	<-done
}

// cleanUp calls the functions given to Cleanup, those included that they give.
func (p *probe) cleanUp() {
	p.cancel()
	defer func() {
		if v := recover(); v != nil {
			p.Errorf("panic in Cleanup: %v\n%s", v, debug.Stack())
		}
		if p.pending() { // one of them ended the goroutine, or panicked
			p.cleanUp()
		}
	}()
	for p.pending() {
		p.mu.Lock()
		last := len(p.cleanups) - 1
		f := p.cleanups[last]
		p.cleanups = p.cleanups[:last]
		p.mu.Unlock()
		f()
	}
}

// blame fails the test for what text says.
func (p *probe) blame(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = true
	p.log.WriteString(text)
	p.errors.WriteString(text)
}

func (p *probe) pending() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.cleanups) > 0
}

func (p *probe) firstLog() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return cmp.Or(significant(p.errors.String()), significant(p.log.String()))
}

// Write implements [io.Writer], for Output.
func (p *probe) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(text)
}

func (p *probe) set(flag *bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*flag = true
}

func (p *probe) get(flag *bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return *flag
}

// The methods of testing.TB that a probe has for itself.

func (p *probe) Helper()                  {}
func (p *probe) Name() string             { return p.name }
func (p *probe) Context() context.Context { return p.ctx }
func (p *probe) Output() io.Writer        { return p }
func (p *probe) Log(args ...any)          { fmt.Fprintln(p, args...) }
func (p *probe) Logf(s string, a ...any)  { fmt.Fprintf(p, s+"\n", a...) }
func (p *probe) Fail()                    { p.set(&p.failed) }
func (p *probe) Failed() bool             { return p.get(&p.failed) }
func (p *probe) FailNow()                 { p.Fail(); runtime.Goexit() }
func (p *probe) Error(args ...any)        { p.blame(fmt.Sprintln(args...)) }
func (p *probe) Errorf(s string, a ...any) {
	p.blame(fmt.Sprintf(s+"\n", a...))
}
func (p *probe) Fatal(args ...any)         { p.Error(args...); p.FailNow() }
func (p *probe) Fatalf(s string, a ...any) { p.Errorf(s, a...); p.FailNow() }
func (p *probe) Skipped() bool             { return p.get(&p.skipped) }
func (p *probe) SkipNow()                  { p.set(&p.skipped); runtime.Goexit() }
func (p *probe) Skip(args ...any)          { p.Log(args...); p.SkipNow() }
func (p *probe) Skipf(s string, a ...any)  { p.Logf(s, a...); p.SkipNow() }

func (p *probe) Cleanup(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cleanups = append(p.cleanups, f)
}

func (p *probe) Setenv(key, value string) {
	before, was := os.LookupEnv(key)
	if err := os.Setenv(key, value); err != nil {
		p.Fatalf("cannot set %s: %v", key, err)
	}
	p.Cleanup(func() {
		if was {
			_ = os.Setenv(key, before)
		} else {
			_ = os.Unsetenv(key)
		}
	})
}
