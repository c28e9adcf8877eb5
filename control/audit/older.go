package audit

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
)

const (
	// readMost bounds how much of a file one call reads for its answer, and
	// skipMost how much it passes over that is no entry, to find its place.
	readMost = 4 << 20
	skipMost = 1 << 20
)

// readBefore adds to the page what it wants of the entries that are before end in
// a file, which is where the one with the number before begins, and returns what
// before is for the next page.
func (p *page) readBefore(file io.ReaderAt, end int64, before uint64) (next uint64, err error) {
	b := &backward{r: file, end: end, most: MaxLine}
	missing := uint64(0)
	for next = before; !p.full(); {
		line, err := b.prev()
		if err == io.EOF {
			missing += next - 1
			next = 0
			break
		}
		if err != nil {
			return 0, fmt.Errorf("before seq %d: %w", next, err)
		}
		if e, hash, err := readLine(bytes.TrimSuffix(line, []byte("\n"))); err == nil && hash == e.Hash && e.Seq < next {
			missing += next - 1 - e.Seq
			next = e.Seq
			p.offer(e)
		}
		if b.read >= readMost {
			break
		}
	}
	switch {
	case next == before: // and would be again
		return 0, fmt.Errorf("%w: there is no entry before seq %d for long; verify the file", ErrDamaged, before)
	case missing > 0:
		err = fmt.Errorf("%w: %d entries before seq %d are missing, or are not as they were written; verify the file", ErrDamaged, missing, before)
	}
	if next == 1 {
		next = 0
	}
	return next, err
}

// find returns where in a file of this size the entry with this number begins, or
// the next one that is as it was written. Numbers only grow, so that it need not
// read all of the file.
func find(file io.ReaderAt, size int64, seq uint64) (int64, error) {
	low, high := int64(0), size
	for low < high {
		middle := low + (high-low)/2
		start, first, err := entryFrom(file, size, middle)
		switch {
		case err != nil:
			return 0, err
		case first >= seq:
			high = middle
		default:
			low = start + 1
		}
	}
	start, _, err := entryFrom(file, size, low)
	return start, err
}

// entryFrom returns where the first entry begins that begins at this place or
// after it, and its number; after the last one the end of the file, and the
// highest of all numbers. It passes over what is no entry or was altered.
func entryFrom(file io.ReaderAt, size, from int64) (start int64, seq uint64, err error) {
	start = max(from-1, 0) // where the line before ends, if one begins here
	most := min(size-start, skipMost)
	r := bufio.NewReader(io.NewSectionReader(file, start, most))
	for partial := from > 0; ; partial = false {
		line, err := r.ReadBytes('\n')
		switch {
		case err == io.EOF && start+int64(len(line)) == size:
			return size, math.MaxUint64, nil
		case err == io.EOF && most < skipMost:
			return 0, 0, io.ErrUnexpectedEOF
		case err == io.EOF:
			return 0, 0, fmt.Errorf("%w: there is no entry at byte %d and long after; verify the file", ErrDamaged, from)
		case err != nil:
			return 0, 0, err
		}
		if !partial {
			if e, hash, err := readLine(line[:len(line)-1]); err == nil && hash == e.Hash {
				return start, e.Seq, nil
			}
		}
		start += int64(len(line))
	}
}
