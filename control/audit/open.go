package audit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// A Repair is what [Open] did about an entry at the end of the file that was not
// written to its end, because the process or the machine stopped. Nobody was
// told that it is on record.
type Repair struct {
	Path  string
	Bytes int64  // how many were cut off; 0 if only the end of the line was missing and was added
	Saved string // the file that has them now
	Err   error  // why they could not be saved, and are gone; nil if they were
}

// String says it in a line, for instance for the detail of an entry.
func (r *Repair) String() string {
	switch {
	case r == nil:
		return ""
	case r.Bytes == 0:
		return r.Path + ": the last entry was whole but for the end of its line, which was added"
	case r.Err != nil:
		return fmt.Sprintf("%s: the last entry was torn; its %d bytes were cut off and could not be saved: %v", r.Path, r.Bytes, r.Err)
	}
	return fmt.Sprintf("%s: the last entry was torn; its %d bytes were cut off and are in %s", r.Path, r.Bytes, r.Saved)
}

// Open returns a log that goes on with the file at path, or begins one there. It
// is the file's only writer until it is closed or the process ends.
//
// The file is made for its owner only (mode 0600); one that is there keeps its
// mode. A symbolic link is followed; what is no regular file is refused. What a
// crash has left at the end is repaired, and the Repair says so; else it is nil.
// The entries that Open takes into memory have to be as they were written, or
// the error is [ErrDamaged] and the file is left alone; [Verify] looks at all of
// it.
func Open(path string, options ...Option) (*Log, *Repair, error) {
	l := newLog(options)
	if err := checkHash("Follows", l.follows); err != nil {
		return nil, nil, err
	}
	f, err := openFile(path)
	if err != nil {
		return nil, nil, err
	}
	l.file = f
	repair, err := l.load()
	if err != nil {
		return nil, nil, errors.Join(l.errorf("%w", bare(err)), f.close())
	}
	l.size = f.size
	l.wake, l.ended = make(chan struct{}, 1), make(chan struct{})
	go l.run()
	return l, repair, nil
}

// load takes the newest entries into memory, and mends the end of the file.
func (l *Log) load() (*Repair, error) {
	b := &backward{r: l.file, end: l.file.size, most: maxBatch + MaxLine}
	torn, err := readTorn(b)
	if err != nil {
		return nil, err
	}
	good := b.end
	if good == 0 && !begins(torn) {
		return nil, fmt.Errorf("%w: it has no entry; name another file", ErrDamaged)
	}
	c, err := l.loadBefore(b, torn)
	if err != nil {
		return nil, err
	}
	if err := l.readFirst(); err != nil {
		return nil, err
	}
	return l.mend(good, torn, c)
}

// readTorn returns what a crash has left after the last whole line: an end that
// is missing, or zeros in place of what had not come to the disk.
func readTorn(b *backward) ([]byte, error) {
	var torn []byte
	for {
		before := *b
		line, err := b.prev()
		if err == io.EOF {
			return torn, nil
		}
		if err != nil && err != errLong {
			return nil, err
		}
		if err == errLong || len(torn)+len(line) > maxBatch+MaxLine {
			return nil, fmt.Errorf("%w: what is after its last entry is more than a crash leaves", ErrDamaged)
		}
		if bytes.HasSuffix(line, []byte("\n")) && bytes.IndexByte(line, 0) < 0 {
			*b = before
			return torn, nil
		}
		torn = append(slices.Clip(line), torn...)
	}
}

// begins reports whether this, which is all of a file, can be what is left of its
// first entry: or Open would cut down a file of something else.
func begins(text []byte) bool {
	text = bytes.TrimRight(text, "\x00")
	start := []byte(lineStart + "1,")
	return bytes.HasPrefix(text, start) || bytes.HasPrefix(start, text)
}

// loadBefore takes what is before b's end into memory, as far as there is room,
// and returns the chain so far.
func (l *Log) loadBefore(b *backward, torn []byte) (chain, error) {
	var lines [][]byte
	for size := 0; len(lines) < l.recent.most && size < windowBytes; {
		line, err := b.prev()
		if err == io.EOF {
			break
		}
		if err != nil {
			return chain{}, err
		}
		lines = append(lines, line)
		size += len(line)
	}
	var c chain
	switch {
	case len(lines) == 0:
		c = l.beginning(torn)
	case b.end == 0:
		c = l.beginning(lines[len(lines)-1])
	}
	at := b.end
	for _, line := range slices.Backward(lines) {
		k := c.next(line[:len(line)-1])
		if len(k.problems) > 0 {
			return chain{}, fmt.Errorf("%w: the line at byte %d %s; verify the file, and move it away to begin a new one", ErrDamaged, at, k.problems[0])
		}
		at += int64(len(line))
		l.seq, l.hash = k.entry.Seq, k.entry.Hash
		l.recent.add(k.entry, len(line))
	}
	return c, nil
}

// beginning is the chain that the first line of the file begins.
func (l *Log) beginning(line []byte) chain {
	prev := l.follows
	if e, _, err := readLine(bytes.TrimSuffix(line, []byte("\n"))); prev == "" && err == nil {
		prev = e.Prev
	}
	return startingWith(cmp.Or(prev, genesis))
}

// readFirst takes from the first entry of the file what tells this record from
// others, and holds what it begins with against what it should follow.
func (l *Log) readFirst() error {
	if l.seq == 0 {
		return nil
	}
	start := make([]byte, min(l.file.size, MaxLine))
	if _, err := l.file.ReadAt(start, 0); err != nil {
		return err
	}
	line, _, _ := bytes.Cut(start, []byte("\n"))
	e, _, err := readLine(line)
	switch {
	case err != nil: // whoever verifies the file is told
		l.first = hashOf(line)
		return nil
	case l.follows != "" && e.Prev != l.follows:
		return fmt.Errorf("%w: Follows says that it follows the file whose last hash is %s, but its first entry has prev %s", ErrDamaged, l.follows, e.Prev)
	}
	l.first = e.Hash
	return nil
}

// mend has the file end with a whole line: the one before torn, or torn if it
// lacks nothing but its end.
func (l *Log) mend(good int64, torn []byte, c chain) (*Repair, error) {
	if len(torn) == 0 {
		return nil, nil
	}
	f, r := l.file, &Repair{Path: l.file.path}
	if isEntry(torn) {
		k := c.next(torn)
		if len(k.problems) > 0 {
			return nil, fmt.Errorf("%w: its last line %s; verify the file, and move it away to begin a new one", ErrDamaged, k.problems[0])
		}
		if err := f.append([]byte("\n")); err != nil {
			return nil, err
		}
		l.newest(k.entry)
		l.recent.add(k.entry, len(torn)+1)
		return r, nil
	}
	r.Bytes = int64(len(torn))
	if r.Saved, r.Err = save(f.path, torn); r.Err != nil {
		r.Saved = ""
	}
	f.size, f.excess = good, r.Bytes
	err := f.cut()
	if err != nil && r.Saved != "" {
		os.Remove(r.Saved) // it is still where it was
	}
	if err == nil {
		err = f.sync()
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// save puts what is cut off into a file of its own.
func save(path string, torn []byte) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".torn-*") // with mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(torn)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", err
	}
	syncDir(filepath.Dir(path))
	return f.Name(), nil
}
