package audit

import (
	"errors"
	"os"
	"syscall"
)

// errorSharingViolation is what Windows says of a file that somebody has open
// and does not share.
const errorSharingViolation = syscall.Errno(32)

// openLocked opens the file so that others can read it, and not write. That ends
// with the process.
func openLocked(path string) (*os.File, func(*os.File) error, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, nil, err
	}
	handle, err := syscall.CreateFile(name,
		syscall.GENERIC_READ|syscall.GENERIC_WRITE, syscall.FILE_SHARE_READ, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, errorSharingViolation) {
		return nil, nil, ErrLocked
	}
	if err != nil {
		return nil, nil, os.NewSyscallError("CreateFile", err)
	}
	return os.NewFile(uintptr(handle), path), func(*os.File) error { return nil }, nil
}

func writeEnd(f *os.File, text []byte, size int64) error {
	_, err := f.WriteAt(text, size)
	return err
}
