//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package audit

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// openLocked opens the file for appending, which is all that a file allows whose
// append-only attribute is set (chattr +a). The lock ends with the process.
func openLocked(path string) (*os.File, func(*os.File) error, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = ErrLocked
	case err != nil:
		err = fmt.Errorf("this file system does not lock files, which a log needs: %w", os.NewSyscallError("flock", err))
	default:
		return f, func(*os.File) error { return nil }, nil
	}
	f.Close()
	return nil, nil, err
}

func writeEnd(f *os.File, text []byte, _ int64) error {
	_, err := f.Write(text)
	return err
}
