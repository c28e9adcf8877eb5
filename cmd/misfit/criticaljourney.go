package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A journey is a program whose exit status says whether a system works for its users.
type journey struct {
	path  string
	args  []string
	limit time.Duration
}

// newJourney says at once if there is no such program.
func newJourney(path string, args []string, limit time.Duration) (*journey, error) {
	found, err := exec.LookPath(path)
	switch {
	case errors.Is(err, exec.ErrDot), err != nil && !strings.ContainsRune(path, filepath.Separator) && isFile(path):
		return nil, fileErrorf("-journey: %s is looked for in $PATH alone; for the one here write %s", path, "."+string(filepath.Separator)+path)
	case errors.Is(err, fs.ErrPermission):
		return nil, fileErrorf("-journey: %s cannot be executed: chmod +x %[1]s", path)
	case err != nil:
		return nil, fileErrorf("-journey: there is no program %s", path)
	}
	return &journey{found, args, limit}, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// A journeyRun is one time that it was gone through.
type journeyRun struct {
	passed   bool
	why      string // it did not
	output   string // the end of it
	statuses []string
	took     time.Duration
}

// patience is how long a journey has to end after it was asked to, and what it
// started has to let go of its output.
const patience = 2 * time.Second

// run goes through it once, with more in its environment. It is an error if that
// could not be begun, or ctx has ended.
func (j *journey) run(ctx context.Context, env []string) (*journeyRun, error) {
	answers, err := os.CreateTemp("", "misfit-status-")
	if err != nil {
		return nil, fileErrorf("a file for the answers: %w", err)
	}
	answers.Close()
	defer os.Remove(answers.Name())

	limited, cancel := context.WithTimeout(ctx, j.limit)
	defer cancel()
	var out journeyOutput
	cmd := exec.CommandContext(limited, j.path, j.args...)
	cmd.Env = append(journeyEnv(os.Environ()), append(env, "MISFIT_STATUS_FILE="+answers.Name())...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = patience
	ownGroup(cmd)

	start := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fileErrorf("-journey: %w", err)
	}
	err = cmd.Wait()
	killGroup(cmd) // and with it what it has started and left behind
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it passed before that
	}
	if ctx.Err() != nil {
		return nil, fileErrorf("stopped; the journey was ended")
	}
	r := &journeyRun{passed: err == nil, took: time.Since(start)}
	out.end()
	r.output, r.statuses = out.text(), out.statuses
	switch {
	case err != nil && limited.Err() != nil:
		r.why = fmt.Sprintf("took longer than %s, and was killed", inShort(j.limit))
	case err != nil:
		r.why = err.Error()
		if line := out.last(); line != "" {
			r.why += ": " + line
		}
	}
	more, err := readStatuses(answers.Name())
	if err != nil {
		return nil, fileErrorf("$MISFIT_STATUS_FILE: %w", err)
	}
	r.statuses = append(r.statuses, more...)
	return r, nil
}

// journeyEnv is our environment without what is meant for us alone: the bearer token
// of control endpoints, which a journey might send to anyone in place of its own.
func journeyEnv(ours []string) []string {
	var env []string
	for _, variable := range ours {
		if !strings.HasPrefix(variable, "MISFIT_TOKEN=") {
			env = append(env, variable)
		}
	}
	return env
}

// readStatuses reads the headers that a journey has put into a file, as far as that
// is bounded.
func readStatuses(path string) ([]string, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) { // the journey has taken it away
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var out journeyOutput
	if _, err := io.Copy(&out, io.LimitReader(file, maxInputBytes)); err != nil {
		return nil, err
	}
	out.end()
	return out.statuses, nil
}

// journeyOutput keeps the end of what a journey writes, and every Fault-Status in it.
// One goroutine of package exec writes to it.
type journeyOutput struct {
	tail     []byte
	line     []byte
	statuses []string
}

const (
	keptOutput   = 32 << 10
	longestLine  = 32 << 10 // longer than a Fault-Status may be
	mostStatuses = 10_000
	statusField  = "fault-status:"
)

func (o *journeyOutput) Write(p []byte) (int, error) {
	o.tail = append(o.tail, p...)
	if extra := len(o.tail) - keptOutput; extra > keptOutput {
		o.tail = append(o.tail[:0], o.tail[extra:]...)
	}
	for rest := p; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		part := rest
		if end >= 0 {
			part = rest[:end]
		}
		o.line = append(o.line, part[:min(len(part), longestLine-len(o.line))]...)
		if end < 0 {
			break
		}
		o.end()
		rest = rest[end+1:]
	}
	return len(p), nil
}

// end takes the line that was begun for a whole one.
func (o *journeyOutput) end() {
	at := bytes.Index(bytes.ToLower(o.line), []byte(statusField))
	if at >= 0 && len(o.statuses) < mostStatuses {
		o.statuses = append(o.statuses, string(bytes.TrimSpace(o.line[at+len(statusField):])))
	}
	o.line = o.line[:0]
}

func (o *journeyOutput) text() string {
	tail := o.tail
	if extra := len(tail) - keptOutput; extra > 0 {
		tail = tail[extra:]
		if i := bytes.IndexByte(tail, '\n'); i >= 0 {
			tail = tail[i+1:]
		}
	}
	return strings.ToValidUTF8(string(tail), "\ufffd")
}

// last is the last line that tends to say what went wrong.
func (o *journeyOutput) last() string {
	lines := strings.Split(o.text(), "\n")
	for _, line := range slices.Backward(lines) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", line == "FAIL", strings.HasPrefix(line, "FAIL\t"), strings.HasPrefix(line, "exit status "): // of go test
			continue
		}
		return cell(strings.Join(strings.Fields(line), " "), maxText)
	}
	return ""
}
