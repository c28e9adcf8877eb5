package audit

import (
	"bytes"
	"io"
)

const blockSize = 64 << 10

// A backward reads the lines of a file from the last to the first.
type backward struct {
	r    io.ReaderAt
	end  int64  // where what has not been returned ends
	most int    // how long a line can be
	left []byte // of what was read, what ends at end
	read int64  // bytes in all
}

// prev returns the line before, with its end if it has one, or [io.EOF] before
// the first. The line stays as it is.
func (b *backward) prev() ([]byte, error) {
	if b.end == 0 {
		return nil, io.EOF
	}
	for {
		// The line's own end, which it may have, does not count.
		if i := bytes.LastIndexByte(b.left[:max(len(b.left)-1, 0)], '\n'); i >= 0 || len(b.left) > 0 && int64(len(b.left)) == b.end {
			line := b.left[i+1:]
			b.left = b.left[:i+1]
			b.end -= int64(len(line))
			return line, nil
		}
		if len(b.left) > b.most {
			return nil, errLong
		}
		if err := b.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads what is before, twice as much each time, so that a long line is not
// copied often.
func (b *backward) fill() error {
	from := b.end - int64(len(b.left))
	n := min(from, int64(max(blockSize, len(b.left))))
	block := make([]byte, n, int(n)+len(b.left))
	if got, err := b.r.ReadAt(block, from-n); got < len(block) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // it was cut off meanwhile
		}
		return err
	}
	b.read += n
	b.left = append(block, b.left...)
	return nil
}
