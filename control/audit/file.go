package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A file is that of a log, open for its one writer. It belongs to the goroutine
// that writes; others may read from it.
type file struct {
	*os.File
	path   string
	size   int64        // up to here it is on the disk
	excess int64        // how much may be there beyond, of a write that failed
	sync   func() error // File.Sync
	unlock func(*os.File) error
}

// openFile opens the file, or makes it, and locks it.
func openFile(path string) (*file, error) {
	path, err := filepath.Abs(path) // wherever the process goes
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // opening a pipe may never end
		return nil, notAFile(path, info)
	}
	f, unlock, err := openLocked(path)
	if err != nil {
		return nil, fmt.Errorf("audit: %s: %w", path, bare(err))
	}
	file := &file{File: f, path: path, sync: f.Sync, unlock: unlock}
	info, err := f.Stat()
	switch {
	case err != nil:
		err = fmt.Errorf("audit: %s: %w", path, bare(err))
	case !info.Mode().IsRegular():
		err = notAFile(path, info)
	}
	if err != nil {
		return nil, errors.Join(err, file.close())
	}
	file.size = info.Size()
	if file.size == 0 {
		syncDir(filepath.Dir(path))
	}
	return file, nil
}

func notAFile(path string, info fs.FileInfo) error {
	what := "is not a regular file (" + info.Mode().Type().String() + ")"
	if info.IsDir() {
		what = "is a directory"
	}
	return fmt.Errorf("audit: %s %s; name a file, which is made if there is none", path, what)
}

func (f *file) close() error {
	return errors.Join(f.unlock(f.File), f.Close())
}

// append writes whole lines and returns once they are on the disk. If it fails,
// the file is as it was before, or will be cut to that before the next write.
func (f *file) append(text []byte) error {
	if err := f.cut(); err != nil {
		return err
	}
	if err := f.check(f.size); err != nil {
		return err
	}
	f.excess = int64(len(text))
	err := writeEnd(f.File, text, f.size)
	if err == nil {
		err = f.sync()
	}
	if err == nil { // or the lines are safe in a file that nobody will find
		err = f.check(f.size + int64(len(text)))
	}
	if err != nil {
		// Also after a sync that failed: the system may forget then what it has not
		// written, and only writing it again makes sure.
		_ = f.cut()
		return bare(err)
	}
	f.size += int64(len(text))
	f.excess = 0
	return nil
}

// cut removes what a write that failed has left.
func (f *file) cut() error {
	if f.excess == 0 {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return bare(err)
	}
	if n := info.Size(); n < f.size || n > f.size+f.excess {
		return fmt.Errorf("%w: it has %d bytes where %d were written", ErrChanged, n, f.size)
	}
	if err := f.Truncate(f.size); err != nil {
		return fmt.Errorf("half of an entry, of a write that failed, cannot be removed: %w", bare(err))
	}
	f.excess = 0
	return nil
}

// check reports whether the file is still at its place and as it was left.
func (f *file) check(size int64) error {
	mine, err := f.Stat()
	if err != nil {
		return bare(err)
	}
	there, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: it was removed or renamed; put it back, or start the service anew for a new one", ErrChanged)
	case err != nil:
		return bare(err)
	case !os.SameFile(mine, there):
		return fmt.Errorf("%w: another file is in its place; put it back, or start the service anew to go on with the other", ErrChanged)
	case mine.Size() != size:
		return fmt.Errorf("%w: it has %d bytes where %d were written; verify it, and start the service anew", ErrChanged, mine.Size(), size)
	}
	return nil
}

// bare leaves out the path, which is in all errors of a log.
func bare(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", p.Op, p.Err)
	}
	return err
}

// syncDir has the name of a new file survive a crash, where that can be had.
func syncDir(path string) {
	if dir, err := os.Open(path); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
}
