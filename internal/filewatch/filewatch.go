// Package filewatch follows the content of a file by reading it again and
// again, which misses no change on any file system, whichever way it is made.
package filewatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// DefaultInterval is how often a file is looked at unless its user says
// otherwise.
const DefaultInterval = time.Second

// A File is one that is followed. Make it with [Open]. It belongs to one
// goroutine.
type File struct {
	path     string
	maxBytes int
	take     func(data []byte) error

	judged  sighting // what was last taken or refused
	pending sighting // what was seen since, until it is seen again
	restive int      // how many looks in a row found something new
}

// Open has take take the content of the file at path, which may have at most
// maxBytes. If it cannot be read or is not taken, the error says why and begins
// with the path or, where reading failed, is an [*os.PathError].
func Open(path string, maxBytes int, take func(data []byte) error) (*File, error) {
	f := &File{path: path, maxBytes: maxBytes, take: take}
	f.judged = f.look()
	if err := f.judge(); err != nil {
		return nil, err
	}
	f.pending = f.judged
	return f, nil
}

// Follow looks at the file in every interval until ctx ends. Something new that
// is seen twice in a row is taken; where that fails, refused is told why, once,
// with an error like that of [Open].
func (f *File) Follow(ctx context.Context, interval time.Duration, refused func(error)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := f.compare(f.look()); err != nil {
				refused(err)
			}
		}
	}
}

// maxRestive is after how many looks, each of which found the file changed,
// that is reported.
const maxRestive = 10

// compare takes what was just seen if it is new and was the same at the last
// look. A file may be seen half-written, and half of it can be a good file that
// says something else; it is also not there for a moment when an editor
// replaces it.
func (f *File) compare(seen sighting) error {
	settled := seen.same(f.pending)
	f.pending = seen
	switch {
	case !settled:
		if f.restive++; f.restive == maxRestive {
			return fmt.Errorf("%s: is different each time it is looked at: nothing is taken until it is twice the same", f.path)
		}
		return nil
	case seen.same(f.judged) && f.restive < maxRestive:
		f.restive = 0
		return nil
	}
	f.restive = 0
	f.judged = seen
	return f.judge()
}

// judge has the file taken as it was seen, or returns why not.
func (f *File) judge() error {
	err := f.judged.err
	if err != nil {
		return err // names the path
	}
	if len(f.judged.data) > f.maxBytes {
		err = fmt.Errorf("has more than %d bytes", f.maxBytes)
	} else {
		err = f.take(f.judged.data)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	return nil
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
func (f *File) look() sighting {
	info, err := os.Stat(f.path)
	if err != nil {
		return sighting{err: err}
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its writer
		return sighting{err: &os.PathError{Op: "read", Path: f.path, Err: errors.New("is not a file")}}
	}
	file, err := os.Open(f.path)
	if err != nil {
		return sighting{err: err}
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, int64(f.maxBytes)+1))
	if err != nil {
		return sighting{err: err}
	}
	return sighting{data: data}
}
