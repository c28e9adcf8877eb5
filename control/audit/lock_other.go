//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd || windows)

package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// openLocked opens the file beside a second one, whose being there says that the
// first is in use. It stays if the process does not end well.
func openLocked(path string) (*os.File, func(*os.File) error, error) {
	lock := path + ".lock"
	l, err := os.OpenFile(lock, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, nil, fmt.Errorf("%w; if no process has, remove %s", ErrLocked, lock)
	}
	if err != nil {
		return nil, nil, err
	}
	l.Close()
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, errors.Join(err, os.Remove(lock))
	}
	return f, func(*os.File) error { return os.Remove(lock) }, nil
}

func writeEnd(f *os.File, text []byte, size int64) error {
	_, err := f.WriteAt(text, size)
	return err
}
